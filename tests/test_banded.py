"""The banded solver against dense solves, with damping, several sequences and singular blocks; and bounded steps."""

import numpy as np
import pytest
import warp as wp

from warpprior.kernels.banded import bound_steps, solve_band


def random_system(lengths, seed=0, conditioning=1.0):
    """Blocks [frame, lag, 6, 6] of a positive definite system that couples frames up to two apart, and its gradient.

    Made as the sum of squares of residuals of up to three consecutive frames, as the priors make it.
    """
    random = np.random.default_rng(seed)
    count = sum(lengths)
    blocks = np.zeros((count, 3, 6, 6))
    start = 0
    for length in lengths:
        for frame in range(start, start + length):
            span = [other for other in (frame, frame - 1, frame - 2) if other >= start]
            for _ in range(8):
                rows = [random.normal(size=6) * conditioning ** random.uniform(-1, 1, 6) for _ in span]
                for newer, other in enumerate(span):
                    for older in range(newer, len(span)):
                        blocks[other, older - newer] += np.outer(rows[newer], rows[older])
        start += length
    return blocks, random.normal(size=(count, 6))


def dense(blocks, lengths):
    """The full symmetric matrix; blocks that would reach into another sequence are not part of it."""
    count = len(blocks)
    matrix = np.zeros((6 * count, 6 * count))
    start = 0
    for length in lengths:
        for frame in range(start, start + length):
            for lag in range(min(3, frame - start + 1)):
                rows, columns = slice(6 * frame, 6 * frame + 6), slice(6 * (frame - lag), 6 * (frame - lag) + 6)
                matrix[rows, columns] = blocks[frame, lag]
                matrix[columns, rows] = blocks[frame, lag].T
        start += length
    return matrix


def solve(blocks, gradient, lengths, damping, floor, device):
    """Steps of the solver under test; workspace and output start as NaN."""
    count = len(blocks)
    make = lambda values: wp.array(np.asarray(values, dtype=np.float64), dtype=wp.float64, device=device)  # noqa: E731
    factor = wp.full((6 * count, 18), np.nan, dtype=wp.float64, device=device)
    steps = wp.full((count, 6), np.nan, dtype=wp.float64, device=device)
    starts = wp.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32), dtype=wp.int32, device=device)
    solve_band(starts, make([damping]), make(floor), make(blocks), make(gradient), factor_out=factor, steps_out=steps)
    return steps.numpy()


@pytest.mark.parametrize("lengths", [[1], [2], [3], [12], [1, 1, 1], [5, 1, 2, 7]], ids=str)
@pytest.mark.parametrize(("damping", "floor"), [(0.0, 0.0), (0.3, 0.0), (1e-3, 2.0)])
def test_solutions_equal_dense_ones(device, lengths, damping, floor):
    """Steps solve the damped system of every sequence to 1e-9 of the dense solution."""
    blocks, gradient = random_system(lengths)
    floors = floor * np.arange(1.0, 7.0)
    matrix = dense(blocks, lengths)
    matrix += np.diag(damping * np.diag(matrix) + np.tile(floors, len(blocks)))
    expected = np.linalg.solve(matrix, -gradient.ravel()).reshape(-1, 6)
    found = solve(blocks, gradient, lengths, damping, floors, device)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())


def test_badly_scaled_unknowns_are_solved(device):
    """Bearings and turns whose curvatures differ by twelve orders of magnitude: the residual stays small."""
    blocks, gradient = random_system([9], seed=4, conditioning=1e3)
    matrix = dense(blocks, [9])
    steps = solve(blocks, gradient, [9], 0.0, np.zeros(6), device).ravel()
    scale = np.abs(matrix) @ np.abs(steps) + np.abs(gradient.ravel())
    assert (np.abs(matrix @ steps + gradient.ravel()) < 1e-9 * scale).all()


def test_sequences_do_not_touch_each_other(device):
    """What is stored across the border of two sequences, even NaN, and a bad sequence leave the other as it is."""
    lengths = [4, 5]
    blocks, gradient = random_system(lengths)
    expected = solve(blocks, gradient, lengths, 0.0, np.zeros(6), device)
    blocks[4, 1:], blocks[5, 2] = np.nan, np.nan
    gradient[:4] = np.nan
    found = solve(blocks, gradient, lengths, 0.0, np.zeros(6), device)
    np.testing.assert_array_equal(found[4:], expected[4:])
    assert np.isnan(found[:4]).all()


def test_one_sequence_is_the_same_alone_and_among_others(device):
    """Cutting a sequence out gives the same steps, bit for bit."""
    lengths = [3, 6, 2]
    blocks, gradient = random_system(lengths)
    together = solve(blocks, gradient, lengths, 0.1, np.ones(6), device)
    alone = solve(blocks[3:9], gradient[3:9], [6], 0.1, np.ones(6), device)
    np.testing.assert_array_equal(together[3:9], alone)


@pytest.mark.parametrize("kind", ["zero", "one row", "indefinite"])
def test_singular_blocks_give_finite_steps_once_bounded(device, kind):
    """Frames that nothing observes, observe in one direction, or with a wrong sign: no NaN, and others are right."""
    lengths = [6]
    blocks, gradient = random_system(lengths)
    blocks[:, 1:] = 0.0
    expected = solve(blocks, gradient, lengths, 0.0, np.zeros(6), device)
    if kind == "zero":
        blocks[2, 0] = 0.0
    elif kind == "one row":
        blocks[2, 0] = np.outer(np.arange(6.0), np.arange(6.0))
        gradient[2] = np.arange(6.0)
    else:
        blocks[2, 0] = -blocks[2, 0]
    steps = solve(blocks, gradient, lengths, 0.0, np.zeros(6), device)
    others = np.arange(6) != 2
    np.testing.assert_allclose(steps[others], expected[others], rtol=1e-12)
    increments = bound(steps, np.full(6, 0.1), device)
    assert np.isfinite(increments).all()
    assert (np.abs(increments) <= 0.1 + 1e-7).all()
    if kind == "zero":
        assert np.abs(steps[2]).max() < 1e-20


@pytest.mark.parametrize("floor", [0.0, 1e-9])
def test_what_couples_to_a_singular_frame_stays_finite(device, floor):
    """Frames that only differences hold together move as one; the free common motion is not a number too large."""
    difference = np.zeros((5, 3, 6, 6))
    difference[:, 0] = 2.0 * np.eye(6)
    difference[[0, 4], 0] = np.eye(6)
    difference[1:, 1] = -np.eye(6)
    gradient = np.random.default_rng(1).normal(size=(5, 6))
    gradient -= gradient.mean(axis=0)
    steps = solve(difference, gradient, [5], 0.0, np.full(6, floor), device)
    assert np.isfinite(steps).all()
    matrix = dense(difference, [5])
    np.testing.assert_allclose(matrix @ steps.ravel(), -gradient.ravel(), atol=1e-6)


def test_a_floor_leaves_unobserved_frames_where_they_are(device):
    """Where no frame is observed and the gradient is zero, the floor gives a step of exactly zero."""
    steps = solve(np.zeros((4, 3, 6, 6)), np.zeros((4, 6)), [4], 1e-3, np.ones(6), device)
    np.testing.assert_array_equal(steps, 0.0)


def bound(steps, limits, device, columns=6):
    """Increments of the bounding kernel; the output starts as NaN."""
    increments = wp.full((len(steps), columns), np.nan, dtype=wp.float32, device=device)
    bound_steps(
        wp.array(np.asarray(steps, dtype=np.float64), dtype=wp.float64, device=device),
        wp.array(np.asarray(limits, dtype=np.float32), dtype=wp.float32, device=device),
        increments_out=increments,
    )
    return increments.numpy()


def test_long_steps_are_shortened_in_their_direction(device):
    """A step within all limits passes; a longer one is scaled as a whole until its worst coordinate is on its limit."""
    limits = np.array([0.05, 0.05, 0.1, 0.2, 0.2, 0.2])
    random = np.random.default_rng(6)
    steps = random.normal(size=(40, 6)) * 10.0 ** random.uniform(-4, 4, (40, 1))
    found = bound(steps, limits, device).astype(float)
    ratio = np.maximum(np.abs(steps) / limits, 1.0).max(axis=1, keepdims=True)
    assert (ratio == 1.0).any() and (ratio > 1.0).any()
    np.testing.assert_allclose(found, steps / ratio, rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_useless_steps_become_finite(device, bad):
    """A frame whose step is not a number stays finite and within its limits; the other frames are not touched."""
    steps = np.full((3, 6), 0.01)
    steps[1, 3] = bad
    found = bound(steps, np.full(6, 0.05), device)
    assert np.isfinite(found).all()
    assert (np.abs(found) <= 0.05).all()
    assert found[1, 3] == 0.0
    np.testing.assert_allclose(found[[0, 2]], 0.01, rtol=1e-6)


def test_columns_of_joints_are_not_written(device):
    """Only the six columns of the pose are."""
    found = bound(np.full((2, 6), 0.01), np.full(6, 0.05), device, columns=9)
    assert np.isnan(found[:, 6:]).all() and np.isfinite(found[:, :6]).all()
