"""The banded solution by LAPACK, on the host: three times as fast on a CPU as the tiles of a device."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import warp as wp
from numpy.lib.stride_tricks import as_strided
from scipy.linalg import lapack

from warpprior.kernels.rows import ATTEMPTS, MORE_DAMPING
from warpprior.support.blas import one_thread
from warpprior.system.equations import Equations
from warpprior.system.shared_prior import SharedPrior


class HostSolver:
    """See :class:`warpprior.system.solver.Solver`, which has the arguments, too."""

    launches_only = False

    def __init__(
        self,
        equations: Equations,
        columns: slice,
        damping: float,
        floor: np.ndarray,
        prior: SharedPrior | None = None,
    ):
        self._equations, self._columns = equations, columns
        self._damping, self._floor, self._prior = damping, floor, prior
        frames, device = equations.frame_count, equations.device
        shape = len(equations.segments), len(equations.shared)
        self.steps = wp.zeros((frames, columns.stop - columns.start), dtype=wp.float64, device=device)
        self.shared_steps = wp.zeros(shape, dtype=wp.float64, device=device)
        self.information: np.ndarray | None = None
        self._inner = np.zeros((0, 0))
        ends = [*equations.segments[1:], frames]
        self._segments = [slice(int(first), int(end)) for first, end in zip(equations.segments, ends, strict=True)]

    def solve(self) -> None:
        """Read the equations, solve them, write the steps."""
        blocks, gradient = self._equations.hessian.numpy(), self._equations.gradient.numpy()
        columns, prior = self._columns, self._prior
        own = blocks[:, 0, columns, columns].copy()
        own[:-1] += blocks[1:, 3, columns, columns]
        pull = gradient[:, 0, columns].copy()
        pull[:-1] += gradient[1:, 1, columns]
        back = [blocks[lag:, lag, columns, columns] for lag in (1, 2)]
        right = -pull.reshape(-1, 1)
        if prior is not None:
            border = self._border(blocks)
            right = np.column_stack([right, border.transpose(0, 2, 1).reshape(len(right), -1)])
        diagonal = np.arange(own.shape[1])
        size = own[:, diagonal, diagonal].copy()
        for attempt in range(ATTEMPTS):
            own[:, diagonal, diagonal] = size * (1.0 + self._damping * MORE_DAMPING**attempt) + self._floor
            solution = solve_band(own, back, right)
            if solution is not None:
                break
        else:
            solution = np.zeros_like(right)
        steps = solution[:, 0]
        if prior is not None:
            steps = self._border_solution(blocks, gradient, right, solution, prior)
        self.steps.assign(steps.reshape(self.steps.shape))

    def _border_solution(self, blocks, gradient, right, solution, prior: SharedPrior) -> np.ndarray:
        """Steps of the shared unknowns, segment by segment; returns those of the columns, which follow."""
        size = self.steps.shape[1]
        edge, inner, steps = right[:, 1:], solution[:, 1:], solution[:, 0].copy()
        width = self._equations.width
        pulls, bounds = prior.pull(), prior.bounds()
        weights = prior.weight.numpy()
        information, found = np.zeros((*pulls.shape, pulls.shape[1])), np.zeros(pulls.shape)
        for number, frames in enumerate(self._segments):
            rows = slice(frames.start * size, frames.stop * size)
            corner = self._corner(blocks[frames]) + np.diag(weights[number])
            slope = gradient[frames, :, width:].sum(axis=(0, 1)) + pulls[number]
            information[number] = corner - edge[rows].T @ inner[rows]
            limits = bounds[0][number], bounds[1][number]
            found[number] = bounded_solution(information[number], -slope - edge[rows].T @ steps[rows], limits)
            steps[rows] = steps[rows] - inner[rows] @ found[number]
        self.information, self._inner = information, inner
        self.shared_steps.assign(found)
        return steps

    def follow(self, shared_steps: np.ndarray) -> None:
        """Let ``steps`` be where columns go when shared unknowns change (segment, shared) after the last solution."""
        size = self.steps.shape[1]
        moved = np.concatenate(
            [
                -(self._inner[frames.start * size : frames.stop * size] @ shared)
                for frames, shared in zip(self._segments, shared_steps, strict=True)
            ]
        )
        self.steps.assign(moved.reshape(self.steps.shape))

    def _border(self, blocks: np.ndarray) -> np.ndarray:
        """How the shared unknowns are coupled with the columns of each frame (frame, shared, column).

        What ties a frame to the one before depends on a shared unknown in both.
        """
        columns, shared = self._columns, slice(self._equations.width, None)
        border = blocks[:, 0, shared, columns].copy()
        border[:-1] += blocks[1:, 3, shared, columns] + blocks[1:, 1, shared, columns]
        border[1:] += blocks[1:, 1, columns, shared].transpose(0, 2, 1)
        return border

    def _corner(self, blocks: np.ndarray) -> np.ndarray:
        """How the shared unknowns of a segment, whose blocks these are, are coupled (shared, shared)."""
        shared = slice(self._equations.width, None)
        own = blocks[:, 0, shared, shared].sum(axis=0) + blocks[1:, 3, shared, shared].sum(axis=0)
        across = blocks[1:, 1, shared, shared].sum(axis=0)
        return np.tril(own) + np.tril(own, -1).T + across + across.T


def bounded_solution(matrix: np.ndarray, right: np.ndarray, bounds: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Solve a small symmetric system; what would pass its bounds stays there, and the others make the best of it.

    Args:
        matrix: (unknown, unknown).
        right: right-hand side (unknown,).
        bounds: least and largest values (unknown,).
    """
    found, free = np.zeros(len(right)), np.ones(len(right), dtype=bool)
    while free.any():
        rest = right[free] - matrix[np.ix_(free, ~free)] @ found[~free]
        found[free] = np.linalg.lstsq(matrix[np.ix_(free, free)], rest, rcond=None)[0]
        cut = np.clip(found, *bounds)
        passed = free & (cut != found)
        found[passed] = cut[passed]
        free &= ~passed
        if not passed.any():
            break
    return found


def solve_band(own: np.ndarray, back: Sequence[np.ndarray], right: np.ndarray) -> np.ndarray | None:
    """Solve a symmetric positive definite block-banded system by LAPACK's banded Cholesky.

    Args:
        own: diagonal blocks, their lower triangles (frame, n, n).
        back: blocks of each frame with the one before (frame - 1, n, n), two before (frame - 2, n, n), and so on.
        right: right-hand sides (frame * n, k).

    Returns:
        (frame * n, k), or None where the matrix is not positive definite.
    """
    frame_count, n, _ = own.shape
    high = n * (len(back) + 1)  # band below the diagonal, and the diagonal
    size = frame_count * n
    band = np.zeros((size, high))  # LAPACK's band storage, transposed: the diagonal of each column first
    step = band.itemsize
    # In band storage, one row down is one place on, and one column on is a whole band less one.
    row, column = step, step * (high - 1)
    block = n * (row + column)
    for lower in range(n):
        target = as_strided(band[:, 0][lower:], (frame_count, n - lower), (block, row), writeable=True)
        target[...] = own[:, lower:, lower]
    for lag, blocks in enumerate(back, start=1):
        if len(blocks):
            target = as_strided(band[0, lag * n :], (len(blocks), n, n), (block, row, column), writeable=True)
            target[...] = blocks
    with one_thread():
        # SciPy makes these functions when it is imported.
        factor, info = lapack.dpbtrf(band.T, lower=1, overwrite_ab=1)  # pyright: ignore[reportAttributeAccessIssue]
        if info != 0:
            return None
        solution, info = lapack.dpbtrs(factor, right, lower=1)  # pyright: ignore[reportAttributeAccessIssue]
    return solution if info == 0 and np.isfinite(solution).all() else None
