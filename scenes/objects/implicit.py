"""Meshes of solids that a signed distance describes: surface nets, then vertices moved onto the surface."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Distance = Callable[[np.ndarray], np.ndarray]
_STEP = 1e-5  # of finite differences [m]


def mesh_solid(distance: Distance, lower, upper, cell: float, *, rounds: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """The surface of a solid as a closed mesh.

    One vertex per cell of a grid that the surface crosses, one quad per crossed edge (Gibson, Constrained Elastic
    Surface Nets, MICCAI 1998); then each round moves the vertices towards the middle of their neighbours and back
    onto the surface.  Features thinner than two cells may be lost.

    Args:
        distance: signed distance of points (n, 3) -> (n,), negative inside; it may be off away from the surface [m].
        lower, upper: corners of a box that holds the solid [m].
        cell: size of the cells, about the length of edges [m].
        rounds: of smoothing.

    Returns:
        Vertices (vertex, 3) float64 and triangles (face, 3) int32, counter-clockwise seen from outside.
    """
    lower = np.asarray(lower, dtype=float) - 1.5 * cell
    counts = np.ceil((np.asarray(upper) - lower) / cell).astype(int) + 2
    axes = [lower[k] + cell * np.arange(counts[k]) for k in range(3)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    values = distance(grid.reshape(-1, 3)).reshape(grid.shape[:3])
    inside = values < 0.0
    corners = np.sum([inside[_corner(i)] for i in range(8)], axis=0, dtype=int)
    crossed = (corners > 0) & (corners < 8)
    numbers = np.full(crossed.shape, -1)
    numbers[crossed] = np.arange(crossed.sum())
    vertices = lower + cell * (np.argwhere(crossed) + 0.5)
    quads = np.concatenate([_quads(inside, numbers, axis) for axis in range(3)])

    edges = np.concatenate([quads[:, [k, (k + 1) % 4]] for k in range(4)])
    degree = np.bincount(edges[:, 0], minlength=len(vertices))[:, None]
    for _ in range(rounds):
        vertices = _project(vertices, distance)
        mean = np.zeros_like(vertices)
        np.add.at(mean, edges[:, 0], vertices[edges[:, 1]])
        vertices = 0.5 * vertices + 0.5 * mean / degree
    for _ in range(3):
        vertices = _project(vertices, distance)
    # The shorter diagonal of each quad.
    first = np.linalg.norm(vertices[quads[:, 0]] - vertices[quads[:, 2]], axis=1)
    second = np.linalg.norm(vertices[quads[:, 1]] - vertices[quads[:, 3]], axis=1)
    quads = np.where((first <= second)[:, None], quads, np.roll(quads, -1, axis=1))
    return vertices, np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]).astype(np.int32)


def _corner(index: int) -> tuple[slice, ...]:
    """The grid's values at one of the eight corners of every cell."""
    return tuple(slice(1, None) if index >> axis & 1 else slice(None, -1) for axis in range(3))


def _quads(inside: np.ndarray, numbers: np.ndarray, axis: int) -> np.ndarray:
    """Quads (quad, 4) around the crossed edges along one axis."""
    u, v = (axis + 1) % 3, (axis + 2) % 3
    before, after = np.moveaxis(inside, axis, 0)[:-1], np.moveaxis(inside, axis, 0)[1:]
    places = np.argwhere(np.moveaxis(before != after, 0, axis))
    leaving = np.moveaxis(before, 0, axis)[tuple(places.T)]
    around = []
    for du, dv in ((1, 1), (0, 1), (0, 0), (1, 0)):
        cells = places.copy()
        cells[:, u] -= du
        cells[:, v] -= dv
        around.append(numbers[tuple(cells.T)])
    quads = np.stack(around, axis=1)
    return np.where(leaving[:, None], quads, quads[:, ::-1])


def _project(points: np.ndarray, distance: Distance) -> np.ndarray:
    """Points moved along the gradient onto the surface, by one Newton step."""
    value = distance(points)
    slope = [(distance(points + _STEP * axis) - distance(points - _STEP * axis)) / (2.0 * _STEP) for axis in np.eye(3)]
    gradient = np.stack(slope, axis=1)
    return points - gradient * (value / np.maximum((gradient**2).sum(axis=1), 1e-3))[:, None]
