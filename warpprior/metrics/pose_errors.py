"""Errors of an estimated motion against the true one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from warpprior.bodies.body import Body, JointType
from warpprior.scene import Poses

NEAREST_POINT_LIMIT = 2000
ACCELERATION_POINT_LIMIT = 256

_AXES = {"x": 0, "y": 1, "z": 2}

Surface = Callable[[Poses], np.ndarray]


def motion_errors(body: Body, symmetry: str, poses: Poses, truth: Poses, surface: Surface) -> dict[str, np.ndarray]:
    """Errors per frame (frame,) float64, NaN where the truth has no pose.  :mod:`warpprior.metrics` defines them.

    Args:
        body: the body both motions move.
        symmetry: ``none``, ``sphere``, ``x``, ``y`` or ``z``.
        poses: estimated motion.
        truth: true motion, same number of frames.
        surface: gives the posed surface (frame, vertex, 3) of a motion without NaN [m].
    """
    frame_count = poses.frame_count
    scored = ~fill_holes(truth)[1]
    errors = {}
    if not scored.all():  # else they stay what they are, and their surfaces need not be posed anew
        poses, truth = poses.frames(scored), truth.frames(scored)
    aligned = align_symmetry(symmetry, poses, truth)
    true_surface = surface(truth)
    errors["add_mm"] = 1e3 * mean_vertex_distance(surface(aligned), true_surface)
    errors["add_s_mm"] = 1e3 * _nearest_distance(body, poses, surface, true_surface)
    angle = rotation_error(poses.rotation, truth.rotation, symmetry)
    if angle is not None:
        errors["rotation_deg"] = np.degrees(angle)
    offset = poses.position - truth.position
    range_true = np.linalg.norm(truth.position, axis=1, keepdims=True)
    along = np.sum(offset * truth.position / np.maximum(range_true, 1e-9), axis=1)
    errors["translation_mm"] = 1e3 * np.linalg.norm(offset, axis=1)
    errors["depth_mm"] = 1e3 * along
    errors["lateral_mm"] = np.sqrt(np.maximum(errors["translation_mm"] ** 2 - errors["depth_mm"] ** 2, 0.0))
    errors.update(_joint_errors(body, poses.joints, truth.joints))
    spread = {}
    for name, values in errors.items():
        spread[name] = np.full(frame_count, np.nan)
        spread[name][scored] = values
    return spread


def accelerations(
    body: Body, symmetry: str, poses: Poses, truth: Poses | None, surface: Surface, true_surface: Surface
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Mean second difference over vertices (frame,) [mm/frame^2]: of the motion, its error, and of the truth.

    NaN in the first and last frame and beside frames without truth; the last two are None without truth.  A sphere's
    rotation does not count.  Where the camera moves, both surfaces are given in the world.
    """
    if symmetry == "sphere":
        poses, truth = _unturned(poses), None if truth is None else _unturned(truth)
    stride = max(1, -(-body.vertex_count // ACCELERATION_POINT_LIMIT))
    own = _second_differences(surface(poses)[:, ::stride])
    if truth is None:
        return _mean_length(own), None, None
    filled, holes = fill_holes(truth)
    filled_surface = true_surface(filled)[:, ::stride].astype(np.float64)
    filled_surface[holes] = np.nan
    true = _second_differences(filled_surface)
    return _mean_length(own), _mean_length(own - true), _mean_length(true)


def mean_vertex_distance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Mean distance of corresponding vertices (frame,) of two surfaces (frame, vertex, 3)."""
    return np.array(
        [np.linalg.norm(a.astype(np.float64) - b, axis=1).mean() for a, b in zip(first, second, strict=True)]
    )


def rotation_error(rotation: np.ndarray, truth: np.ndarray, symmetry: str) -> np.ndarray | None:
    """Angle between rotations (frame, 4) xyzw [rad]; between axes for axis symmetry; None for a sphere."""
    if symmetry == "sphere":
        return None
    if symmetry in _AXES:
        first, second = (matrices(q)[:, :, _AXES[symmetry]] for q in (rotation, truth))
        return np.arctan2(np.linalg.norm(np.cross(first, second), axis=1), np.sum(first * second, axis=1))
    difference = _multiply(_conjugate(rotation), truth)
    return 2.0 * np.arctan2(np.linalg.norm(difference[:, :3], axis=1), np.abs(difference[:, 3]))


def rotate(rotation: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (frame, point, 3) rotated by unit quaternions (frame, 4) xyzw; keeps the points' precision."""
    return points @ matrices(rotation).transpose(0, 2, 1).astype(points.dtype)


def align_symmetry(symmetry: str, poses: Poses, truth: Poses) -> Poses:
    """The estimate turned within its symmetry to be as close to the truth as that allows."""
    if symmetry == "sphere":
        return replace(poses, rotation=truth.rotation)
    if symmetry not in _AXES:
        return poses
    # The rotation about the axis that leaves the least angle to the truth is the twist of the difference.
    difference = _multiply(_conjugate(poses.rotation), truth.rotation)
    twist = np.zeros_like(difference)
    axis = _AXES[symmetry]
    twist[:, axis], twist[:, 3] = difference[:, axis], difference[:, 3]
    norm = np.linalg.norm(twist, axis=1, keepdims=True)
    twist = np.where(norm > 1e-9, twist / np.maximum(norm, 1e-9), [0.0, 0.0, 0.0, 1.0])
    return replace(poses, rotation=_multiply(poses.rotation, twist))


def _nearest_distance(body: Body, poses: Poses, surface: Surface, true_surface: np.ndarray) -> np.ndarray:
    """Mean distance (frame,) [m] from true vertices to the nearest estimated vertex."""
    from scipy.spatial import KDTree

    stride = max(1, -(-body.vertex_count // NEAREST_POINT_LIMIT))
    if not len(true_surface):
        return np.zeros(0)
    if body.is_rigid:
        # Seen from the estimated body the estimated vertices never move, so one tree serves all frames.
        rotations = matrices(poses.rotation)
        local = (true_surface[:, ::stride] - poses.position[:, None]) @ rotations
        tree = KDTree(body.vertices.astype(np.float64) * poses.scale)
        distances, _ = tree.query(local.reshape(-1, 3))
        return distances.reshape(len(true_surface), -1).mean(axis=1)
    pairs = zip(surface(poses), true_surface, strict=True)
    return np.array([KDTree(own).query(true[::stride])[0].mean() for own, true in pairs])


def _joint_errors(body: Body, joints: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    if body.coordinate_count == 0:
        return {}
    sliding = np.zeros(body.coordinate_count, dtype=bool)
    slides = (body.joint_types == JointType.SLIDE) & (body.coordinate_starts >= 0)
    sliding[body.coordinate_starts[slides]] = True
    difference = np.abs(joints - truth)
    errors = {}
    if not sliding.all():
        errors["joint_deg"] = np.degrees(difference[:, ~sliding].mean(axis=1))
    if sliding.any():
        errors["joint_mm"] = 1e3 * difference[:, sliding].mean(axis=1)
    return errors


def _unturned(poses: Poses) -> Poses:
    return replace(poses, rotation=np.tile([0.0, 0.0, 0.0, 1.0], (poses.frame_count, 1)))


def fill_holes(truth: Poses) -> tuple[Poses, np.ndarray]:
    """The motion with frames that have no pose set to some valid pose, and which frames those are (frame,) bool."""
    fields = (truth.position, truth.rotation, truth.joints)
    holes = ~np.logical_and.reduce([np.isfinite(values).all(1) for values in fields])
    if not holes.any():
        return truth, holes
    position, rotation, joints = truth.position.copy(), truth.rotation.copy(), truth.joints.copy()
    position[holes], rotation[holes], joints[holes] = 0.0, [0.0, 0.0, 0.0, 1.0], 0.0
    return replace(truth, position=position, rotation=rotation, joints=joints), holes


def _second_differences(points: np.ndarray) -> np.ndarray:
    """x[t-1] - 2 x[t] + x[t+1] (frame, vertex, 3), NaN at both ends."""
    points = points.astype(np.float64)
    result = np.full(points.shape, np.nan)
    if len(points) > 2:
        result[1:-1] = points[:-2] - 2 * points[1:-1] + points[2:]
    return result


def _mean_length(vectors: np.ndarray) -> np.ndarray:
    return 1e3 * np.linalg.norm(vectors, axis=2).mean(axis=1)


def matrices(rotation: np.ndarray) -> np.ndarray:
    """Rotation matrices (frame, 3, 3) of unit quaternions (frame, 4) xyzw."""
    x, y, z, w = rotation.T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), 2, 0)


def _conjugate(rotation: np.ndarray) -> np.ndarray:
    return rotation * [-1.0, -1.0, -1.0, 1.0]


def _multiply(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Hamilton product of quaternions (frame, 4) xyzw: rotate by ``second``, then by ``first``."""
    a, b = first[:, :3], second[:, :3]
    vector = first[:, 3:] * b + second[:, 3:] * a + np.cross(a, b)
    scalar = first[:, 3] * second[:, 3] - np.sum(a * b, axis=1)
    return np.concatenate([vector, scalar[:, None]], axis=1)
