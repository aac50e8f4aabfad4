"""What other bodies' surface points do to a body: how near, how deep, how much they slip."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from warpprior.metrics.surfaces import PosedBody, SurfacePoints

__all__ = ["SurfacePoints", "contact_metrics", "contact_shares", "distances_to", "signed_distances"]

CONTACT_M = 0.002
DEEP_M = 0.005

_MARGIN_M = 0.005
_FIRST_POINTS = 64
_FRAMES_AT_ONCE = 256  # bounds the memory of long sequences

Measure = Callable[[np.ndarray, np.ndarray], np.ndarray]


def distances_to(target: PosedBody, points: np.ndarray, leaders: np.ndarray | None) -> np.ndarray:
    """Signed distance (frame, point) [m] of another body's points to a body; see :func:`signed_distances`.

    Args:
        target: the body.
        points: in the frame of ``target.to_own`` (frame, point, 3) [m].
        leaders: a point for each point that is near it at all times (point,), or None.
    """
    lower, upper = target.box
    leaders = leaders if target.is_closed else None
    distances = np.empty(points.shape[:2])
    for start in range(0, len(points), _FRAMES_AT_ONCE):
        cut = slice(start, start + _FRAMES_AT_ONCE)
        distances[cut] = signed_distances(
            lambda frames, some, start=start: target.measure(frames + start, some),
            lower[cut],
            upper[cut],
            points[cut],
            leaders,
        )
    return distances


def signed_distances(
    measure: Measure, lower: np.ndarray, upper: np.ndarray, points: np.ndarray, leaders: np.ndarray | None = None
) -> np.ndarray:
    """Signed distance (frame, point) [m] of the points that matter; infinity for points that cannot matter.

    Points that are certainly farther than 5 mm from the surface are left out, unless no point of the frame is near:
    then those that may be the nearest are measured.  The distance to the box around the surface is one lower bound of
    a point's distance; that of its leader, less the way between the two, is another.

    Args:
        measure: exact signed distances ``measure(frames (n,), points (n, 3)) -> (n,)`` [m], negative inside.
        lower, upper: box around the surface (3,) or (frame, 3) [m].
        points: points in the surface's frame (frame, point, 3) [m].
        leaders: a point for each point (point,), for closed surfaces.
    """
    lower, upper = (np.broadcast_to(corner, (len(points), 3))[:, None] for corner in (lower, upper))
    bound = np.linalg.norm(np.maximum(np.maximum(lower - points, points - upper), 0.0), axis=2)
    distances = np.full(bound.shape, np.inf)
    if leaders is not None:
        leading = np.zeros(bound.shape[1], dtype=bool)
        leading[leaders] = True
        _measure_some(measure, points, (bound < _MARGIN_M) & leading, distances)
        measured = np.isfinite(distances[:, leaders])
        away = np.linalg.norm(points - points[:, leaders], axis=2)
        bound = np.maximum(bound, np.where(measured, distances[:, leaders] - away, 0.0))
    _measure_some(measure, points, (bound < _MARGIN_M) & ~np.isfinite(distances), distances)
    far = distances.min(axis=1) > _MARGIN_M
    if far.any():
        first = min(_FIRST_POINTS, bound.shape[1])
        nearest = np.zeros(bound.shape, dtype=bool)
        np.put_along_axis(nearest, np.argpartition(bound, first - 1, axis=1)[:, :first], True, axis=1)
        _measure_some(measure, points, nearest & far[:, None] & ~np.isfinite(distances), distances)
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


def contact_shares(metrics: dict[str, np.ndarray]) -> dict[str, float]:
    """Shares of the frames with a distance that are in each of three states, which add up to 1; empty without any.

    ``contact_ratio``: a point is nearer than 2 mm, and none is 5 mm deep or deeper; ``overlap_ratio``: one is;
    ``apart_ratio``: no point is nearer than 2 mm.
    """
    distance, depth = metrics["distance_mm"], metrics["penetration_mm"]
    defined = np.isfinite(distance)
    if not defined.any():
        return {}
    near, deep = distance[defined] < 1e3 * CONTACT_M, depth[defined] >= 1e3 * DEEP_M
    states = {"contact_ratio": near & ~deep, "overlap_ratio": deep, "apart_ratio": ~near}
    return {name: float(np.mean(state)) for name, state in states.items()}


def _measure_some(measure: Measure, points: np.ndarray, chosen: np.ndarray, distances: np.ndarray) -> None:
    if chosen.any():
        distances[chosen] = measure(np.nonzero(chosen)[0], points[chosen])
