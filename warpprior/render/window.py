"""Window: the part of the picture that buffers cover, chosen once around labels and bodies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import warp as wp

from warpprior.kernels.camera import NEAR
from warpprior.kernels.silhouette import Crop
from warpprior.support.stored import forget, stored_zeros

CLEAR_PX = 2  # left around what is drawn, so that crops do not cut its contour
AROUND_PX = 8  # and beyond that, in which it may move before crops do
STEP_PX = 8  # their sides are multiples of
MOST_LARGER = 1.5  # times as many pixels as they need


@dataclass(frozen=True)
class Window:
    """One crop per frame, all of the same size, or those of several clips, each of its own.

    Attributes:
        origins: column and row of the first pixel of each crop (frame, 2) int32.
        width, height: size of the crops, or of the largest [px].
        sizes: width and height of each, where they differ (frame, 2) int32; else None.
    """

    origins: np.ndarray
    width: int
    height: int
    sizes: np.ndarray | None = None

    @classmethod
    def joined(cls, windows: Sequence[Window]) -> Window:
        """Those of several clips, one behind the other."""
        origins = np.concatenate([window.origins for window in windows])
        each = np.array([[window.width, window.height] for window in windows], dtype=np.int32)
        width, height = map(int, each.max(axis=0))
        if (each == each[0]).all():
            return cls(origins, width, height)
        return cls(origins, width, height, np.repeat(each, [len(window.origins) for window in windows], axis=0))

    def _sizes(self, frames: np.ndarray | slice) -> np.ndarray:
        """Width and height of the crops of some frames, or of all of them."""
        return np.array([self.width, self.height]) if self.sizes is None else self.sizes[frames]

    def crop(self, channel_count: int) -> Any:
        """The :class:`warpprior.kernels.silhouette.Crop` that kernels take."""
        crop = Crop()
        crop.width, crop.height, crop.channel_count = self.width, self.height, channel_count
        return crop

    def around(self, low: np.ndarray, high: np.ndarray, before: Window, frames: np.ndarray) -> Window:
        """Smaller crops within these that hold boxes in some frames, left where and as they were as far as that goes.

        Args:
            low, high: least and greatest column and row of each box (frame, 2), as of :func:`drawn_boxes`.
            before: what the crops were; frames that are not looked at keep their places.
            frames: which frames the boxes are of (frame,).
        """
        least, size = self.origins[frames], self._sizes(frames)
        low = np.clip(low - CLEAR_PX, least, least + size).astype(np.int64)
        high = np.clip(high + CLEAR_PX, low, least + size).astype(np.int64)
        extent = (high - low).max(axis=0, initial=0) + 2 * AROUND_PX
        extent = np.minimum(-(-extent // STEP_PX) * STEP_PX, [self.width, self.height])
        own, last = before.origins[frames], before._sizes(frames)
        holds = (own <= low).all() and (own + last >= high).all() and (own + last <= least + size).all()
        if holds and before.width * before.height <= MOST_LARGER * extent.prod():
            return before
        whole = self._sizes(slice(None))
        sizes = None if self.sizes is None else np.minimum(extent, whole).astype(np.int32)
        each = extent if sizes is None else sizes
        origins = before.origins.copy()
        origins[frames] = (low + high - (extent if sizes is None else sizes[frames])) // 2
        origins = np.clip(origins, self.origins, self.origins + whole - each).astype(np.int32)
        return Window(origins, int(extent[0]), int(extent[1]), sizes)

    def views(self, device) -> wp.array:
        """Column and row of the first pixel, width and height of each crop [frame] vec4i."""
        sizes = np.broadcast_to(self._sizes(slice(None)).astype(np.int32), self.origins.shape)
        return wp.array(np.concatenate([self.origins, sizes], axis=1), dtype=wp.vec4i, device=device)

    def device_origins(self, device) -> wp.array:
        return wp.array(self.origins, dtype=wp.vec2i, device=device)

    def device_sizes(self, device) -> wp.array | None:
        """Width and height of each crop [frame] vec2i, where they differ; else None."""
        return None if self.sizes is None else wp.array(self.sizes, dtype=wp.vec2i, device=device)

    def cut(self, images: np.ndarray) -> np.ndarray:
        """Crops of full pictures (frame, height, width, ...) -> (frame, crop height, crop width, ...).

        Where they are large they are stored: see :mod:`warpprior.support.stored`.
        """
        crops = stored_zeros((len(images), self.height, self.width, *images.shape[3:]), images.dtype)
        for crop, image, (column, row) in zip(crops, images, self.origins, strict=True):
            crop[:] = image[row : row + self.height, column : column + self.width]
            forget(crop)
            forget(image)
        return crops


def drawn_boxes(screen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Boxes around all that can be drawn of vertices (frame, vertex, 3) of columns and rows [px] and depth [m].

    Returns:
        Least and greatest column and row (frame, 2) each, to whole pixels outside; inf and -inf where nothing can be.
    """
    seen = screen[:, :, 2] > NEAR  # faces with other corners are not drawn
    sides = [np.ascontiguousarray(screen[:, :, axis]) for axis in (0, 1)]
    low = np.stack([np.fmin.reduce(side, axis=1, where=seen, initial=np.inf) for side in sides], axis=1)
    high = np.stack([np.fmax.reduce(side, axis=1, where=seen, initial=-np.inf) for side in sides], axis=1)
    return np.floor(low), np.ceil(high)


def whole_window(frame_count: int, width: int, height: int) -> Window:
    """The whole picture in every frame."""
    return Window(np.zeros((frame_count, 2), dtype=np.int32), width, height)


def window_around(boxes: np.ndarray, width: int, height: int, margin: float = 0.25) -> Window:
    """Crops around boxes (frame, 4) of left, top, right, bottom [px]; NaN rows take the middle of the others.

    Each crop is as large as the largest box and a margin on each side, shifted to lie within the picture.
    """
    finite: Any = np.isfinite(boxes).all(axis=1)
    if not finite.any():
        return whole_window(len(boxes), width, height)
    boxes = np.where(finite[:, None], boxes, np.median(boxes[finite], axis=0))
    boxes = np.clip(boxes, [0, 0, 0, 0], [width, height, width, height])
    extent = (boxes[:, 2:] - boxes[:, :2]).max(axis=0) * (1 + 2 * margin) + 16
    size = np.minimum(np.ceil(extent / 8).astype(int) * 8, [width, height])
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    origins = np.clip(np.round(middle - size / 2).astype(int), 0, np.array([width, height]) - size)
    return Window(origins.astype(np.int32), int(size[0]), int(size[1]))
