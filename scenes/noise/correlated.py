"""Noise whose value in one frame resembles that in the next."""

from __future__ import annotations

import numpy as np

CORRELATION = 0.8  # of the noise of one frame with that of the next


def correlated(random: np.random.Generator, count: int, width: int, correlation: float) -> np.ndarray:
    """Unit normal noise (count, width) of a first-order autoregressive process."""
    out = random.normal(size=(count, width))
    fresh = np.sqrt(1.0 - correlation**2)
    for frame in range(1, count):
        out[frame] = correlation * out[frame - 1] + fresh * out[frame]
    return out
