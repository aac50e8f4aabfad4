"""Distances to label borders measured on a GPU, frames at a time, where OpenCV would take the host ten ms a frame."""

from __future__ import annotations

import numpy as np
import warp as wp

from warpprior.kernels.border_fields import Crops, measure_fields, scan_columns
from warpprior.scene import IGNORE_LABEL
from warpprior.support.device import warp_device

AT_ONCE = 2**26  # pixels, of six bytes each


def measures_there(device) -> bool:
    """Whether a device is asked; a CPU has OpenCV, which is sooner done."""
    return warp_device(device).is_cuda


def picture_ends(crops: np.ndarray) -> np.ndarray:
    """Where pictures begin that lie one behind the other, and where the last ends (frame + 1,) int64 [pixels]."""
    areas = crops[:, 2].astype(np.int64) * crops[:, 3]
    return np.concatenate([[0], np.cumsum(areas)])


def measure_there(labels: np.ndarray, label: int, crops: np.ndarray, bias: float, device) -> wp.array:
    """Pictures of all frames, one behind the other, two numbers a pixel [2 pixels] float16, on the device.

    Args:
        labels: label images (frame, height, width) uint8.
        label: the body's.
        crops: where each frame's picture lies in them (frame, 4) int32: column, row, width, height.
        bias: as of :func:`warpprior.system.label_fields.contour_fields`.
        device: Warp device.
    """
    device = warp_device(device)
    ends = picture_ends(crops)
    fields = wp.empty(2 * int(ends[-1]), dtype=wp.float16, device=device)
    start = 0
    while start < len(labels):
        stop = max(int(np.searchsorted(ends, ends[start] + AT_ONCE, side="right")) - 1, start + 1)
        some = slice(start, stop)
        asked = Crops()
        asked.labels = wp.array(np.ascontiguousarray(labels[some]), dtype=wp.uint8, device=device)
        asked.own, asked.ignored = label, IGNORE_LABEL
        asked.places = wp.array(np.ascontiguousarray(crops[some]), dtype=wp.vec4i, device=device)
        asked.starts = wp.array((ends[start:stop] - ends[start]).astype(np.int32), dtype=wp.int32, device=device)
        count = int(ends[stop] - ends[start])
        gaps = wp.empty((3, count), dtype=wp.int16, device=device)
        scan_columns(asked, int(crops[some, 2].max()), gaps_out=gaps)
        own = fields[2 * int(ends[start]) : 2 * int(ends[stop])]
        measure_fields(asked, gaps, bias, int(np.diff(ends[start : stop + 1]).max()), fields_out=own)
        start = stop
    return fields
