"""Procrustes alignment: what is left of an error when place, turn and size do not count."""

from __future__ import annotations

import numpy as np


def procrustes(points: np.ndarray, target: np.ndarray, *, reflect: bool = False) -> np.ndarray:
    """The points after the similarity that brings them closest to the target, in the sense of least squares.

    The optimum is Umeyama's (1991): with both centred and ``target^T points = U S V^T``, the rotation is
    ``U D V^T`` and the scale ``tr(S D) / |points|^2``; D flips the least singular value where the rotation would
    otherwise be a mirror image.  Benchmarks for hands leave D out, so that a mirrored hand has no error at all; that
    is ``reflect``.

    Args:
        points: (frame, point, 3).
        target: same shape.
        reflect: a mirror image may be taken.

    Returns:
        the aligned points (frame, point, 3) float64; points that are all in one place go to the target's centre.
    """
    points, target = np.asarray(points, dtype=np.float64), np.asarray(target, dtype=np.float64)
    center, target_center = points.mean(axis=1, keepdims=True), target.mean(axis=1, keepdims=True)
    points, target = points - center, target - target_center
    left, sizes, right = np.linalg.svd(np.swapaxes(target, 1, 2) @ points)
    keep = np.ones_like(sizes)
    if not reflect:
        keep[:, 2] = np.where(np.linalg.det(left) * np.linalg.det(right) < 0.0, -1.0, 1.0)
    turn = (left * keep[:, None]) @ right
    spread = np.sum(points**2, axis=(1, 2))
    scale = np.where(spread > 0.0, np.sum(sizes * keep, axis=1) / np.maximum(spread, 1e-300), 0.0)
    return scale[:, None, None] * (points @ np.swapaxes(turn, 1, 2)) + target_center
