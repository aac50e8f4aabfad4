"""Arrays as estimators write them: what their axes are, in words, and axes of length one that batches leave behind."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from warpprior.support.errors import InputError

Shape = tuple[int | None, ...]


def take_shape(
    value: np.ndarray, shapes: Sequence[Shape], place: str, accepted: str, notes: list[str], *, hint: str = ""
) -> np.ndarray:
    """The array in the first of the shapes that fits, an axis of length one left out with a note where one is too many.

    Args:
        value: as stored.
        shapes: what is accepted; None stands for an axis of any length, and the first axis is that of the frames.
        place: file and field, for messages.
        accepted: the shapes in words, axis by axis.
        notes: warnings are appended.
        hint: what an array of this shape looks like, for the message.

    Raises:
        InputError: none of the shapes fits; or one would, with another number of frames.
    """
    for shape in shapes:
        if _fits(value.shape, shape):
            return value
    for shape in shapes:
        for axis in _axes_of_one(value):
            fitting = value.squeeze(axis=axis)
            if _fits(fitting.shape, shape):
                field = place.rpartition(": ")[2]
                notes.append(f"{field} has shape {value.shape}; taken as {fitting.shape}, without the axis of length 1")
                return fitting
    for shape in shapes:
        if shape and shape[0] is not None and _fits(value.shape, (None, *shape[1:])):
            raise InputError(place, f"has {len(value)} frames", f"the sequence has {shape[0]}")
    raise InputError(place, f"has shape {value.shape}{hint and f', {hint}'}", accepted)


def median_of_frames(values: np.ndarray, what: str, notes: list[str]) -> np.ndarray:
    """The median over the frames that are finite throughout of one value per frame (frame, ...), with a note.

    The note says how far the frames are apart.  NaN where no frame is finite.
    """
    finite = np.isfinite(values.reshape(len(values), -1)).all(axis=1)
    if not finite.any():
        return np.full(values.shape[1:], np.nan)
    good = values[finite].astype(np.float64)
    spread = float(np.std(good, axis=0).max(initial=0.0))
    notes.append(f"{what} has one value per frame, spread by up to {spread:.2g} (sigma); the median was taken")
    return np.median(good, axis=0)


def _fits(found: tuple[int, ...], wanted: Shape) -> bool:
    return len(found) == len(wanted) and all(n in (None, m) for n, m in zip(wanted, found, strict=True))


def _axes_of_one(value: np.ndarray) -> list[int]:
    """Axes that a batch, a hand or a column vector leaves: the first, the second, the last."""
    return [axis for axis in dict.fromkeys((1, 0, value.ndim - 1)) if 0 <= axis < value.ndim and value.shape[axis] == 1]
