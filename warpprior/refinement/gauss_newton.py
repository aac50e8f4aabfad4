"""Gauss-Newton on all bodies and frames at once, in stages from coarse to fine.

Every frame and term enters one block-banded system, so that frames that see much carry frames that see little.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from warpprior.refinement.body_fit import BodyFit
from warpprior.refinement.hypotheses import choose_poses
from warpprior.refinement.pace import hypotheses_share
from warpprior.refinement.steps import BodySteps
from warpprior.refinement.stillness import Stillness
from warpprior.render.canvas import EPOCH_LIMIT
from warpprior.settings import RefineSettings
from warpprior.support.errors import InputError
from warpprior.support.history import History
from warpprior.support.replay import Replay
from warpprior.system.problem import Problem
from warpprior.terms import GAUSS_NEWTON
from warpprior.terms.term import bind_terms

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

    Raises:
        InputError: a term is bound to a known body.
    """

    def __init__(self, problem: Problem, settings: RefineSettings, *, capture: bool | None = None):
        self.problem, self.settings = problem, settings
        # A graph would keep the focal length it was recorded with, and what the host read from a file.
        self._capture = False if problem.estimates_focal or not problem.holding.distances else capture
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
        self._bodies = [BodySteps(body, problem) for body in estimated]
        self._floor = np.concatenate([steps.floor for steps in self._bodies])

    def run(self, number: int, report: Callable[[float], None] = lambda share: None) -> list[dict[str, float]]:
        """Run one stage; returns the cost of every term at every iteration.

        Args:
            number: of the stage.
            report: called with the share of the stage that is done.
        """
        stage, problem = self.stages[number], self.problem
        limit = stage.iterations
        if self.settings.iterations is not None:
            limit = min(limit, self.settings.iterations)
        history = History(self.names, limit, problem.motion.device)
        problem.refresh_backdrop()
        problem.enter(stage)
        for term in self.terms:
            term.enter(stage)
        tries = limit and "hypotheses" not in self.settings.without and (stage.carry_frames or stage.half_turns)
        rigid = [steps for steps in self._bodies if tries and steps.body.body.is_rigid]
        tried = hypotheses_share(stage, len(rigid), problem.motion.scene, limit)
        for turn, steps in enumerate(rigid):
            self._try_poses(number, steps, lambda share, turn=turn: report(tried * (turn + share) / len(rigid)))
        drawn = (limit + 2) * len(problem.drawings.parts)
        capture = self._capture if drawn < EPOCH_LIMIT else False
        problem.drawings.renew()
        linearise = Replay(lambda: self.linearise(history), problem.motion.device, capture=capture)
        advance = Replay(self.advance, problem.motion.device, capture=self._capture)
        still = Stillness(problem.motion)
        for iteration in range(limit):
            linearise()
            self.solve()
            advance()
            still.keep()
            report(tried + (1.0 - tried) * (iteration + 1) / limit)
            if self._has_done(number, iteration, still, history):
                break
        information = problem.equations.information
        if information is not None and limit and problem.shared.names:
            problem.shared.learn(information)
            if SETTLED - 1 <= number < len(self.stages) - 1:
                self._settle(information)
        return [{"stage": float(number + 1), **dict(zip(self.names, row, strict=True))} for row in history.read()]

    def _settle(self, information: np.ndarray) -> None:
        """Drop what is not clear of the shared unknowns; all bodies follow, as a step of the solver would have them."""
        shared = self.problem.shared
        before = shared.values
        shared.settle(information)
        steps = self.problem.equations.follow(shared.values - before)
        for body in self._bodies:
            body.take(steps[:, body.columns])
        self.advance()

    def _try_poses(self, number: int, steps: BodySteps, report: Callable[[float], None]) -> None:
        """Let one body choose among other poses, all others held."""
        stage, problem = self.stages[number], self.problem
        own = [term for term in self.terms if term.body.name == steps.body.name]
        problem.refresh()  # the body before was drawn last where it was tried last
        fit = BodyFit(steps, own, problem, self.settings.gauss_newton.damping)
        choose_poses(fit, stage.carry_frames, turns=stage.half_turns, report=report)
        for term in own:
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
        equations, shared = self.problem.equations, self.problem.shared
        steps, shared_steps = equations.solve(
            slice(0, equations.width),
            self.settings.gauss_newton.damping,
            self._floor,
            shared.floor if shared.names else None,
            shared_pull=shared.pull if shared.names else None,
            shared_bounds=shared.bounds if shared.names else None,
        )
        for body in self._bodies:
            body.take(steps[:, body.columns])
        if shared.names:
            shared.assign(shared.values + shared_steps)

    def advance(self) -> None:
        """Take the steps; launches only."""
        self.problem.motion.pose()
        self.problem.motion.settle()

    def _has_done(self, number: int, iteration: int, still: Stillness, history: History) -> bool:
        """Whether a stage may end after an iteration: bodies are as good as at rest, or its cost hardly changes."""
        looks = iteration % CHECK_EVERY == CHECK_EVERY - 1
        if looks or self.problem.motion.device.is_cpu:
            step, left = still.read()
            rest, last = self.settings.gauss_newton.rest_px, number == len(self.stages) - 1
            if step < STEPPED * rest and left < (1.0 if last else BEFORE_OTHERS) * rest:
                return True
        return looks and self._settled(history.read())

    def _settled(self, rows: np.ndarray) -> bool:
        totals = rows.sum(axis=1)
        if len(totals) <= CHECK_EVERY:
            return False
        before, now = totals[-1 - CHECK_EVERY], totals[-1]
        return abs(before - now) <= self.settings.gauss_newton.tolerance * max(abs(now), 1e-12)
