"""Float64 twin of ray casting: every ray against every triangle (Moeller and Trumbore)."""

import numpy as np


def cast_rays(directions, corners):
    """Nearest hits of rays from the origin.

    Args:
        directions: (ray, 3); the parameter of a hit is in their unit.
        corners: of the triangles (face, 3, 3).

    Returns:
        Parameter (ray,), infinite for a miss, face (ray,), -1 for a miss, and weights of the corners (ray, 3).
    """
    first, side, other = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    across = np.cross(directions[:, None], other)
    determinant = np.einsum("rfx,fx->rf", across, side)
    with np.errstate(divide="ignore", invalid="ignore"):
        u = -np.einsum("rfx,fx->rf", across, first) / determinant
        q = np.cross(-first, side)
        v = np.einsum("rx,fx->rf", directions, q) / determinant
        t = np.einsum("fx,fx->f", other, q) / determinant
        hit = (u >= 0) & (v >= 0) & (u + v <= 1) & (t > 0)
    t = np.where(hit, t, np.inf)
    face = t.argmin(axis=1)
    rays = np.arange(len(directions))
    weights = np.stack([1.0 - u[rays, face] - v[rays, face], u[rays, face], v[rays, face]], axis=1)
    parameter = t[rays, face]
    return parameter, np.where(np.isfinite(parameter), face, -1), weights


def pixel_rays(camera):
    """Directions of unit depth through the centres of all pixels (height * width, 3), row by row."""
    rows, columns = np.mgrid[: camera.height, : camera.width] + 0.5
    rays = [(columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy, np.ones(rows.shape)]
    return np.stack(rays, axis=-1).reshape(-1, 3)
