"""Bodies of very many faces as they are drawn beside what is tracked: with fewer, at a stated error on the screen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from warpprior.bodies.repair import Surface, is_closed
from warpprior.bodies.simplify import simplified
from warpprior.bodies.stand_in import MANY_FACES, WORTH, between, in_steps
from warpprior.scene import Camera, SceneBody

PIXELS = 0.1  # the most that a surface at rest may be off on the screen, where objects are at first,
MOST_M, LEAST_M = 5e-4, 2e-5  # and within these bounds


def allowed_error(camera: Camera, watched: list[SceneBody]) -> float:
    """How far off surfaces may be [m] for what is drawn to be off by no more than ``PIXELS`` beside these bodies."""
    depths = [float(body.initial.position[0, 2]) for body in watched]
    nearest = min((depth for depth in depths if depth > 0.0), default=np.inf)
    allowed = min(max(PIXELS * nearest / max(camera.fx, camera.fy), LEAST_M), MOST_M)
    return in_steps(allowed, LEAST_M)


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
    bare = replace(model, colors=None, keypoints=None, contact_zones={}, animation=None)  # they may name vertices
    return replace(body, body=between(bare, found.kept, found.faces.astype(np.int32))), found.kept
