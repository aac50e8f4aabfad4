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
        starts: first frame of each of several clips, one behind the other, and one past the last; None for one clip.
    """

    def __init__(self, terms: Sequence[str], capacity: int, device, starts: np.ndarray | None = None):
        self.terms = tuple(terms)
        self._starts = None if starts is None else wp.array(starts, dtype=wp.int32, device=device)
        shape = (1 if starts is None else len(starts) - 1, max(capacity, 1), len(self.terms))
        self._rows = wp.zeros(shape, dtype=wp.float64, device=device)
        self._count = wp.zeros(1, dtype=wp.int32, device=device)

    def add(self, term: str, costs: wp.array) -> None:
        """Add a term's costs [frame] float64 to the current row, of each clip those of its frames."""
        record_cost(costs, self._starts, self._count, self.terms.index(term), history_out=self._rows)

    def add_rows(self, rows: wp.array) -> None:
        """Set all terms of the current row from their values [term, frame] float32; of one clip."""
        record_rows(rows, self._count, history_out=self._rows)

    def close_row(self) -> None:
        """Begin the next row."""
        next_row(count_out=self._count)

    def read(self, clip: int = 0) -> np.ndarray:
        """The closed rows of a clip (iteration, term); waits for the device."""
        count = min(int(self._count.numpy()[0]), self._rows.shape[1])
        return self._rows.numpy()[clip, :count]
