"""History: what every term cost in every iteration, gathered on the device and read when asked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import warp as wp

from warpprior.kernels.history import next_row, record_cost, record_rows


class History:
    """Rows of costs on a device.

    Args:
        terms: column names.
        capacity: most rows.
        device: Warp device.
    """

    def __init__(self, terms: Sequence[str], capacity: int, device):
        self.terms = tuple(terms)
        self._rows = wp.zeros((max(capacity, 1), len(self.terms)), dtype=wp.float64, device=device)
        self._count = wp.zeros(1, dtype=wp.int32, device=device)

    def add(self, term: str, costs: wp.array) -> None:
        """Add a term's costs [frame] float64 to the current row."""
        record_cost(costs, self._count, self.terms.index(term), history_out=self._rows)

    def add_rows(self, rows: wp.array) -> None:
        """Set all terms of the current row from their values [term, frame] float32."""
        record_rows(rows, self._count, history_out=self._rows)

    def close_row(self) -> None:
        """Begin the next row."""
        next_row(count_out=self._count)

    def read(self) -> np.ndarray:
        """The closed rows (iteration, term); waits for the device."""
        count = min(int(self._count.numpy()[0]), len(self._rows))
        return self._rows.numpy()[:count]
