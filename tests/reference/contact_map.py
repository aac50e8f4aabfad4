"""Float64 twins of what it costs to be nearer or farther than a map of contact has it, or to face another way."""

import numpy as np
from scipy.spatial.transform import Rotation


class Distances:
    """A Cauchy cost of distances (frame, place) against those of a map.

    Args:
        distances: function of steps.
        wanted, shares: of each place (frame, place); a share of zero says nothing.
        miss: weight, width, missing, touching, growth.
    """

    def __init__(self, distances, wanted, shares, miss):
        self.distances, self.wanted, self.shares = distances, wanted, shares
        self.weight, self.width, self.missing, self.touching, self.growth = miss

    def misses(self, steps):
        """Residuals (frame, place)."""
        off = self.distances(steps) - np.where(self.wanted <= self.touching, self.touching, self.wanted)
        return np.where(self.wanted <= self.touching, np.maximum(off, 0.0), off)

    def weights(self, misses):
        """Of their squares, before large ones are cut (frame, place)."""
        spread = 1.0 + self.growth * np.maximum(self.wanted, 0.0)
        return self.shares * self.weight / spread**2 * np.where(misses > 0.0, self.missing, 1.0)

    def cost(self, steps):
        """All frames together."""
        misses = self.misses(steps)
        return (self.weights(misses) * self.width**2 * np.log1p((misses / self.width) ** 2)).sum()

    def residuals(self, steps):
        """Residuals whose squares Gauss-Newton takes for the cost; where contact is as wanted there are none."""
        start = self.misses(0.0 * steps)
        held = self.weights(start) / (1.0 + (start / self.width) ** 2)
        return (np.sqrt(held) * np.where(start != 0.0, self.misses(steps), 0.0)).ravel()


class Facing:
    """A quadratic cost of normals of faces, in the frame of another body, against those of a map.

    Args:
        bodies: the motion (:class:`tests.reference.surface_motion.MovingBodies`).
        body, other: their names.
        corners: vertices of each place's face (place, 3).
        normals: wanted (frame, place, 3).
        weights: of the squares (frame, place).
    """

    def __init__(self, bodies, body, other, corners, normals, weights):
        self.bodies, self.body, self.other, self.corners = bodies, body, other, corners
        self.normals, self.weights = normals, weights

    def residuals(self, steps):
        """Differences, each times the root of its weight."""
        found = []
        for frame, row in enumerate(steps):
            one, two, three = np.moveaxis(self.bodies.vertices(self.body, frame, row)[self.corners], 1, 0)
            areas = np.cross(two - one, three - one)
            normals = areas / np.linalg.norm(areas, axis=1, keepdims=True)
            turn = Rotation.from_quat(self.bodies.pose(self.other, frame, row)[3:])
            difference = turn.inv().apply(normals) - self.normals[frame]
            found.append(np.sqrt(self.weights[frame])[:, None] * difference)
        return np.concatenate(found).ravel()

    def cost(self, steps):
        """All frames together."""
        return (self.residuals(steps) ** 2).sum()


class Joined:
    """A Cauchy cost of distances between places of two bodies.

    Args:
        bodies: the motion.
        sides: name, corners (place, 3) and barycentrics (place, 3) of the places of either body.
        weights: of the squares (frame, place).
        width: beyond which they count less [m].
    """

    def __init__(self, bodies, sides, weights, width):
        self.bodies, self.sides, self.weights, self.width = bodies, sides, weights, width

    def apart(self, steps):
        """From the places of the second body to those of the first (frame, place, 3)."""
        found = []
        for frame, row in enumerate(steps):
            one, two = (
                np.einsum("pcx,pc->px", self.bodies.vertices(name, frame, row)[corners], barycentrics)
                for name, corners, barycentrics in self.sides
            )
            found.append(one - two)
        return np.stack(found)

    def cost(self, steps):
        """All frames together."""
        squares = (self.apart(steps) ** 2).sum(axis=2)
        return (self.weights * self.width**2 * np.log1p(squares / self.width**2)).sum()

    def residuals(self, steps):
        """Residuals whose squares Gauss-Newton takes for the cost."""
        held = self.weights / (1.0 + (self.apart(0.0 * steps) ** 2).sum(axis=2) / self.width**2)
        return (np.sqrt(held)[..., None] * self.apart(steps)).ravel()
