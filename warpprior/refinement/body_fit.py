"""One rigid body tried out alone: every frame settles by itself, other bodies held where they are."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from warpprior.refinement.steps import BodySteps
from warpprior.support.replay import Replay
from warpprior.system.problem import Problem
from warpprior.system.solver import make_solver
from warpprior.terms.term import BoundTerm

ASIDE_M = 100.0  # to the side of the camera, out of every picture


class BodyFit:
    """The least squares of one body, without what ties frames together: a bad neighbour must not hold a frame back.

    Args:
        steps: of the body.
        terms: those bound to it.
        problem: the sequence's.
        damping: relative Levenberg damping.
    """

    def __init__(self, steps: BodySteps, terms: Sequence[BoundTerm], problem: Problem, damping: float):
        self.body, self.problem, self.motion = steps.body, problem, problem.motion
        self._steps = steps
        self._solver = make_solver(problem.equations, steps.columns, damping, steps.floor, tied=False)
        self._terms = [term for term in terms if not term.ties_frames]
        self._away: np.ndarray | None = None  # frames in which the body is out of sight
        self._placed = np.zeros((0, 7))
        self._record()

    def _record(self) -> None:
        """Have the next iteration recorded, where that can be: which frames are launched is recorded with it."""
        capture = None if self._solver.launches_only and self.problem.can_be_recorded else False
        fit = weakref.proxy(self)  # what is replayed must not keep the sequence alive
        self._iterate = Replay(lambda: fit._iteration(), self.motion.device, capture=capture)

    @property
    def poses(self) -> np.ndarray:
        """Where the body is (frame, 7) float32."""
        return self.motion.states[self.body.name].poses.numpy().copy()

    @property
    def _seen(self) -> np.ndarray | None:
        """Frames in which the body is in sight (frame,) bool, None for all."""
        return None if self._away is None else ~self._away

    @contextmanager
    def seen_in(self, frames: np.ndarray) -> Iterator[None]:
        """Meanwhile the body is only in some frames (frame,) bool, in the others it is out of sight where it is placed.

        What is not drawn, seen or touched costs next to nothing; its poses come back when this ends, those that it was
        placed at.
        """
        self._away = None if frames.all() else ~frames
        self._record()
        try:
            yield
        finally:
            if self._away is not None:
                poses = self.poses
                poses[self._away] = self._placed[self._away]
                self._away = None
                self.place(poses)
            self._record()

    def place(self, transforms: np.ndarray) -> None:
        """Move the body to ``transforms`` (frame, 7)."""
        if self._away is not None:
            self._placed, transforms = transforms, transforms.copy()
            transforms[self._away, 0] = ASIDE_M
        self.motion.states[self.body.name].poses.assign(transforms.astype(np.float32))
        self.motion.settle()
        self.motion.pose(self.body.name)

    def draw(self) -> None:
        """Draw the body where it is, and find what it touches; launches only."""
        self.problem.refresh_body(self.body.name, self._seen)

    def linearise(self) -> None:
        """The equations at the current motion, the others being where they were drawn last; launches only."""
        self.draw()
        self.problem.equations.clear()
        self.problem.add_rows(self._terms, self.problem.system, alone=self.body.name, frames=self._seen)

    def step(self) -> None:
        """One iteration."""
        self._solver.solve()
        self._steps.take(self._solver.steps)
        self.motion.pose(self.body.name)
        self.motion.settle()

    def iterate(self, count: int) -> None:
        """Some iterations, each the equations and a step; launches only on a GPU."""
        for _ in range(count):
            self._iterate()

    def _iteration(self) -> None:
        self.linearise()
        self.step()

    def observed_costs(self) -> np.ndarray:
        """How badly each frame fits what was observed (frame,); the equations stay as they are."""
        self.draw()
        system = self.problem.costs_system
        self.problem.add_rows(self._terms, system, alone=self.body.name, frames=self._seen, gauge=True)
        total = np.zeros(self.motion.frame_count)
        for term in self._terms:
            if term.observes:
                total = total + term.observed_costs()
        return total
