"""Gauss-Newton on several clips at once: one launch for all where nothing is drawn, everything else clip by clip.

What a clip does is what it does alone, to the bit on a CPU: its frames see no others, its steps are solved for by
themselves, and it stops moving as soon as it has converged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import warp as wp

from warpprior.refinement.gauss_newton import GaussNewton
from warpprior.support.history import History
from warpprior.support.replay import Replay
from warpprior.system.joined import Joined
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
        parts = [part for part, _ in joined.motion.clips]
        self._starts = np.array([0, *(part.stop for part in parts)])
        # One for each term of the clips, in their order: their costs, and what is launched for all, where that is so.
        self._costs: list[wp.array] = []
        self._across: list[BoundTerm | None] = []
        for place, term in enumerate(first.terms):
            across = term.across(joined)
            costs: Any = wp.zeros(frames, dtype=wp.float64, device=device) if across is None else across.costs
            for solver, part in zip(self._solvers, parts, strict=True):
                solver.terms[place].costs = part.of(costs)
            self._costs.append(costs)
            self._across.append(across)
        self._drawn = [[term for term in solver.terms if term.in_parts] for solver in self._solvers]
        alone = [term for term, across in zip(first.terms, self._across, strict=True) if across is None]
        self._contacts = any(term.asks_contacts for term in alone if not term.in_parts)

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

        for clip in clips:
            attempt(clip, begin)
        self._joined.enter(stage)
        for term in self._across:
            if term is not None:
                term.enter(stage)
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

    def _iteration(self, clips: Sequence[int], history: History, limit: int) -> Iteration:
        """One iteration of some clips, to be called again and again with what attempts something for a clip."""
        solvers, device = [self._solvers[clip] for clip in clips], self._joined.motion.device
        capture = False if any(solver.captures(limit) is False for solver in self._solvers) else None

        def linearise() -> None:
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
        for clip in clips:
            self._solvers[clip].problem.refresh(chains=False, contacts=self._contacts)
        for clip in clips:
            problem = self._solvers[clip].problem
            problem.add_rows(self._drawn[clip], problem.system)
        for place, term in enumerate(self._across):
            if term is not None:
                joined.add_rows([term], joined.system)
                continue
            for clip in clips:
                own = self._solvers[clip].terms[place]
                if not own.in_parts:
                    self._solvers[clip].problem.add_rows([own], self._solvers[clip].problem.system)
        for term, costs in zip(self._solvers[0].terms, self._costs, strict=True):
            history.add(term.name, costs)
        history.close_row()

    def _advance(self, clips: Sequence[int]) -> None:
        """Take the steps of some clips; launches only.  What has converged stays as it is, to the bit."""
        if len(clips) == len(self._solvers):
            self._joined.motion.pose()
            self._joined.motion.settle()
            return
        for clip in clips:
            self._solvers[clip].advance()


def are_alike(solvers: Sequence[GaussNewton]) -> bool:
    """Whether the terms of clips are the same, in the same order: observations may leave some without a say."""
    kinds = {tuple((type(term), term.name, term.body.name) for term in solver.terms) for solver in solvers}
    return len(kinds) == 1
