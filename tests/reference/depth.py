"""Float64 twin of what measured depth costs, as a function of all frames' unknowns; matches and normals are frozen."""

import numpy as np


class Depths:
    """Point-to-plane misses between points of a body and what was measured.

    Args:
        bodies: the motion (:class:`tests.reference.surface_motion.MovingBodies`).
        name: of the body.
        corners, barycentrics: vertices of the body that each point lies between (point, 3), and how.
        observed: (frame, point, 3), measured with the focal length of the start.
        normals: (frame, point, 3), zero for points that do not count.
        scale: weight and reach [m].
        focal_column: of the logarithm of the focal length, or -1.
    """

    def __init__(self, bodies, name, corners, barycentrics, observed, normals, scale, focal_column=-1):
        self.bodies, self.name, self.corners, self.barycentrics = bodies, name, corners, barycentrics
        self.observed, self.normals, self.scale, self.focal_column = observed, normals, scale, focal_column

    def points(self, frame, row):
        """Points (point, 3) in the camera frame."""
        surface = self.bodies.vertices(self.name, frame, row)
        return np.einsum("pcx,pc->px", surface[self.corners], self.barycentrics)

    def misses(self, steps):
        """How far points are off the planes (frame, point) [m]."""
        closer = 1.0 if self.focal_column < 0 else np.exp(-steps[0, self.focal_column])
        seen = self.observed * [closer, closer, 1.0]
        points = np.stack([self.points(frame, row) for frame, row in enumerate(steps)])
        return np.sum(self.normals * (points - seen), axis=2)

    def cost(self, steps):
        """Geman-McClure's."""
        square = self.misses(steps) ** 2
        return self.scale[0] * (square / (1.0 + square / self.scale[1] ** 2)).sum()

    def residuals(self, steps):
        """Residuals whose squares, weighted as at the start, Gauss-Newton takes for the cost."""
        trust = 1.0 / (1.0 + self.misses(0.0 * steps) ** 2 / self.scale[1] ** 2)
        return (np.sqrt(self.scale[0]) * trust * self.misses(steps)).ravel()
