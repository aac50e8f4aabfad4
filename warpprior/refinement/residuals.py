"""How well an estimate fits, frame by frame: costs of terms over what they are where errors are as stated."""

from __future__ import annotations

import numpy as np

from warpprior.terms.term import BoundTerm


class Residuals:
    """Costs that bound terms have, by body and term."""

    def __init__(self) -> None:
        self._costs: dict[tuple[str, str], np.ndarray] = {}
        self._expected: dict[tuple[str, str], np.ndarray] = {}

    def add(self, term: BoundTerm, costs: np.ndarray, count: float | None, pixels: np.ndarray) -> None:
        """Take a term's costs (frame,) at its last call.

        Args:
            term: whose.
            costs: (frame,).
            count: how many measurements they are expected to be of, in all frames; None: not told.
            pixels: what each frame's rows say of a shift by one pixel (frame,) [1/px^2]: the count is shared out alike.
        """
        key = term.body.name, term.name
        self._costs[key] = self._costs.get(key, 0.0) + np.asarray(costs, dtype=np.float64)
        if count is None:
            return
        total = float(pixels.sum())
        even = np.full(len(costs), 1.0 / max(len(costs), 1))
        share = pixels / total if term.observes and total > 0.0 else even
        self._expected[key] = self._expected.get(key, 0.0) + count * share

    @property
    def found(self) -> dict[str, dict[str, np.ndarray]]:
        """Cost of each frame over the expected one (frame,), by body and term; NaN where the term says nothing."""
        found: dict[str, dict[str, np.ndarray]] = {}
        for (body, term), costs in self._costs.items():
            expected = self._expected.get((body, term))
            if expected is not None:
                costs = np.where(expected > 0.0, costs / np.where(expected > 0.0, expected, 1.0), np.nan)
            found.setdefault(body, {})[term] = costs
        return found
