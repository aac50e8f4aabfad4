"""Colours and texture coordinates of our human hand."""

from __future__ import annotations

import numpy as np

from warpprior.scenes.human_hand_form import FINGERS, Form
from warpprior.scenes.human_hand_mesh import COLUMNS, KNUCKLES, Net, joint_rings

_SKIN, _PALM = np.array([0.86, 0.65, 0.53]), np.array([0.93, 0.72, 0.63])
_NAIL, _KNUCKLE = np.array([0.97, 0.82, 0.78]), np.array([0.84, 0.57, 0.47])
_CREASE = 0.88  # how much darker the inside of a joint is
_PAGE = 290.0  # side of the texture [mm]


def vertex_colors(net: Net) -> np.ndarray:
    """Skin, paler on the inside, redder and darker at the joints, and nails (vertex, 3) in [0, 1]."""
    colors = np.tile(_SKIN, (net.vertex_count, 1))
    inside = [net.palm[:, :, 1].ravel()] + [tube[:, 4:7].ravel() for tube in net.rings.values()]
    colors[np.concatenate(inside)] = _PALM
    colors[net.palm[KNUCKLES, 1::3, 0]] = _KNUCKLE
    for name, tube in net.rings.items():
        for joint in joint_rings(name):
            colors[tube[joint, 0:3]] = _KNUCKLE
            colors[tube[joint, 4:7]] = _CREASE * _PALM
        colors[tube[-3, 1]] = _KNUCKLE
        colors[tube[-2:, 0:3]] = _NAIL
        colors[net.tips[name]] = _PALM
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
    flat[net.sides[0], 0] = flat[net.cap[0], 0]
    for finger, side in np.ndindex(net.webs.shape):
        corner = net.palm[-1, 3 * finger + 2 * side]
        flat[net.webs[finger, side], 0] = flat[corner, 0].max() + 4.5
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
            corners[number] += (60.0 if upper else 180.0, 268.0)
            corners[number] = corners[number][:, ::-1]
        else:
            upper = back[face].any()
            place = flat[face]
            across = -place[:, 1] if upper else place[:, 1]
            corners[number] = np.stack([across + (62.0 if upper else 188.0), place[:, 0] + 30.0], axis=1)
    return corners / _PAGE


def _lay_ring(flat, vertices, ring, origin, along, across) -> None:
    """Flattens a ring of a finger: its flanks are moved out so that they keep some room."""
    local = vertices[ring][:, :2] - origin
    centre = (local @ along).mean()
    half = np.abs(local @ across).max()
    for corner, vertex in enumerate(ring):
        share = (0.6, 0.0, -0.6, -1.0, -0.6, 0.0, 0.6, 1.0)[corner]
        flat[vertex] = origin + centre * along + share * half * across
