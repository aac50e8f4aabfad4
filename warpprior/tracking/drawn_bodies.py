"""Bodies of very many faces as they are drawn beside what is tracked: with fewer, at a stated error on the screen."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from warpprior.bodies.body import Body
from warpprior.bodies.repair import Surface, is_closed
from warpprior.bodies.simplify import simplified
from warpprior.scene import Camera, SceneBody

MANY_FACES = 5_000  # of a body that is drawn with fewer,
WORTH = 0.7  # if no more than this share of them is left
PIXELS = 0.1  # the most that its surface at rest may then be off on the screen, where objects are at first,
MOST_M, LEAST_M = 5e-4, 2e-5  # and within these bounds
STEPS = 2  # errors that are asked for, per octave: trackers of much the same scene find in the cache what another left


def allowed_error(camera: Camera, watched: list[SceneBody]) -> float:
    """How far off surfaces may be [m] for what is drawn to be off by no more than ``PIXELS`` beside these bodies."""
    depths = [float(body.initial.position[0, 2]) for body in watched]
    nearest = min((depth for depth in depths if depth > 0.0), default=np.inf)
    allowed = min(max(PIXELS * nearest / max(camera.fx, camera.fy), LEAST_M), MOST_M)
    return LEAST_M * 2.0 ** (math.floor(STEPS * math.log2(allowed / LEAST_M)) / STEPS)


def drawn_with_fewer(body: SceneBody, error: float) -> tuple[SceneBody, np.ndarray | None]:
    """The body between some of its vertices, for drawing alone, and which these are; None: all of them.

    Vertices stay where they are on their links, so that it moves and bends as it did; ``error`` [m] is that of the
    surface at rest.
    """
    model = body.body
    if model.face_count < MANY_FACES:
        return body, None
    surface = Surface(model.vertices.astype(np.float64), model.faces.astype(np.int64), None, is_closed(model.faces))
    found = simplified(surface, error / body.initial.scale)
    if len(found.faces) > WORTH * model.face_count:
        return body, None
    return replace(body, body=_between(model, found.kept, found.faces.astype(np.int32))), found.kept


def _between(body: Body, kept: np.ndarray, faces: np.ndarray) -> Body:
    """A body that has only some of the vertices, and nothing but a surface and its motion."""
    return replace(
        body,
        vertices=body.vertices[kept],
        faces=faces,
        skin_links=np.ascontiguousarray(body.skin_links[kept]),
        skin_weights=np.ascontiguousarray(body.skin_weights[kept]),
        shape_directions=np.ascontiguousarray(body.shape_directions[kept]),
        pose_directions=np.ascontiguousarray(body.pose_directions[kept]),
        colors=None,
        texture_coordinates=None,
        keypoints=None,
        contact_zones={},
        animation=None,
    )
