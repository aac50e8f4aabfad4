"""A body fitted to its keypoints, frame by frame: robust least squares with its limits and pose prior."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bodies.body import Body, keypoint_body
from warpprior.bodies.model import BodyModel

STEP_RAD = 1e-3  # of joints, for differences
ITERATIONS = 25
REACHES = (30.0, 12.0, 5.0)  # [sigma]: residuals beyond count for little; ever fewer are let in
STILL = 1e-3  # relative gain of all frames together below which a stage ends
VAGUE_RAD = 1.0  # one sigma of joints of which no prior is known
NEAREST_M = 0.05
LEAST_DAMPING = 1e-4


@dataclass(frozen=True)
class Pinhole:
    """Focal lengths and principal point [px] (2,) each."""

    focal: np.ndarray
    center: np.ndarray

    def project(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) [m] in the picture (..., 2) [px]; what is behind the camera is taken just before it."""
        return points[..., :2] / np.maximum(points[..., 2:], NEAREST_M) * self.focal + self.center


@dataclass(frozen=True)
class Detected:
    """Keypoints of frames.

    Attributes:
        points: (frame, keypoint, 2) [px], or (frame, keypoint, 3) [m] where ``lens`` is None.
        trust: 0 where there is none, at most 1 (frame, keypoint).
        sigma: error of a point of trust 1, in its unit.
        lens: of the picture.
    """

    points: np.ndarray
    trust: np.ndarray
    sigma: float
    lens: Pinhole | None

    def frames(self, selection) -> Detected:
        """Those of the selected frames (slice or index array)."""
        return replace(self, points=self.points[selection], trust=self.trust[selection])

    def misses(self, places: np.ndarray) -> np.ndarray:
        """How far points (frame, keypoint, 3) [m] are off (frame, keypoint, axis) [sigma]; 0 where nothing is known."""
        ours = places if self.lens is None else self.lens.project(places)
        known = (self.trust > 0.0)[..., None]
        return np.where(known, ours - np.where(known, self.points, 0.0), 0.0) / self.sigma


@dataclass(frozen=True)
class FramePoses:
    """Poses that need not follow each other: position (n, 3) [m], unit quaternions (n, 4), joints (n, coordinate)."""

    position: np.ndarray
    rotation: np.ndarray
    joints: np.ndarray

    def frames(self, selection) -> FramePoses:
        """Those selected (slice or index array)."""
        return FramePoses(self.position[selection], self.rotation[selection], self.joints[selection])


class KeypointModel:
    """A body of which only the keypoints are posed.

    Args:
        body: with keypoints.
        shape: its shape parameters (shape,), empty for the mean.
        scale: its size factor.
    """

    def __init__(self, body: Body, shape: np.ndarray | None = None, scale: float = 1.0):
        self.body = keypoint_body(body)
        self._model = BodyModel(self.body, "cpu")
        self._shape, self._scale = np.zeros(0) if shape is None else np.asarray(shape), float(scale)
        self._states: dict[int, tuple] = {}
        lower, upper = body.lower.astype(float), body.upper.astype(float)
        self.lower, self.upper = lower, upper
        prior = body.pose_prior
        if prior is not None:
            self.mean, self.precision = np.clip(prior.mean, lower, upper), np.asarray(prior.precision, dtype=float)
        else:
            middle = np.where(np.isfinite(lower + upper), 0.5 * (lower + upper), 0.0)
            self.mean = np.clip(middle, lower, upper)
            self.precision = np.eye(len(lower)) / VAGUE_RAD**2

    def local(self, joints: np.ndarray) -> np.ndarray:
        """Keypoints (n, keypoint, 3) [m] in the body's own frame at joints (n, coordinate)."""
        import warp as wp

        count = len(joints)
        if count not in self._states:
            state = self._model.state(count, requires_grad=False)
            if self._shape.size:
                state.shape.assign(self._shape.astype(np.float32))
            state.scale.fill_(self._scale)
            self._model.shape(state)
            surface = wp.zeros((count, self.body.vertex_count), dtype=wp.vec3, device="cpu")
            self._states[count] = (state, surface)
        state, surface = self._states[count]
        if joints.size:
            state.joints.assign(joints.astype(np.float32))
        self._model.pose(state)
        self._model.skin(state, surface)
        links = state.links.numpy().reshape(count, self.body.link_count, 7)
        assert self.body.keypoints is not None
        return self.body.keypoints.places(links, surface.numpy()).astype(float)

    def places(self, poses: FramePoses) -> np.ndarray:
        """Keypoints (n, keypoint, 3) [m] in the camera frame."""
        return turned(poses.rotation, self.local(poses.joints)) + poses.position[:, None]

    def slopes(self, joints: np.ndarray, local: np.ndarray) -> np.ndarray:
        """Derivative of ``local`` by joints (n, keypoint, 3, coordinate), by differences into the limits."""
        count, width = joints.shape
        if width == 0:
            return np.zeros((*local.shape, 0))
        steps = np.where(joints + STEP_RAD > self.upper, -STEP_RAD, STEP_RAD)
        moved = joints[:, None] + steps[:, :, None] * np.eye(width)
        there = self.local(moved.reshape(-1, width)).reshape(count, width, *local.shape[1:])
        return np.moveaxis((there - local[:, None]) / steps[:, :, None, None], 1, -1)


def turned(rotation: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (n, point, 3) turned by quaternions (n, 4)."""
    return points @ np.swapaxes(Rotation.from_quat(rotation).as_matrix(), 1, 2)


def fit_keypoints(
    model: KeypointModel, detected: Detected, start: FramePoses, *, iterations: int = ITERATIONS
) -> tuple[FramePoses, np.ndarray]:
    """Levenberg-Marquardt in each frame by itself, all at once.

    Args:
        model: the body.
        detected: its keypoints.
        start: poses in front of the camera.
        iterations: of each of three stages, at most.

    Returns:
        The poses, and what each frame costs (frame,): robust squares in sigmas, and the prior's.
    """
    poses, cost = start, np.zeros(len(start.position))
    for reach in REACHES:
        damping = np.full(len(cost), 1e-2)
        cost = _cost(model, detected, poses, reach)
        for _ in range(iterations):
            tried = _step(model, detected, poses, reach, damping)
            now = _cost(model, detected, tried, reach)
            better = now < cost
            poses = FramePoses(*(np.where(better[:, None], b, a) for a, b in _pairs(poses, tried)))
            gain = np.sum(np.where(better, cost - now, 0.0))
            cost = np.where(better, now, cost)
            damping = np.clip(np.where(better, 0.2 * damping, 5.0 * damping), LEAST_DAMPING, 1e4)
            if better.any() and gain < STILL * max(float(cost.sum()), 1e-9):
                break
    return poses, cost


def _pairs(before: FramePoses, after: FramePoses):
    return ((getattr(before, name), getattr(after, name)) for name in ("position", "rotation", "joints"))


def _cost(model: KeypointModel, detected: Detected, poses: FramePoses, reach: float) -> np.ndarray:
    square = np.sum(detected.misses(model.places(poses)) ** 2, axis=-1)
    away = poses.joints - model.mean
    robust = np.sum(detected.trust**2 * square / (1.0 + square / reach**2), axis=-1)
    return robust + np.einsum("ni,ij,nj->n", away, model.precision, away)


def _step(model: KeypointModel, detected: Detected, poses: FramePoses, reach: float, damping: np.ndarray) -> FramePoses:
    """One damped step of every frame: along bearing and log depth, a turn about the origin, and joints."""
    local = model.local(poses.joints)
    arms = turned(poses.rotation, local)
    places = arms + poses.position[:, None]
    count, points, _ = places.shape
    depth = poses.position[:, 2]
    moves = np.zeros((count, points, 3, 6 + poses.joints.shape[1]))
    moves[..., 0, 0] = moves[..., 1, 1] = depth[:, None]
    moves[..., 2] = poses.position[:, None]
    moves[..., 3:6] = -_cross_matrices(arms)
    matrices = Rotation.from_quat(poses.rotation).as_matrix()
    moves[..., 6:] = np.einsum("nij,nkjc->nkic", matrices, model.slopes(poses.joints, local))
    if detected.lens is not None:
        z = np.maximum(places[..., 2:], NEAREST_M)
        slopes = (moves[..., :2, :] - (places[..., :2] / z)[..., None] * moves[..., 2:, :]) / z[..., None]
        moves = slopes * detected.lens.focal[:, None]
    moves = moves / detected.sigma
    misses = detected.misses(places)
    square = np.sum(misses**2, axis=-1)
    weight = detected.trust**2 / (1.0 + square / reach**2) ** 2
    rows = (moves * np.sqrt(weight)[..., None, None]).reshape(count, -1, moves.shape[-1])
    miss = (misses * np.sqrt(weight)[..., None]).reshape(count, -1)
    system = np.swapaxes(rows, 1, 2) @ rows
    pull = np.einsum("nrc,nr->nc", rows, miss)
    system[:, 6:, 6:] += model.precision
    pull[:, 6:] += (poses.joints - model.mean) @ model.precision
    diagonal = np.einsum("nii->ni", system)
    # A joint at its limit that is pushed beyond stays there, and does not move the others for it.
    held = np.zeros(pull.shape, dtype=bool)
    held[:, 6:] = ((poses.joints >= model.upper) & (pull[:, 6:] < 0.0)) | (
        (poses.joints <= model.lower) & (pull[:, 6:] > 0.0)
    )
    system[np.broadcast_to(held[:, :, None] | held[:, None, :], system.shape)] = 0.0
    diagonal[held] = 1.0
    pull[held] = 0.0
    diagonal += damping[:, None] * np.maximum(diagonal, 1e-3) + 1e-9
    step = -np.linalg.solve(system, pull[..., None])[..., 0]
    step = np.clip(step, -1.0, 1.0)
    z = np.maximum(depth * np.exp(step[:, 2]), NEAREST_M)
    bearing = poses.position[:, :2] / depth[:, None] + step[:, :2]
    rotation = (Rotation.from_rotvec(step[:, 3:6]) * Rotation.from_quat(poses.rotation)).as_quat()
    joints = np.clip(poses.joints + step[:, 6:], model.lower, model.upper)
    return FramePoses(np.column_stack([bearing * z[:, None], z]), rotation, joints)


def _cross_matrices(arms: np.ndarray) -> np.ndarray:
    """[a]x of each vector (..., 3): (..., 3, 3)."""
    x, y, z = np.moveaxis(arms, -1, 0)
    zero = np.zeros_like(x)
    return np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(*arms.shape, 3)
