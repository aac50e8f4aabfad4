"""The part of a label image that something is compared with: it moves with a body and seldom changes its size."""

from __future__ import annotations

import math

import numpy as np
import warp as wp

from warpprior.kernels.label_borders import Runs
from warpprior.render.window import Window
from warpprior.scene import Camera
from warpprior.tracking.twin_arrays import twin_zeros

ROOM = 1.12  # a window that has become too small is made so much larger than it must be,
STEPS = 32  # in so many pixels, so that there are few sizes; and smaller again
SPARE = 2.5  # when it has so many times the pixels that it must have


def fitted(window: Window, box: tuple[int, int, int, int], camera: Camera) -> Window:
    """A window of one picture that holds a box: left, top, one past the right, and the bottom [px].

    It has the size of the one before, if it can.
    """
    left, top, right, bottom = box
    wide, high, width, height = right - left, bottom - top, window.width, window.height
    if wide > width or high > height or width * height > SPARE * wide * high:
        width = min(math.ceil(ROOM * wide / STEPS) * STEPS, camera.width)
        height = min(math.ceil(ROOM * high / STEPS) * STEPS, camera.height)
    column = min(max(left - (width - wide) // 2, 0), camera.width - width)
    row = min(max(top - (height - high) // 2, 0), camera.height - height)
    return Window(np.array([[column, row]], dtype=np.int32), width, height)


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
