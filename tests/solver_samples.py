"""One solution of equations, with what tests say of the shared unknowns."""

import numpy as np

from warpprior.system.shared_prior import SharedPrior
from warpprior.system.solver import make_solver


def solve_equations(
    equations, columns, damping, floor, shared_floor=None, *, pull=0.0, bounds=(-np.inf, np.inf), on_device=None
):
    """Steps (frame, column), and of what is shared (segment, shared).

    Args:
        equations: of any number of segments.
        columns, damping, floor, on_device: as of ``make_solver``.
        shared_floor: weights of the shared unknowns (shared,); None holds them.
        pull: gradient of their prior.
        bounds: of their steps.
    """
    prior = None
    if shared_floor is not None:
        first = np.broadcast_to(-pull / shared_floor, (len(equations.segments), len(shared_floor)))
        limits = tuple(each - first for each in bounds)
        prior = SharedPrior(first, 1.0 / np.sqrt(shared_floor), limits, np.array(np.inf), equations.device)
        prior.values.zero_()
    solver = make_solver(equations, columns, damping, floor, prior, on_device=on_device)
    solver.solve()
    return solver.steps.numpy().copy(), solver.shared_steps.numpy().copy()
