"""Turns of symmetric bodies that pictures cannot show: what first guesses say of them, and what hypotheses there are.

Pictures are blind to them, the world is not: a can that a hand holds does not spin in it.  So terms of motion and
contact act on all turns alike, and only what compares looks leaves the unseen ones out: whether a pose agrees with the
first guess.  A first guess knows nothing of the unseen turn either; what it says of it in each frame is noise.
"""

from __future__ import annotations

import numpy as np

SMOOTHING_S = 0.5  # sigma in time, over which given unseen turns are averaged


def seen_angles(rotations: np.ndarray, others: np.ndarray, symmetry: str) -> np.ndarray:
    """Angle (...) [rad] between quaternions (..., 4) xyzw as far as looks tell: between axes; 0 for balls."""
    if symmetry == "sphere":
        return np.zeros(np.broadcast_shapes(rotations.shape, others.shape)[:-1])
    if symmetry == "none":
        cosines = np.abs(np.sum(rotations * others, axis=-1))
        return 2.0 * np.arccos(np.clip(cosines, 0.0, 1.0))
    axes = (_direction(rotations, symmetry), _direction(others, symmetry))
    return np.arccos(np.clip(np.sum(axes[0] * axes[1], axis=-1), -1.0, 1.0))


def other_looks(poses: np.ndarray, symmetry: str) -> list[np.ndarray]:
    """Poses (frame, 7) that silhouettes could tell from the given ones, but often cannot."""
    if symmetry == "sphere":
        return []
    half = [np.array([*np.eye(3)[axis], 0.0]) for axis in range(3)]
    if symmetry == "none":
        return [_turned(poses, each) for each in half]
    # About the axis itself a half turn changes nothing; leaning away looks much like leaning as far towards the eye.
    across = half[("xyz".index(symmetry) + 1) % 3]
    leaning = lean_the_other_way(poses, symmetry)
    return [_turned(poses, across), leaning, _turned(leaning, across)]


def lean_the_other_way(poses: np.ndarray, symmetry: str) -> np.ndarray:
    """Poses (frame, 7) whose axis of symmetry is mirrored across the line of sight to the body's origin."""
    from scipy.spatial.transform import Rotation

    axis = _direction(poses[:, 3:], symmetry).astype(np.float64)
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


def _turned(poses: np.ndarray, quaternion: np.ndarray) -> np.ndarray:
    """Poses (frame, 7) turned on the right."""
    from scipy.spatial.transform import Rotation

    turned = poses.copy()
    turned[:, 3:] = (Rotation.from_quat(poses[:, 3:]) * Rotation.from_quat(quaternion)).as_quat()
    return turned


def smooth_unseen_turns(rotations: np.ndarray, symmetry: str, times: np.ndarray) -> np.ndarray:
    """Rotations that look the same, and whose unseen turns change as slowly as those given do on average.

    Args:
        rotations: unit quaternions (frame, 4) xyzw.
        symmetry: of the body.
        times: of the frames (frame,) [s].
    """
    from scipy.spatial.transform import Rotation

    if symmetry == "none" or len(rotations) < 2:
        return rotations
    weights = np.exp(-0.5 * ((times[:, None] - times[None, :]) / SMOOTHING_S) ** 2)
    if symmetry == "sphere":
        return np.stack([Rotation.from_quat(rotations).mean(weights=row).as_quat() for row in weights])
    # Carried along without a turn about the axis, from frame to frame; what was given beyond that is the unseen turn.
    carried = rotations.copy()
    for frame in range(1, len(rotations)):
        carried[frame] = _shortest(carried[frame - 1], rotations[frame], symmetry)
    turns = (Rotation.from_quat(carried).inv() * Rotation.from_quat(rotations)).as_rotvec()
    axis, extra = "xyz".index(symmetry), np.zeros((len(rotations), 3))
    extra[:, axis] = np.angle(weights @ np.exp(1j * turns[:, axis]))
    return (Rotation.from_quat(carried) * Rotation.from_rotvec(extra)).as_quat()


def _direction(rotations: np.ndarray, symmetry: str) -> np.ndarray:
    """Where the axis of symmetry points (..., 3)."""
    from scipy.spatial.transform import Rotation

    flat = Rotation.from_quat(rotations.reshape(-1, 4)).apply(np.eye(3)["xyz".index(symmetry)])
    return flat.reshape(*rotations.shape[:-1], 3)


def _shortest(before: np.ndarray, after: np.ndarray, symmetry: str) -> np.ndarray:
    """The rotation (4,) that looks like ``after`` and is turned from ``before`` no more than that takes."""
    from scipy.spatial.transform import Rotation

    axis = np.eye(3)["xyz".index(symmetry)]
    start = Rotation.from_quat(before)
    first, last = start.apply(axis), Rotation.from_quat(after).apply(axis)
    # Opposite directions leave the axis of the turn open, and the turn undone.
    quaternion = np.append(np.cross(first, last), 1.0 + first @ last)
    length = np.linalg.norm(quaternion)
    return (Rotation.from_quat(quaternion) * start).as_quat() if length > 1e-6 else after
