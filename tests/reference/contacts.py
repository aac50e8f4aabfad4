"""Float64 twin of the points of one body at a rigid one, as a function of all unknowns of both."""

import numpy as np
from scipy.spatial.transform import Rotation


def places_on(pose, points):
    """Points (point, 3) of the camera frame in that of a pose (7,)."""
    return (points - pose[:3]) @ Rotation.from_quat(pose[3:]).as_matrix()


class ContactPair:
    """Points of one body in the frame of the rigid one they touch; normals, distances and weights are held.

    Args:
        bodies: the motion (:class:`tests.reference.surface_motion.MovingBodies`).
        touching: name of the body whose points these are.
        touched: name of the rigid body they touch.
        corners, barycentrics: vertices of the first body that each point lies between (point, 3), and how.
        samples: (frame, point, 4) gradient and value of the signed distance at the start, frame of the second.
        weights: contact weights (frame, point).
        areas: (point,).
    """

    def __init__(self, bodies, touching, touched, corners, barycentrics, samples, weights, areas):
        self.bodies, self.touching, self.touched = bodies, touching, touched
        self.corners, self.barycentrics = corners, barycentrics
        self.samples, self.weights, self.areas = samples, weights, areas
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
