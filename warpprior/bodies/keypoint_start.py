"""Poses of a body from its keypoints alone: rotations searched, the most likely sequence of them fitted."""

from __future__ import annotations

import warnings

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from warpprior.bodies.keypoint_fit import Detected, FramePoses, KeypointModel, fit_keypoints

FEWEST_POINTS = 6  # that tell a pose
VIEWS = 80  # directions from which a body is looked at; the turn in the picture follows in closed form
HYPOTHESES = 4
APART_RAD = 0.7  # hypotheses differ by more
JUMP_RAD = 0.5  # from one frame to the next, that costs as much as JUMP_COST / 2
JUMP_COST = 60.0
Matches = tuple[np.ndarray, np.ndarray, np.ndarray]
CURLS = (0.0, 0.5, 1.0)  # of joints, from none moved to the likely pose


def start_from_keypoints(model: KeypointModel, detected: Detected) -> tuple[FramePoses, np.ndarray]:
    """Poses of all frames, and in which frames they are fitted (frame,) bool; the others follow those around them.

    No frame is fitted where none has FEWEST_POINTS keypoints.
    """
    usable = (detected.trust > 0.0).sum(axis=1) >= FEWEST_POINTS
    frames = np.flatnonzero(usable)
    count = len(usable)
    if len(frames) == 0:
        joints = np.tile(model.mean, (count, 1))
        return FramePoses(np.tile([0.0, 0, 1], (count, 1)), np.tile([0.0, 0, 0, 1], (count, 1)), joints), usable
    poses, costs = fit_hypotheses(model, detected.frames(frames))
    chosen = _cheapest_path(poses.rotation, costs, frames)
    picked = poses.frames(np.arange(len(frames)) * HYPOTHESES + chosen)
    return _carry(picked, frames, count), usable


def fit_hypotheses(model: KeypointModel, detected: Detected) -> tuple[FramePoses, np.ndarray]:
    """HYPOTHESES fits of each frame, frame after frame (frame * hypothesis), and their costs (frame, hypothesis)."""
    count = len(detected.trust)
    starts = _search(model, detected)
    each = np.repeat(np.arange(count), HYPOTHESES)
    poses, costs = fit_keypoints(model, detected.frames(each), starts)
    return poses, costs.reshape(count, HYPOTHESES)


def _search(model: KeypointModel, detected: Detected) -> FramePoses:
    """Where the body at rest or bent as usual comes nearest to the points, from different sides."""
    curls = [np.clip(curl * model.mean, model.lower, model.upper) for curl in CURLS]
    shapes = model.local(np.array(curls))
    views = Rotation.from_quat(_views(VIEWS)).as_matrix()
    found = []
    for points, trust in zip(detected.points, detected.trust, strict=True):
        known = trust > 0.0
        match = _match_in_space if detected.lens is None else _match_in_picture
        errors, position, rotation = match(shapes[:, known], views, points[known], detected)
        found.append(_apart(errors, position, rotation, curls))
    return FramePoses(*(np.concatenate([one[part] for one in found]) for part in range(3)))


def _views(count: int) -> np.ndarray:
    """Quaternions (view, 4) that turn directions spread over the sphere into the line of sight."""
    number = np.arange(count) + 0.5
    z = 1.0 - 2.0 * number / count
    angle = np.pi * (1.0 + 5.0**0.5) * number
    ring = np.sqrt(1.0 - z**2)
    directions = np.column_stack([ring * np.cos(angle), ring * np.sin(angle), z])
    # The shortest turn to the z axis.
    quaternions = np.column_stack([directions[:, 1], -directions[:, 0], np.zeros(count), 1.0 + directions[:, 2]])
    return quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)


def _match_in_picture(shapes: np.ndarray, views: np.ndarray, points: np.ndarray, detected: Detected) -> Matches:
    """Errors, positions and rotations (shape * view, ...) of the nearest scaled orthographic drawings."""
    lens = detected.lens
    assert lens is not None
    target = (points - lens.center) / lens.focal
    target = target[:, 0] + 1j * target[:, 1]
    drawn = np.einsum("vij,skj->svki", views, shapes)
    flat = (drawn[..., 0] + 1j * drawn[..., 1]).reshape(-1, len(points))
    weight = np.ones(flat.shape)
    factor = middle = np.zeros(0)
    for _ in range(4):
        total = weight.sum(axis=1, keepdims=True)
        ours = (weight * flat).sum(axis=1, keepdims=True) / total
        theirs = (weight * target).sum(axis=1, keepdims=True) / total
        away = flat - ours
        top = (weight * np.conj(away) * (target - theirs)).sum(axis=1, keepdims=True)
        factor = top / (weight * np.abs(away) ** 2).sum(axis=1, keepdims=True)
        middle = theirs - factor * ours
        miss = np.abs(factor * flat + middle - target)
        usual = np.maximum(np.median(miss, axis=1, keepdims=True), 1e-6)
        weight = 1.0 / (1.0 + (miss / (2.0 * usual)) ** 2) ** 2
    error = np.median(miss, axis=1)
    size, spin = np.maximum(np.abs(factor[:, 0]), 1e-3), np.angle(factor[:, 0])
    depth = 1.0 / size
    bearing = np.column_stack([middle[:, 0].real, middle[:, 0].imag])
    position = np.column_stack([bearing * depth[:, None], depth])
    views = np.tile(views, (len(shapes), 1, 1))
    turn = Rotation.from_rotvec(np.column_stack([np.zeros((len(spin), 2)), spin])) * Rotation.from_matrix(views)
    return error, position, turn.as_quat()


def _match_in_space(shapes: np.ndarray, views: np.ndarray, points: np.ndarray, detected: Detected) -> Matches:
    """Errors, positions and rotations (shape, ...) of the body laid on points in space."""
    rows = []
    for shape in shapes:
        weight = np.ones(len(points))
        for _ in range(4):
            ours, theirs = np.average(shape, axis=0, weights=weight), np.average(points, axis=0, weights=weight)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # points on one line leave a turn open; any will do
                turn = Rotation.align_vectors(points - theirs, shape - ours, weights=weight)[0]
            miss = np.linalg.norm(turn.apply(shape - ours) + theirs - points, axis=1)
            weight = 1.0 / (1.0 + (miss / (2.0 * max(float(np.median(miss)), 1e-6))) ** 2) ** 2
        rows.append((np.median(miss), theirs - turn.apply(ours), turn.as_quat()))
    errors, position, rotation = (np.array(part) for part in zip(*rows, strict=True))
    return errors, position, rotation


def _apart(errors: np.ndarray, position: np.ndarray, rotation: np.ndarray, curls: list[np.ndarray]) -> Matches:
    """The best HYPOTHESES that differ, the best again where there are not as many."""
    per_shape = len(errors) // len(curls)
    chosen: list[int] = []
    for candidate in np.argsort(errors, kind="stable"):
        angles = 2.0 * np.arccos(np.clip(np.abs(rotation[chosen] @ rotation[candidate]), 0.0, 1.0))
        if not chosen or angles.min() > APART_RAD:
            chosen.append(int(candidate))
        if len(chosen) == HYPOTHESES:
            break
    chosen += [chosen[0]] * (HYPOTHESES - len(chosen))
    joints = np.array([curls[one // per_shape] for one in chosen])
    return position[chosen], rotation[chosen], joints


def _cheapest_path(rotation: np.ndarray, costs: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Which hypothesis of each frame (frame,): cheap ones that do not jump."""
    count, width = costs.shape
    turns = rotation.reshape(count, width, 4)
    totals, origins = costs[0], np.zeros((count, width), dtype=int)
    for frame in range(1, count):
        angles = 2.0 * np.arccos(np.clip(np.abs(turns[frame - 1] @ turns[frame].T), 0.0, 1.0))
        square = (angles / (JUMP_RAD * (frames[frame] - frames[frame - 1]))) ** 2
        arrive = totals[:, None] + JUMP_COST * square / (1.0 + square)
        origins[frame] = arrive.argmin(axis=0)
        totals = arrive.min(axis=0) + costs[frame]
    path = np.empty(count, dtype=int)
    path[-1] = totals.argmin()
    for frame in range(count - 1, 0, -1):
        path[frame - 1] = origins[frame, path[frame]]
    return path


def _carry(poses: FramePoses, frames: np.ndarray, count: int) -> FramePoses:
    """Poses of some frames interpolated to all, and held beyond the first and last."""
    if len(frames) == 1:
        return poses.frames(np.zeros(count, dtype=int))
    at = np.clip(np.arange(count), frames[0], frames[-1])
    columns = lambda values: np.array([np.interp(at, frames, column) for column in values.T]).reshape(-1, count).T  # noqa: E731
    rotation = Slerp(frames, Rotation.from_quat(poses.rotation))(at).as_quat()
    return FramePoses(columns(poses.position), rotation, columns(poses.joints))
