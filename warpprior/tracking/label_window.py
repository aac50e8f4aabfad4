"""The part of a label image that something is compared with: it moves with a body and seldom changes its size."""

from __future__ import annotations

import numpy as np
import warp as wp

from warpprior.kernels.label_borders import Runs
from warpprior.render.window import Window
from warpprior.tracking.twin_arrays import twin_zeros

ROOM = 1.12  # a window that has become too small is made so much larger than it must be,
STEPS = 8  # in so many pixels; and smaller again
SPARE = 2.5  # when it has so many times the pixels that it must have


def fitted(window: Window, low: np.ndarray, high: np.ndarray, whole: np.ndarray) -> Window:
    """A window of one picture that holds the pixels from ``low`` to before ``high`` (2,).

    It has the size of the one before, if it can; ``whole`` is the size of the picture (2,).
    """
    needed, size = high - low, np.array([window.width, window.height])
    if (needed > size).any() or size.prod() > SPARE * needed.prod():
        size = np.minimum(np.ceil(ROOM * needed / STEPS).astype(int) * STEPS, whole)
    origin = np.clip(low - (size - needed) // 2, 0, whole - size).astype(np.int32)
    return Window(origin[None], int(size[0]), int(size[1]))


class LabelWindow:
    """Labels in a window, on the device.

    Args:
        window: the largest that there will be.
        device: Warp device.

    Attributes:
        runs: labels, and runs of them; the runs are listed by a kernel.
    """

    def __init__(self, window: Window, device):
        width, height = window.width, window.height
        words = self._words = twin_zeros(-(-width * height // 8), wp.uint64, device)
        self._labels = words.host.view(np.uint8)
        runs = self.runs = Runs()
        runs.words, size = words.array, 8 * len(words.host)
        runs.labels = wp.array(ptr=words.array.ptr, shape=size, dtype=wp.uint8, device=device)
        runs.starts = wp.zeros((height, width), dtype=wp.int16, device=device)
        runs.counts = wp.zeros(height, dtype=wp.int32, device=device)
        self.resize(window)

    def resize(self, window: Window) -> None:
        """Hold as many pixels as this window; whatever was recorded with other sizes is to be recorded anew."""
        self.runs.width, self.runs.height = window.width, window.height

    @property
    def image(self) -> np.ndarray:
        """The labels (height, width) uint8, to be written on the host."""
        return self._labels[: self.runs.width * self.runs.height].reshape(self.runs.height, self.runs.width)

    def push(self) -> None:
        """The host has written."""
        self._words.push()
