"""TwinArray: a device array and its twin on the host; on a CPU they are one memory."""

from __future__ import annotations

import numpy as np
import warp as wp


class TwinArray:
    """An array that a thin loop writes on the host and kernels read, or the other way round.

    Args:
        array: the device array.

    Attributes:
        array: on the device.
        host: the same as NumPy; current after :meth:`pull`, and to be followed by :meth:`push` when written.
    """

    def __init__(self, array: wp.array):
        self.array = array
        self._shared = wp.get_device(self.array.device).is_cpu
        self.host = self.array.numpy() if self._shared else np.array(self.array.numpy())

    def push(self) -> wp.array:
        """Host to device; returns the device array."""
        if not self._shared:
            self.array.assign(self.host)
        return self.array

    def pull(self) -> np.ndarray:
        """Device to host; returns the host array."""
        if not self._shared:
            self.host[...] = self.array.numpy()
        return self.host


def twin_zeros(shape, dtype, device, *, requires_grad: bool = False) -> TwinArray:
    """A new array of zeros and its twin."""
    return TwinArray(wp.zeros(shape, dtype=dtype, device=device, requires_grad=requires_grad))
