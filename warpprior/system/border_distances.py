"""Distances of one body's contour to its label's border, as pictures that are no larger than they need be.

A frame's picture reaches as far around the label as the body may lie hidden beside it, and is of half floats: within
16 px of a border they are exact to 0.004 px, farther off to a fraction of 0.0005 of the distance.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import warp as wp

from warpprior.kernels.slabs import thread_count
from warpprior.render.parts import Part, Parts
from warpprior.support.device import warp_device
from warpprior.support.stored import forget, is_stored, stored_zeros
from warpprior.system.device_distances import measure_there, measures_there, picture_ends
from warpprior.system.label_fields import contour_fields

if TYPE_CHECKING:
    from warpprior.kernels.contour import Borders

SPACE_PX = 8  # around what margins leave [px]
USUAL = 0.9  # share of the frames in which a label is no larger than it is taken to be
LEAST_PX = 2  # side of a picture, to interpolate in [px]


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
        origins: where the label images begin in the picture (frame, 2): column, row; None: where it does.
        parts: the frames that are asked for at a time, if they are kept in a file; None keeps them in memory.
    """

    def __init__(
        self,
        labels: np.ndarray,
        label: int,
        crops: np.ndarray,
        bias: float,
        device,
        *,
        origins: np.ndarray | None = None,
        parts: Parts | None = None,
    ):
        self._labels, self._label, self._bias = labels, label, bias
        self._ends = picture_ends(crops)
        places = crops.copy()
        if origins is not None:
            places[:, :2] += origins
        self._crops = wp.array(np.ascontiguousarray(places), dtype=wp.vec4i, device=device)
        self._device = warp_device(device)
        self._looked: Part | None
        self._starts: dict[Part, wp.array]
        self._pictures: dict[Part, wp.array]
        self._forget()
        # Two numbers a pixel, one frame behind the other; on the device where they are measured there.
        self._values: Any
        if parts is None and measures_there(device):
            self._values = measure_there(labels, label, crops, bias, device)
            return
        size = 2 * int(self._ends[-1])
        in_file = parts is not None
        self._values = stored_zeros((size,), np.float16, bounded=True) if in_file else np.empty(size, dtype=np.float16)
        spans = [(0, len(labels))] if parts is None else [(part.start, part.stop) for part in parts]
        # One pool for all: threads that come and go leave the memory behind that they worked in.
        with ThreadPoolExecutor(max_workers=min(thread_count(), 2)) as pool:
            for start, stop in spans:
                list(pool.map(lambda frame: self._measure(frame, crops[frame]), range(start, stop)))
                forget(self._of(start, stop))

    @classmethod
    def joined(cls, clips: Sequence[BorderDistances]) -> BorderDistances:
        """Those of several clips, in memory, one behind the other; their own become a part of these."""
        whole = copy(clips[0])
        firsts = np.cumsum([0, *(clip._ends[-1] for clip in clips)])
        ends = [clip._ends[1:] + first for clip, first in zip(clips, firsts, strict=False)]
        whole._ends = np.concatenate([[0], *ends])
        crops = np.concatenate([clip._crops.numpy() for clip in clips])
        whole._crops = wp.array(crops, dtype=wp.vec4i, device=whole._device)
        if isinstance(clips[0]._values, np.ndarray):
            whole._values = np.concatenate([clip._values for clip in clips])
        else:
            whole._values = wp.empty(2 * int(firsts[-1]), dtype=wp.float16, device=whole._device)
            for clip, first in zip(clips, firsts, strict=False):
                wp.copy(whole._values, clip._values, dest_offset=2 * int(first))
        whole._forget()
        for clip, first, last in zip(clips, firsts, firsts[1:], strict=False):
            clip._values = whole._values[2 * int(first) : 2 * int(last)]
            clip._forget()
        return whole

    def _forget(self) -> None:
        """Look for the pictures anew."""
        self._looked, self._starts, self._pictures = None, {}, {}

    def _of(self, start: int, stop: int) -> Any:
        return self._values[2 * int(self._ends[start]) : 2 * int(self._ends[stop])]

    def _measure(self, frame: int, crop: np.ndarray) -> None:
        column, row, width, height = crop
        image = self._labels[frame, row : row + height, column : column + width]
        pair = contour_fields(image[None], self._label, self._bias)[0].reshape(2, -1)
        self._of(frame, frame + 1).reshape(-1, 2)[:] = pair.T
        forget(self._labels[frame])

    def look(self, borders: Borders, part: Part) -> None:
        """Have ``borders`` read the pictures of a part of the frames."""
        borders.crops = part.of(self._crops)
        if part not in self._starts:
            starts = self._ends[part.start : part.stop] - self._ends[part.start]
            self._starts[part] = wp.array(starts.astype(np.int32), dtype=wp.int32, device=self._device)
        borders.starts = self._starts[part]
        if self._looked is not None and self._looked is not part:
            forget(self._of(self._looked.start, self._looked.stop))
        self._looked = part
        borders.pictures = self._pictures[part] if part in self._pictures else self._show(part)

    def _show(self, part: Part) -> wp.array:
        """The pictures of a part on the device; on a CPU they are those in memory, or in the file."""
        values = pictures = self._of(part.start, part.stop)
        if isinstance(values, np.ndarray):
            pictures = wp.array(values, dtype=wp.float16, device=self._device, copy=False)
        if self._device.is_cpu or not is_stored(values):
            self._pictures[part] = pictures
        return pictures
