"""Turns that a symmetric body does not show: what contact makes of them, and as given, smoothly, beyond that.

What is held turns with what holds it.  A first guess of the turn is as good as noise about the axis lets it be, frame
by frame; nothing in the pictures takes that noise away, so that it would stay as spin in the grasp.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from warpprior.scene import SceneBody
    from warpprior.system.problem import Problem

FREE_FRAMES = 5.0  # over which the given turn of a body that nothing touches is averaged, each way
HELD_FRAMES = 50.0  # and of one that is touched
TOUCH = 0.002  # share of the surface in contact that is half-way from the one to the other


def settle_unseen_turns(body: SceneBody, problem: Problem) -> None:
    """Turn a symmetric rigid body within its symmetry, in every frame, as contacts and the frames around say.

    Args:
        body: with a symmetry, estimated.
        problem: the sequence's, its contacts up to date; the body is moved in it.
    """
    from warpprior.geometry.transfer import Transfer

    motion = problem.motion
    count = motion.frame_count
    if count < 2:
        return
    state = motion.states[body.name].poses
    poses = state.numpy().astype(np.float64)
    segments = motion.segments.numpy()
    joined = segments[1:] == segments[:-1]
    carried, held = poses[:-1].copy(), np.zeros(count - 1)
    contacts = problem.contacts(body)
    if contacts.pairs:
        closest = max(contacts.pairs.values(), key=lambda pair: float(pair.contacts.sums.numpy()[:, 0].sum()))
        points, weights = closest.contacts.points, closest.contacts.weights.numpy() * closest.contacts.points.shape[1]
        import warp as wp

        transfer = Transfer(count - 1, motion.device)
        shared = wp.array(np.sqrt(weights[1:] * weights[:-1]), dtype=float, device=motion.device)
        # Slices of arrays are arrays.
        transfer.carry(points[:-1], points[1:], shared, state[:-1])  # pyright: ignore[reportArgumentType]
        carried = transfer.poses_after.numpy().astype(np.float64)
        touch = (contacts.touch.numpy()[1:] / TOUCH) ** 2
        held = touch / (1.0 + touch)
    reach = FREE_FRAMES + (HELD_FRAMES - FREE_FRAMES) * held
    turned = poses.astype(np.float32)
    turned[:, 3:] = smooth_turns(poses[:, 3:], carried[:, 3:], np.where(joined, reach, 0.0), body.symmetry)
    state.assign(turned)
    motion.settle()
    motion.pose()


def smooth_turns(rotation: np.ndarray, carried: np.ndarray, reach: np.ndarray, symmetry: str) -> np.ndarray:
    """Rotations that look like the given ones and turn, within the symmetry, as what carries them does.

    Args:
        rotation: quaternions (frame, 4) xyzw.
        carried: where each frame but the last is carried in the next one (frame - 1, 4).
        reach: over how many frames the given turns are averaged, between each frame and the next (frame - 1,); 0
            between frames that have nothing to do with each other.
        symmetry: ``x``, ``y``, ``z`` or ``sphere``.

    Returns:
        Quaternions (frame, 4).
    """
    from scipy.linalg import solveh_banded
    from scipy.spatial.transform import Rotation

    given = Rotation.from_quat(rotation)
    difference = given[1:].inv() * Rotation.from_quat(carried)
    if symmetry == "sphere":
        motions = Rotation.from_quat(carried) * given[:-1].inv()
        chain = [given[0]]
        for motion in motions:
            chain.append(motion * chain[-1])
        follows = Rotation.concatenate(chain)
        astray = (follows.inv() * given).as_quat()
    else:
        axis = "xyz".index(symmetry)
        quaternions = difference.as_quat()
        # Turns about the axis add up, whatever the axis itself does.
        angles = np.concatenate([[0.0], np.cumsum(2.0 * np.arctan2(quaternions[:, axis], quaternions[:, 3]))])
        follows = given * Rotation.from_rotvec(np.outer(angles, np.eye(3)[axis]))
        astray = Rotation.from_rotvec(np.outer(-angles, np.eye(3)[axis])).as_quat()
    # The mean of quaternions whose signs mean nothing: the first eigenvector of their mean square.
    squares = np.einsum("fi,fj->fij", astray, astray).reshape(-1, 16)
    stiffness = reach**2
    bands = np.zeros((2, len(rotation)))
    bands[1] = 1.0
    bands[1, 1:] += stiffness
    bands[1, :-1] += stiffness
    bands[0, 1:] = -stiffness
    means = solveh_banded(bands, squares).reshape(-1, 4, 4)
    mean = np.linalg.eigh(means)[1][:, :, -1]
    return (follows * Rotation.from_quat(mean)).as_quat()


def seen_angles(cosines: np.ndarray, first: np.ndarray, second: np.ndarray, symmetry: str) -> np.ndarray:
    """Angles between rotations as far as they show [rad], of every pair or one by one as ``cosines`` has them.

    Args:
        cosines: absolute inner products of the quaternions, at most 1; what counts without a symmetry.
        first, second: the quaternions, of shapes that broadcast to ``cosines`` with a last axis of 4.
        symmetry: of the body.
    """
    if symmetry == "none":
        return 2.0 * np.arccos(cosines)
    if symmetry == "sphere":
        return np.zeros_like(cosines)
    axes = [_axis(quaternions, "xyz".index(symmetry)) for quaternions in (first, second)]
    across = np.linalg.norm(np.cross(*axes), axis=-1)
    return np.arctan2(across, np.sum(axes[0] * axes[1], axis=-1))


def lean_the_other_way(poses: np.ndarray, symmetry: str) -> np.ndarray:
    """Poses (frame, 7) whose axis of symmetry is mirrored across the line of sight to the body's origin."""
    from scipy.spatial.transform import Rotation

    axis = _axis(poses[:, 3:], "xyz".index(symmetry)).astype(np.float64)
    sight = poses[:, :3] / np.maximum(np.linalg.norm(poses[:, :3], axis=1, keepdims=True), 1e-9)
    along = np.sum(axis * sight, axis=1, keepdims=True)
    across = np.cross(axis, sight)
    sine = np.linalg.norm(across, axis=1, keepdims=True)
    # Turned in the plane of axis and sight, by twice the angle between the axis and the picture.
    angles = 2.0 * np.arctan2(along, sine)
    turns = Rotation.from_rotvec(-angles * across / np.maximum(sine, 1e-9))
    leaning = poses.copy()
    leaning[:, 3:] = (turns * Rotation.from_quat(poses[:, 3:])).as_quat()
    return leaning


def _axis(quaternions: np.ndarray, axis: int) -> np.ndarray:
    """Where rotations (..., 4) take a body axis (..., 3)."""
    from scipy.spatial.transform import Rotation

    turned = Rotation.from_quat(quaternions.reshape(-1, 4)).apply(np.eye(3)[axis])
    return turned.reshape(*quaternions.shape[:-1], 3)
