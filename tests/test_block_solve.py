"""Cyclic reduction in tiles: as LAPACK solves, whatever the sizes; what is not positive is damped, or gives no step."""

import numpy as np
import pytest
import warp as wp

from tests.solver_samples import solve_equations
from tests.test_equations import WIDTH, make_equations
from warpprior.kernels.block_solve import TILE, factor_blocks


def compare(device, frames, counts, shared):
    """Steps by kernels and by LAPACK, some shared ones cut."""
    equations, _, _ = make_equations(frames, tuple(f"k{k}" for k in range(shared)), counts=counts, device=device)
    width = equations.width
    given = (equations, slice(0, width), 1e-3, np.ones(width), np.ones(shared) if shared else None)
    bound = 0.8 * np.median(np.abs(solve_equations(*given, on_device=False)[1])) if shared else 0.0
    expected, found = (solve_equations(*given, bounds=(-bound, bound), on_device=which) for which in (False, True))
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(other, one, rtol=0.0, atol=1e-10 * np.abs(one).max(initial=0.0))
    cut = np.abs(found[1]) == bound
    assert not shared or (cut.any() and not cut.all())


@pytest.mark.parametrize(("frames", "counts", "shared"), [(7, (26,), 5), (4, (26, 10), 33), (13, (17,), 0)])
def test_kernels_solve_as_lapack_does(device, frames, counts, shared):
    """Blocks of several tiles, right-hand sides of several, other numbers of blocks: to 1e-10 of the steps."""
    compare(device, frames, counts, shared)


def test_threads_of_a_group_wait_for_each_other(monkeypatch):
    """With 128 threads taking turns on a CPU, where Warp can, the same as with one."""
    if not hasattr(wp.config, "enable_cpu_blocks"):
        pytest.skip(f"Warp {wp.__version__} runs one thread of a group on a CPU")
    monkeypatch.setattr(wp.config, "enable_cpu_blocks", True)
    compare("cpu", 6, (26,), 2)


def test_kernels_damp_only_what_is_not_positive(device):
    """An indefinite pair of frames: steps go down, and all other frames' equations hold as they are."""
    equations, matrix, vector = make_equations(9, spread=0.0, device=device)
    blocks = equations.hessian.numpy().copy()
    three, four = 4 * WIDTH + 3, 4 * WIDTH + 4
    wanted = 1.05 * np.sqrt(matrix[three, three] * matrix[four, four])
    blocks[4, 0, 4, 3] += wanted - matrix[four, three]
    matrix[three, four] = matrix[four, three] = wanted
    equations.hessian.assign(blocks)
    assert np.linalg.eigvalsh(matrix)[0] < 0.0
    steps, _ = solve_equations(equations, slice(0, WIDTH), 1e-3, np.zeros(WIDTH), on_device=True)
    damped = matrix + 1e-3 * np.diag(np.diag(matrix))
    rest = np.abs(damped @ steps.ravel() + vector).reshape(9, WIDTH)
    assert steps.ravel() @ vector < 0.0
    assert rest[[0, 1, 2, 3, 6, 7, 8]].max() < 1e-9 * np.abs(vector).max() < 1e-3 * rest[4:6].max()


def test_a_block_that_no_damping_helps_is_reported(device):
    """Its neighbour is factored all the same: L times its transpose is the block."""
    random = np.random.default_rng(0)
    tile = int(TILE)
    root = np.tril(random.normal(size=(2 * tile, 2 * tile))) / 8.0 + np.eye(2 * tile)
    good = root @ root.T
    bad = good.copy()
    bad[40, 40] = -1e12
    blocks = np.concatenate([np.stack([bad, good]), np.zeros((2, 2 * tile, 5 * tile))], axis=2)
    rows = wp.array(blocks, dtype=wp.float64, device=device)
    more = wp.full((2, 2 * tile), 1e-3, dtype=wp.float64, device=device)
    factor = wp.zeros((2, 2 * tile, 2 * tile), dtype=wp.float64, device=device)
    failed = wp.zeros(1, dtype=wp.int32, device=device)
    factor_blocks(rows, more, 1, 1, 1, factor_out=factor, failed_out=failed)
    assert failed.numpy()[0] == 0
    found, inverse = np.linalg.cholesky(good), factor.numpy()[1]
    np.testing.assert_allclose(inverse[tile:, :tile], found[tile:, :tile], atol=1e-12)
    np.testing.assert_allclose(inverse[tile:, tile:] @ found[tile:, tile:], np.eye(tile), atol=1e-12)
    factor_blocks(rows, more, 0, 1, 2, factor_out=factor, failed_out=failed)
    assert failed.numpy()[0] == 1
