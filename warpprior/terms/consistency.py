"""Consistency (Eq. 4): a body moves little from one frame to the next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from warpprior.support.limits import positive, weight
from warpprior.terms.term import BoundTerm, Term

if TYPE_CHECKING:
    from warpprior.kernels.rows import System
    from warpprior.scene import SceneBody
    from warpprior.system.problem import Problem
    from warpprior.system.stage import Stage


@dataclass(frozen=True)
class Consistency(Term):
    """Velocity of root and joints, by the true times of frames.  It shrinks motion: its weight is small.

    Attributes:
        sigma_m_s: velocity of the position that counts one [m/s].
        sigma_rad_s: of the rotation [rad/s].
        sigma_joint_rad_s: of joint coordinates [rad/s or m/s].
    """

    name: ClassVar[str] = "consistency"
    ties_frames: ClassVar[bool] = True

    weight: float = weight(0.01)
    sigma_m_s: float = positive(1.0)
    sigma_rad_s: float = positive(10.0)
    sigma_joint_rad_s: float = positive(10.0)

    def bind(self, problem: Problem) -> Iterable[BoundTerm]:
        """One for each estimated body."""
        return [BoundConsistency(self, body, problem) for body in problem.motion.estimated]


class BoundConsistency(BoundTerm):
    """The velocities of one body."""

    term: Consistency

    def __init__(self, term: Consistency, body: SceneBody, problem: Problem):
        import warp as wp

        from warpprior.kernels.differences import Stiffness

        super().__init__(term, body, problem)
        self._stiffness = wp.zeros(1, dtype=Stiffness, device=problem.motion.device)
        self._start = problem.equations.starts[body.name]

    def across(self, joined: Problem, clips: Sequence[BoundTerm]) -> BoundTerm:
        return BoundConsistency(self.term, joined.motion.scene.body(self.body.name), joined)

    def enter(self, stage: Stage) -> None:
        from warpprior.kernels.differences import Stiffness

        term, fps = self.term, self.problem.motion.scene.fps
        stiffness = Stiffness()
        stiffness.position = term.weight * (fps / term.sigma_m_s) ** 2
        stiffness.rotation = term.weight * (fps / term.sigma_rad_s) ** 2
        stiffness.joints = term.weight * (fps / term.sigma_joint_rad_s) ** 2
        self._stiffness.assign([stiffness])

    def add(self, system: System, *, alone: bool = False) -> None:
        from warpprior.kernels.consistency import add_joint_consistency, add_root_consistency

        motion = self.problem.motion
        own, frames = motion.states[self.body.name], (motion.segments, motion.paces)
        if motion.world is None:
            add_root_consistency(own.poses, *frames, self._stiffness, self._start, system, cost_out=self.costs)
        else:
            from warpprior.kernels.world_motion import add_world_consistency

            viewer, pair = self.problem.viewed(self._start)
            add_world_consistency(own.poses, viewer, *frames, self._stiffness, pair, system, cost_out=self.costs)
        if self.body.body.coordinate_count:
            add_joint_consistency(own.joints, *frames, self._stiffness, self._start + 6, system, cost_out=self.costs)
