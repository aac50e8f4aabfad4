"""Float64 twin of what points cost that are inside a surface that bends, as a function of both bodies' unknowns."""

import numpy as np

DEEPEST = 0.02  # [m]


class Presses:
    """Penetration along normals that are frozen at the start, each point's nearest place staying on its face.

    Args:
        bodies: the motion (:class:`tests.reference.surface_motion.MovingBodies`).
        touching, pressed: names of the body of the points and of the one they press into.
        corners, barycentrics: vertices of the first body that each point lies between (point, 3), and how.
        nearest, shares: the same for the nearest place on the other body (frame, point, 3).
        normals, distances: outward normals (frame, point, 3) and signed distances (frame, point) at the start.
        weights: of the squares (frame, point).
        allowance: [m].
    """

    def __init__(
        self, bodies, touching, pressed, corners, barycentrics, nearest, shares, normals, distances, weights, allowance
    ):
        self.bodies, self.touching, self.pressed = bodies, touching, pressed
        self.corners, self.barycentrics, self.nearest, self.shares = corners, barycentrics, nearest, shares
        self.normals, self.distances, self.weights, self.allowance = normals, distances, weights, allowance

    def offsets(self, steps):
        """From the nearest places to the points (frame, point, 3)."""
        found = []
        for frame, row in enumerate(steps):
            points = self.bodies.vertices(self.touching, frame, row)[self.corners]
            places = self.bodies.vertices(self.pressed, frame, row)[self.nearest[frame]]
            weighted = np.einsum("pcx,pc->px", places, self.shares[frame])
            found.append(np.einsum("pcx,pc->px", points, self.barycentrics) - weighted)
        return np.stack(found)

    def depths(self, steps):
        """Penetration beyond the allowance (frame, point)."""
        moved = np.sum(self.normals * (self.offsets(steps) - self.offsets(0.0 * steps)), axis=2)
        return -(self.distances + moved) - self.allowance

    def cost(self, steps):
        """Huber cost: squares up to the deepest, in proportion beyond."""
        depths = np.maximum(self.depths(steps), 0.0)
        push = np.minimum(depths, DEEPEST)
        return (self.weights * push * (2.0 * depths - push)).sum()

    def residuals(self, steps):
        """Residuals whose squares Gauss-Newton takes for the cost."""
        acts = self.depths(0.0 * steps) > 0.0
        return (np.sqrt(self.weights) * np.where(acts, self.depths(steps), 0.0)).ravel()
