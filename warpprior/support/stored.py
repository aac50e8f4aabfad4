"""Large arrays of frames that are looked at some frames at a time: in a temporary file, not in memory."""

from __future__ import annotations

import mmap
import os
import tempfile
import weakref
from collections.abc import Iterator
from typing import IO, Any

import numpy as np

from warpprior.support.errors import RunError

FEW_BYTES = 64 * 2**20  # what may as well stay in memory
_STORED: list[weakref.ref] = []  # arrays that are mapped now: addresses tell what is a part of one


def stored_zeros(shape: tuple[int, ...], dtype: Any, *, few: int | None = None, bounded: bool = False) -> np.ndarray:
    """Zeros: in memory where they are few, else mapped from a file that nobody sees and that goes with the array.

    The system takes the memory back when it is wanted for something else, and at once after :func:`forget`.  The file
    lies in the folder for temporary files (``TMPDIR``).

    Args:
        shape, dtype: of the array.
        few: bytes that may as well stay in memory; None: FEW_BYTES.
        bounded: memory is not to be had: even few are in a file.  Else, where there is no room for one, they are in
            memory after all.

    Raises:
        RunError: there is no room for the file, and they are to be in one.
    """
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if size and (bounded or size > (FEW_BYTES if few is None else few)):
        try:
            with tempfile.TemporaryFile(prefix="warpprior-") as file:
                _take_room(file, size)
                whole = np.memmap(file, dtype=dtype, mode="r+", shape=shape)
                _STORED[:] = [known for known in _STORED if known() is not None] + [weakref.ref(whole)]
                return np.asarray(whole)
        except OSError as error:
            if bounded:
                raise _refused(error) from error
    return np.zeros(shape, dtype=dtype)


def stored_copy(array: np.ndarray) -> np.ndarray:
    """A copy that is stored as :func:`stored_zeros` are."""
    found = stored_zeros(array.shape, array.dtype)
    for own, one in zip(found, array, strict=True):
        own[...] = one
        forget(own)
    return found


def _take_room(file: IO[bytes], size: int) -> None:
    """Make a file as long as that; what is mapped beyond the end of a disk would end the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
        return
    some = bytes(2**20)
    for start in range(0, size, len(some)):
        file.write(some[: size - start])
    file.flush()


def is_stored(array: Any) -> bool:
    """Whether it is, or is a part of, an array in a file; a Warp array on a CPU may be one, too."""
    return _place_of(array) is not None


def forget(array: Any) -> None:
    """Give back the memory that a stored array, contiguous, takes now; it is read from its file when it is asked for.

    Nothing happens to other arrays, nor where the system knows no such thing.
    """
    place = _place_of(array)
    if place is None or not hasattr(mmap, "MADV_DONTNEED"):
        return
    pages, start, size = place
    first = start - start % mmap.PAGESIZE
    pages.madvise(mmap.MADV_DONTNEED, first, start + size - first)


def _place_of(array: Any) -> tuple[mmap.mmap, int, int] | None:
    """The file's pages that an array is in, where it begins there, and how long it is [bytes]; None for others."""
    if isinstance(array, np.ndarray):
        address, size = array.__array_interface__["data"][0], array.nbytes
    elif not array.device.is_cpu:
        return None
    else:
        address, size = array.ptr or 0, array.capacity
    for reference in list(_STORED):
        whole: Any = reference()
        if whole is None:
            continue
        start = address - whole.__array_interface__["data"][0]
        if size and 0 <= start and start + size <= whole.nbytes:
            return whole._mmap, start, size
    return None


def each_frame(frames: np.ndarray) -> Iterator[np.ndarray]:
    """Frame after frame of an array of frames, each forgotten when the next is asked for."""
    for frame in frames:
        yield frame
        forget(frame)


def frame_of(frames: np.ndarray, frame: int) -> np.ndarray:
    """One frame of an array of frames."""
    return np.asarray(frames[frame])


def _refused(error: OSError) -> RunError:
    reason = error.strerror or str(error)
    return RunError(
        f"temporary files in {tempfile.gettempdir()}: {reason}; make room there, set TMPDIR, or give more --memory"
    )
