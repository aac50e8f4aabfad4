"""Float64 twins of contact and penetration costs, as functions of all unknowns of both bodies."""

import numpy as np
from scipy.spatial.transform import Rotation

from tests.reference.motion_fit import joined

LEAST_SHARE = 0.01  # contacts less likely than this do not count
DEEPEST = 0.02  # [m]


def places_on(pose, points):
    """Points (point, 3) of the camera frame in that of a pose (7,)."""
    return (points - pose[:3]) @ Rotation.from_quat(pose[3:]).as_matrix()


class Contacts:
    """Slip and penetration with contacts, normals and weights frozen at the start.

    Args:
        bodies: the motion (:class:`tests.reference.surface_motion.MovingBodies`).
        touching: name of the body whose points these are.
        touched: name of the rigid body they touch.
        corners, barycentrics: vertices of the first body that each point lies between (point, 3), and how.
        samples: (frame, point, 4) gradient and value of the signed distance at the start, frame of the second.
        weights: contact weights (frame, point).
        areas: (point,).
        segments: (frame,).
        slip: weight, robust width and free share of the normal direction.
        press: weight and allowance.
    """

    def __init__(
        self, bodies, touching, touched, corners, barycentrics, samples, weights, areas, segments, slip, press
    ):
        self.bodies, self.touching, self.touched = bodies, touching, touched
        self.corners, self.barycentrics = corners, barycentrics
        self.samples, self.weights, self.areas, self.segments = samples, weights, areas, segments
        self.slip, self.press = slip, press
        self._places = {}

    def points(self, frame, row):
        """Points (point, 3) in the camera frame."""
        surface = self.bodies.vertices(self.touching, frame, row)
        return np.einsum("pcx,pc->px", surface[self.corners], self.barycentrics)

    def places(self, steps):
        """Points in the frame of what they touch (frame, point, 3)."""
        found = []
        for frame, row in enumerate(steps):
            key = (frame, row.tobytes())
            if key not in self._places:
                pose = self.bodies.pose(self.touched, frame, row)
                self._places[key] = places_on(pose, self.points(frame, row))
            found.append(self._places[key])
        return np.stack(found)

    def moves(self, steps):
        """What each contact slips between its frame and the one before (pair, point, 3), and the pair's weights."""
        places = self.places(steps)
        pairs = np.array([f for f in range(len(places)) if joined(self.segments, f, 1)], dtype=int)
        normals = self.samples[pairs, :, :3]
        moves = places[pairs] - places[pairs - 1]
        moves = moves - self.slip[2] * normals * np.sum(normals * moves, axis=2, keepdims=True)
        weights = np.sqrt(self.weights[pairs] * self.weights[pairs - 1])
        totals = weights.sum(axis=1, keepdims=True) + 1e-3
        return moves, self.slip[0] * np.where(weights > LEAST_SHARE * self.areas, weights, 0.0) / totals

    def depths(self, steps):
        """Linearised penetration beyond the allowance (frame, point), negative without, and its weights."""
        moved = np.sum(self.samples[..., :3] * (self.places(steps) - self.places(0.0 * steps)), axis=2)
        depths = -(self.samples[..., 3] + moved) - self.press[1]
        return depths, self.press[0] * self.areas / (self.weights.sum(axis=1, keepdims=True) + 1e-4)

    def cost(self, steps):
        """Cauchy cost of slip and Huber cost of penetration."""
        moves, slip_weights = self.moves(steps)
        square = np.sum(moves**2, axis=2) / self.slip[1] ** 2
        depths, press_weights = self.depths(steps)
        depths = np.maximum(depths, 0.0)
        push = np.minimum(depths, DEEPEST)
        slip = slip_weights * self.slip[1] ** 2 * np.log1p(square)
        return slip.sum() + (press_weights * push * (2.0 * depths - push)).sum()

    def residuals(self, steps):
        """Residuals whose squares, weighted as at the start, Gauss-Newton takes for the cost."""
        moves, slip_weights = self.moves(steps)
        first = self.moves(0.0 * steps)[0]
        trust = 1.0 / (1.0 + np.sum(first**2, axis=2) / self.slip[1] ** 2)
        depths, press_weights = self.depths(steps)
        acts = self.depths(0.0 * steps)[0] > 0.0
        slip = np.sqrt(slip_weights * trust)[..., None] * moves
        return np.concatenate([slip.ravel(), (np.sqrt(press_weights) * np.where(acts, depths, 0.0)).ravel()])
