"""The surface of a soft solid as triangles: marching tetrahedra on a grid, looked at only where the surface is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

_COARSE = 4  # cells of the fine grid along the side of a coarse one
_TETRAHEDRA = np.array([(0, 1, 3, 7), (0, 3, 2, 7), (0, 2, 6, 7), (0, 6, 4, 7), (0, 4, 5, 7), (0, 5, 1, 7)])
_CORNERS = np.array([(c & 1, c >> 1 & 1, c >> 2 & 1) for c in range(8)])


def march(
    field: Callable[[np.ndarray], np.ndarray], low: np.ndarray, high: np.ndarray, step: float
) -> tuple[np.ndarray, np.ndarray]:
    """Triangles of the zero of a field, counter-clockwise seen from where it is positive.

    The surface is closed, but where it leaves the box: there its border lies in the side of the box.

    Args:
        field: about the distance to the surface, negative inside, of points (point, 3).
        low, high: corners of the box (3,); ``high`` is moved out to a whole number of steps.
        step: of the grid.

    Returns:
        vertices (vertex, 3) and faces (face, 3).
    """
    counts = _COARSE * np.ceil((np.asarray(high) - low) / (_COARSE * step)).astype(int)
    cells = _near_cells(field, np.asarray(low, float), counts, step)
    nodes = (cells[:, None] + _CORNERS).reshape(-1, 3)
    numbers = np.ravel_multi_index(tuple(nodes.T), tuple(counts + 1))
    used, local = np.unique(numbers, return_inverse=True)
    places = low + step * np.stack(np.unravel_index(used, tuple(counts + 1)), axis=1)
    values = field(places)
    values = np.where(np.abs(values) < 1e-3 * step, -1e-3 * step, values)
    corners = local.reshape(-1, 8)[:, _TETRAHEDRA].reshape(-1, 4)
    triangles = _cut(corners, values < 0.0)
    edges, faces = np.unique(np.sort(triangles.reshape(-1, 2), axis=1), axis=0, return_inverse=True)
    a, b = edges.T
    share = (values[a] / (values[a] - values[b]))[:, None]
    return places[a] + share * (places[b] - places[a]), faces.reshape(-1, 3)


def _near_cells(field, low: np.ndarray, counts: np.ndarray, step: float) -> np.ndarray:
    """Fine cells (cell, 3) of the coarse ones that the surface may go through."""
    blocks = np.stack(np.meshgrid(*[np.arange(n) for n in counts // _COARSE], indexing="ij"), axis=-1).reshape(-1, 3)
    middles = low + _COARSE * step * (blocks + 0.5)
    near = np.abs(field(middles)) < 2.0 * _COARSE * step
    inner = np.stack(np.meshgrid(*[np.arange(_COARSE)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    return (_COARSE * blocks[near][:, None] + inner).reshape(-1, 3)


def _cut(corners: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Triangles (triangle, 3, 2) of tetrahedra (cell, 4), each corner on an edge between two nodes."""
    within = inside[corners]
    count = within.sum(axis=1)
    triangles = []
    for alone in range(4):
        a, b, c = (other for other in range(4) if other != alone)
        outwards = (b, c) if alone % 2 == 0 else (c, b)
        for lonely, order in ((True, (a, *outwards)), (False, (a, *outwards[::-1]))):
            chosen = corners[(count == (1 if lonely else 3)) & (within[:, alone] == lonely)]
            triangles.append(np.stack([chosen[:, [alone, other]] for other in order], axis=1))
    for pair in ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)):
        a, b = pair
        c, d = (other for other in range(4) if other not in pair)
        if (a + b) % 2 == 0:
            c, d = d, c
        chosen = corners[(count == 2) & within[:, a] & within[:, b]]
        ring = [chosen[:, edge] for edge in ([a, c], [a, d], [b, d], [b, c])]
        triangles += [np.stack([ring[0], ring[1], ring[2]], axis=1), np.stack([ring[0], ring[2], ring[3]], axis=1)]
    return np.concatenate(triangles)
