"""Files of timestamps: when each frame was taken, for recordings whose frames do not come at an even rate.

The one key is ``timestamps`` (frame,) [s], each larger than the one before; only differences count.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from warpprior.io.array_files import read_arrays, write_arrays
from warpprior.io.axes import take_shape
from warpprior.scene import check_timestamps
from warpprior.support.errors import InputError

KEY = "timestamps"
_OTHER_UNIT = 10.0  # times off the frame rate: no camera is that uneven
_ODD = 1.5
_COARSE, _ROUGH = 0.5, 0.02  # of the time between two frames: what times must at least tell apart


def load_timestamps(path: str | Path, *, frame_count: int, fps: float, notes: list[str]) -> np.ndarray:
    """Read the timestamps of a scene.

    Args:
        path: an ``.npz`` file.
        frame_count: how many there must be.
        fps: frames per second the scene states, with which they must agree roughly.
        notes: warnings are appended, one sentence each.

    Returns:
        (frame,) float64 [s], strictly increasing.

    Raises:
        InputError: naming the file: no timestamps, another number of them, not finite, not increasing, too
            coarse to tell the frames apart, or so far from the frame rate that they are in another unit.
    """
    arrays, place = read_arrays(path, frame_count=frame_count), f"{path}: {KEY}"
    if KEY not in arrays:
        raise InputError(str(path), f"has no {KEY}", f"needs {KEY} (frame,) in seconds")
    stored, others = arrays[KEY], sorted(set(arrays) - {KEY})
    if others:
        notes.append(f"{Path(path).name}: holds {', '.join(others[:4])} too; ignored")
    if stored.dtype.kind not in "fiu":
        raise InputError(place, f"has type {stored.dtype}", "needs numbers in seconds")
    accepted = "needs (frame,): seconds"
    times = take_shape(stored, [(frame_count,)], place, accepted, notes).astype(np.float64)
    _check_resolution(place, times, fps, notes)
    check_timestamps(place, times, frame_count)
    if frame_count > 1:
        step = float(np.median(np.diff(times)))
        off = max(step * fps, 1.0 / (step * fps))
        if off > _OTHER_UNIT:
            found = f"has a frame every {step:.4g} s where fps is {fps:g}"
            raise InputError(place, found, "needs seconds; divide milliseconds by 1000, nanoseconds by 1e9")
        if off > _ODD:
            notes.append(f"{Path(path).name}: has a frame every {step:.4g} s where fps is {fps:g}")
    return times


def _check_resolution(place: str, times: np.ndarray, fps: float, notes: list[str]) -> None:
    """InputError where times were once stored with 32 bits, too few to tell the frames apart; a note where nearly so.

    Unix times in single precision are multiples of 128 s.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        single = times.astype(np.float32)
        rounded = np.array_equal(single, times)
    if not rounded or not np.isfinite(times).all():
        return
    step = float(np.spacing(np.abs(single).max(initial=0.0)))
    found = f"tells times apart by {step:.3g} s only, for it has 32 bits, where fps is {fps:g}"
    accepted = "save float64, or seconds since the first frame"
    if step * fps > _COARSE:
        raise InputError(place, found, accepted)
    if step * fps > _ROUGH:
        notes.append(f"{Path(place.rpartition(': ')[0]).name}: {found}; {accepted}")


def save_timestamps(path: str | Path, timestamps: np.ndarray) -> None:
    """Write timestamps (frame,) [s] as :func:`load_timestamps` reads them, atomically.

    Raises:
        RunError: the file system refused.
    """
    write_arrays(path, {KEY: np.asarray(timestamps, dtype=np.float64)})
