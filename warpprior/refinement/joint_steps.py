"""Steps of several clips: solved for and taken in the same launches, but by LAPACK, which solves clip by clip."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from warpprior.refinement.gauss_newton import GaussNewton
from warpprior.refinement.steps import BodySteps
from warpprior.render.parts import Part
from warpprior.system import solver as solving
from warpprior.system.joined import Joined
from warpprior.system.motion import MotionState


class JointSteps:
    """The steps of clips that go on; all others stay where they are, to the bit.

    Args:
        solvers: of the clips, which from here on solve by a part of what solves all, where that is by kernels.
        joined: their problem.

    Attributes:
        together: all are solved at once, and nothing waits for the host.
    """

    def __init__(self, solvers: Sequence[GaussNewton], joined: Joined):
        self._joined = joined
        self._parts = [part for part, _ in joined.motion.clips]
        self._whole = None
        self.together = solving.solves_on_device(joined.motion.device)
        if self.together:
            self._whole = solvers[0].device_solver_of(joined)
            for number, (solver, part) in enumerate(zip(solvers, self._parts, strict=True)):
                solver.use(self._whole.of_segment(number, part))
        self._stretches: dict[tuple[int, int], tuple[Part, MotionState, list[BodySteps]]] = {}

    def choose(self, clips: Sequence[int]) -> None:
        """Say which clips take steps from now on, where all are solved at once."""
        if self._whole is not None:
            self._whole.rest(~np.isin(np.arange(len(self._parts)), clips))

    def solve(self, clips: Sequence[int]) -> None:
        """One step of all clips that were chosen, into their increments; launches only."""
        assert self._whole is not None, "clips are solved by themselves"
        self._whole.solve()
        for part, _, bodies in self._in_a_row(clips):
            for body in bodies:
                body.take(part.of(self._whole.steps), body.columns.start)
        if self._joined.shared.names:
            self._joined.shared.advance(self._whole.shared_steps)

    def advance(self, clips: Sequence[int]) -> None:
        """Take the steps of some clips; launches only."""
        for _, motion, _ in self._in_a_row(clips):
            motion.pose()
            motion.settle()

    def _in_a_row(self, clips: Sequence[int]) -> list[tuple[Part, MotionState, list[BodySteps]]]:
        """Frames, motion and bodies of clips that lie one behind the other, for as few launches as can be."""
        numbers = sorted(clips)
        breaks = [0, *(k + 1 for k, (one, next_) in enumerate(pairwise(numbers)) if next_ > one + 1), len(numbers)]
        return [self._stretch(numbers[first], numbers[stop - 1]) for first, stop in pairwise(breaks) if stop > first]

    def _stretch(self, first: int, last: int) -> tuple[Part, MotionState, list[BodySteps]]:
        if (first, last) not in self._stretches:
            joined, whole = self._joined, self._joined.motion
            part = Part(self._parts[first].start, self._parts[last].stop, whole.frame_count)
            motion = whole if part.whole else whole.of_part(part, whole.scene)
            bodies = [BodySteps(body, joined, motion) for body in whole.estimated]
            self._stretches[first, last] = part, motion, bodies
        return self._stretches[first, last]
