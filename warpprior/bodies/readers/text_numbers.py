"""Numbers in text, one behind the other with blanks or line ends between them."""

from __future__ import annotations

import warnings

import numpy as np


def text_numbers(text: str | bytes) -> np.ndarray:
    """The numbers (number,) float64 of a text; ValueError for what is no number."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # which NumPy gives where it stops early
        try:
            return np.fromstring(text, dtype=np.float64, sep=" ")
        except DeprecationWarning:
            raise ValueError("what is no number") from None
