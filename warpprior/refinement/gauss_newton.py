"""The stages of the alignment, coarse to fine."""

from __future__ import annotations

import numpy as np

from warpprior.refinement.aligner import TERMS, BodyAligner
from warpprior.refinement.hypotheses import choose_poses
from warpprior.settings import RefineSettings
from warpprior.support.history import History
from warpprior.support.replay import Replay
from warpprior.system.motion import MotionState
from warpprior.system.picture import Picture
from warpprior.system.problem import Problem

COLUMNS = TERMS
BIAS_TOLD = 2  # stages after which the bias of labels is as well known as it gets
CHECK_EVERY = 4  # iterations between looks at the cost


class Alignment:
    """The stages of the alignment of all moving bodies, together.

    Args:
        state: the motion of the scene.
        picture: the observations.
        settings: of the whole refinement.
        capture: replay iterations as a graph; None does so on a GPU.

    Attributes:
        stages: those that apply to this scene.
    """

    def __init__(
        self,
        state: MotionState,
        picture: Picture,
        settings: RefineSettings,
        *,
        capture: bool | None = None,
    ):
        self.state, self.settings, self._capture = state, settings, capture
        self.problem = Problem(state, picture, settings.align)
        if self.problem.estimates_focal:
            self._capture = False  # a graph would keep the focal length it was recorded with
        articulated = any(not body.body.is_rigid for body in state.estimated)
        self.stages = [stage for stage in settings.align.stages if articulated or not stage.for_hands]
        self.aligners = [BodyAligner(body, self.problem) for body in state.estimated]
        self.floor = np.concatenate([aligner.floor for aligner in self.aligners])

    def run(self, number: int) -> list[dict[str, float]]:
        """Run one stage; returns the cost of every term at every iteration."""
        stage = self.stages[number]
        limit = stage.iterations
        if self.settings.iterations is not None:
            limit = min(limit, self.settings.iterations)
        history = History(COLUMNS, limit, self.state.device)
        if number >= BIAS_TOLD:
            self.problem.shared.drop_small_bias()
        self.problem.refresh_backdrop()
        for aligner in self.aligners:
            aligner.enter(stage)
        if (stage.seeding_rounds or stage.half_turns) and limit:
            for aligner in self.aligners:
                if aligner.body.body.is_rigid:
                    self.problem.refresh()  # the body before was drawn last where it was tried last
                    choose_poses(aligner, stage.seeding_rounds, turns=stage.half_turns)
                    aligner.enter(stage)
        linearise = Replay(lambda: self.linearise(history), self.state.device, capture=self._capture)
        advance = Replay(self.advance, self.state.device, capture=self._capture)
        for iteration in range(limit):
            linearise()
            self.solve()
            advance()
            if iteration % CHECK_EVERY == CHECK_EVERY - 1 and self._settled(history.read()):
                break
        return [{"stage": float(number + 1), **dict(zip(COLUMNS, row, strict=True))} for row in history.read()]

    def linearise(self, history: History) -> None:
        """Normal equations of all bodies at the current motion; launches only."""
        self.problem.equations.clear()
        self.problem.refresh()
        for aligner in self.aligners:
            aligner.add()
            for term in COLUMNS:
                history.add(term, aligner.costs[term])
        history.close_row()

    def solve(self) -> None:
        """One step of all bodies at once, into their increments."""
        equations, shared = self.problem.equations, self.problem.shared
        sought = bool(shared.names)
        steps, shared_steps = equations.solve(
            slice(0, equations.width),
            self.settings.align.damping,
            self.floor,
            shared.floor if sought else None,
            shared_pull=shared.pull if sought else None,
            shared_bounds=shared.bounds if sought else None,
        )
        for aligner in self.aligners:
            aligner.step(steps[:, aligner.columns])
        if sought:
            shared.assign(shared.values + shared_steps)

    def advance(self) -> None:
        """Take the steps; launches only."""
        self.state.pose()
        self.state.settle()

    def _settled(self, rows: np.ndarray) -> bool:
        totals = rows.sum(axis=1)
        if len(totals) <= CHECK_EVERY:
            return False
        before, now = totals[-1 - CHECK_EVERY], totals[-1]
        return abs(before - now) <= self.settings.align.tolerance * max(abs(now), 1e-12)
