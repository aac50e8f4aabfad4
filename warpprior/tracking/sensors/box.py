"""Bounding boxes of objects, detected in the picture."""

from __future__ import annotations

import numpy as np

from warpprior.observations import Observation, senses
from warpprior.scene import SceneBody, box_center
from warpprior.tracking.belief import Belief
from warpprior.tracking.manifold import hat, matrix
from warpprior.tracking.sensors.base import NEAR, Sensor, SensorContext
from warpprior.tracking.update import Rows


@senses("boxes")
class Box(Sensor):
    """The four sides of a box against the outermost corners of the hull; noise ``box_px``, ``alike_frames`` alike."""

    name = "box"

    def begin(self, context: SensorContext) -> None:
        """Find the hulls of all objects."""
        super().begin(context)
        self._hulls = [_hull(body) for body in context.objects]

    def add(self, belief: Belief, observation: Observation, rows: Rows) -> None:
        """Each side of a box is a row of the corner of the hull that is farthest out."""
        settings, camera = self.context.settings, self.context.scene.camera
        variance = settings.alike_frames * settings.noise_of("boxes") ** 2
        for index, body in enumerate(self.context.objects):
            seen = observation.boxes.get(body.name)
            if seen is None:
                continue
            seen = np.asarray(seen, dtype=float)
            place = belief.hand_count + index
            arms = self._hulls[index] @ matrix(belief.rotation[place]).T
            points = arms + belief.position[place]
            if points[:, 2].min() < NEAR:
                continue
            places, slopes = self.context.project(points)
            columns, size = belief.object(index), (camera.width, camera.height)
            for side in range(4):
                axis = side % 2
                corner = int(places[:, axis].argmin() if side < 2 else places[:, axis].argmax())
                # A side on the picture's border only says that the body reaches it.
                cut = seen[side] <= 1.0 if side < 2 else seen[side] >= size[axis] - 1.0
                if cut:
                    continue
                residual = np.array([seen[side] - places[corner, axis]])
                own = rows.add(self.name, (index, side), residual, variance)
                if own is not None:
                    slope = slopes[corner, axis]
                    own[0, columns.start : columns.start + 3] = slope
                    own[0, columns.start + 3 : columns.stop] = -slope @ hat(arms[corner])


def _hull(body: SceneBody) -> np.ndarray:
    """Corners of the convex hull, from the middle of the body along its axes (corner, 3) [m]."""
    from scipy.spatial import ConvexHull, QhullError

    scale = body.initial.scale
    vertices = body.body.vertices.astype(np.float64) * scale - box_center(body.body, scale)
    try:
        return vertices[ConvexHull(vertices).vertices]
    except QhullError:  # flat
        return vertices
