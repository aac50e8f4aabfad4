"""The banded solution with a border against dense ones: damping, floors, shared unknowns, parts held, bad blocks."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from tests.reference.equations import assemble
from tests.solver_samples import solve_equations
from warpprior.render.parts import Part
from warpprior.system.device_solver import DeviceSolver
from warpprior.system.equations import Equations
from warpprior.system.host_solver import solve_band
from warpprior.system.shared_prior import SharedPrior

BY = {"lapack": False, "kernels": True}  # who solves
COUNTS = (7, 6)  # unknowns of the two bodies of a frame
WIDTH = sum(COUNTS)


@pytest.fixture(params=BY)
def solve(request):
    """Solve by LAPACK, and by the kernels of a GPU."""
    return partial(solve_equations, on_device=BY[request.param])


def make_equations(frames, shared=(), seed=0, spread=1.0, segments=(0,), counts=COUNTS, device="cpu"):
    """Equations of residuals that depend on up to three frames and on what is shared, and their dense system.

    ``spread`` is how many powers of ten unknowns differ in scale.
    """
    bodies = [
        SimpleNamespace(name=f"body{k}", body=SimpleNamespace(coordinate_count=count - 6))
        for k, count in enumerate(counts)
    ]
    equations = Equations(bodies, shared, frames, 1, device, segments=segments)
    width = equations.width
    random = np.random.default_rng(seed)
    rows = []
    for frame in range(frames):
        for _ in range(3 * width):
            row = np.zeros((frames + 1, width))
            first = max(0, frame - random.integers(0, 3))
            row[first : frame + 1] = random.normal(size=(frame + 1 - first, width))
            row[-1, : len(shared)] = 0.3 * random.normal(size=len(shared))
            rows.append(row.ravel())
    size = frames * width + len(shared)
    jacobian = np.array(rows)[:, :size] * 10.0 ** random.uniform(-spread / 2, spread / 2, size)
    matrix, vector = jacobian.T @ jacobian, jacobian.T @ random.normal(size=len(jacobian))
    store(equations, matrix, vector, random)
    return equations, matrix, vector


def store(equations, matrix, vector, random):
    """Cut a dense system into blocks; what two frames say of the earlier may lie in either's block."""
    frames, inner = equations.frame_count, equations.frame_count * equations.width
    width, shape = equations.width, equations.hessian.shape
    blocks, gradient = np.zeros(shape), np.zeros((frames, 2, shape[2]))
    cut = matrix[:inner, :inner].reshape(frames, width, frames, width)
    for frame in range(frames):
        own = cut[frame, :, frame]
        if frame + 1 < frames:
            share = random.uniform(0.2, 0.8)
            blocks[frame + 1, 3, :width, :width], own = share * own, (1.0 - share) * own
        blocks[frame, 0, :width, :width] = own
        for back in range(1, min(2, frame) + 1):
            blocks[frame, back, :width, :width] = cut[frame, :, frame - back]
        blocks[frame, 0, width:, :width] = matrix[inner:, frame * width : (frame + 1) * width]
        blocks[frame, 0, width:, width:] = matrix[inner:, inner:] / frames
    gradient[:, 0, :width] = vector[:inner].reshape(frames, width)
    gradient[:, 0, width:] = vector[inner:] / frames
    moved = random.normal(size=(max(frames - 1, 0), width))
    gradient[1:, 1, :width] = moved
    gradient[:-1, 0, :width] -= moved
    blocks[:, [0, 3]] += np.triu(np.full(shape[2:], 1e9), 1)  # nobody may read these
    equations.hessian.assign(blocks)
    equations.gradient.assign(gradient)


def test_blocks_are_those_of_the_dense_matrix():
    """The tests' own cutting and putting together agree."""
    equations, matrix, vector = make_equations(5)
    found, gradient = assemble(equations.hessian.numpy(), equations.gradient.numpy())
    np.testing.assert_allclose(found, matrix, atol=1e-12 * np.abs(matrix).max())
    np.testing.assert_allclose(gradient.ravel(), vector, atol=1e-12 * np.abs(vector).max())


@pytest.mark.parametrize("frames", [1, 2, 3, 9])
@pytest.mark.parametrize("shared", [(), ("bias",), ("bias", "focal")], ids=len)
@pytest.mark.parametrize(("damping", "floor"), [(0.0, 0.0), (0.3, 0.0), (1e-3, 2.0)])
def test_solutions_equal_dense_ones(solve, frames, shared, damping, floor):
    """Steps of all frames and of what they share solve the damped system to 1e-8 of the dense solution."""
    equations, matrix, vector = make_equations(frames, shared)
    floors, shared_floor = floor * np.arange(1.0, WIDTH + 1.0), 0.5 + np.arange(len(shared))
    inner = frames * WIDTH
    damped = matrix.copy()
    damped[:inner, :inner] += np.diag(damping * np.diag(matrix)[:inner] + np.tile(floors, frames))
    damped[inner:, inner:] += np.diag(shared_floor)
    expected = np.linalg.solve(damped, -vector)
    steps, shared_steps = solve(equations, slice(0, WIDTH), damping, floors, shared_floor if shared else None)
    largest = np.abs(expected).max()
    np.testing.assert_allclose(steps.ravel(), expected[:inner], rtol=1e-8, atol=1e-8 * largest)
    np.testing.assert_allclose(shared_steps.ravel(), expected[inner:], rtol=1e-8, atol=1e-8 * largest)


@pytest.mark.parametrize("name", ["body0", "body1"])
def test_a_body_alone_is_solved_with_the_others_held(solve, name):
    """Its own rows and columns only; without a floor for them the shared unknowns are held, too."""
    equations, matrix, vector = make_equations(4, ("bias",))
    columns = slice(equations.starts[name], equations.starts[name] + equations.counts[name])
    chosen = np.concatenate([f * WIDTH + np.arange(columns.start, columns.stop) for f in range(4)])
    expected = np.linalg.solve(matrix[np.ix_(chosen, chosen)], -vector[chosen])
    steps, shared_steps = solve(equations, columns, 0.0, np.zeros(equations.counts[name]))
    np.testing.assert_allclose(steps.ravel(), expected, rtol=1e-8, atol=1e-8 * np.abs(expected).max())
    np.testing.assert_array_equal(shared_steps, [[0.0]])


@pytest.mark.parametrize("lengths", [(3, 4), (1, 2, 5)])
def test_segments_are_solved_as_if_alone(solve, lengths):
    """Clips in a row: each has steps and shared unknowns of its own, those it would have without the others."""
    shared, starts = ("bias", "focal"), np.cumsum([0, *lengths[:-1]])
    whole, _, _ = make_equations(sum(lengths), shared, segments=starts)
    blocks, gradient = np.zeros(whole.hessian.shape), np.zeros(whole.gradient.shape)
    steps, shared_steps = [], []
    for seed, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        one, _, _ = make_equations(length, shared, seed=seed)
        blocks[start : start + length], gradient[start : start + length] = one.hessian.numpy(), one.gradient.numpy()
        alone = solve(one, slice(0, WIDTH), 0.1, np.ones(WIDTH), np.ones(2))
        steps.append(alone[0])
        shared_steps.append(alone[1])
    whole.hessian.assign(blocks)
    whole.gradient.assign(gradient)
    found, found_shared = solve(whole, slice(0, WIDTH), 0.1, np.ones(WIDTH), np.ones(2))
    np.testing.assert_allclose(found, np.concatenate(steps), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found_shared, np.concatenate(shared_steps), rtol=1e-9, atol=1e-12)


def make_clips(lengths):
    """Equations of several clips, and those of each."""
    shared, starts = ("bias", "focal"), np.cumsum([0, *lengths[:-1]])
    whole, _, _ = make_equations(sum(lengths), shared, segments=starts)
    every = [make_equations(length, shared, seed=seed)[0] for seed, length in enumerate(lengths)]
    whole.hessian.assign(np.concatenate([one.hessian.numpy() for one in every]))
    whole.gradient.assign(np.concatenate([one.gradient.numpy() for one in every]))
    return whole, every, starts


@pytest.mark.parametrize("value", [np.nan, -1e12])
def test_a_clip_that_cannot_be_solved_costs_itself_alone(value, nan_allowed):
    """By kernels: the clips on either side, of odd numbers of frames, take the steps they take alone, to the bit."""
    whole, every, starts = make_clips((3, 5, 2, 1))
    blocks = whole.hessian.numpy().copy()
    blocks[starts[1] + 2, 0, 3, 3] = value
    whole.hessian.assign(blocks)
    given = slice(0, WIDTH), 0.1, np.ones(WIDTH), np.ones(2)
    found, found_shared = solve_equations(whole, *given, on_device=True)
    assert not found[3:8].any() and not found_shared[1].any()
    for number in (0, 2, 3):
        steps, shared_steps = solve_equations(every[number], *given, on_device=True)
        np.testing.assert_array_equal(found[starts[number] : starts[number] + len(steps)], steps)
        np.testing.assert_array_equal(found_shared[number], shared_steps[0])


def test_a_clip_that_rests_takes_no_step():
    """Nor do its shared unknowns, until it is to go on; what follows in one clip moves no other."""
    whole, _, _ = make_clips((3, 4))
    prior = SharedPrior(np.zeros((2, 2)), np.ones(2), (np.array(-9.0), np.array(9.0)), np.array(9.0), "cpu")
    solver = DeviceSolver(whole, slice(0, WIDTH), 0.1, np.ones(WIDTH), prior)
    solver.solve()
    usual = solver.steps.numpy().copy()
    solver.rest(np.array([True, False]))
    solver.solve()
    assert not solver.steps.numpy()[:3].any() and not solver.shared_steps.numpy()[0].any()
    np.testing.assert_array_equal(solver.steps.numpy()[3:], usual[3:])
    own = solver.of_segment(1, Part(3, 7, 7))
    np.testing.assert_array_equal(own.information, solver.information[1:])
    own.follow(np.array([[0.5, 0.0]]))
    assert own.steps.numpy().any() and not solver.steps.numpy()[:3].any()


def test_columns_follow_the_order_of_the_bodies():
    """Each body's root, then its joints, then the next body, and what is shared at the end."""
    equations, _, _ = make_equations(2, ("bias", "focal"))
    assert equations.starts == {"body0": 0, "body1": 7}
    assert equations.counts == {"body0": 7, "body1": 6}
    assert equations.width == WIDTH
    assert equations.shared == {"bias": WIDTH, "focal": WIDTH + 1}
    assert equations.hessian.shape == (2, 4, WIDTH + 2, WIDTH + 2)


def test_badly_scaled_unknowns_are_solved(solve):
    """Unknowns whose curvatures differ by twelve orders of magnitude: the residual stays small."""
    equations, matrix, vector = make_equations(6, seed=4, spread=6.0)
    steps = solve(equations, slice(0, WIDTH), 0.0, np.zeros(WIDTH))[0].ravel()
    scale = np.abs(matrix) @ np.abs(steps) + np.abs(vector)
    assert (np.abs(matrix @ steps + vector) < 1e-9 * scale).all()


def test_sequences_do_not_touch_each_other(solve):
    """Where no block couples them, one sequence gives the same bits whatever the other one is."""
    steps = []
    for factor in (1.0, 7.0):
        equations, _, _ = make_equations(7)
        blocks, gradient = equations.hessian.numpy().copy(), equations.gradient.numpy().copy()
        blocks[3, 1:], blocks[4, 2], gradient[3, 1] = 0.0, 0.0, 0.0
        blocks[:3] *= factor
        gradient[:3, 0] += factor
        equations.hessian.assign(blocks)
        equations.gradient.assign(gradient)
        steps.append(solve(equations, slice(0, WIDTH), 0.0, np.full(WIDTH, 10.0))[0])
    np.testing.assert_array_equal(steps[0][3:], steps[1][3:])
    assert np.abs(steps[0][:3] - steps[1][:3]).max() > 1e-3


def test_a_floor_leaves_what_nothing_observes_where_it_is(solve):
    """Without any residual the step is exactly zero; an unobserved column stays while the others move."""
    equations, _, _ = make_equations(4)
    blocks, gradient = equations.hessian.numpy().copy(), equations.gradient.numpy().copy()
    blocks[:, :, 2], blocks[:, :, :, 2], gradient[:, :, 2] = 0.0, 0.0, 0.0
    equations.hessian.assign(blocks)
    equations.gradient.assign(gradient)
    steps, _ = solve(equations, slice(0, WIDTH), 1e-3, np.ones(WIDTH))
    np.testing.assert_array_equal(steps[:, 2], 0.0)
    assert (np.abs(np.delete(steps, 2, axis=1)) > 0.0).all()
    equations.clear()
    np.testing.assert_array_equal(solve(equations, slice(0, WIDTH), 1e-3, np.ones(WIDTH))[0], 0.0)


def test_more_damping_where_rounding_left_the_matrix_not_positive(solve):
    """A pivot that is slightly negative is damped until it is not; one that stays negative gives no step."""
    equations, matrix, vector = make_equations(3)
    blocks = equations.hessian.numpy().copy()
    blocks[1, 0, 4, 4] += 0.9999 * 1e-3 * matrix[WIDTH + 4, WIDTH + 4] - _schur(matrix, WIDTH + 4)
    equations.hessian.assign(blocks)
    with np.errstate(all="raise"):
        steps, _ = solve(equations, slice(0, WIDTH), 1e-7, np.zeros(WIDTH))
    assert np.isfinite(steps).all() and np.abs(steps).max() > 0.0
    assert steps.ravel() @ vector < 0.0  # downhill
    blocks[1, 0, 4, 4] = -1e12
    equations.hessian.assign(blocks)
    np.testing.assert_array_equal(solve(equations, slice(0, WIDTH), 1e-3, np.zeros(WIDTH))[0], 0.0)


def _schur(matrix, index):
    """How much a diagonal element may fall before the matrix is singular."""
    return 1.0 / np.linalg.inv(matrix)[index, index]


def test_blocks_that_are_not_finite_give_no_step(solve, nan_allowed):
    """NaN in a block: all steps are zero; an infinite diagonal holds its unknown and leaves the rest finite."""
    equations, _, _ = make_equations(3)
    blocks = equations.hessian.numpy().copy()
    for bad in (np.nan, np.inf):
        blocks[1, 0, 5, 5] = bad
        equations.hessian.assign(blocks)
        with np.errstate(all="ignore"):
            steps, _ = solve(equations, slice(0, WIDTH), 1e-3, np.ones(WIDTH))
        assert np.isfinite(steps).all()
        assert steps.any() == np.isinf(bad)
        assert steps[1, 5] == 0.0


def test_clearing_forgets_everything():
    """A new linearisation starts from exact zeros."""
    equations, _, _ = make_equations(3)
    equations.clear()
    assert not equations.hessian.numpy().any() and not equations.gradient.numpy().any()


@pytest.mark.parametrize(("frames", "size", "lags"), [(1, 1, 2), (5, 1, 1), (4, 3, 3), (2, 5, 2)])
def test_bands_of_any_width_are_solved(frames, size, lags):
    """Blocks of any size, coupled over any distance, several right-hand sides; only lower triangles are read."""
    random = np.random.default_rng(frames)
    factor = np.tril(random.normal(size=(frames * size, frames * size)), -1) + 3.0 * np.eye(frames * size)
    blocks = factor.reshape(frames, size, frames, size)
    for frame in range(frames):
        blocks[frame, :, : max(frame - lags, 0)] = 0.0
    matrix = factor @ factor.T
    cut = matrix.reshape(frames, size, frames, size)
    own = np.stack([np.tril(cut[f, :, f]) + 1e9 * np.triu(np.ones((size, size)), 1) for f in range(frames)])
    back = [
        np.array([cut[f, :, f - lag] for f in range(lag, frames)]).reshape(-1, size, size) for lag in range(1, lags + 1)
    ]
    right = random.normal(size=(frames * size, 3))
    np.testing.assert_allclose(solve_band(own, back, right), np.linalg.solve(matrix, right), rtol=1e-9, atol=1e-12)


def test_an_indefinite_band_has_no_solution():
    """No solution rather than a wrong one."""
    assert solve_band(-np.ones((2, 1, 1)), [np.zeros((1, 1, 1))], np.ones((2, 1))) is None
