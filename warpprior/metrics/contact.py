"""What other bodies' surface points do to a rigid body: how near, how deep, how much they slip."""

from __future__ import annotations

import numpy as np

from warpprior.bodies.body import Body

CONTACT_M = 0.002
DEEP_M = 0.005
POINT_COUNT = 4000

_MARGIN_M = 0.005
_FIRST_POINTS = 64
_GOLDEN = np.array([0.7548776662466927, 0.5698402909980532])  # R2 sequence: even in two dimensions


class SurfacePoints:
    """Points spread over a body's surface in proportion to area; the same for the same body.

    Args:
        body: whose surface.
        count: how many points.
    """

    def __init__(self, body: Body, count: int = POINT_COUNT):
        corners = body.vertices[body.faces].astype(np.float64)
        areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
        strata = (np.arange(count) + 0.5) / count * areas.sum()
        faces = np.searchsorted(np.cumsum(areas), strata).clip(max=len(areas) - 1)
        first, second = (np.outer(np.arange(1, count + 1), _GOLDEN) % 1.0).T
        root = np.sqrt(first)
        weights = np.stack([1 - root, root * (1 - second), root * second], axis=1)
        self._corners, self._weights = body.faces[faces], weights.astype(np.float32)

    def place(self, vertices: np.ndarray) -> np.ndarray:
        """The points (frame, point, 3) on a posed surface (frame, vertex, 3)."""
        corners = (self._weights[:, k, None] * vertices[:, self._corners[:, k]] for k in range(3))
        return sum(corners)


def signed_distances(measure, lower: np.ndarray, upper: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Signed distance (frame, point) [m] of the points that matter; infinity for points that cannot matter.

    The distance to the box bounds the distance to the surface, so points beyond 5 mm from the box are left out, unless
    no point of the frame is near: then those that may be the nearest are measured.

    Args:
        measure: exact signed distance of points (point, 3) -> (point,), negative inside.
        lower, upper: box around the surface (3,) [m].
        points: points in the surface's frame (frame, point, 3) [m].
    """
    bound = np.linalg.norm(np.maximum(np.maximum(lower - points, points - upper), 0.0), axis=2)
    distances = np.full(bound.shape, np.inf)
    _measure_some(measure, points, bound < _MARGIN_M, distances)
    far = distances.min(axis=1) > _MARGIN_M
    if far.any():
        first = min(_FIRST_POINTS, bound.shape[1])
        nearest = np.zeros(bound.shape, dtype=bool)
        np.put_along_axis(nearest, np.argpartition(bound, first - 1, axis=1)[:, :first], True, axis=1)
        _measure_some(measure, points, nearest & far[:, None], distances)
        rest = far[:, None] & (bound < distances.min(axis=1, keepdims=True)) & ~np.isfinite(distances)
        _measure_some(measure, points, rest, distances)
    return distances


def contact_metrics(distances: np.ndarray, points: np.ndarray) -> dict[str, np.ndarray]:
    """``distance_mm``, ``penetration_mm`` and ``slip_mm`` per frame (frame,), NaN where not defined.

    Args:
        distances: from :func:`signed_distances` (frame, point) [m].
        points: the same points in the body's frame (frame, point, 3) [m].
    """
    nearest = distances.min(axis=1)
    touching = distances < CONTACT_M
    kept = touching[1:] & touching[:-1]
    moved = np.linalg.norm(np.diff(points, axis=0), axis=2)
    count = kept.sum(axis=1)
    slip = np.full(len(points), np.nan)
    slip[1:] = np.where(count > 0, np.sum(moved * kept, axis=1) / np.maximum(count, 1), np.nan)
    return {"distance_mm": 1e3 * nearest, "penetration_mm": 1e3 * np.maximum(-nearest, 0.0), "slip_mm": 1e3 * slip}


def contact_ratio(metrics: dict[str, np.ndarray]) -> float:
    """Fraction of frames in contact: a point nearer than 2 mm, none deeper than 5 mm."""
    good = (metrics["distance_mm"] < 1e3 * CONTACT_M) & (metrics["penetration_mm"] < 1e3 * DEEP_M)
    return float(np.mean(good))


def _measure_some(measure, points: np.ndarray, chosen: np.ndarray, distances: np.ndarray) -> None:
    if chosen.any():
        distances[chosen] = measure(points[chosen])
