"""Colours and texture coordinates of our human hand."""

from __future__ import annotations

import numpy as np

from warpprior.scenes.human_hand_form import FINGERS, Form
from warpprior.scenes.human_hand_mesh import COLUMNS, Net

_SKIN = np.array([0.80, 0.58, 0.46])
_PALM = np.array([0.90, 0.68, 0.59])
_NAIL = np.array([0.93, 0.74, 0.69])
_PAGE = 260.0  # side of the texture [mm]


def vertex_colors(net: Net, form: Form, vertices: np.ndarray) -> np.ndarray:
    """Skin, paler on the inside; nails; redder knuckles (vertex, 3) in [0, 1]."""
    colors = np.tile(_SKIN, (len(vertices), 1))
    inside = [net.palm[:, :, 1].ravel()] + [tube[:, 4:7].ravel() for tube in net.rings.values()]
    colors[np.concatenate(inside)] = _PALM
    for name, tube in net.rings.items():
        colors[tube[-2, 0:3]] = _NAIL
        colors[net.tips[name]] = 0.5 * (_PALM + _NAIL)
    return colors


def texture_coordinates(net: Net, form: Form, vertices: np.ndarray) -> np.ndarray:
    """u, v of each corner of each face (face, 3, 2): the back on the left, the inside on the right, thumbs apart.

    The seam runs halfway down the sides, so each half is laid out flat: as seen from above, with the flanks of the
    digits folded out.
    """
    flat = np.zeros((len(vertices), 2))  # towards the fingers, towards the thumb [mm]
    flat[:] = vertices[:, :2]
    for name in FINGERS:
        digit = form.digits[name]
        along, across = digit.frames[0][:2, 2], digit.frames[0][:2, 0]
        for ring in net.rings[name][1:]:
            _lay_ring(flat, vertices, ring, digit.joints[0][:2], along, across)
        flat[net.tips[name]] = digit.tip[:2]
    for row in range(len(net.palm)):
        for side, column, sign in ((0, 0, 1.0), (1, COLUMNS - 1, -1.0)):
            middle = net.sides[row, side]
            if middle >= 0:
                outer = (sign * np.r_[flat[net.palm[row, column], 1], flat[middle, 1]]).max()
                flat[middle, 1] = sign * (outer + 2.0)
    thumb = flat.copy()
    digit = form.digits["thumb"]
    tube = net.rings["thumb"]
    for number, ring in enumerate(tube):
        centre = vertices[ring].mean(axis=0)
        along = (centre - digit.joints[1]) @ digit.frames[1][:, 2] if number > 3 else 5.0 * number - 25.0
        for corner, vertex in enumerate(ring):
            thumb[vertex] = along, (9.0, 0.0, -9.0, -16.0, -9.0, 0.0, 9.0, 16.0)[corner]
    thumb[net.tips["thumb"]] = digit.lengths[1:].sum(), 0.0

    back = np.zeros(len(vertices), dtype=bool)
    back[net.palm[:, :, 0]] = True
    for name in FINGERS:
        back[net.rings[name][:, 0:3]] = True
    thumb_back = np.zeros(len(vertices), dtype=bool)
    thumb_back[tube[:, 0:3]] = True
    in_thumb = np.zeros(len(vertices), dtype=bool)
    in_thumb[tube[1:]] = True
    in_thumb[net.tips["thumb"]] = True

    corners = np.zeros((*net.faces.shape, 2))
    for number, face in enumerate(net.faces):
        if in_thumb[face].any():
            upper = thumb_back[face].any()
            corners[number] = thumb[face] * (1.0, -1.0 if upper else 1.0)
            corners[number] += (125.0, 150.0) if upper else (125.0, 190.0)
            corners[number] = corners[number][:, ::-1] * (1.0, 1.0)
        else:
            upper = back[face].any()
            place = flat[face]
            across = -place[:, 1] if upper else place[:, 1]
            corners[number] = np.stack([across + (62.0 if upper else 190.0), place[:, 0] + 30.0], axis=1)
    return corners / _PAGE


def _lay_ring(flat, vertices, ring, origin, along, across) -> None:
    """Flattens a ring of a finger: its flanks are moved out so that they keep some room."""
    local = vertices[ring][:, :2] - origin
    centre = (local @ along).mean()
    half = np.abs(local @ across).max()
    for corner, vertex in enumerate(ring):
        share = (0.6, 0.0, -0.6, -1.0, -0.6, 0.0, 0.6, 1.0)[corner]
        flat[vertex] = origin + centre * along + share * half * across
