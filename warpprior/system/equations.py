"""The normal equations of a whole sequence: which unknown is where, and one banded solution."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import warp as wp
from numpy.lib.stride_tricks import as_strided
from scipy.linalg import lapack

from warpprior.render.parts import Part
from warpprior.scene import SceneBody
from warpprior.support.blas import one_thread
from warpprior.support.device import warp_device

BLOCKS = 4  # see warpprior.kernels.rows
MORE_DAMPING = 10.0  # where rounding left the matrix not positive
ATTEMPTS = 8


class Equations:
    """Unknowns and normal equations of all estimated bodies.

    The unknowns of a frame are columns: for each body six for its root and then its joint coordinates.  Behind them
    come unknowns that all frames share.  Frames are coupled with the two before them, so the matrix is banded with a
    border; LAPACK solves it on the host, which is faster than one thread of a GPU would be.

    Args:
        bodies: the estimated bodies.
        shared: names of unknowns shared by all frames.
        frame_count: number of frames.
        lanes: threads of one frame that gather rows at a time.
        device: Warp device.

    Attributes:
        starts: column of each body's root, by name.
        shared: column of each shared unknown, by name.
        width: columns of a frame, without the shared ones.
        total: columns with the shared ones.
        lanes: as given.
        hessian: blocks [frame, 4, column, column] float64; of blocks of a frame with itself the lower triangle counts.
        gradient: of a frame, and what it adds to the frame before [frame, 2, column] float64.
        row_values, row_marks, row_active: workspace of the kernels [frame, lane, column].
        information: of the shared unknowns, all others free, at the last solution (shared, shared); None before.

    Arrays are made when first asked for: an energy that is differentiated needs none of them.
    """

    def __init__(self, bodies: Sequence[SceneBody], shared: Sequence[str], frame_count: int, lanes: int, device):
        counts = [6 + body.body.coordinate_count for body in bodies]
        ends = np.cumsum(counts)
        self.starts = {body.name: int(end - count) for body, end, count in zip(bodies, ends, counts, strict=True)}
        self.counts = {body.name: count for body, count in zip(bodies, counts, strict=True)}
        self.width = int(ends[-1])
        self.shared = {name: self.width + index for index, name in enumerate(shared)}
        self.frame_count = frame_count
        self.total, self.lanes = self.width + len(shared), lanes
        self.information: np.ndarray | None = None
        self._inner = np.zeros((0, 0))
        self._device = warp_device(device)

    @cached_property
    def hessian(self) -> wp.array:
        return self._zeros(wp.float64, BLOCKS, self.total, self.total)

    @cached_property
    def gradient(self) -> wp.array:
        return self._zeros(wp.float64, 2, self.total)

    @cached_property
    def row_values(self) -> wp.array:
        return self._zeros(wp.float32, self.lanes, self.total)

    @cached_property
    def row_marks(self) -> wp.array:
        return self._zeros(wp.int32, self.lanes, self.total)

    @cached_property
    def row_active(self) -> wp.array:
        return self._zeros(wp.int32, self.lanes, self.total)

    def _zeros(self, dtype: type, *inner: int) -> wp.array:
        return wp.zeros((self.frame_count, *inner), dtype=dtype, device=self._device)

    def take_part(self, whole: Equations, part: Part) -> None:
        """Be some frames of the equations of a longer sequence, whose arrays hold them from now on."""
        for name in ("hessian", "gradient", "row_values", "row_marks", "row_active"):
            self.__dict__[name] = part.of(getattr(whole, name))

    def clear(self) -> None:
        """Begin a new linearisation."""
        self.hessian.zero_()
        self.gradient.zero_()

    def solve(
        self,
        columns: slice,
        damping: float,
        floor: np.ndarray,
        shared_floor: np.ndarray | None = None,
        *,
        shared_pull: np.ndarray | None = None,
        shared_bounds: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Minus the solution for some columns, others held: (frame, column), and of the shared unknowns (shared,).

        Args:
            columns: which columns move.
            damping: relative, of the diagonal.
            floor: absolute, of each of the columns; keeps what nothing observes where it is.
            shared_floor: the same for the shared unknowns, which are held without it.
            shared_pull: gradient of what else is known of them (shared,).
            shared_bounds: least and largest steps of them (shared,); frames make the best of steps that were cut.
        """
        blocks, gradient = self.hessian.numpy(), self.gradient.numpy()
        own = blocks[:, 0, columns, columns].copy()
        own[:-1] += blocks[1:, 3, columns, columns]
        pull = gradient[:, 0, columns].copy()
        pull[:-1] += gradient[1:, 1, columns]
        back = [blocks[lag:, lag, columns, columns] for lag in (1, 2)]
        right = -pull.reshape(-1, 1)
        if shared_floor is not None:
            border = self._border(blocks, columns)
            right = np.column_stack([right, border.transpose(0, 2, 1).reshape(len(right), -1)])
        diagonal = np.arange(own.shape[1])
        size = own[:, diagonal, diagonal].copy()
        for attempt in range(ATTEMPTS):
            own[:, diagonal, diagonal] = size * (1.0 + damping * MORE_DAMPING**attempt) + floor
            solution = solve_band(own, back, right)
            if solution is not None:
                break
        else:
            solution = np.zeros_like(right)
        steps = solution[:, 0]
        shared_steps = np.zeros(len(self.shared))
        if shared_floor is not None:
            edge, inner = right[:, 1:], solution[:, 1:]
            corner = self._corner(blocks) + np.diag(shared_floor)
            slope = gradient[:, :, self.width :].sum(axis=(0, 1))
            if shared_pull is not None:
                slope = slope + shared_pull
            information = corner - edge.T @ inner
            shared_steps = _bounded_solution(information, -slope - edge.T @ steps, shared_bounds)
            steps = steps - inner @ shared_steps
            self.information, self._inner = information, inner
        return steps.reshape(self.frame_count, -1), shared_steps

    def follow(self, shared_steps: np.ndarray) -> np.ndarray:
        """Where the columns of the last solution with shared unknowns go when these change (frame, column)."""
        return -(self._inner @ shared_steps).reshape(self.frame_count, -1)

    def _border(self, blocks: np.ndarray, columns: slice) -> np.ndarray:
        """How the shared unknowns are coupled with some columns of each frame (frame, shared, column).

        What ties a frame to the one before depends on a shared unknown in both.
        """
        border = blocks[:, 0, self.width :, columns].copy()
        border[:-1] += blocks[1:, 3, self.width :, columns] + blocks[1:, 1, self.width :, columns]
        border[1:] += blocks[1:, 1, columns, self.width :].transpose(0, 2, 1)
        return border

    def _corner(self, blocks: np.ndarray) -> np.ndarray:
        """How the shared unknowns are coupled with each other (shared, shared)."""
        shared = slice(self.width, None)
        own = blocks[:, 0, shared, shared].sum(axis=0) + blocks[1:, 3, shared, shared].sum(axis=0)
        across = blocks[1:, 1, shared, shared].sum(axis=0)
        return np.tril(own) + np.tril(own, -1).T + across + across.T


def _bounded_solution(
    matrix: np.ndarray, right: np.ndarray, bounds: tuple[np.ndarray, np.ndarray] | None
) -> np.ndarray:
    """Solve a small symmetric system; what would pass its bounds stays there, and the others make the best of it."""
    found, free = np.zeros(len(right)), np.ones(len(right), dtype=bool)
    while free.any():
        rest = right[free] - matrix[np.ix_(free, ~free)] @ found[~free]
        found[free] = np.linalg.lstsq(matrix[np.ix_(free, free)], rest, rcond=None)[0]
        if bounds is None:
            break
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
