"""Costs gathered on the device: rows, columns, more rows than there is room for, and digits over many frames."""

import numpy as np
import pytest
import warp as wp

from warpprior.kernels.history import next_row, record_cost, record_rows
from warpprior.support.history import History


def test_rows_are_sums_over_frames(device):
    """Each closed row holds the sums of its terms; the open one is not read."""
    history = History(("contour", "contact"), 5, device)
    random = np.random.default_rng(0)
    values = random.normal(size=(3, 2, 7))
    for row in values:
        for term, costs in zip(history.terms, row, strict=True):
            history.add(term, wp.array(costs, dtype=wp.float64, device=device))
        history.close_row()
    history.add("contour", wp.array(values[0, 0], dtype=wp.float64, device=device))
    np.testing.assert_allclose(history.read(), values.sum(axis=2), rtol=1e-14)
    assert History((), 0, device).read().shape == (0, 0)


def test_costs_of_one_term_add_up_within_a_row(device):
    """Several bodies contribute to one column."""
    history = History(("contour",), 1, device)
    ones = wp.full(4, 1.0, dtype=wp.float64, device=device)
    history.add("contour", ones)
    history.add("contour", ones)
    history.close_row()
    np.testing.assert_array_equal(history.read(), [[8.0]])
    with pytest.raises(ValueError, match="tuple.index"):
        history.add("other", ones)


def test_whole_rows(device):
    """All terms of an energy at once, set and not added to."""
    history = History(("a", "b", "c"), 3, device)
    rows = np.random.default_rng(1).normal(size=(3, 11)).astype(np.float32)
    array = wp.array(rows, dtype=wp.float32, device=device)
    history.add_rows(array)
    history.add_rows(array)
    history.close_row()
    np.testing.assert_allclose(history.read(), rows.astype(np.float64).sum(axis=1)[None], rtol=1e-14)


def test_sums_keep_their_digits(device):
    """Ten million times a quarter is exact; a float32 total would have stopped growing."""
    history = History(("mask",), 1, device)
    history.add_rows(wp.full((1, 2_000_000), 8388608.25, dtype=wp.float32, device=device))
    history.close_row()
    assert history.read()[0, 0] == 2_000_000 * float(np.float32(8388608.25))


def test_clips_have_rows_of_their_own(device):
    """Frames of three clips, one behind the other: each row is the sum of its clip's frames alone, in their order."""
    costs = np.random.default_rng(2).normal(size=(2, 9))
    history = History(("contour",), 2, device, np.array([0, 2, 3, 9]))
    for row in costs:
        history.add("contour", wp.array(row, dtype=wp.float64, device=device))
        history.close_row()
    for clip, frames in enumerate((slice(0, 2), slice(2, 3), slice(3, 9))):
        alone = History(("contour",), 2, device)
        for row in costs:
            alone.add("contour", wp.array(row[frames], dtype=wp.float64, device=device))
            alone.close_row()
        np.testing.assert_array_equal(history.read(clip), alone.read())
        np.testing.assert_allclose(alone.read()[:, 0], costs[:, frames].sum(axis=1), rtol=1e-14)


@pytest.mark.parametrize("extra", [1, 5])
def test_more_rows_than_there_is_room_for_stay_within(device, extra):
    """Rows beyond the last go into it; nothing is written outside."""
    history = History(("contour",), 2, device)
    one = wp.full(1, 1.0, dtype=wp.float64, device=device)
    for _ in range(2 + extra):
        history.add("contour", one)
        history.close_row()
    np.testing.assert_array_equal(history.read(), [[1.0], [1.0 + extra]])


def test_kernels_write_their_column_alone(device):
    """One column of the current row is touched; the count moves by one."""
    table = wp.zeros((1, 2, 3), dtype=wp.float64, device=device)
    count = wp.zeros(1, dtype=wp.int32, device=device)
    next_row(count_out=count)
    record_cost(wp.full(2, 0.5, dtype=wp.float64, device=device), None, count, 1, history_out=table)
    np.testing.assert_array_equal(table.numpy()[0], [[0, 0, 0], [0, 1, 0]])
    record_rows(wp.full((3, 2), 2.0, dtype=wp.float32, device=device), count, history_out=table)
    np.testing.assert_array_equal(table.numpy()[0], [[0, 0, 0], [4, 4, 4]])
    assert count.numpy()[0] == 1
