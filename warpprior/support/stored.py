"""Large arrays of frames that are written once and read a frame at a time: in a temporary file, not in memory."""

from __future__ import annotations

import tempfile

import numpy as np

FEW_BYTES = 64 * 2**20  # what may as well stay in memory


def stored_zeros(shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """Zeros: in memory where they are few, else mapped from a file that nobody sees and that goes with the array.

    The system takes the memory back when it is wanted for something else.  The file lies in the folder for temporary
    files (``TMPDIR``); where there is no room for it, the array is in memory.
    """
    if np.prod(shape, dtype=np.int64) * np.dtype(dtype).itemsize <= FEW_BYTES:
        return np.zeros(shape, dtype=dtype)
    try:
        with tempfile.TemporaryFile(prefix="warpprior-") as file:
            return np.memmap(file, dtype=dtype, mode="w+", shape=shape)
    except OSError:
        return np.zeros(shape, dtype=dtype)


def frame_of(frames: np.ndarray, frame: int) -> np.ndarray:
    """One frame of an array of frames."""
    return np.asarray(frames[frame])
