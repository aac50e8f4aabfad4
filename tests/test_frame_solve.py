"""Frames of one rigid body, each solved by itself: as LAPACK does where nothing ties them, with more damping alone."""

import numpy as np

from tests.test_equations import WIDTH, make_equations
from warpprior.system.solver import make_solver


def solve(equations, columns, *, on_device):
    """Steps (frame, 6), and who found them."""
    solver = make_solver(equations, columns, 1e-3, np.full(6, 0.5), tied=False, on_device=on_device)
    solver.solve()
    return solver.steps.numpy().copy(), type(solver).__name__


def untied(device):
    """Equations whose frames know nothing of each other."""
    equations, _, _ = make_equations(5, ("bias",), device=device)
    blocks = equations.hessian.numpy().copy()
    blocks[:, 1:3] = 0.0
    equations.hessian.assign(blocks)
    return equations, blocks


def test_frames_are_solved_as_lapack_does(device):
    """The second body's columns, the others held; shared unknowns are, too."""
    equations, _ = untied(device)
    columns = slice(equations.starts["body1"], WIDTH)
    (expected, _), (found, kind) = (solve(equations, columns, on_device=which) for which in (False, True))
    assert kind == "FrameSolver"
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12 * np.abs(expected).max())


def test_a_frame_that_is_not_positive_is_damped_alone(device, nan_allowed):
    """A little damping helps one frame, none helps another; the others take the steps that they would anyway."""
    equations, blocks = untied(device)
    columns = slice(equations.starts["body1"], WIDTH)
    plain, _ = solve(equations, columns, on_device=True)
    first = columns.start
    blocks[1, 0, first + 1, first] = 1.05 * np.sqrt(blocks[1, 0, first, first] * blocks[1, 0, first + 1, first + 1])
    blocks[2, 3, first + 1, first] = 0.0
    blocks[3, 0, first + 2, first + 2] = -1e12
    equations.hessian.assign(blocks)
    steps, _ = solve(equations, columns, on_device=True)
    np.testing.assert_array_equal(steps[[0, 2, 4]], plain[[0, 2, 4]])
    pull = equations.gradient.numpy()[1, 0, columns] + equations.gradient.numpy()[2, 1, columns]
    assert steps[1] @ pull < 0.0 and not steps[3].any()
