"""The parts about the loop: the solution by kernels beside LAPACK's, and whether iterations wait for the host."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from warpprior.bench.cases.refinement import refined
from warpprior.bench.gpu.copies import counted_copies
from warpprior.bench.gpu.record import Record
from warpprior.scene import SceneBody
from warpprior.scenes import simulate
from warpprior.support.history import History
from warpprior.support.replay import Replay
from warpprior.system.equations import Equations
from warpprior.system.shared_prior import SharedPrior
from warpprior.system.solver import Solver, make_solver

SIZES = ((26, 100), (26, 1000), (57, 100), (57, 1000))  # columns of a frame, frames
SHARED = 12
APART = 1e-8  # of the largest step
ROUNDS = 10
ITERATIONS = 8


def random_equations(columns: int, frames: int, shared: int, device: str) -> Equations:
    """Equations of one body: half of its unknowns seen in each frame, differences with the two before, shared ones."""
    body = cast(SceneBody, SimpleNamespace(name="body", body=SimpleNamespace(coordinate_count=columns - 6)))
    equations = Equations([body], [f"shared {k}" for k in range(shared)], frames, 1, device)
    random, total = np.random.default_rng(0), columns + shared
    blocks, gradient = np.zeros(equations.hessian.shape), np.zeros(equations.gradient.shape)
    for frame in range(frames):
        rows = random.normal(size=(columns // 2, total))
        blocks[frame, 0] += rows.T @ rows
        gradient[frame, 0] = random.normal(size=total)
        if frame >= 1:
            before = 0.5 * random.normal(size=(columns, total))
            now, before[:, columns:] = 0.5 * random.normal(size=(columns, total)), 0.0
            blocks[frame, 0] += now.T @ now
            blocks[frame, 1] += now.T @ before
            blocks[frame, 3] += before.T @ before
        if frame >= 2:
            weights = np.diag(np.append(random.uniform(0.5, 2.0, columns), np.zeros(shared)))
            blocks[frame, 0] += weights
            blocks[frame, 1] -= 2.0 * weights
            blocks[frame, 2] += weights
            blocks[frame, 3] += 4.0 * weights
            blocks[frame - 1, 1] -= 2.0 * weights
            blocks[frame - 1, 3] += weights
    equations.hessian.assign(blocks)
    equations.gradient.assign(gradient)
    return equations


def solver_of(equations: Equations, *, on_device: bool) -> Solver:
    """Of all columns, with a prior of what is shared."""
    shape = len(equations.segments), len(equations.shared)
    reach = np.full(shape[1], 0.05)
    prior = SharedPrior(np.zeros(shape), np.ones(shape[1]), (-reach, reach), reach, equations.device)
    columns = slice(0, equations.width)
    return make_solver(equations, columns, 1e-3, np.ones(equations.width), prior, on_device=on_device)


def solve(device: str, record: Record, brief: bool) -> None:
    """Solutions by kernels and by LAPACK, how far apart they are, and the time each takes."""
    for columns, frames in ((13, 6),) if brief else SIZES:
        equations = random_equations(columns, frames, SHARED, device)
        by_kernels, by_lapack = (solver_of(equations, on_device=which) for which in (True, False))
        found: dict[str, Any] = {"first_ms": 1e3 * seconds_of(by_kernels.solve, device)}
        by_lapack.solve()
        one, other = by_kernels.steps.numpy(), by_lapack.steps.numpy()
        shared = np.abs(by_kernels.shared_steps.numpy() - by_lapack.shared_steps.numpy()).max()
        found["apart"] = float(max(np.abs(one - other).max() / np.abs(other).max(), shared))
        replayed = Replay(by_kernels.solve, device)
        rounds = {"ms": by_kernels.solve, "graph_ms": replayed, "lapack_and_copies_ms": by_lapack.solve}
        for name, work in rounds.items():
            work()
            work()
            found[name] = 1e3 * statistics.median(seconds_of(work, device) for _ in range(1 if brief else ROUNDS))
        wrong = None if found["apart"] <= APART else f"more than {APART} of the largest step from LAPACK's"
        record.keep(f"solve {columns} columns, {frames} frames", found, wrong)


def copies(device: str, record: Record, brief: bool) -> None:
    """What iterations copy or wait for, as they are repeated, and the time that one takes as a graph."""
    for name in ("robot_lift",) if brief else ("robot_lift", "grasp_lift"):
        scene = simulate(name, frame_count=4 if brief else 100, images=False, device=device)
        solver, _ = refined(scene, device)
        iterate = solver.iteration(History(solver.names, 100, device))
        for _ in range(3):
            iterate()
        with counted_copies() as found:
            for _ in range(ITERATIONS):
                iterate()
        milliseconds = 1e3 * statistics.median(seconds_of(iterate, device) for _ in range(1 if brief else ROUNDS))
        waits = dict(found)
        wrong = f"{ITERATIONS} iterations copied or waited: {waits}" if waits and solver.launches_only else None
        record.keep(f"iterations of {name}", {"copies": waits, "ms": milliseconds, "frames": scene.frame_count}, wrong)


def seconds_of(work: Callable[[], object], device: str) -> float:
    """The time that some launches take, to their end on the device."""
    import warp as wp

    wp.synchronize_device(device)
    began = time.perf_counter()
    work()
    wp.synchronize_device(device)
    return time.perf_counter() - began
