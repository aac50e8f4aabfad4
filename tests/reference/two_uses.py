"""Float64 twins of the terms' costs as functions of where things are: places, roots and joints.

A *place* is a vertex of the estimated bodies or the origin of a link.  What terms hold until they are frozen again is
an argument here.  The same twin serves before the chains, where places move one by one, and behind them, where bodies
carry them.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from tests.reference.camera import advance_pose
from tests.reference.surface_motion import MovingBodies

JUMP_SIGMAS, DEEPEST, BELIEVED = 3.0, 0.02, 2.0


@dataclass
class Stance:
    """Where everything is: places (frame, place, 3), and by body poses (frame, 7) and joints (frame, coordinate)."""

    places: np.ndarray
    poses: dict
    joints: dict


class Motion:
    """Bodies that move by steps.

    Args:
        bodies, motions: by name; motions exact in float32.
        starts: column of the root of each estimated body, by name.
        first: first place of each estimated body, by name.
        origins: place and link of each origin of a link that is a place (origin, 2), by body.
        width: columns of a frame.
        swelling: pose blend shapes follow the joints.
    """

    def __init__(self, bodies, motions, starts, first, origins, width, swelling=False):
        self.twin = (Swelling if swelling else MovingBodies)(bodies, motions, starts)
        self.starts, self.first, self.origins, self.width = starts, first, origins, width
        self.frames = len(next(iter(motions.values())).position)
        self.place_count = sum(bodies[name].vertex_count for name in starts) + sum(len(o) for o in origins.values())
        self.start = self.carried(np.zeros((self.frames, width)))

    def carried(self, steps):
        """Bodies carry their places; steps (frame, column)."""
        places = np.zeros((self.frames, self.place_count, 3))
        for frame, row in enumerate(steps):
            for name in self.starts:
                surface = self.twin.vertices(name, frame, row)
                places[frame, self.first[name] : self.first[name] + len(surface)] = surface
            for name, origins in self.origins.items():
                places[frame, origins[:, 0]] = self.twin.origins(name, frame, row)[origins[:, 1]]
        return Stance(places, *self._roots(steps))

    def free(self, steps):
        """Places move by themselves: steps (frame, 3 for each place and then column)."""
        split = 3 * self.place_count
        places = self.start.places + steps[:, :split].reshape(self.frames, -1, 3)
        return Stance(places, *self._roots(steps[:, split:]))

    def _roots(self, steps):
        poses, joints = {}, {}
        for name, motion in self.twin.motions.items():
            poses[name] = np.concatenate([motion.position, motion.rotation], axis=1)
            joints[name] = np.array(motion.joints)
            if name in self.starts:
                start = self.starts[name]
                joints[name] = joints[name] + steps[:, start + 6 : start + 6 + joints[name].shape[1]]
                roots = steps[:, start : start + 6]
                for frame in np.flatnonzero(roots.any(axis=1)):
                    poses[name][frame] = advance_pose(poses[name][frame], roots[frame])
        return poses, joints


class Swelling(MovingBodies):
    """Bodies whose pose blend shapes follow the joints."""

    def _bend(self, name, frame, row):
        motion = self.motions[name]
        now = {name: replace(motion, joints=motion.joints + 0.0)}
        now[name].joints[frame] = self.joints(name, frame, row)
        still = MovingBodies({name: self.bodies[name]}, now, {})
        return still._bend(name, frame, np.zeros(0))


def geman(square, reach):
    """Geman-McClure of squares: levels off beyond the reach."""
    return square / (1.0 + square / reach**2)


def cauchy(square, width):
    """Cauchy of squares."""
    return width**2 * np.log1p(square / width**2)


def pseudo_huber(square):
    """In proportion beyond a few sigmas; of squares in sigmas."""
    return 2.0 * JUMP_SIGMAS**2 * (np.sqrt(1.0 + square / JUMP_SIGMAS**2) - 1.0)


def project(points, focal, center):
    """u, v [px] of points (..., 3)."""
    return points[..., :2] / points[..., 2:] * focal + center


def between(places, corners, shares):
    """Points (frame, point, 3) between three places each."""
    return np.einsum("fpcx,...pc->fpx", places[:, corners], shares)


def keypoints(stance, places, detected, weight, reach, focal, center):
    """Keypoints at these places against detected ones (frame, keypoint, 3)."""
    misses = project(stance.places[:, places], focal, center) - detected[..., :2]
    return (weight * detected[..., 2] ** 2 * geman(np.sum(misses**2, axis=2), reach)).sum()


def given(stance, places, held, trusted, weight, reach):
    """Places (frame, place, 3) against held ones, in frames that are trusted."""
    square = np.sum((stance.places[:, places] - held) ** 2, axis=2)
    return (weight * trusted[:, None] * geman(square, reach)).sum()


def boxes(stance, touching, sides, weight, reach, focal, center):
    """The places that touched a side at the start (frame, 4) against sides (frame, 4), NaN for none."""
    drawn = project(np.take_along_axis(stance.places, touching[..., None], axis=1), focal, center)
    misses = np.nan_to_num(drawn[:, np.arange(4), [0, 1, 0, 1]] - sides)
    return (weight * geman(misses**2, reach)).sum()


def depth(stance, corners, shares, seen, normals, weight, reach):
    """Points against measured ones along held normals (frame, point, 3), zero for those that do not count."""
    misses = np.sum(normals * (between(stance.places, corners, shares) - seen), axis=2)
    return (weight * geman(misses**2, reach)).sum()


def contour(stance, crossings, field, weight, reach, focal, center, origin):
    """Crossings of each frame (place of either end, share of the second, normal, length) against a distance field."""
    total = 0.0
    for frame, (ends, shares, normals, lengths, starts) in enumerate(crossings):
        first, second = stance.places[frame, ends[:, 0]], stance.places[frame, ends[:, 1]]
        drawn = project(first + shares[:, None] * (second - first), focal, center) - origin[frame]
        shift = np.sum((drawn - starts) * normals, axis=1)
        misses = field(starts + shift[:, None] * normals)
        total += (weight * lengths * geman(misses**2, reach)).sum()
    return total


def image(stance, corners, shares, seen, colors, slopes, pixels, axes, expected, weights, sigmas, start, focal, center):
    """Colours of the samples that are seen, the picture being a plane around each (frame, sample, ...)."""
    drawn = project(between(stance.places, corners, shares), focal, center)
    found = colors + np.einsum("fsk,fskc->fsc", drawn - start, slopes)
    misses = np.einsum("fskc,fsc->fsk", axes, expected - found)
    costs = weights * pixels[..., None] / (3.0 * sigmas**2) * cauchy(misses**2, BELIEVED * sigmas)
    return costs[seen].sum()


def on_body(poses, points):
    """Points (frame, point, 3) of the camera frame in that of a body."""
    turns = Rotation.from_quat(poses[:, 3:]).as_matrix()
    return np.einsum("fpx,fxy->fpy", points - poses[:, None, :3], turns)


def slip(stance, points, name, normals, drifts, pairs, scales, width, free_normal, paces):
    """Slip of points over a rigid body beyond ``drifts``, held with normals and weights ``pairs`` (pair, point)."""
    moves = np.diff(on_body(stance.poses[name], points(stance)), axis=0)
    moves = moves - free_normal * normals[1:] * np.sum(normals[1:] * moves, axis=2, keepdims=True)
    square = np.sum((moves * paces[1:, None, None] - drifts[1:, :, :3]) ** 2, axis=2)
    return (scales * pairs * drifts[1:, :, 3] * cauchy(square, width)).sum()


def press(depths, weights):
    """Depth beyond the allowance (frame, point): a square that goes on as a line."""
    depths = np.maximum(depths, 0.0)
    push = np.minimum(depths, DEEPEST)
    return (weights * push * (2.0 * depths - push)).sum()


def differences(poses, paces, order):
    """First or second differences of position and rotation vector of poses (frame, 7), at the nominal rate."""
    turns = Rotation.from_quat(poses[:, 3:])
    spins = (turns[:-1].inv() * turns[1:]).as_rotvec() * paces[1:, None]
    steps = np.diff(poses[:, :3], axis=0) * paces[1:, None]
    if order == 1:
        return steps, spins
    both = (2.0 / (1.0 / paces[2:] + 1.0 / paces[1:-1]))[:, None]
    middle = turns[1:-1].inv()
    after = (middle * turns[2:]).as_rotvec() * paces[2:, None]
    before = (middle * turns[:-2]).as_rotvec() * paces[1:-1, None]
    return both * np.diff(steps, axis=0), both * (after + before)


def coordinate_differences(joints, paces, order):
    """The same of joint coordinates (frame, coordinate)."""
    steps = np.diff(joints, axis=0) * paces[1:, None]
    if order == 1:
        return steps
    return (2.0 / (1.0 / paces[2:] + 1.0 / paces[1:-1]))[:, None] * np.diff(steps, axis=0)


def smoothness(poses, joints, paces, stiffness):
    """Accelerations; ``stiffness`` of position, rotation and joints."""
    bend, spin = (np.sum(part**2, axis=1) for part in differences(poses, paces, 2))
    cost = pseudo_huber(stiffness[0] * bend).sum() + pseudo_huber(stiffness[1] * spin).sum()
    return cost + pseudo_huber(stiffness[2] * coordinate_differences(joints, paces, 2) ** 2).sum()


def consistency(poses, joints, paces, stiffness):
    """Velocities; those of joints cost their squares."""
    step, spin = (np.sum(part**2, axis=1) for part in differences(poses, paces, 1))
    cost = pseudo_huber(stiffness[0] * step).sum() + pseudo_huber(stiffness[1] * spin).sum()
    return cost + (stiffness[2] * coordinate_differences(joints, paces, 1) ** 2).sum()


def rest(poses, paces, stiffness, untouched):
    """Motion of what rests; ``untouched`` (frame,) says how far a frame counts."""
    step, spin = (np.sum(part**2, axis=1) for part in differences(poses, paces, 1))
    sigmas = stiffness[0] * step, stiffness[1] * spin
    return sum((untouched[1:] * cauchy(square, JUMP_SIGMAS)).sum() for square in sigmas)


def pose(joints, lower, upper, mean, precision, guess, weights):
    """Joint coordinates beyond limits, away from likely ones and from the guess; ``weights`` of the three."""
    beyond = joints - np.clip(joints, lower, upper)
    cost = weights[0] * (beyond**2).sum() + weights[2] * ((joints - guess) ** 2).sum()
    if len(mean):
        cost += weights[1] * np.einsum("fi,ij,fj", joints - mean, precision, joints - mean)
    return cost
