"""Values written back in the shape and type of those that they replace."""

from __future__ import annotations

import numpy as np

from warpprior.support.errors import InputError


def in_type_of(stored: np.ndarray, values: np.ndarray, where: str) -> np.ndarray:
    """The values in the shape and type of what is stored at ``where``.

    Raises:
        InputError: these cannot hold them: another count of values, or fractions among whole numbers.
    """
    if values.size != stored.size:
        raise InputError(where, f"has shape {stored.shape}, the values {values.shape}", "as many values as are there")
    values = values.reshape(stored.shape)
    with np.errstate(invalid="ignore"):  # what does not fit is refused in our own words
        typed = values.astype(stored.dtype)
    if stored.dtype.kind in "iub" and not np.array_equal(typed, values):
        raise InputError(where, f"is of type {stored.dtype}, which cannot hold the values", "an array of real numbers")
    return typed
