"""Areas of triangles, by which surfaces are sampled, painted and weighed, and normals by them."""

from __future__ import annotations

import numpy as np


def doubled_areas(corners: np.ndarray) -> np.ndarray:
    """Twice the area of each triangle (triangle,), from its corners (triangle, 3, 3)."""
    return np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)


def mean_cross_section(vertices: np.ndarray, faces: np.ndarray) -> float:
    """Mean area of a surface's shadow over all directions, as if convex (Cauchy): a quarter of its area."""
    return 0.125 * float(doubled_areas(vertices[faces].astype(np.float64)).sum())


def doubled_areas_around(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Twice the area of the faces around each vertex (vertex,)."""
    return np.bincount(faces.reshape(-1), np.repeat(doubled_areas(vertices[faces]), 3), len(vertices))


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals of a surface, or of several of the same faces (..., vertex, 3), by area; zero where no face is."""
    a, b, c = np.moveaxis(vertices[..., faces, :], -2, 0)
    across = np.moveaxis(np.cross(b - a, c - a), -2, 0)  # [face, ...]
    normals = np.zeros((vertices.shape[-2], *vertices.shape[:-2], 3))
    for corner in range(3):
        np.add.at(normals, faces[:, corner], across)
    normals = np.moveaxis(normals, 0, -2)
    lengths = np.linalg.norm(normals, axis=-1, keepdims=True)
    return normals / np.where(lengths > 0.0, lengths, 1.0)
