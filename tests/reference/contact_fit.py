"""Float64 twins of contact and smoothness costs of a rigid body's motion, as functions of all frames' increments."""

import numpy as np
from scipy.spatial.transform import Rotation

from tests.reference.camera import advance_pose

TOUCH = 0.002  # share of the surface in contact from which a body no longer rests
DEEPEST, SMOOTH_SIGMAS = 0.02, 3.0


def advance_all(poses, steps):
    """Poses (frame, 7) after increments (frame, 6)."""
    return np.stack([advance_pose(pose, step) for pose, step in zip(poses, steps, strict=True)])


def places_on(poses, points):
    """Points (frame, point, 3) of the camera frame in the object's."""
    turns = Rotation.from_quat(poses[:, 3:]).as_matrix()
    return np.einsum("fij,fpi->fpj", turns, points - poses[:, None, :3])


def joined(segments, frame, back):
    """Whether a frame and the ones up to ``back`` before it are of one sequence."""
    return frame >= back and (segments[frame - back : frame + 1] == segments[frame]).all()


class Contacts:
    """Slip and penetration with contacts, normals and weights frozen at the start.

    Args:
        poses: (frame, 7) at the start.
        points: (frame, point, 3) in the camera frame, fixed.
        samples: (frame, point, 4) gradient and value of the signed distance at the start, object frame.
        weights: contact weights (frame, point).
        areas: (point,).
        segments: (frame,).
        slip: weight, robust width and free share of the normal direction.
        press: weight and allowance.
    """

    def __init__(self, poses, points, samples, weights, areas, segments, slip, press):
        self.poses, self.points, self.samples, self.weights = poses, points, samples, weights
        self.areas, self.segments, self.slip, self.press = areas, segments, slip, press
        self.start = places_on(poses, points)

    def moves(self, steps):
        """What each contact slips between its frame and the one before (pair, point, 3), and the pair's weights."""
        places = places_on(advance_all(self.poses, steps), self.points)
        moves, weights = [], []
        for frame in range(len(places)):
            if not joined(self.segments, frame, 1):
                continue
            normal = self.samples[frame, :, :3]
            move = places[frame] - places[frame - 1]
            move = move - self.slip[2] * normal * np.sum(normal * move, axis=1, keepdims=True)
            weight = np.sqrt(self.weights[frame] * self.weights[frame - 1])
            moves.append(move)
            weights.append(self.slip[0] * np.where(weight > 1e-8, weight, 0.0) / (weight.sum() + 1e-3))
        return np.array(moves).reshape(-1, places.shape[1], 3), np.array(weights).reshape(-1, places.shape[1])

    def depths(self, steps):
        """Linearised penetration beyond the allowance (frame, point), negative without, and its weights."""
        places = places_on(advance_all(self.poses, steps), self.points)
        moved = np.sum(self.samples[..., :3] * (places - self.start), axis=2)
        depths = -(self.samples[..., 3] + moved) - self.press[1]
        return depths, self.press[0] * self.areas / (self.weights.sum(axis=1, keepdims=True) + 1e-4)

    def cost(self, steps):
        """Cauchy cost of slip and Huber cost of penetration."""
        moves, slip_weights = self.moves(steps)
        ratio = np.linalg.norm(moves, axis=2) / self.slip[1]
        depths, press_weights = self.depths(steps)
        depths = np.maximum(depths, 0.0)
        push = np.minimum(depths, DEEPEST)
        slip = slip_weights * self.slip[1] ** 2 * np.log1p(ratio**2)
        return slip.sum() + (press_weights * push * (2.0 * depths - push)).sum()

    def residuals(self, steps):
        """Residuals whose squares, weighted as at the start, Gauss-Newton takes for the cost."""
        moves, slip_weights = self.moves(steps)
        trust = 1.0 / (1.0 + (np.linalg.norm(self.moves(0.0 * steps)[0], axis=2) / self.slip[1]) ** 2)
        depths, press_weights = self.depths(steps)
        acts = self.depths(0.0 * steps)[0] > 0.0
        slip = np.sqrt(slip_weights * trust)[..., None] * moves
        return np.concatenate([slip.ravel(), (np.sqrt(press_weights) * np.where(acts, depths, 0.0)).ravel()])


class Smoothness:
    """Accelerations and velocities of positions and rotations.

    Args:
        poses: (frame, 7) at the start.
        segments: (frame,).
        stiffness: of acceleration, velocity and rest, each [1/m^2], [1/rad^2].
        touch: contact weight each frame shares with the one before (frame,).
    """

    def __init__(self, poses, segments, stiffness, touch):
        self.poses, self.segments, self.stiffness = poses, segments, np.asarray(stiffness)
        pairs = [frame for frame in range(len(poses)) if joined(segments, frame, 1)]
        self.untouched = 1.0 / (1.0 + (np.asarray(touch)[pairs] / TOUCH) ** 2)

    def vectors(self, steps):
        """Acceleration, angular acceleration, velocity, spin, and the last two again for rest: vectors by term."""
        poses = advance_all(self.poses, steps)
        turns = [Rotation.from_quat(pose[3:]) for pose in poses]
        found = [[], [], [], []]
        for frame in range(len(poses)):
            if not joined(self.segments, frame, 1):
                continue
            velocity = poses[frame, :3] - poses[frame - 1, :3]
            after = (turns[frame - 1].inv() * turns[frame]).as_rotvec()
            found[2].append(velocity)
            found[3].append(after)
            if joined(self.segments, frame, 2):
                before = poses[frame - 1, :3] - poses[frame - 2, :3]
                found[0].append(velocity - before)
                found[1].append(after + (turns[frame - 1].inv() * turns[frame - 2]).as_rotvec())
        return [np.array(vectors).reshape(-1, 3) for vectors in [*found, found[2], found[3]]]

    def cost(self, steps):
        """Pseudo-Huber cost of accelerations and velocities, Cauchy cost of rest."""
        total = 0.0
        for term, (vectors, stiffness) in enumerate(zip(self.vectors(steps), self.stiffness, strict=True)):
            square = stiffness * np.sum(vectors**2, axis=1) / SMOOTH_SIGMAS**2
            if term < 4:
                total += (2.0 * SMOOTH_SIGMAS**2 * (np.sqrt(1.0 + square) - 1.0)).sum()
            else:
                total += (self.untouched * SMOOTH_SIGMAS**2 * np.log1p(square)).sum()
        return total

    def residuals(self, steps):
        """Residuals whose squares, weighted as at the start, Gauss-Newton takes for the cost."""
        parts = []
        start = self.vectors(0.0 * steps)
        for term, (vectors, first, stiffness) in enumerate(
            zip(self.vectors(steps), start, self.stiffness, strict=True)
        ):
            square = stiffness * np.sum(first**2, axis=1, keepdims=True) / SMOOTH_SIGMAS**2
            trust = 1.0 / np.sqrt(1.0 + square) if term < 4 else self.untouched[:, None] / (1.0 + square)
            parts.append((np.sqrt(stiffness * trust) * vectors).ravel())
        return np.concatenate(parts)
