"""Window: the part of the picture that buffers cover, chosen once around labels and bodies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import warp as wp

from warpprior.kernels.silhouette import Crop
from warpprior.support.stored import forget, stored_zeros


@dataclass(frozen=True)
class Window:
    """One crop per frame, all of the same size.

    Attributes:
        origins: column and row of the first pixel of each crop (frame, 2) int32.
        width, height: size of the crops [px].
    """

    origins: np.ndarray
    width: int
    height: int

    def crop(self, channel_count: int) -> Any:
        """The :class:`warpprior.kernels.silhouette.Crop` that kernels take."""
        crop = Crop()
        crop.width, crop.height, crop.channel_count = self.width, self.height, channel_count
        return crop

    def device_origins(self, device) -> wp.array:
        return wp.array(self.origins, dtype=wp.vec2i, device=device)

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
