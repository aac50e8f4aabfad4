"""Openings of a surface, closed with faces between the vertices that are there."""

from __future__ import annotations

import numpy as np


def close_openings(faces: np.ndarray) -> np.ndarray:
    """Faces (new face, 3) that close every opening bounded by one simple loop of edges.

    No vertex is added.  A loop of n edges gets n - 2 faces, in a band that goes to and fro across it, so that none
    is as thin as in a fan.  Loops that touch themselves are left open.

    Args:
        faces: triangles (face, 3), consistently oriented.
    """
    added: list[np.ndarray] = []
    for loop in boundary_loops(faces):
        low, high = 0, len(loop) - 1
        while high - low >= 2:
            added.append(loop[[low, low + 1, high]])
            low += 1
            if high - low >= 2:
                added.append(loop[[low, high - 1, high]])
                high -= 1
    return np.array(added, dtype=faces.dtype).reshape(-1, 3)


def boundary_loops(faces: np.ndarray) -> list[np.ndarray]:
    """Loops of edges that belong to one face only, as vertices in the order in which a closing face runs them."""
    ends = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    _, group, count = np.unique(np.sort(ends, axis=1), axis=0, return_inverse=True, return_counts=True)
    open_ends = ends[count[group.reshape(-1)] == 1]
    starts, uses = np.unique(open_ends[:, 1], return_counts=True)
    branching = set(starts[uses > 1].tolist())
    following = dict(zip(open_ends[:, 1].tolist(), open_ends[:, 0].tolist(), strict=True))  # against the face's sense
    loops, seen = [], set()
    for start in sorted(following):
        loop = []
        vertex = start
        while vertex not in seen and vertex in following:
            seen.add(vertex)
            loop.append(vertex)
            vertex = following[vertex]
        if len(loop) >= 3 and vertex == start and not branching.intersection(loop):
            loops.append(np.array(loop))
    return loops


def is_closed(faces: np.ndarray) -> bool:
    """Is every edge shared by an even number of faces?"""
    ends = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    return not (np.unique(ends, axis=0, return_counts=True)[1] % 2).any()
