"""Who solves the equations of a sequence: LAPACK on a CPU, kernels on a GPU."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import warp as wp

from warpprior.system.equations import Equations
from warpprior.system.host_solver import HostSolver
from warpprior.system.shared_prior import SharedPrior

FIRST_ARCH = 80  # whose groups of threads share the 89 KiB that warpprior.kernels.block_solve takes


class Solver(Protocol):
    """Minus the solution of normal equations for some columns, the others held, as often as it is asked.

    Attributes:
        steps: of the columns [frame, column] float64.
        shared_steps: of the shared unknowns of each segment [segment, shared] float64; zero without a prior of them.
        launches_only: :meth:`solve` never waits for the device, and can be recorded.
    """

    steps: wp.array
    shared_steps: wp.array
    launches_only: bool

    def solve(self) -> None:
        """Solve what the equations hold now, into ``steps`` and ``shared_steps``.

        A matrix that rounding left not positive is damped more; where that does not help there is no step.
        """
        ...

    @property
    def information(self) -> np.ndarray | None:
        """Of the shared unknowns of each segment, all others free (segment, shared, shared); None before a solution."""
        ...

    def follow(self, shared_steps: np.ndarray) -> None:
        """Let ``steps`` be where columns go when shared unknowns change (segment, shared) after the last solution."""
        ...


def solves_on_device(device: wp.Device) -> bool:
    """Whether equations there are solved by kernels: on GPUs whose groups of threads share enough memory."""
    return device.is_cuda and device.arch >= FIRST_ARCH


def make_solver(
    equations: Equations,
    columns: slice,
    damping: float,
    floor: np.ndarray,
    prior: SharedPrior | None = None,
    *,
    tied: bool = True,
    on_device: bool | None = None,
) -> Solver:
    """The solver for where the equations are.

    Args:
        equations: which may have several segments.
        columns: which columns move.
        damping: relative, of the diagonal.
        floor: absolute, of each of the columns; keeps what nothing observes where it is.
        prior: what else is known of the shared unknowns, which are held without it; frames make the best of steps of
            them that were cut.
        tied: the equations may tie frames to each other.
        on_device: by kernels; None on a GPU.
    """
    if on_device or (on_device is None and solves_on_device(equations.device)):
        from warpprior.system.device_solver import RIGID, DeviceSolver, FrameSolver  # their kernels are for a GPU

        if not tied and prior is None and columns.stop - columns.start == RIGID:
            return FrameSolver(equations, columns, damping, floor)
        return DeviceSolver(equations, columns, damping, floor, prior)
    return HostSolver(equations, columns, damping, floor, prior)
