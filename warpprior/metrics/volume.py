"""The volume that two closed surfaces share: cells of a grid whose centres are inside both."""

from __future__ import annotations

import numpy as np

PITCH_M = 0.001
MOST_CELLS = 8_000_000  # of one grid; larger boxes get larger cells
_TINY = 1e-200
_PAIRS_AT_ONCE = 2_000_000  # of triangles and columns: bounds the memory


def grid_pitch(lower: np.ndarray, upper: np.ndarray, pitch: float = PITCH_M) -> float:
    """The pitch, doubled until a grid over the box (3,) to (3,) [m] has no more than 8 million cells."""
    sides = np.maximum(upper - lower, 0.0)
    while np.prod(np.floor(sides / pitch) + 2.0) > MOST_CELLS:
        pitch *= 2.0
    return pitch


def shared_volume(
    first: tuple[np.ndarray, np.ndarray],
    second: tuple[np.ndarray, np.ndarray],
    lower: np.ndarray,
    upper: np.ndarray,
    pitch: float = PITCH_M,
) -> float:
    """Volume inside both of two surfaces, within a box [m^3].

    Args:
        first, second: vertices (vertex, 3) [m] and outward triangles (face, 3) of closed surfaces; they may intersect
            themselves: inside is where the winding number is at least one.
        lower, upper: the box (3,) [m]; empty where a side is not positive.
        pitch: edge of the cells [m].
    """
    if not (upper > lower).all():
        return 0.0
    start = np.floor(lower / pitch).astype(np.int64)
    counts = np.floor(upper / pitch).astype(np.int64) - start + 1
    origin = (start + 0.5) * pitch
    inside = fill_surface(*first, origin, counts, pitch)
    if not inside.any():
        return 0.0
    return float(np.count_nonzero(inside & fill_surface(*second, origin, counts, pitch))) * pitch**3


def fill_surface(
    vertices: np.ndarray, faces: np.ndarray, origin: np.ndarray, counts: np.ndarray, pitch: float
) -> np.ndarray:
    """Which centres of a grid have a winding number of at least one (x, y, z) bool.

    Every triangle finds the columns along z that pass through it, and where; the winding number of a centre is the
    number of triangles below it that face down, less those that face up.

    Args:
        vertices: (vertex, 3) [m].
        faces: triangles, counter-clockwise seen from outside (face, 3).
        origin: centre of the first cell (3,) [m].
        counts: cells along each axis (3,).
        pitch: edge of a cell [m].
    """
    corners = (vertices.astype(np.float64)[faces] - origin) / pitch
    first = np.ceil(corners[:, :, :2].min(axis=1)).astype(np.int64).clip(min=0)
    last = np.minimum(np.floor(corners[:, :, :2].max(axis=1)).astype(np.int64), counts[:2] - 1)
    spans = np.maximum(last - first + 1, 0)
    sizes = spans[:, 0] * spans[:, 1]
    used = np.flatnonzero((sizes > 0) & (corners[:, :, 2].min(axis=1) <= counts[2] - 1))
    changes = np.zeros((counts[0], counts[1], counts[2] + 1), dtype=np.int16)
    while len(used):
        taken = max(1, int(np.searchsorted(np.cumsum(sizes[used]), _PAIRS_AT_ONCE, side="right")))
        _add_crossings(corners, first, spans, used[:taken], changes)
        used = used[taken:]
    return np.cumsum(changes[:, :, :-1], axis=2, dtype=np.int16) >= 1


def _add_crossings(
    corners: np.ndarray, first: np.ndarray, spans: np.ndarray, used: np.ndarray, changes: np.ndarray
) -> None:
    """Add the change of the winding number at the first centre above each crossing of a column and a used triangle."""
    sizes = spans[used, 0] * spans[used, 1]
    owner = np.repeat(used, sizes)
    turn = np.arange(len(owner)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    x = first[owner, 0] + turn // spans[owner, 1]
    y = first[owner, 1] + turn % spans[owner, 1]
    a, b, c = ((corners[owner, k, 0] - x, corners[owner, k, 1] - y) for k in range(3))
    # Twice the signed areas opposite to a, b and c: all of one sign where the column passes through.
    areas = [_cross(b, c), _cross(c, a), _cross(a, b)]
    up = (areas[0] > 0.0) & (areas[1] > 0.0) & (areas[2] > 0.0)
    met = np.flatnonzero(up | ((areas[0] < 0.0) & (areas[1] < 0.0) & (areas[2] < 0.0)))
    owner, areas = owner[met], [area[met] for area in areas]
    height = sum(area * corners[owner, k, 2] for k, area in enumerate(areas)) / sum(areas)
    above = np.ceil(height).clip(0, changes.shape[2] - 1).astype(np.int64)
    np.add.at(changes, (x[met], y[met], above), np.where(up[met], -1, 1).astype(np.int16))


def _cross(first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Cross product of two directions in the plane, of either sign but never zero where they differ.

    Where a column meets an edge it is taken to lie beside it, in the same direction for all edges: so of the triangles
    around the edge it passes through the right ones.  The two triangles see the same number with opposite signs.
    """
    (ax, ay), (bx, by) = first, second
    area = ax * by - ay * bx
    ties = np.flatnonzero(area == 0.0)
    if len(ties):
        across, along = (by - ay)[ties], (bx - ax)[ties]
        area[ties] = np.where(across != 0.0, -np.sign(across), np.sign(along)) * _TINY
    return area
