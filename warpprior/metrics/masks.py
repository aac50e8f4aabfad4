"""Masks: pixels drawn against pixels labelled."""

from __future__ import annotations

import numpy as np

from warpprior.scene import IGNORE_LABEL


def mask_iou(drawn: np.ndarray, labels: np.ndarray, label: int) -> np.ndarray:
    """Intersection over union of one label per frame (frame,), NaN where nothing is labelled so.

    Args:
        drawn: visible labels of the estimate (frame, height, width) uint8.
        labels: observed labels, same shape; pixels of 255 count neither way.
        label: the body's label.
    """
    iou = np.full(len(labels), np.nan)
    for frame, (own, seen) in enumerate(zip(drawn, labels, strict=True)):
        observed = seen == label
        observed_count = np.count_nonzero(observed)
        if observed_count == 0:
            continue
        estimated = (own == label) & (seen != IGNORE_LABEL)
        shared = np.count_nonzero(estimated & observed)
        iou[frame] = shared / (np.count_nonzero(estimated) + observed_count - shared)
    return iou
