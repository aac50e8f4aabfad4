"""Figures that stand for a sequence."""

from __future__ import annotations

import numpy as np

THRESHOLDS = {
    "add_mm": (1, 3, 5, 10, 20, 50),
    "add_s_mm": (1, 3, 5, 10, 20, 50),
    "rotation_deg": (1, 2, 5, 10, 30),
    "translation_mm": (1, 3, 5, 10, 20, 50),
    "penetration_mm": (1, 2, 5, 10),
    "keypoint_mm": (5, 10, 20, 50),
    "chamfer_mm": (1, 3, 5, 10, 20, 50),
    "position_sigmas": (1, 2, 3),
    "rotation_sigmas": (1, 2, 3),
    "mask_iou": (0.5, 0.75, 0.9, 0.95, 0.97),
}
RISING = (
    "mask_iou",
    "f_score",
    "contact_f1",
    "zone_f1",
    "map_f1",
)  # names that begin so are better the larger they are


def summarise(name: str, values: np.ndarray, fps: float) -> dict:
    """Figures of one metric over the frames that have it.

    Args:
        name: the metric.
        values: (frame,), NaN where it is not defined.
        fps: frames per second, for accelerations in m/s^2.
    """
    values = values[np.isfinite(values)]
    thresholds = THRESHOLDS.get(name, ())
    if len(values) == 0:
        return {"frames": 0}
    figures: dict = {"frames": len(values)}
    if name == "depth_mm":
        figures["bias"] = float(values.mean())
        values = np.abs(values)
    figures["median"], figures["mean"] = float(np.median(values)), float(values.mean())
    rising = name.startswith(RISING)
    if rising or name == "distance_mm":
        figures["p05"], figures["min"] = float(np.percentile(values, 5)), float(values.min())
    else:
        figures["p95"], figures["max"] = float(np.percentile(values, 95)), float(values.max())
    if rising and thresholds:
        figures["above"] = {str(t): float(np.mean(values >= t)) for t in thresholds}
    elif thresholds:
        figures["below"] = {str(t): float(np.mean(values <= t)) for t in thresholds}
    if name.startswith(("acceleration", "truth_acceleration")):
        figures["mean_m_s2"] = figures["mean"] * 1e-3 * fps**2
    return figures


def listed(values: np.ndarray) -> list[float | None]:
    """Plain numbers, None for values that are not finite."""
    return [float(value) if np.isfinite(value) else None for value in values]


def diameter(vertices: np.ndarray) -> float:
    """Largest distance of two vertices (vertex, 3) [m]."""
    from scipy.spatial import ConvexHull, QhullError
    from scipy.spatial.distance import pdist

    points = vertices.astype(np.float64)
    try:
        points = points[ConvexHull(points).vertices]
    except QhullError:  # flat bodies have no hull; their corners are among the vertices anyway
        points = np.unique(points, axis=0)
    return float(pdist(points).max()) if len(points) > 1 else 0.0
