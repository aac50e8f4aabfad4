"""Rest: a body that nothing touches, and that does not seem to move, does not move."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from warpprior.support.limits import positive, weight
from warpprior.terms.term import BoundTerm, Term

if TYPE_CHECKING:
    from warpprior.kernels.rows import System
    from warpprior.scene import SceneBody
    from warpprior.system.motion import MotionState
    from warpprior.system.problem import Problem
    from warpprior.system.stage import Stage

REST_FRAMES = 7  # frames over which a body must seem to rest


@dataclass(frozen=True)
class Rest(Term):
    """Motion between two frames of what rests; by a Cauchy cost, what moves all the same is an outlier.

    Attributes:
        sigma_m: change of position between two frames at the nominal rate that counts one [m].
        sigma_rad: of rotation [rad].
        speed_m_s: what moves slower across the line of sight may be at rest.
    """

    name: ClassVar[str] = "rest"
    ties_frames: ClassVar[bool] = True

    sigma_m: float = positive(0.001)
    sigma_rad: float = positive(0.01)
    speed_m_s: float = weight(0.03)

    def bind(self, problem: Problem) -> Iterable[BoundTerm]:
        """One for each estimated rigid body.

        Without another body there is nothing to say what moves this one; with one, what it does not touch may rest.
        """
        bodies = problem.motion.estimated if len(problem.motion.scene.bodies) > 1 else ()
        return [BoundRest(self, body, problem) for body in bodies if body.body.is_rigid]


class BoundRest(BoundTerm):
    """Where one rigid body rests."""

    term: Rest

    def __init__(self, term: Rest, body: SceneBody, problem: Problem):
        import warp as wp

        from warpprior.kernels.differences import Stiffness

        super().__init__(term, body, problem)
        motion = problem.motion
        self._touch = problem.contacts(body).touch
        self._resting = wp.zeros(motion.frame_count, dtype=wp.float32, device=motion.device)
        self._stiffness = wp.zeros(1, dtype=Stiffness, device=motion.device)
        self._start, self._active = problem.equations.starts[body.name], False

    def across(self, joined: Problem, clips: Sequence[BoundTerm]) -> BoundTerm:
        return BoundRest(self.term, joined.motion.scene.body(self.body.name), joined)

    def enter(self, stage: Stage) -> None:
        from warpprior.kernels.differences import Stiffness

        self._active = stage.rests
        if not self._active:
            return
        self._resting.assign(np.concatenate([self._seems_to_rest(motion) for _, motion in self.problem.motion.clips]))
        term = self.term
        stiffness = Stiffness()
        stiffness.position = term.weight / term.sigma_m**2
        stiffness.rotation = term.weight / term.sigma_rad**2
        self._stiffness.assign([stiffness])

    def _seems_to_rest(self, motion: MotionState) -> np.ndarray:
        """1 where the body moves slowly across the line of sight, the direction that pictures tell best (frame,)."""
        from scipy.ndimage import median_filter

        from warpprior.system.motion import NEAREST_M, frame_paces

        positions = motion.states[self.body.name].poses.numpy()[:, :3].astype(np.float64)
        after, before = (
            places[:, :2] / np.maximum(places[:, 2:], NEAREST_M)
            for places in (positions[1:], motion.if_at_rest(positions)[:-1])
        )
        steps = np.linalg.norm(after - before, axis=1) * positions[1:, 2]
        steps = steps * frame_paces(motion.scene)[1:]
        speeds = median_filter(steps, size=REST_FRAMES, mode="nearest") * motion.scene.fps
        return np.concatenate([[0.0], speeds < self.term.speed_m_s]).astype(np.float32)

    def add(self, system: System, *, alone: bool = False) -> None:
        from warpprior.kernels.rest import add_rest

        if not self._active:
            return
        motion = self.problem.motion
        poses, frames = motion.states[self.body.name].poses, (motion.segments, motion.paces)
        held = self._touch, self._resting, self._stiffness
        if motion.world is None:
            add_rest(poses, *frames, *held, self._start, system, cost_out=self.costs)
        else:
            from warpprior.kernels.world_motion import add_world_rest

            viewer, pair = self.problem.viewed(self._start)
            add_world_rest(poses, viewer, *frames, *held, pair, system, cost_out=self.costs)
