"""Gauss-Newton on several clips at once: one launch for all, clip by clip what knows nothing of other clips.

What a clip does is what it does alone, to the bit on a CPU: its frames see no others, its steps are solved for by
themselves, and it stops moving as soon as it has converged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import warp as wp

from warpprior.kernels.slabs import Runs, only_in, runs_of
from warpprior.refinement.body_fit import BodyFit
from warpprior.refinement.gauss_newton import GaussNewton
from warpprior.refinement.hypotheses import search_poses
from warpprior.refinement.steps import BodySteps
from warpprior.refinement.tries import search_together
from warpprior.render.canvas import EPOCH_LIMIT
from warpprior.support.history import History
from warpprior.support.replay import Replay
from warpprior.system.joined import Joined
from warpprior.system.stage import Stage
from warpprior.terms.term import BoundTerm

Rows = list[dict[str, float]]
Report = Callable[[int, float], None]
Attempt = Callable[[int, Callable[[int], object]], bool]
Iteration = Callable[[Attempt], object]


class Together:
    """The least squares of several clips.

    Args:
        solvers: of the clips, whose terms are alike.
        joined: their problem.
    """

    def __init__(self, solvers: Sequence[GaussNewton], joined: Joined):
        self._solvers, self._joined = tuple(solvers), joined
        first, frames, device = self._solvers[0], joined.motion.frame_count, joined.motion.device
        joined.prepare_for([term.term for term in first.terms])
        parts = self._parts = [part for part, _ in joined.motion.clips]
        self._starts = np.array([0, *(part.stop for part in parts)])
        # One for each term of the clips, in their order: their costs, and what is launched for all, where that is so.
        self._costs: list[wp.array] = []
        self._across: list[BoundTerm | None] = []
        drawn = [term for term in first.terms if term.in_parts]
        self._draws = bool(drawn) and joined.draws_together and all(_goes_across(term) for term in drawn)
        for place, term in enumerate(first.terms):
            fellows = [solver.terms[place] for solver in self._solvers]
            across = term.across(joined, fellows) if self._draws or not term.in_parts else None
            costs: Any = wp.zeros(frames, dtype=wp.float64, device=device) if across is None else across.costs
            for solver, part in zip(self._solvers, parts, strict=True):
                solver.terms[place].costs = part.of(costs)
            self._costs.append(costs)
            self._across.append(across)
        # Those that draw first, as alone; of the others each in its turn.
        self._drawn = [term for term in self._across if term is not None and term.in_parts]
        self._drawn_alone = [[] if self._draws else [t for t in solver.terms if t.in_parts] for solver in self._solvers]
        alone = [term for term, across in zip(first.terms, self._across, strict=True) if across is None]
        self._contacts = any(term.asks_contacts for term in alone if not term.in_parts)
        self._draws_alone = any(term.term.draws for term in alone)

    def run(self, number: int, clips: Sequence[int], report: Report) -> dict[int, Rows | Exception]:
        """Run one stage of some clips; returns, by clip, the costs of its terms at each iteration, or what went wrong.

        Args:
            number: of the stage.
            clips: those that go on.
            report: called with a clip and the share of the stage that it has done.
        """
        stage, limit = self._solvers[0].stages[number], self._solvers[0].limit(number)
        found: dict[int, Rows | Exception] = {}
        shares: dict[int, float] = {}

        def attempt(clip: int, work: Callable[[int], object]) -> bool:
            """Do something for a clip, and say whether that went well; if not, it is its own affair."""
            try:
                work(clip)
            except Exception as error:
                found[clip] = error
                return False
            return True

        def begin(clip: int) -> None:
            shares[clip] = self._solvers[clip].begin(number, lambda share: report(clip, share))

        def try_poses(name: str, tell: Report) -> None:
            self._try_poses(number, name, [clip for clip in clips if clip not in found], tell, found)

        def each(work: Callable[[int], object]) -> None:
            for clip in clips:
                if clip not in found:
                    attempt(clip, work)

        names, tried = self._solvers[0].tried_bodies(number)
        fits = all(self._goes_across(name) for name in names)
        each((lambda clip: self._solvers[clip].enter(number)) if fits else begin)
        self._enter(stage)
        if fits:
            shares = dict.fromkeys(clips, tried)
            for turn, name in enumerate(names):
                try_poses(name, lambda clip, share, turn=turn: report(clip, tried * (turn + share) / len(names)))
            each(lambda clip: self._solvers[clip].set_out())
        if self._draws:
            self._joined.drawings.renew()
        history = History(self._solvers[0].names, limit, self._joined.motion.device, self._starts)

        def end(clip: int) -> None:
            found[clip] = self._solvers[clip].end(number, history.read(clip))

        going: tuple[int, ...] = ()
        for iteration in range(limit):
            if going != (now := tuple(clip for clip in clips if clip not in found)):
                going, iterate = now, self._iteration(now, history, limit)  # who goes on is recorded
            if not going:
                break
            iterate(attempt)
            for clip in going:
                report(clip, shares[clip] + (1.0 - shares[clip]) * (iteration + 1) / limit)
                read = partial(history.read, clip)
                if clip not in found and self._solvers[clip].has_done(number, iteration, read):
                    attempt(clip, end)
        for clip in clips:
            if clip not in found:
                attempt(clip, end)
        return found

    def _enter(self, stage: Stage, name: str | None = None) -> None:
        """Take the scales of a stage, or have the terms of one body take them again."""
        if name is None:
            self._joined.enter(stage)
        for term in self._across:
            if term is not None and name in (None, term.body.name):
                term.enter(stage)

    def _own(self, name: str) -> list[BoundTerm | None]:
        """Terms of one body alone that tie no frames, None where clips have their own."""
        terms = zip(self._solvers[0].terms, self._across, strict=True)
        return [across for term, across in terms if term.body.name == name and not term.ties_frames]

    def _goes_across(self, name: str) -> bool:
        """Whether all that says where a body alone may be is launched at once."""
        return all(term is not None for term in self._own(name))

    def _try_poses(
        self, number: int, name: str, clips: Sequence[int], report: Report, found: dict[int, Rows | Exception]
    ) -> None:
        """Let one body choose among other poses in some clips, each for itself, all other bodies held.

        Args:
            number: of the stage.
            name: of the body.
            clips: that go on.
            report: told how far a clip is.
            found: by clip, takes what went wrong.
        """
        joined, stage = self._joined, self._solvers[0].stages[number]
        if self._draws:
            joined.drawings.renew()
        joined.refresh()
        terms = [term for term in self._own(name) if term is not None]
        damping = self._solvers[0].settings.gauss_newton.damping
        whole = BodyFit(BodySteps(joined.motion.scene.body(name), joined), terms, joined, damping)
        searches = {}
        for clip in clips:
            told = partial(report, clip)
            fit = self._solvers[clip].fit_of(name)
            searches[clip] = search_poses(fit, stage.carry_frames, turns=stage.half_turns, report=told)
        search_together(whole, dict(enumerate(self._parts)), searches, found.__setitem__)
        self._enter(stage, name)
        for clip in clips:
            for term in self._solvers[clip].terms_of(name):
                term.enter(stage)

    def _iteration(self, clips: Sequence[int], history: History, limit: int) -> Iteration:
        """One iteration of some clips, to be called again and again with what attempts something for a clip."""
        solvers, device = [self._solvers[clip] for clip in clips], self._joined.motion.device
        capture = False if any(solver.captures(limit) is False for solver in self._solvers) else None
        if self._draws and (limit + 2) * len(self._joined.drawings.parts) >= EPOCH_LIMIT:
            capture = False

        def linearise() -> None:
            with only_in(self._runs(clips)):
                self._linearise(clips, history)

        def all_steps() -> None:
            linearise()
            for solver in solvers:
                solver.solve()
            self._advance(clips)

        if all(solver.launches_only for solver in solvers):
            replay = Replay(all_steps, device, capture=capture)
            return lambda attempt: replay()
        replay, advance = (Replay(each, device, capture=capture) for each in (linearise, lambda: self._advance(clips)))

        def in_turn(attempt: Attempt) -> None:
            replay()
            left = [clip for clip in clips if attempt(clip, lambda clip: self._solvers[clip].solve())]
            if len(left) == len(clips):
                advance()
            else:
                self._advance(left)

        return in_turn

    def _linearise(self, clips: Sequence[int], history: History) -> None:
        """Normal equations of some clips at the current motion; launches only."""
        joined = self._joined
        joined.equations.clear()
        joined.refresh()
        joined.add_rows(self._drawn, joined.system, frames=self._going(clips))
        with only_in(None):
            self._linearise_alone(clips)
        for place, term in enumerate(self._across):
            if term is not None:
                if not term.in_parts:
                    joined.add_rows([term], joined.system, frames=self._going(clips))
                continue
            for clip in clips:
                own, problem = self._solvers[clip].terms[place], self._solvers[clip].problem
                if not own.in_parts:
                    problem.add_rows([own], problem.system)
        for term, costs in zip(self._solvers[0].terms, self._costs, strict=True):
            history.add(term.name, costs)
        history.close_row()

    def _linearise_alone(self, clips: Sequence[int]) -> None:
        """What clips look up for terms that are launched clip by clip, and those of these that draw; launches only."""
        for clip in clips:
            problem = self._solvers[clip].problem
            problem.refresh(chains=False, contacts=self._contacts, drawings=self._draws_alone)
            problem.add_rows(self._drawn_alone[clip], problem.system)

    def _going(self, clips: Sequence[int]) -> np.ndarray | None:
        """The frames of some clips (frame,) bool; None for all."""
        if len(clips) == len(self._solvers):
            return None
        going = np.zeros(self._joined.motion.frame_count, dtype=bool)
        for clip in clips:
            going[self._starts[clip] : self._starts[clip + 1]] = True
        return going

    def _runs(self, clips: Sequence[int]) -> Runs | None:
        return runs_of(self._going(clips))

    def _advance(self, clips: Sequence[int]) -> None:
        """Take the steps of some clips; launches only.  What has converged stays as it is, to the bit."""
        if len(clips) == len(self._solvers):
            self._joined.motion.pose()
            self._joined.motion.settle()
            return
        for clip in clips:
            self._solvers[clip].advance()


def _goes_across(term: BoundTerm) -> bool:
    """Whether a term of several clips may be launched at once."""
    return type(term).across is not BoundTerm.across


def are_alike(solvers: Sequence[GaussNewton]) -> bool:
    """Whether the terms of clips are the same, in the same order: observations may leave some without a say."""
    kinds = {tuple((type(term), term.name, term.body.name) for term in solver.terms) for solver in solvers}
    return len(kinds) == 1
