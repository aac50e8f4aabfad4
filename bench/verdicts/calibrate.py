"""Weights of signs by logistic regression, and how well they tell right from wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from scipy.optimize import minimize
from scipy.stats import rankdata

from warpprior.bench.verdicts.rows import GIVEN, PICTURES, Row
from warpprior.verdicts.doubt import GOOD, IS, SEEN, UNMEASURED, USUALLY, Signs

RIDGE = 10.0  # pull of weights towards none, in frames
LEAST = 0.03  # smaller weights are left out

UNFITTED = tuple(f"{t}{often}" for t in GOOD for often in ("", USUALLY) if t.startswith("residual of "))
UNTOLD = (*UNFITTED, *(f"{t}{often}" for t in ("sigma_mm", "sigma_deg") for often in ("", USUALLY)))
UNLABELLED = tuple(f"{t}{often}" for t in (*SEEN, "unseen") for often in ("", USUALLY))
UNCOLOURED = tuple(f"{t}{often}" for t in ("hue", "residual of image") for often in ("", USUALLY))
LACKING = (
    *((GIVEN, (), ()),) * 3,  # counts as much as others together
    (GIVEN, ("unfitted",), UNFITTED),
    (GIVEN, ("untold", "unfitted"), UNTOLD),
    (GIVEN, ("uncoloured",), UNCOLOURED),
    (GIVEN, ("uncoloured", "untold", "unfitted"), (*UNCOLOURED, *UNTOLD)),
    ((PICTURES,), ("unlabelled",), UNLABELLED),
)
"""Also fitted to, lest one kind of evidence is only weighed beside others: what is given, the signs that something is
missing, and signs that are then missing."""


def area_under_curve(doubt: np.ndarray, wrong: np.ndarray) -> float:
    """Probability that a wrong frame is doubted more than a right one."""
    ranks, count = rankdata(doubt), int(wrong.sum())
    return float((ranks[wrong].sum() - count * (count + 1) / 2) / max(count * (len(wrong) - count), 1))


def stacked(rows: Iterable[Row], givens: Sequence[str] = GIVEN) -> tuple[Signs, np.ndarray, np.ndarray]:
    """Signs by name, which samples are wrong, and the sequence of each (sample,); samples are frames of bodies."""
    rows = list(rows)
    parts = [
        (number, body[given], np.array(body["wrong"], dtype=bool))
        for given in givens
        for number, row in enumerate(rows)
        for body in row["bodies"].values()
    ]
    names = parts[0][1]
    found = {name: np.concatenate([np.broadcast_to(signs[name], len(w)) for _, signs, w in parts]) for name in names}
    wrong = np.concatenate([w for _, _, w in parts])
    return found, wrong, np.concatenate([np.full(len(w), number) for number, _, w in parts])


def samples(rows: Iterable[Row]) -> tuple[Signs, np.ndarray, np.ndarray]:
    """What weights are fitted to: :func:`stacked` with all that is given, and again without some of it."""
    rows = list(rows)
    parts = []
    for givens, flags, missing in LACKING:
        found, wrong, groups = stacked(rows, givens)
        zero = np.zeros(len(wrong))
        found |= dict.fromkeys(missing, zero) | dict.fromkeys(flags, zero + IS)
        parts.append((found, wrong, groups))
    together = {name: np.concatenate([found[name] for found, _, _ in parts]) for name in parts[0][0]}
    return together, np.concatenate([wrong for _, wrong, _ in parts]), np.concatenate([groups for *_, groups in parts])


def fit_all(signs: Signs, wrong: np.ndarray, groups: np.ndarray) -> dict[str, dict[str, float]]:
    """:func:`fit_weights` where something measured says where the body is, and where nothing does."""
    unplaced = signs[UNMEASURED] > 0.0
    told = {name: values for name, values in signs.items() if name != UNMEASURED}
    return {
        name: fit_weights({sign: values[which] for sign, values in told.items()}, wrong[which], groups[which])
        for name, which in (("placed", ~unplaced), ("unplaced", unplaced))
    }


def fit_weights(signs: Signs, wrong: np.ndarray, groups: np.ndarray) -> dict[str, float]:
    """Weights, none of them negative: no sign of error speaks for a body.  That without a name is of no sign at all.

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
    kept = {name: round(float(weight), 2) for name, weight in zip(names, found[1:], strict=True) if weight > LEAST}
    return {"": round(float(found[0]), 2)} | kept
