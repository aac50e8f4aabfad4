"""Objects at the scale of a person: closed meshes with vertex colours, in metres, standing along z."""

from __future__ import annotations

import numpy as np

from warpprior.bodies.body import Body, rigid_body
from warpprior.scenes.objects.cuboids import box
from warpprior.scenes.objects.implicit import mesh_solid

BOX_SIZE = (0.40, 0.30, 0.30)  # [m]
BALL_RADIUS = 0.12  # [m]


def moving_box(name: str = "box") -> Body:
    """A box of 40 x 30 x 30 cm, origin at its centre; six plain colours."""
    return box(name, size=BOX_SIZE, spacing=0.025)


def ball(name: str = "ball") -> Body:
    """A ball of 24 cm, origin at its centre; three bands show how it is turned, its outline does not."""

    def distance(points: np.ndarray) -> np.ndarray:
        return np.linalg.norm(points, axis=1) - BALL_RADIUS

    vertices, faces = mesh_solid(distance, (-BALL_RADIUS,) * 3, (BALL_RADIUS,) * 3, 0.012)
    colors = np.tile(np.array([0.90, 0.55, 0.12]), (len(vertices), 1))
    for axis, color in enumerate(((0.15, 0.25, 0.60), (0.95, 0.93, 0.86), (0.65, 0.12, 0.12))):
        colors[np.abs(vertices[:, axis]) < 0.1 * BALL_RADIUS] = color
    return rigid_body(name, vertices, faces, colors=colors.astype(np.float32))
