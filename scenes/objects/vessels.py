"""A can and a bowl: solids of revolution, whose turn about the axis only colours show."""

from __future__ import annotations

import numpy as np

from warpprior.bodies.body import Body, rigid_body
from warpprior.scenes.objects.rings import arc, cylindrical, revolve

CAN_RADIUS, CAN_HEIGHT = 0.0335, 0.101
BOWL_RADIUS, BOWL_HEIGHT = 0.080, 0.055
_METAL, _LABEL, _PRINT = (0.78, 0.79, 0.82), (0.80, 0.10, 0.12), (0.96, 0.93, 0.84)
_WALL = 0.004  # of the bowl [m]


def can(name: str = "can", *, edge: float = 0.0042) -> Body:
    """A soup can, 67 mm wide and 101 mm high, with a label; its origin is on the axis at mid height.

    Its outline is the same from every side; only the label shows how it is turned.
    """
    r, h = CAN_RADIUS, CAN_HEIGHT
    outline = [(0.0, 0.002), (r - 0.004, 0.002), (r - 0.0032, 0.0), (r, 0.0), (r, 0.004), (r - 0.001, 0.0055)]
    outline += [(r - 0.001, h - 0.0055), (r, h - 0.004), (r, h), (r - 0.0032, h), (r - 0.004, h - 0.002)]
    outline += [(0.0, h - 0.002)]
    vertices, faces, _ = revolve(np.array(outline), edge)
    angle, height, radius = cylindrical(vertices)
    colors = np.tile(np.array(_METAL), (len(vertices), 1))
    wall = (radius > r - 0.002) & (height > 0.007) & (height < h - 0.007)
    colors[wall] = _LABEL
    colors[wall & (height > 0.045) & (height < 0.088)] = _PRINT
    # A seal in front, letters as bars around the rest, a panel of small print at the back.
    front = np.hypot(angle * r, height - 0.058) < 0.013
    colors[wall & front] = (0.83, 0.62, 0.15)
    bars = (np.sin(angle * 7.0) > 0.2) & (height > 0.060) & (height < 0.080) & (np.abs(angle) > 0.6)
    colors[wall & bars] = (0.12, 0.14, 0.35)
    colors[wall & (np.abs(angle) > 2.3) & (height < 0.040)] = (0.20, 0.45, 0.25)
    colors[(radius < 0.4 * r) & (height > 0.5 * h)] = (0.62, 0.63, 0.67)
    vertices[:, 2] -= 0.5 * h
    return rigid_body(name, vertices, faces, colors=colors.astype(np.float32))


def bowl(name: str = "bowl", *, edge: float = 0.0062) -> Body:
    """A bowl, 160 mm wide and 55 mm high, 4 mm thick; its origin is on the axis at half its height."""
    r, h, half = BOWL_RADIUS, BOWL_HEIGHT, 0.5 * _WALL
    # The middle of the wall is a quarter of an ellipse over a flat floor; the outside and the inside lie beside it.
    turn = np.radians(np.linspace(0.0, 90.0, 15))
    flat, wide, tall = 0.026, r - half - 0.026, h - 2.0 * half
    middle = np.stack([flat + wide * np.sin(turn), half + tall * (1.0 - np.cos(turn))], axis=1)
    normal = np.stack([np.sin(turn) / wide, -np.cos(turn) / tall], axis=1)
    normal *= half / np.linalg.norm(normal, axis=1)[:, None]
    outside, inside = middle + normal, middle - normal
    rim = arc((middle[-1, 0], middle[-1, 1]), half, 0.0, 180.0, 4)[1:-1]
    outline = np.concatenate([[(0.0, 0.0)], outside, rim, inside[::-1], [(0.0, _WALL)]])
    vertices, faces, _ = revolve(outline, edge)
    angle, height, _ = cylindrical(vertices)
    colors = np.tile(np.array([0.84, 0.27, 0.22]), (len(vertices), 1))
    petals = (np.abs(np.sin(2.5 * angle)) < 0.35) & (height > 0.35 * h)
    colors[petals] = (0.97, 0.90, 0.70)
    colors[(np.abs(angle - 0.9) < 0.35) & (height > 0.3 * h) & (height < 0.8 * h)] = (0.16, 0.30, 0.55)
    colors[height > h - 0.004] = (0.30, 0.16, 0.12)
    vertices[:, 2] -= 0.5 * h
    return rigid_body(name, vertices, faces, colors=colors.astype(np.float32))
