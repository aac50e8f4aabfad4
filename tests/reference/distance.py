"""Float64 twin of the distances: every point against every triangle, solid angles, and trilinear interpolation."""

import numpy as np


def closest_points(points, vertices, faces):
    """Closest points of the surface to points (point, 3): the best of each triangle's inside, edges and corners."""
    points, corners = np.asarray(points, np.float64)[:, None], np.asarray(vertices, np.float64)[faces][None]
    candidates = []
    for k in range(3):
        a, b = corners[:, :, k], corners[:, :, (k + 1) % 3]
        along = np.sum((points - a) * (b - a), axis=2) / np.maximum(np.sum((b - a) ** 2, axis=2), 1e-300)
        candidates.append(a + np.clip(along, 0.0, 1.0)[..., None] * (b - a))
    a, u, v = corners[:, :, 0], corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0]
    uu, uv, vv = (np.sum(x * y, axis=2) for x, y in ((u, u), (u, v), (v, v)))
    pu, pv = (np.sum((points - a) * x, axis=2) for x in (u, v))
    determinant = np.maximum(uu * vv - uv * uv, 1e-300)
    s, t = (vv * pu - uv * pv) / determinant, (uu * pv - uv * pu) / determinant
    within = (s >= 0.0) & (t >= 0.0) & (s + t <= 1.0)
    projected = a + s[..., None] * u + t[..., None] * v
    candidates.append(np.where(within[..., None], projected, candidates[0]))
    candidates = np.stack(candidates, axis=2).reshape(len(points), -1, 3)
    best = np.argmin(np.linalg.norm(candidates - points, axis=2), axis=1)
    return candidates[np.arange(len(points)), best]


def winding_numbers(points, vertices, faces):
    """How often the surface goes around each point (van Oosterom and Strackee 1983)."""
    corners = np.asarray(vertices, np.float64)[faces][None] - np.asarray(points, np.float64)[:, None, None]
    a, b, c = corners[:, :, 0], corners[:, :, 1], corners[:, :, 2]
    la, lb, lc = (np.linalg.norm(x, axis=2) for x in (a, b, c))
    above = np.sum(a * np.cross(b, c), axis=2)
    ab, bc, ca = (np.sum(x * y, axis=2) for x, y in ((a, b), (b, c), (c, a)))
    return np.arctan2(above, la * lb * lc + ab * lc + bc * la + ca * lb).sum(axis=1) / (2.0 * np.pi)


def signed_distances(points, vertices, faces):
    """Distance of each point (point, 3) to the surface, negative where the winding number exceeds one half."""
    lengths = np.linalg.norm(np.asarray(points, np.float64) - closest_points(points, vertices, faces), axis=1)
    return np.where(winding_numbers(points, vertices, faces) > 0.5, -lengths, lengths)


def interpolate(values, origin, spacing, point):
    """Value of a grid [x, y, z] at one point: trilinear, plus the distance to the grid's box outside it."""
    place = (np.asarray(point, np.float64) - origin) / spacing
    inside = np.clip(place, 0.0, np.array(values.shape) - 1.0)
    cell = np.minimum(inside.astype(int), np.array(values.shape) - 2)
    share = inside - cell
    total = 0.0
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod(np.where(np.array(corner) == 1, share, 1.0 - share))
        total += weight * float(values[tuple(cell + corner)])
    return total + spacing * np.linalg.norm(place - inside)
