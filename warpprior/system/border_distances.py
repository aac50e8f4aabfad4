"""Distances of one body's contour to its label's border, as pictures that are no larger than they need be.

A frame's picture reaches as far around the label as the body may lie hidden beside it, and is of half floats: within
16 px of a border they are exact to 0.004 px, farther off to a fraction of 0.0005 of the distance.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import warp as wp

from warpprior.kernels.slabs import thread_count
from warpprior.render.parts import Part, Parts
from warpprior.support.device import warp_device
from warpprior.support.spill import Spill
from warpprior.system.label_fields import contour_fields

if TYPE_CHECKING:
    from warpprior.kernels.contour import Borders

SPACE_PX = 8  # around what margins leave [px]
USUAL = 0.9  # share of the frames in which a label is no larger than it is taken to be
LEAST_PX = 2  # side of a picture, to interpolate in [px]
MOST_PIXELS = 2**30 - 1  # of an array, two numbers each, whose places kernels count in 32 bits


def distance_crops(boxes: np.ndarray, width: int, height: int, margin: float) -> np.ndarray:
    """The part of a window in which distances to a label are wanted (frame, 4) int32: column, row, width, height.

    It holds the label, what may be hidden on either side of it of a body of the usual size, and a margin.

    Args:
        boxes: of the label in each frame (frame, 4): left, top, right, bottom [px]; NaN where there is none, which
            leaves the smallest crop there is.
        width, height: of the window [px].
        margin: space around, as a share of the label's usual size.
    """
    crops = np.tile(np.array([0, 0, LEAST_PX, LEAST_PX], dtype=np.int32), (len(boxes), 1))
    seen = np.isfinite(boxes).all(axis=1)
    if not seen.any():
        return crops
    limits = np.array([width, height])
    low, high = np.clip(boxes[seen, :2], 0, limits), np.clip(boxes[seen, 2:], 0, limits)
    usual = np.quantile(high - low, USUAL, axis=0)
    space = np.maximum(usual - (high - low), 0.0) + margin * usual + SPACE_PX
    low = np.clip(np.floor(low - space), 0, limits - LEAST_PX).astype(np.int32)
    high = np.clip(np.ceil(high + space), low + LEAST_PX, limits).astype(np.int32)
    crops[seen] = np.concatenate([low, high - low], axis=1)
    return crops


class BorderDistances:
    """The pictures of one body, in memory or in a temporary file.

    Args:
        labels: label images (frame, height, width) uint8.
        label: the body's.
        crops: where each frame's picture lies in them (frame, 4) int32: column, row, width, height.
        bias: as of :func:`warpprior.system.label_fields.contour_fields`.
        device: Warp device.
        parts: the frames that are asked for at a time, if they are kept in a file; None keeps them in memory.
    """

    def __init__(
        self, labels: np.ndarray, label: int, crops: np.ndarray, bias: float, device, *, parts: Parts | None = None
    ):
        self._labels, self._label, self._bias = labels, label, bias
        areas = crops[:, 2].astype(np.int64) * crops[:, 3]
        self._ends = np.concatenate([[0], np.cumsum(areas)])
        self._crops = wp.array(np.ascontiguousarray(crops), dtype=wp.vec4i, device=device)
        self._device = device
        self._spill: Spill | None = None
        self._buffer: wp.array | None = None
        self._starts: dict[Part, wp.array] = {}
        spans = [(0, len(labels))] if parts is None else [(part.start, part.stop) for part in parts]
        if parts is not None:
            self._spill = Spill(np.float16)
        # One pool for all: threads that come and go leave the memory behind that they worked in.
        with ThreadPoolExecutor(max_workers=min(thread_count(), 2)) as pool:
            for start, stop in spans:
                values = self._measure(crops, start, stop, pool)
                if self._spill is None:
                    self._all = wp.array(values, dtype=wp.float16, device=device, copy=False)
                else:
                    self._spill.append(values)

    def _measure(self, crops: np.ndarray, start: int, stop: int, pool: ThreadPoolExecutor) -> np.ndarray:
        """Pictures of some frames in a row, one behind the other, two numbers a pixel."""
        first = self._ends[start]
        values = np.empty(2 * (self._ends[stop] - first), dtype=np.float16)

        def fill(frame: int) -> None:
            column, row, width, height = crops[frame]
            image = self._labels[frame, row : row + height, column : column + width]
            pair = contour_fields(image[None], self._label, self._bias)[0].reshape(2, -1)
            place = 2 * (self._ends[frame] - first)
            values[place : place + pair.size].reshape(-1, 2)[:] = pair.T

        list(pool.map(fill, range(start, stop)))
        return values

    def look(self, borders: Borders, part: Part) -> None:
        """Have ``borders`` read the pictures of a part of the frames."""
        borders.crops = part.of(self._crops)
        if part not in self._starts:
            starts = self._ends[part.start : part.stop] - (0 if self._spill is None else self._ends[part.start])
            self._starts[part] = wp.array(starts.astype(np.int32), dtype=wp.int32, device=self._device)
        borders.starts = self._starts[part]
        borders.pictures = self._all if self._spill is None else self._read(part)

    def _read(self, part: Part) -> wp.array:
        """Pictures of a part from the file, in one buffer for all parts."""
        assert self._spill is not None, "they are in a file"
        first, count = int(2 * self._ends[part.start]), int(2 * (self._ends[part.stop] - self._ends[part.start]))
        if self._buffer is None or len(self._buffer) < count:
            longest = max(count, 0 if self._buffer is None else len(self._buffer))
            self._buffer = wp.empty(longest, dtype=wp.float16, device=self._device)
        if warp_device(self._device).is_cpu:
            self._spill.read(first, self._buffer.numpy()[:count])
        else:
            values = np.empty(count, dtype=np.float16)
            self._spill.read(first, values)
            wp.copy(self._buffer, wp.array(values, dtype=wp.float16, device="cpu"), count=count)
        return self._buffer
