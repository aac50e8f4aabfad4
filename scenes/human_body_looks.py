"""Colours of our human body: skin, hair, a face, a shirt and shorts."""

from __future__ import annotations

import numpy as np

from warpprior.scenes.human_body_form import Form
from warpprior.scenes.human_body_measures import arm_frame

_SKIN, _HAIR = np.array([0.86, 0.65, 0.53]), np.array([0.24, 0.16, 0.11])
_LIPS, _EYE = np.array([0.74, 0.42, 0.38]), np.array([0.16, 0.12, 0.10])
_SHIRT, _SHORTS = np.array([0.36, 0.52, 0.62]), np.array([0.24, 0.26, 0.34])


def vertex_colors(form: Form, vertices: np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
    """Colours of the left half, its arm lowered (vertex, 3) in [0, 1].

    Args:
        form: the mean body.
        vertices: of it (vertex, 3) [m].
        weights: how much of a vertex is each link's {name: (vertex,)}.
    """
    joints, face = form.measures.joints, form.measures.face
    colors = np.tile(_SKIN, (len(vertices), 1))
    _, y, z = vertices.T
    sleeve = (vertices - joints["left_shoulder"]) @ arm_frame()[0] < 0.13
    sleeve |= sum(weights[f"left_{name}"] for name in ("shoulder", "elbow", "wrist", "hand")) < 0.5
    neckline = np.linalg.norm(vertices - joints["neck"] - (0.0, 0.0, 0.012), axis=1) > 0.086
    shirt = neckline & sleeve & (weights["neck"] + weights["head"] < 0.5) & (y > joints["pelvis"][1] + 0.075)
    legs = weights["pelvis"] + weights["spine1"] + weights["left_hip"] > 0.5
    colors[legs & (y > joints["left_knee"][1] + 0.13)] = _SHORTS
    colors[shirt] = _SHIRT

    def at(point, *radii: float) -> np.ndarray:
        return np.linalg.norm((vertices - face(point)) / radii, axis=1) < 1.0

    head = weights["head"] > 0.1
    crown = face((0.0, 1.600, 0.0))[1]
    hairline = (y - crown) + 0.62 * (0.030 - z) > 0.024
    nape = (z < -0.030) & (y > face((0.0, 1.535, 0.0))[1])
    ear = at((0.084, 1.578, -0.004), 0.014, 0.033, 0.024)
    colors[head & (hairline | nape) & ~ear] = _HAIR
    colors[at((0.030, 1.6115, 0.098), 0.022, 0.0065, 0.02)] = 0.5 * (_HAIR + _SKIN)
    colors[at((0.0, 1.526, 0.105), 0.023, 0.0095, 0.02)] = _LIPS
    colors[at((0.032, 1.589, 0.097), 0.0135, 0.0075, 0.012)] = _EYE
    return colors
