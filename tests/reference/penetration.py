"""Float64 twins of what points cost that are inside another body, as functions of both bodies' unknowns."""

import numpy as np

DEEPEST = 0.02  # [m]


class Pushed:
    """A Huber cost of depths beyond the allowance; ``depths(steps)`` (frame, point), negative without, ``weights``."""

    def cost(self, steps):
        """Squares up to the deepest, in proportion beyond."""
        depths = np.maximum(self.depths(steps), 0.0)
        push = np.minimum(depths, DEEPEST)
        return (self.weights * push * (2.0 * depths - push)).sum()

    def residuals(self, steps):
        """Residuals whose squares Gauss-Newton takes for the cost."""
        acts = self.depths(0.0 * steps) > 0.0
        return (np.sqrt(self.weights) * np.where(acts, self.depths(steps), 0.0)).ravel()


class Penetration(Pushed):
    """In a rigid body: linearised along normals that are held at the start.

    Args:
        pair: the contacts (:class:`tests.reference.contacts.ContactPair`).
        push: weight and allowance.
        column: of an unknown that adds to the allowance; None where it is constant.
    """

    def __init__(self, pair, push, column=None):
        self.pair, self.allowance, self.column = pair, push[1], column
        self.weights = push[0] * pair.areas / (pair.weights.sum(axis=1, keepdims=True) + 1e-4)

    def depths(self, steps):
        """Penetration beyond the allowance (frame, point)."""
        pair = self.pair
        moved = np.sum(pair.samples[..., :3] * (pair.places(steps) - pair.places(0.0 * steps)), axis=2)
        more = 0.0 if self.column is None else steps[:, self.column, None]
        return -(pair.samples[..., 3] + moved) - self.allowance - more


class BentPenetration(Pushed):
    """In a surface that bends: along normals held at the start, each point's nearest place staying on its face.

    Args:
        bodies: the motion (:class:`tests.reference.surface_motion.MovingBodies`).
        touching, entered: names of the body of the points and of the one they are inside of.
        corners, barycentrics: vertices of the first body that each point lies between (point, 3), and how.
        nearest, shares: the same for the nearest place on the other body (frame, point, 3).
        normals, distances: outward normals (frame, point, 3) and signed distances (frame, point) at the start.
        weights: of the squares (frame, point).
        allowance: [m].
    """

    def __init__(
        self, bodies, touching, entered, corners, barycentrics, nearest, shares, normals, distances, weights, allowance
    ):
        self.bodies, self.touching, self.entered = bodies, touching, entered
        self.corners, self.barycentrics, self.nearest, self.shares = corners, barycentrics, nearest, shares
        self.normals, self.distances, self.weights, self.allowance = normals, distances, weights, allowance

    def offsets(self, steps):
        """From the nearest places to the points (frame, point, 3)."""
        found = []
        for frame, row in enumerate(steps):
            points = self.bodies.vertices(self.touching, frame, row)[self.corners]
            places = self.bodies.vertices(self.entered, frame, row)[self.nearest[frame]]
            weighted = np.einsum("pcx,pc->px", places, self.shares[frame])
            found.append(np.einsum("pcx,pc->px", points, self.barycentrics) - weighted)
        return np.stack(found)

    def depths(self, steps):
        """Penetration beyond the allowance (frame, point)."""
        moved = np.sum(self.normals * (self.offsets(steps) - self.offsets(0.0 * steps)), axis=2)
        return -(self.distances + moved) - self.allowance
