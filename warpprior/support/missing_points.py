"""Points that were not found, as data sets and scripts mark them where there are no confidences."""

from __future__ import annotations

import numpy as np

MARKERS = ((-1.0, -1.0), (0.0, 0.0))  # [px]: no detector finds anything there to the last digit
SAME_PLACE_PX, SAME_PLACE_M = 1e-3, 1e-6


def marked_missing(points: np.ndarray) -> np.ndarray:
    """Which points (..., 2) [px] lie at (-1, -1) or (0, 0) (...) bool."""
    return np.any([np.all(points == marker, axis=-1) for marker in MARKERS], axis=0)


def at_one_place(points: np.ndarray, reach: float) -> np.ndarray:
    """Frames (frame,) bool in which several points (frame, point, d), all that are finite, lie at one place.

    A body with several keypoints is never seen so; whatever the place is, it marks that nothing was found.
    """
    with np.errstate(invalid="ignore"):  # a difference of what is not finite is greater than nothing
        if bool(((points.max(axis=1, initial=-np.inf) - points.min(axis=1, initial=np.inf)) > reach).any(axis=1).all()):
            return np.zeros(len(points), dtype=bool)
    known: np.ndarray = np.all(np.isfinite(points), axis=-1)
    low = np.where(known[..., None], points, np.inf).min(axis=1, initial=np.inf)
    high = np.where(known[..., None], points, -np.inf).max(axis=1, initial=-np.inf)
    several = known.sum(axis=1) > 2
    with np.errstate(invalid="ignore"):
        return np.logical_and(several, np.all(high - low <= reach, axis=1))
