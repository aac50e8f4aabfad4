"""The volume that two closed surfaces share: cells of a grid whose centres are inside both."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import warp as wp

from warpprior.kernels.shared_volume import Grids, change_windings, count_shared

PITCH_M = 0.001
MOST_CELLS = 8_000_000  # of one grid; larger boxes get larger cells
TOGETHER = 1_000_000  # cells of several grids that are counted in one go, which stay in the cache

Moving = tuple[np.ndarray, np.ndarray]
"""Vertices (frame, vertex, 3) [m] and outward triangles (face, 3) of a closed surface; it may intersect itself: inside
is where the winding number is at least one."""


def grid_pitch(lower: np.ndarray, upper: np.ndarray, pitch: float = PITCH_M) -> float:
    """The pitch, doubled until a grid over the box (3,) to (3,) [m] has no more than 8 million cells."""
    sides = np.maximum(upper - lower, 0.0)
    while np.prod(np.floor(sides / pitch) + 2.0) > MOST_CELLS:
        pitch *= 2.0
    return pitch


def shared_volumes(
    first: Moving,
    second: Moving,
    lower: np.ndarray,
    upper: np.ndarray,
    pitch: float = PITCH_M,
    *,
    device: str = "cpu",
) -> np.ndarray:
    """Volume inside both of two surfaces, within a box, at each frame (frame,) [m^3].

    Args:
        first, second: the surfaces.
        lower, upper: the boxes (frame, 3) [m]; empty where a side is not positive.
        pitch: edge of the cells [m].
        device: Warp device.
    """
    volumes = np.zeros(len(lower))
    met = np.flatnonzero((upper > lower).all(axis=1))
    if not len(met):
        return volumes
    start = np.floor(lower[met] / pitch).astype(np.int64)
    counts = np.floor(upper[met] / pitch).astype(np.int64) - start + 1
    parts = [*_parts(counts)]
    most = max(int(_entries(counts[part]).sum()) for part in parts)
    changes = [wp.empty(most, dtype=wp.int32, device=device) for _ in range(2)]
    faces = [wp.array(each.astype(np.int32), dtype=wp.vec3i, device=device) for _, each in (first, second)]
    for part in parts:
        grids, frames = grids_of((start[part] + 0.5) * pitch, counts[part], pitch, device), met[part]
        for (vertices, _), own, found in zip((first, second), faces, changes, strict=True):
            change_windings_of(vertices[frames], own, grids, changes_out=found)
        cells = wp.zeros(len(part), dtype=wp.int32, device=device)
        count_shared(grids, int(counts[part, :2].prod(axis=1).max()), *changes, cells_out=cells)
        volumes[frames] = cells.numpy() * pitch**3
    return volumes


def grids_of(origins: np.ndarray, counts: np.ndarray, pitch: float, device: str) -> Grids:
    """Grids with these centres of their first cells (frame, 3) [m], and so many cells along each axis (frame, 3)."""
    grids = Grids()
    grids.origins = wp.array(origins, dtype=wp.vec3d, device=device)
    grids.counts = wp.array(counts.astype(np.int32), dtype=wp.vec3i, device=device)
    grids.starts = wp.array((np.cumsum(_entries(counts)) - _entries(counts)).astype(np.int32), device=device)
    grids.pitch = pitch
    return grids


def change_windings_of(vertices: np.ndarray, faces: wp.array, grids: Grids, *, changes_out: wp.array) -> None:
    """Changes of the winding number from each centre to the next along z, frame by frame, column by column; a column
    ends with one entry for all that lies above it.
    """
    changes_out.zero_()
    change_windings(
        wp.array(np.ascontiguousarray(vertices, dtype=np.float64), dtype=wp.vec3d, device=changes_out.device),
        faces,
        grids,
        changes_out=changes_out,
    )


def _entries(counts: np.ndarray) -> np.ndarray:
    """Of all columns of a frame (frame,)."""
    return counts[:, 0].astype(np.int64) * counts[:, 1] * (counts[:, 2] + 1)


def _parts(counts: np.ndarray) -> Iterator[np.ndarray]:
    """Frames whose grids are counted together, or one whose grid is larger."""
    groups = np.cumsum(_entries(counts)) // TOGETHER
    for group in np.unique(groups):
        yield np.flatnonzero(groups == group)
