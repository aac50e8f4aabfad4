"""Figures over sequences: intervals that say how far ten seeds can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

RESAMPLES = 10_000
LEVEL = 0.95
_Z = 1.959963984540054  # of a normal distribution: 95 % lie within


def wilson(share: float, count: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a share among ``count`` trials (Wilson 1927)."""
    if count <= 0:
        return 0.0, 1.0
    middle = share + _Z**2 / (2.0 * count)
    spread = _Z * np.sqrt(share * (1.0 - share) / count + _Z**2 / (4.0 * count**2))
    low, high = ((middle + sign * spread) / (1.0 + _Z**2 / count) for sign in (-1.0, 1.0))
    return max(0.0, float(low)), min(1.0, float(high))


def median_interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % interval of the median by the bootstrap, bias-corrected and accelerated (Efron 1987).

    Deterministic.  Fewer than two values, or values that are all the same, are their own interval; where the
    correction is not defined the plain percentiles are taken.
    """
    from scipy.stats import norm

    ordered = np.sort(np.asarray(values, dtype=np.float64))
    if len(ordered) == 0:
        return float("nan"), float("nan")
    if ordered[0] == ordered[-1]:
        return float(ordered[0]), float(ordered[0])
    drawn = np.random.default_rng(0).integers(0, len(ordered), (RESAMPLES, len(ordered)))
    medians = np.sort(np.median(ordered[drawn], axis=1))
    below = np.mean(medians < np.median(ordered)) + 0.5 * np.mean(medians == np.median(ordered))
    jackknife = np.array([np.median(np.delete(ordered, k)) for k in range(len(ordered))])
    off = jackknife.mean() - jackknife
    spread = np.sum(off**2)
    wanted = np.array([0.5 * (1.0 - LEVEL), 0.5 * (1.0 + LEVEL)])
    if 0.0 < below < 1.0 and spread > 0.0:
        bias, acceleration = norm.ppf(below), np.sum(off**3) / (6.0 * spread**1.5)
        shifted = bias + norm.ppf(wanted)
        wanted = norm.cdf(bias + shifted / (1.0 - acceleration * shifted))
    low, high = np.quantile(medians, wanted)
    return float(low), float(high)


def paired_difference(values: Sequence[float], others: Sequence[float]) -> float | None:
    """Probability of differences like these if the two were alike: Wilcoxon's signed-rank test, two-sided.

    None with fewer than five pairs that differ: no such number could be small.
    """
    from scipy.stats import wilcoxon

    difference = np.asarray(values, dtype=np.float64) - np.asarray(others, dtype=np.float64)
    difference = difference[difference != 0.0]
    if len(difference) < 5:
        return None
    result: Any = wilcoxon(difference)  # SciPy puts its class together when it is imported
    return float(result.pvalue)


def holm(probabilities: dict[str, float | None]) -> dict[str, float | None]:
    """Probabilities after Holm's correction for how many there are (Holm 1979); None stays."""
    given = sorted((value, name) for name, value in probabilities.items() if value is not None)
    adjusted, largest = dict.fromkeys(probabilities), 0.0
    for rank, (value, name) in enumerate(given):
        largest = max(largest, min(1.0, (len(given) - rank) * value))
        adjusted[name] = largest
    return adjusted
