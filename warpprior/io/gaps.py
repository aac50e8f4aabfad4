"""Frames without a usable pose, filled from their neighbours."""

from __future__ import annotations

import numpy as np


def fill_gaps(values: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Linear interpolation over the frames that are not usable; held constant before the first and after the last.

    Args:
        values: (frame, n).
        usable: (frame,) bool, true somewhere.
    """
    before, after, weight = _neighbours(usable)
    weight = weight[:, None]
    return np.where(usable[:, None], values, (1 - weight) * values[before] + weight * values[after])


def fill_rotation_gaps(rotation: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """As :func:`fill_gaps` for unit quaternions (frame, 4), along the shorter great arc at constant speed."""
    before, after, weight = _neighbours(usable)
    first, second = rotation[before], rotation[after]
    cosine = np.sum(first * second, axis=1)
    second = np.where(cosine[:, None] < 0, -second, second)
    angle = np.arccos(np.clip(np.abs(cosine), 0.0, 1.0))
    sine = np.sin(angle)
    near = sine < 1e-6
    safe = np.where(near, 1.0, sine)
    start = np.where(near, 1 - weight, np.sin((1 - weight) * angle) / safe)
    end = np.where(near, weight, np.sin(weight * angle) / safe)
    between = start[:, None] * first + end[:, None] * second
    between /= np.linalg.norm(between, axis=1, keepdims=True)
    return np.where(usable[:, None], rotation, between)


def _neighbours(usable: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Usable frame at or before and at or after each frame, and how far between them it lies, in [0, 1]."""
    known = np.flatnonzero(usable)
    frames = np.arange(len(usable))
    after = np.searchsorted(known, frames, side="left").clip(max=len(known) - 1)
    before = (np.searchsorted(known, frames, side="right") - 1).clip(min=0)
    first, second = known[before], known[after]
    span = second - first
    weight = np.where(span > 0, (frames - first) / np.maximum(span, 1), 0.0)
    return first, second, weight
