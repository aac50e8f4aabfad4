"""Noise of first guesses: poses of objects, root and joints of hands."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bodies.body import Body
from warpprior.scene import Poses
from warpprior.scenes.noise.correlated import CORRELATION, correlated
from warpprior.scenes.noise.levels import named_level


@dataclass(frozen=True)
class PoseNoise:
    """How the first guess of a motion differs from the truth.

    Attributes:
        rotation: constant error about a random axis [rad].
        depth_bias: relative error of the distance from the camera.
        rotation_jitter: standard deviation per axis of the error per frame [rad].
        lateral_jitter: standard deviation of the position across the line of sight [m].
        depth_jitter: relative standard deviation of the distance.
        depth_spread: standard deviation of the logarithm of a further factor of the distance, for large errors.
        depth_error: how much too far away it is at the median distance of the sequence, elsewhere in proportion [m].
        correlation: of the jitter of one frame with that of the next.
        flips: share of frames turned by half a turn about a random body axis.
        fallbacks: share of frames replaced by the identity rotation one metre in front of the camera.
    """

    rotation: float = np.radians(15.0)
    depth_bias: float = 0.12
    rotation_jitter: float = np.radians(2.5)
    lateral_jitter: float = 0.005
    depth_jitter: float = 0.01
    depth_spread: float = 0.0
    depth_error: float = 0.0
    correlation: float = CORRELATION
    flips: float = 0.0
    fallbacks: float = 0.0

    @staticmethod
    def network() -> PoseNoise:
        """Single-frame networks on new objects: some 26 cm off, nearly all of it along the ray.

        The median error of the set H of the paper's Table I; frames differ, and some fail altogether.
        """
        return PoseNoise(
            rotation=0.0,
            depth_bias=0.0,
            depth_error=0.24,
            rotation_jitter=np.radians(15.0),
            lateral_jitter=0.012,
            depth_jitter=0.0,
            depth_spread=0.12,
            flips=0.03,
            fallbacks=0.08,
        )

    @staticmethod
    def large() -> PoseNoise:
        """An object at the scale of a person, metres away: 15 degrees, and 5 cm across and some 20 cm along the ray.

        The paper's Table V has no error of poses; these sizes are ours.
        """
        return PoseNoise(depth_bias=0.06, rotation_jitter=np.radians(5.0), lateral_jitter=0.05, depth_jitter=0.02)


POSE_NOISE = {
    "exact": PoseNoise(0.0, 0.0, 0.0, 0.0, 0.0),
    "rough": PoseNoise(),
    "network": PoseNoise.network(),
    "large": PoseNoise.large(),
}


@dataclass(frozen=True)
class HandNoise:
    """How the first guess of a hand's motion differs from the truth; all standard deviations.

    Attributes:
        joints: of each joint coordinate [rad], but at most a sixth of the joint's range; what would leave the
            joint's limits stays at them.
        rotation: of the wrist, per axis [rad].
        lateral: of the wrist's position, per axis across the line of sight [m].
        depth: of the wrist's position along the line of sight [m].
        shape: of each shape parameter, one error for the whole sequence.
        steady: share of the variances that is one error for the whole sequence.
        correlation: of the rest, of one frame with the next.
    """

    joints: float = 0.0
    rotation: float = 0.0
    lateral: float = 0.0
    depth: float = 0.0
    shape: float = 0.0
    steady: float = 0.0
    correlation: float = CORRELATION

    @staticmethod
    def network() -> HandNoise:
        """Single-frame networks: joints some 12 mm off, 6.2 mm after Procrustes alignment (HandOccNet on HO-3D)."""
        return HandNoise(joints=0.122, rotation=0.04, lateral=0.003, depth=0.0075)

    @staticmethod
    def white() -> HandNoise:
        """Errors that are independent in every frame, as filters suppose: 6 mm and 0.05 rad on each axis."""
        return HandNoise(joints=0.05, rotation=0.05, lateral=0.006, depth=0.006, correlation=0.0)

    @staticmethod
    def person() -> HandNoise:
        """A person from one picture: 0.12 rad per joint, 0.1 rad of the pelvis, 4 cm across and 12 cm along the ray."""
        return HandNoise(joints=0.12, rotation=0.1, lateral=0.04, depth=0.12)

    def joint_sigmas(self, body: Body) -> np.ndarray:
        """Standard deviation of each joint coordinate of a body (coordinate,) [rad], before its limits."""
        return np.minimum(self.joints, (body.upper.astype(float) - body.lower) / 6.0)


HAND_NOISE = {
    "exact": HandNoise(),
    "network": HandNoise.network(),
    "white": HandNoise.white(),
    "person": HandNoise.person(),
}


def pose_noise(name: str | PoseNoise) -> PoseNoise:
    """The noise of a level's name; a :class:`PoseNoise` is returned as it is."""
    return named_level("pose_noise", name, PoseNoise, POSE_NOISE)


def hand_noise(name: str | HandNoise) -> HandNoise:
    """The noise of a level's name; a :class:`HandNoise` is returned as it is."""
    return named_level("hand_noise", name, HandNoise, HAND_NOISE)


def disturb_poses(truth: Poses, noise: PoseNoise, random: np.random.Generator) -> Poses:
    """A first guess of a motion: constant and slowly varying errors, joints kept."""
    count = truth.frame_count
    axis = random.normal(size=3)
    constant = Rotation.from_rotvec(noise.rotation * axis / np.linalg.norm(axis))
    turns = noise.rotation_jitter * correlated(random, count, 3, noise.correlation)
    rotation = Rotation.from_quat(truth.rotation) * constant * Rotation.from_rotvec(turns)
    shifts = noise.lateral_jitter * correlated(random, count, 2, noise.correlation)
    depths = 1.0 + noise.depth_bias + noise.depth_jitter * correlated(random, count, 1, noise.correlation)
    if noise.depth_error > 0.0:
        depths = depths * (1.0 + noise.depth_error / np.median(np.linalg.norm(truth.position, axis=1)))
    if noise.depth_spread > 0.0:
        depths = depths * np.exp(noise.depth_spread * correlated(random, count, 1, noise.correlation))
    position = truth.position.copy()
    position[:, :2] += shifts
    position = position * depths
    quaternion = rotation.as_quat()
    for frame in np.flatnonzero(random.random(count) < noise.flips).tolist():
        half = Rotation.from_rotvec(np.pi * np.eye(3)[random.integers(3)])
        quaternion[frame] = (rotation[frame] * half).as_quat()
    lost = random.random(count) < noise.fallbacks
    position[lost], quaternion[lost] = [0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0]
    return replace(truth, position=position, rotation=quaternion, covariance=None, imputed=None)


def disturb_hand(truth: Poses, body: Body, noise: HandNoise, random: np.random.Generator) -> Poses:
    """A first guess of the motion of a hand, or of any body with joints.

    Args:
        truth: the true motion.
        body: the hand, for the limits of its joints.
        noise: what to do to it.
        random: source of all noise.

    Returns:
        Poses with as many frames, coordinates and shape parameters.  Joints stay within their limits, or where the
        truth itself is outside them.
    """
    count, coordinates = truth.frame_count, body.coordinate_count
    errors = _unsteady(random, count, 6 + coordinates, noise)
    rotation = Rotation.from_quat(truth.rotation) * Rotation.from_rotvec(noise.rotation * errors[:, :3])
    across, along = split_by_sight(errors[:, 3:6], truth.position)
    position = truth.position + noise.lateral * across + noise.depth * along
    joints = truth.joints + noise.joint_sigmas(body) * errors[:, 6:]
    joints = np.clip(joints, np.minimum(body.lower, truth.joints), np.maximum(body.upper, truth.joints))
    shape = truth.shape
    if noise.shape > 0.0:
        mean = truth.shape if len(truth.shape) else np.zeros(body.shape_count)
        shape = mean + noise.shape * random.normal(size=body.shape_count)
    return replace(
        truth, position=position, rotation=rotation.as_quat(), joints=joints, shape=shape, covariance=None, imputed=None
    )


def _unsteady(random: np.random.Generator, count: int, width: int, noise: HandNoise) -> np.ndarray:
    """Unit normal noise (count, width), partly one value for all frames."""
    steady = random.normal(size=width)
    moving = correlated(random, count, width, noise.correlation)
    return np.sqrt(noise.steady) * steady + np.sqrt(1.0 - noise.steady) * moving


def split_by_sight(errors: np.ndarray, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Parts of errors (frame, 3) across the lines of sight to positions (frame, 3) in the camera frame, and along."""
    ray = position / np.linalg.norm(position, axis=1)[:, None]
    along = (errors * ray).sum(axis=1)[:, None] * ray
    return errors - along, along
