"""Gauss-Newton on all bodies and frames at once, in stages from coarse to fine.

Every frame and term enters one block-banded system, so that frames that see much carry frames that see little.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import warp as wp

from warpprior.refinement.body_fit import BodyFit
from warpprior.refinement.hypotheses import choose_poses
from warpprior.refinement.object_sizes import seed_sizes
from warpprior.refinement.pace import hypotheses_share
from warpprior.refinement.steps import BodySteps
from warpprior.refinement.stillness import Stillness
from warpprior.render.canvas import EPOCH_LIMIT
from warpprior.settings import RefineSettings
from warpprior.support.errors import InputError
from warpprior.support.history import History
from warpprior.support.replay import Replay
from warpprior.system.equations import Equations
from warpprior.system.problem import Problem
from warpprior.system.shared_prior import SharedPrior
from warpprior.system.solver import Solver, make_solver
from warpprior.terms import GAUSS_NEWTON
from warpprior.terms.term import BoundTerm, bind_terms

if TYPE_CHECKING:
    from warpprior.system.device_solver import DeviceSolver

SETTLED = 2  # stages after which biases and shapes are as well known as they get
CHECK_EVERY = 4  # iterations between looks at the cost; and on a GPU at how far bodies moved
STEPPED = 5.0  # times ``rest_px``: bodies at rest move less than this from one iteration to the next
BEFORE_OTHERS = 4.0  # times ``rest_px``: what they may have to go where another stage comes


class GaussNewton:
    """The least squares of a sequence.

    Args:
        problem: what terms share.
        settings: of the whole refinement.
        capture: replay iterations as a graph; None does so on a GPU.

    Attributes:
        stages: those that apply to this scene.
        terms: bound terms, those of each body together.
        names: of the terms, columns of the history.
        notes: what is to be said of the last stage, one sentence each.

    Raises:
        InputError: a term is bound to a known body.
    """

    def __init__(self, problem: Problem, settings: RefineSettings, *, capture: bool | None = None):
        self.problem, self.settings = problem, settings
        estimated = problem.motion.estimated
        articulated = any(not body.body.is_rigid for body in estimated)
        self.stages = [s for s in settings.gauss_newton.stages if articulated or not s.articulated_only]
        used = settings.used_by(GAUSS_NEWTON)
        problem.prepare_for(used)
        bound = bind_terms(used, problem)
        for term in bound:
            if term.body.known:
                found = f"bound to {term.body.name!r}, which is known"
                raise InputError(f"term {term.name!r}", found, "a body that is estimated, whose unknowns it pulls")
        self.terms = [term for body in estimated for term in bound if term.body.name == body.name]
        self.names = tuple(kind.name for kind in used)
        self.notes: list[str] = []
        self._capture = capture if problem.can_be_recorded else False
        self._bodies = [BodySteps(body, problem) for body in estimated]

    @cached_property
    def _solver(self) -> Solver:
        return make_solver(*self._asked(self.problem))

    def _asked(self, problem: Problem) -> tuple[Equations, slice, float, np.ndarray, SharedPrior | None]:
        """What is to be solved of a problem of the same bodies, as solvers take it."""
        equations, prior = problem.equations, problem.shared.prior if problem.shared.names else None
        floor = np.concatenate([*(steps.floor for steps in self._bodies), np.zeros(6 * (equations.camera >= 0))])
        return equations, slice(0, equations.width), self.settings.gauss_newton.damping, floor, prior

    def device_solver_of(self, joined: Problem) -> DeviceSolver:
        """What solves the problem of several clips by kernels."""
        from warpprior.system.device_solver import DeviceSolver  # its kernels are for a GPU

        return DeviceSolver(*self._asked(joined))

    def use(self, solver: Solver) -> None:
        """Have the equations solved by a part of what solves those of several clips."""
        self._solver = solver

    def run(self, number: int, report: Callable[[float], None] = lambda share: None) -> list[dict[str, float]]:
        """Run one stage; returns the cost of every term at every iteration.

        Args:
            number: of the stage.
            report: called with the share of the stage that is done.
        """
        problem, limit = self.problem, self.limit(number)
        history = History(self.names, limit, problem.motion.device)
        tried = self.begin(number, report)
        iterate = self.iteration(history, self.captures(limit))
        for iteration in range(limit):
            iterate()
            report(tried + (1.0 - tried) * (iteration + 1) / limit)
            if self.has_done(number, iteration, history.read):
                break
        return self.end(number, history.read())

    def limit(self, number: int) -> int:
        """The most iterations of a stage."""
        most, limit = self.settings.iterations, self.stages[number].iterations
        return limit if most is None else min(limit, most)

    def captures(self, limit: int) -> bool | None:
        """Whether so many iterations are recorded, as :class:`Replay` has it: a graph draws only so often."""
        drawn = (limit + 2) * len(self.problem.drawings.parts)
        return self._capture if drawn < EPOCH_LIMIT else False

    def begin(self, number: int, report: Callable[[float], None]) -> float:
        """Enter a stage, and let bodies choose among other poses; returns the share of the stage that this was."""
        self.notes = []
        if self.problem.shared.sizes and number <= SETTLED and self.limit(number):
            self.notes = seed_sizes(self, self.stages[number])
        self.enter(number)
        names, tried = self.tried_bodies(number)
        for turn, name in enumerate(names):
            self._try_poses(number, name, lambda share, turn=turn: report(tried * (turn + share) / len(names)))
        self.set_out()
        return tried

    def enter(self, number: int) -> None:
        """Take the scales of a stage."""
        self.problem.refresh_backdrop()
        self.problem.enter(self.stages[number])
        for term in self.terms:
            term.enter(self.stages[number])

    def tried_bodies(self, number: int) -> tuple[list[str], float]:
        """Bodies that choose among other poses in a stage, by name, and the share of it that this is."""
        stage, limit = self.stages[number], self.limit(number)
        tries = limit and "hypotheses" not in self.settings.without and (stage.carry_frames or stage.half_turns)
        names = [steps.body.name for steps in self._bodies if tries and steps.body.body.is_rigid]
        return names, hypotheses_share(stage, len(names), self.problem.motion.scene, limit)

    def set_out(self, still: Stillness | None = None) -> None:
        """Begin the iterations of a stage where bodies are now; ``still`` if somebody else keeps where they were."""
        self.problem.drawings.renew()
        self._still = Stillness(self.problem.motion) if still is None else still

    def end(self, number: int, rows: np.ndarray) -> list[dict[str, float]]:
        """Learn what a stage tells of the shared unknowns; returns its costs (iteration, term) by name."""
        information = self._solver.information
        if information is not None and self.limit(number):
            self.problem.shared.learn(information[0])
            if SETTLED - 1 <= number < len(self.stages) - 1:
                self._settle(information[0])
        return [{"stage": float(number + 1), **dict(zip(self.names, row, strict=True))} for row in rows]

    @property
    def launches_only(self) -> bool:
        """No iteration waits for the host."""
        return self._solver.launches_only and not self.problem.estimates_focal

    def iteration(self, history: History, capture: bool | None = None) -> Callable[[], None]:
        """One iteration in a stage, to be called again and again: a graph, where nothing in it waits for the host."""
        device = self.problem.motion.device

        def all_steps() -> None:
            self.linearise(history)
            self.solve()
            self.advance()

        if self.launches_only:
            return Replay(all_steps, device, capture=capture)
        linearise = Replay(lambda: self.linearise(history), device, capture=capture)
        advance = Replay(self.advance, device, capture=self._capture)

        def in_turn() -> None:
            linearise()
            self.solve()
            advance()

        return in_turn

    def _settle(self, information: np.ndarray) -> None:
        """Drop what is not clear of the shared unknowns; all bodies follow, as a step of the solver would have them."""
        shared = self.problem.shared
        before = shared.values
        shared.settle(information)
        self._solver.follow((shared.values - before)[None])
        self._take()
        shared.carry(wp.array((shared.values - before)[None], dtype=wp.float64, device=self.problem.motion.device))
        self.advance()

    def terms_of(self, name: str) -> list[BoundTerm]:
        """Those of one body."""
        return [term for term in self.terms if term.body.name == name]

    def fit_of(self, name: str) -> BodyFit:
        """One body alone, all others held."""
        (steps,) = (steps for steps in self._bodies if steps.body.name == name)
        return BodyFit(steps, self.terms_of(name), self.problem, self.settings.gauss_newton.damping)

    def _try_poses(self, number: int, name: str, report: Callable[[float], None]) -> None:
        """Let one body choose among other poses, all others held."""
        stage, problem = self.stages[number], self.problem
        problem.drawings.renew()
        problem.refresh()  # the body before was drawn last where it was tried last
        choose_poses(self.fit_of(name), stage.carry_frames, turns=stage.half_turns, report=report)
        for term in self.terms_of(name):
            term.enter(stage)

    def linearise(self, history: History) -> None:
        """Normal equations of all bodies at the current motion; launches only."""
        self.problem.equations.clear()
        self.problem.refresh()
        self.problem.add_rows(self.terms, self.problem.system)
        for term in self.terms:
            history.add(term.name, term.costs)
        history.close_row()

    def solve(self) -> None:
        """One step of all bodies at once, into their increments."""
        self._solver.solve()
        self._take()
        if self.problem.shared.names:
            self.problem.shared.advance(self._solver.shared_steps)

    def _take(self) -> None:
        for body in self._bodies:
            body.take(self._solver.steps, body.columns.start)
        problem = self.problem
        if problem.motion.world is not None and problem.equations.camera >= 0:
            problem.motion.world.take(self._solver.steps, problem.equations.camera)

    def advance(self) -> None:
        """Take the steps; launches only."""
        self.problem.motion.pose()
        self.problem.motion.settle()

    def has_done(self, number: int, iteration: int, read: Callable[[], np.ndarray]) -> bool:
        """Whether a stage may end after an iteration: bodies are as good as at rest, or costs hardly change.

        Args:
            number: of the stage.
            iteration: which one it was.
            read: gives the costs so far (iteration, term).
        """
        self._still.keep()
        looks = iteration % CHECK_EVERY == CHECK_EVERY - 1
        if looks or not self.launches_only:  # who waits for each step anyway may look at each
            step, left = self._still.read()
            rest, last = self.settings.gauss_newton.rest_px, number == len(self.stages) - 1
            if step < STEPPED * rest and left < (1.0 if last else BEFORE_OTHERS) * rest:
                return True
        return looks and self._settled(read())

    def _settled(self, rows: np.ndarray) -> bool:
        """Whether the last iterations changed the costs (iteration, term) by next to nothing."""
        totals = rows.sum(axis=1)
        if len(totals) <= CHECK_EVERY:
            return False
        before, now = totals[-1 - CHECK_EVERY], totals[-1]
        return abs(before - now) <= self.settings.gauss_newton.tolerance * max(abs(now), 1e-12)
