"""The banded solution by kernels, where the equations are: nothing waits for the host."""

from __future__ import annotations

import numpy as np
import warp as wp

from warpprior.kernels import block_rows, block_solve
from warpprior.kernels.frame_solve import solve_frames
from warpprior.render.parts import Part, cut
from warpprior.system.equations import Equations
from warpprior.system.shared_prior import ARRAYS, SharedPrior

TILE = int(block_solve.TILE)
RIGID = 6  # columns of a rigid body


class DeviceSolver:
    """See :class:`warpprior.system.solver.Solver`, which has the arguments, too.

    Where LAPACK's solver damps everything more when the matrix is not positive, this one does so where it is not.  And
    of several segments each is solved, or is not, by itself, to the bit as it would be alone.

    Memory: 8 bytes times frames / 2 times padded (2 columns)^2 times four and a bit; of several segments each takes as
    much as the longest.
    """

    launches_only = True

    def __init__(
        self,
        equations: Equations,
        columns: slice,
        damping: float,
        floor: np.ndarray,
        prior: SharedPrior | None = None,
    ):
        device = self._device = equations.device
        frames, count = equations.frame_count, columns.stop - columns.start
        segments, shared = len(equations.segments), len(equations.shared)
        solved = 0 if prior is None else shared
        size, self._sides = _padded(2 * count), 1 + solved
        ends = np.append(equations.segments, frames).astype(np.int32)
        self._segment_count, self._blocks = segments, int((np.diff(ends).max() + 1) // 2)
        self._prior = None if prior is None or not shared else _prior(prior)
        self._asked = _asked(equations, columns, damping, floor)
        self._asked.shared = solved
        self._starts = self._asked.starts = wp.array(ends, dtype=wp.int32, device=device)
        self._asked.blocks = self._blocks
        owners = np.repeat(np.arange(segments), np.diff(ends))
        self._asked.segments = wp.array(owners, dtype=wp.int32, device=device)

        def zeros(*shape: int, dtype: type = wp.float64) -> wp.array:
            return wp.zeros(shape, dtype=dtype, device=device)

        block_count = segments * self._blocks
        self._rows = zeros(block_count, size, 3 * size + _padded(self._sides))
        self._factor = zeros(block_count, size, size)
        self._scale, self._more = zeros(block_count, size), zeros(block_count, size)
        self._failed, self._idle = zeros(segments, dtype=wp.int32), zeros(segments, dtype=wp.int32)
        self._parts, self._sums = zeros(frames, solved, solved + 1), zeros(segments, solved, solved + 1)
        self._free, self._small = zeros(segments, solved, dtype=wp.int32), zeros(segments, solved, solved + 1)
        self.steps, self.shared_steps = zeros(frames, count), zeros(segments, shared)
        self._followed = self.shared_steps if self._prior is not None else zeros(segments, 0)
        self._solved = False

    def rest(self, idle: np.ndarray) -> None:
        """Have some segments (segment,) bool take no steps from now on."""
        self._idle.assign(idle.astype(np.int32))

    def of_segment(self, number: int, frames: Part) -> SegmentSolver:
        """What concerns a segment, whose frames are given."""
        return SegmentSolver(self, number, frames)

    def solve(self) -> None:
        """Launch all that it takes."""
        wp.copy(self._failed, self._idle)
        block_rows.scale_unknowns(self._asked, scale_out=self._scale, more_out=self._more, failed_out=self._failed)
        block_rows.fill_rows(self._asked, self._scale, rows_out=self._rows, failed_out=self._failed)
        self._reduce()
        block_rows.check_solution(self._rows, self._sides, failed_out=self._failed)
        if self._prior is not None:
            block_rows.reduce_frames(self._asked, self._rows, self._scale, parts_out=self._parts)
            block_rows.sum_segments(self._parts, self._starts, self._prior, sums_out=self._sums)
            block_rows.step_shared(
                self._sums,
                self._prior,
                failed_out=self._failed,
                free_out=self._free,
                factor_out=self._small,
                steps_out=self.shared_steps,
            )
        self._follow(self._followed, 1.0)
        self._solved = True

    def _reduce(self) -> None:
        """Eliminate every second block of each segment until one is left, and go back."""
        blocks, rows, factor = self._blocks, self._rows, self._factor
        written = {"segments": self._segment_count, "rows_out": rows}
        tiles = factor.shape[1] // TILE
        rounds: list[tuple[int, int]] = []
        step = 1
        while step < blocks:
            count = (blocks - step + 2 * step - 1) // (2 * step)
            self._factor_blocks(step, 2 * step, count)
            block_solve.solve_rows(factor, step, 2 * step, count, tiles, **written)
            block_solve.join_neighbours(step, -(-blocks // (2 * step)), **written)
            rounds.append((step, count))
            step *= 2
        self._factor_blocks(0, 1, 1)
        block_solve.solve_rows(factor, 0, 1, 1, 3 * tiles, **written)
        block_solve.solve_back(factor, 0, 1, blocks, 1, **written)
        for step, count in reversed(rounds):
            block_solve.solve_back(factor, step, 2 * step, step, count, **written)

    def _factor_blocks(self, first: int, step: int, count: int) -> None:
        block_solve.factor_blocks(
            self._rows, self._more, first, step, count, factor_out=self._factor, failed_out=self._failed
        )

    def _follow(self, shared_steps: wp.array, own: float) -> None:
        block_rows.follow_shared(
            self._asked, self._rows, self._scale, shared_steps, self._failed, own, steps_out=self.steps
        )

    @property
    def information(self) -> np.ndarray | None:
        """Of the shared unknowns of each segment, all others free (segment, shared, shared); None before a solution."""
        if self._prior is None or not self._solved:
            return None
        return self._sums.numpy()[:, :, :-1].copy()

    def follow(self, shared_steps: np.ndarray) -> None:
        """Let ``steps`` be where columns go when shared unknowns change (segment, shared) after the last solution."""
        self._follow(wp.array(shared_steps, dtype=wp.float64, device=self._device), 0.0)


class SegmentSolver:
    """One of the segments of a solver of several, for whoever has to do with that one alone.

    Attributes are those of :class:`warpprior.system.solver.Solver`, a part of those of all.
    """

    launches_only = True

    def __init__(self, whole: DeviceSolver, number: int, frames: Part):
        self._whole, self._number = whole, number
        self.steps = frames.of(whole.steps)
        self.shared_steps = cut(whole.shared_steps, number, number + 1)

    def solve(self) -> None:
        """Launch what it takes, for all segments."""
        self._whole.solve()

    @property
    def information(self) -> np.ndarray | None:
        """Of the shared unknowns of the segment."""
        found = self._whole.information
        return None if found is None else found[self._number : self._number + 1]

    def follow(self, shared_steps: np.ndarray) -> None:
        """Let ``steps`` be where its columns go when its shared unknowns change; those of others take none."""
        all_steps = np.zeros(self._whole.shared_steps.shape)
        all_steps[self._number] = shared_steps[0]
        self._whole.follow(all_steps)


class FrameSolver:
    """The same for one rigid body, where nothing ties frames to each other."""

    launches_only = True
    information: np.ndarray | None = None

    def __init__(self, equations: Equations, columns: slice, damping: float, floor: np.ndarray):
        device = equations.device
        self._asked = _asked(equations, columns, damping, floor)
        self.steps = wp.zeros((equations.frame_count, RIGID), dtype=wp.float64, device=device)
        shape = len(equations.segments), len(equations.shared)
        self.shared_steps = wp.zeros(shape, dtype=wp.float64, device=device)

    def solve(self) -> None:
        """Launch it."""
        solve_frames(self._asked, steps_out=self.steps)

    def follow(self, shared_steps: np.ndarray) -> None:
        """Nothing follows: shared unknowns are held."""
        self.steps.zero_()


def _asked(equations: Equations, columns: slice, damping: float, floor: np.ndarray) -> block_rows.Equations:
    found = block_rows.Equations()
    found.hessian, found.gradient, found.width = equations.hessian, equations.gradient, equations.width
    found.first, found.count, found.damping = columns.start, columns.stop - columns.start, damping
    found.floor = wp.array(floor, dtype=wp.float64, device=equations.device)
    return found


def _padded(count: int) -> int:
    return -(-count // TILE) * TILE


def _prior(prior: SharedPrior) -> block_rows.Prior:
    found = block_rows.Prior()
    for name in ARRAYS:
        setattr(found, name, getattr(prior, name))
    return found
