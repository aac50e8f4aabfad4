"""Weights of signs by logistic regression, and how well they tell right from wrong."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.stats import rankdata

RIDGE = 1.0  # pull of weights towards none, in frames


def area_under_curve(doubt: np.ndarray, wrong: np.ndarray) -> float:
    """Probability that a wrong frame is doubted more than a right one."""
    ranks, count = rankdata(doubt), int(wrong.sum())
    return float((ranks[wrong].sum() - count * (count + 1) / 2) / max(count * (len(wrong) - count), 1))


def fit_weights(signs: dict[str, np.ndarray], wrong: np.ndarray, groups: np.ndarray) -> dict[str, float]:
    """Weights, none of them negative: no sign of error speaks for a body.

    Args:
        signs: by name (sample,).
        wrong: which samples are (sample,) bool.
        groups: sequence of each sample (sample,); every sequence counts alike in all.
    """
    names = list(signs)
    matrix = np.column_stack([np.ones(len(wrong)), *(signs[name] for name in names)])
    _, inverse, counts = np.unique(groups, return_inverse=True, return_counts=True)
    share = len(wrong) / len(counts) / counts[inverse]
    sign = np.where(wrong, -1.0, 1.0)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        odds = sign * (matrix @ weights)
        slope = share * sign / (1.0 + np.exp(-odds))
        return (
            float((share * np.logaddexp(0.0, odds)).sum() + 0.5 * RIDGE * (weights[1:] ** 2).sum()),
            matrix.T @ slope + RIDGE * np.concatenate([[0.0], weights[1:]]),
        )

    bounds = [(None, None), *[(0.0, None)] * len(names)]
    found = minimize(loss, np.zeros(matrix.shape[1]), jac=True, bounds=bounds, method="L-BFGS-B").x
    return {"": round(float(found[0]), 3)} | {
        name: round(float(weight), 3) for name, weight in zip(names, found[1:], strict=True)
    }
