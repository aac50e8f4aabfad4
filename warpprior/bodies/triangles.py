"""Areas of triangles, by which surfaces are sampled, painted and weighed."""

from __future__ import annotations

import numpy as np


def doubled_areas(corners: np.ndarray) -> np.ndarray:
    """Twice the area of each triangle (triangle,), from its corners (triangle, 3, 3)."""
    return np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)


def mean_cross_section(vertices: np.ndarray, faces: np.ndarray) -> float:
    """Mean area of a surface's shadow over all directions, as if convex (Cauchy): a quarter of its area."""
    return 0.125 * float(doubled_areas(vertices[faces].astype(np.float64)).sum())
