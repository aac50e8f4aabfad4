"""A squeeze bottle."""

from __future__ import annotations

import numpy as np

from warpprior.bodies.body import Body, rigid_body

# Outline of the bottle: height above the table, half width along x, half width along y [m].
_BOTTLE_OUTLINE = np.array(
    [
        (0.000, 0.0400, 0.0230),
        (0.003, 0.0440, 0.0265),
        (0.010, 0.0460, 0.0285),
        (0.060, 0.0450, 0.0280),
        (0.110, 0.0455, 0.0290),
        (0.130, 0.0430, 0.0275),
        (0.146, 0.0330, 0.0235),
        (0.156, 0.0210, 0.0190),
        (0.162, 0.0165, 0.0165),
        (0.166, 0.0165, 0.0165),
        (0.1662, 0.0195, 0.0195),
        (0.178, 0.0185, 0.0185),
        (0.1782, 0.0110, 0.0110),
        (0.192, 0.0060, 0.0060),
    ]
)
_BOTTLE_COLORS = {
    "shell": (0.93, 0.74, 0.12),
    "front": (0.86, 0.20, 0.14),
    "back": (0.97, 0.95, 0.88),
    "cap": (0.75, 0.16, 0.10),
}


def bottle(name: str = "bottle", *, sides: int = 40) -> Body:
    """A squeeze bottle, 92 x 58 x 192 mm, flat enough for its rotation to be seen; about 2,600 faces.

    The origin is on the axis at mid height.  The front (+y) and the back carry labels of different colours.
    """
    corners = _BOTTLE_OUTLINE
    heights = np.unique(np.concatenate([corners[:, 0], np.linspace(0.010, 0.156, 20)]))
    half_x, half_y = (np.interp(heights, corners[:, 0], corners[:, k]) for k in (1, 2))
    angle = np.arange(sides) * (2.0 * np.pi / sides)
    # A superellipse on the body turns into a circle at the neck.
    power = np.interp(heights, [0.130, 0.162], [0.80, 1.0])[:, None]
    x = half_x[:, None] * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** power
    y = half_y[:, None] * np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** power
    z = np.broadcast_to(heights[:, None], x.shape)
    rings = np.stack([x, y, z], axis=-1).reshape(-1, 3)
    vertices = np.vstack([rings, [[0, 0, heights[0]]], [[0, 0, heights[-1]]]])
    faces = _tube_faces(len(heights), sides)

    colors = np.tile(np.array(_BOTTLE_COLORS["shell"]), (len(vertices), 1))
    panel = (np.abs(vertices[:, 0]) < 0.030) & (vertices[:, 2] > 0.035) & (vertices[:, 2] < 0.115)
    colors[panel & (vertices[:, 1] > 0)] = _BOTTLE_COLORS["front"]
    colors[panel & (vertices[:, 1] < 0)] = _BOTTLE_COLORS["back"]
    colors[vertices[:, 2] > 0.164] = _BOTTLE_COLORS["cap"]
    vertices[:, 2] -= 0.5 * heights[-1]
    return rigid_body(name, vertices, faces, colors=colors.astype(np.float32))


def _tube_faces(ring_count: int, sides: int) -> np.ndarray:
    """Triangles of stacked rings closed by two fans; the fans' centres follow the rings: bottom, then top."""
    faces = []
    bottom, top = ring_count * sides, ring_count * sides + 1
    last = (ring_count - 1) * sides
    for k in range(sides):
        following = (k + 1) % sides
        faces.append([bottom, following, k])
        faces.append([top, last + k, last + following])
        for ring in range(ring_count - 1):
            a, b = ring * sides + k, ring * sides + following
            faces += [[a, b, b + sides], [a, b + sides, a + sides]]
    return np.array(faces, dtype=np.int32)
