"""Smoothness (Eq. 5): a body's velocity changes little; how little, what moves it says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from warpprior.support.limits import positive
from warpprior.terms.term import BoundTerm, Term

if TYPE_CHECKING:
    from warpprior.kernels.rows import System
    from warpprior.scene import SceneBody
    from warpprior.system.motion import MotionState
    from warpprior.system.problem import Problem
    from warpprior.system.stage import Stage


@dataclass(frozen=True)
class Smoothness(Term):
    """Acceleration of root and joints, by the true times of frames; jumps cost in proportion.

    Where known bodies, or without them the body itself across the line of sight, accelerate more than sigma in a tenth
    of the frames, sigma grows with them: what a quick hand holds is quick.

    Attributes:
        sigma_m_s2: acceleration of the position that counts one [m/s^2].
        sigma_rad_s2: of the rotation [rad/s^2].
        sigma_joint_rad_s2: of joint coordinates [rad/s^2 or m/s^2].
    """

    name: ClassVar[str] = "smoothness"
    ties_frames: ClassVar[bool] = True

    sigma_m_s2: float = positive(1.0)
    sigma_rad_s2: float = positive(10.0)
    sigma_joint_rad_s2: float = positive(30.0)

    def bind(self, problem: Problem) -> Iterable[BoundTerm]:
        """One for each estimated body."""
        return [BoundSmoothness(self, body, problem) for body in problem.motion.estimated]


class BoundSmoothness(BoundTerm):
    """The accelerations of one body."""

    term: Smoothness

    def __init__(self, term: Smoothness, body: SceneBody, problem: Problem):
        import warp as wp

        from warpprior.kernels.differences import Stiffness

        super().__init__(term, body, problem)
        motion = problem.motion
        self._stiffness = wp.zeros(motion.frame_count, dtype=Stiffness, device=motion.device)
        self._start = problem.equations.starts[body.name]

    def across(self, joined: Problem, clips: Sequence[BoundTerm]) -> BoundTerm:
        return BoundSmoothness(self.term, joined.motion.scene.body(self.body.name), joined)

    def enter(self, stage: Stage) -> None:
        term, rate = self.term, self.problem.motion.scene.fps**2
        stiffness: Any = self._stiffness.numpy()
        for part, motion in self.problem.motion.clips:
            quick = max(1.0, usual_acceleration(motion.scene.body(self.body.name), motion) / term.sigma_m_s2)
            own = stiffness[part.frames]
            own["position"] = term.weight * (rate / (quick * term.sigma_m_s2)) ** 2
            own["rotation"] = term.weight * (rate / (quick * term.sigma_rad_s2)) ** 2
            own["joints"] = term.weight * (rate / term.sigma_joint_rad_s2) ** 2
        self._stiffness.assign(stiffness)

    def add(self, system: System, *, alone: bool = False) -> None:
        from warpprior.kernels.smoothness import add_joint_smoothness, add_root_smoothness

        motion = self.problem.motion
        own, frames = motion.states[self.body.name], (motion.segments, motion.paces)
        if motion.world is None:
            add_root_smoothness(own.poses, *frames, self._stiffness, self._start, system, cost_out=self.costs)
        else:
            from warpprior.kernels.world_motion import add_world_smoothness

            viewer, pair = self.problem.viewed(self._start)
            add_world_smoothness(own.poses, viewer, *frames, self._stiffness, pair, system, cost_out=self.costs)
        if self.body.body.coordinate_count:
            add_joint_smoothness(own.joints, *frames, self._stiffness, self._start + 6, system, cost_out=self.costs)


def usual_acceleration(body: SceneBody, motion: MotionState) -> float:
    """Acceleration to be ready for [m/s^2]: that of the known bodies, for what moves them moves others as fast.

    Without known bodies it is the body's own across the line of sight, the direction that pictures tell best.
    """
    from warpprior.system.motion import NEAREST_M

    if motion.known:
        return max(_acceleration(motion.in_world(_path(known, motion)), motion) for known in motion.known)
    positions = motion.states[body.name].poses.numpy()[:, :3].astype(np.float64)
    depth = np.maximum(np.median(positions[:, 2]), NEAREST_M)
    across = positions * (depth / np.maximum(positions[:, 2:], NEAREST_M))
    return _acceleration(motion.in_world(across), motion)


def _acceleration(positions: np.ndarray, motion: MotionState) -> float:
    """Acceleration that a track of positions (frame, 3) exceeds in a tenth of the frames [m/s^2]."""
    from warpprior.system.motion import frame_paces

    paces = frame_paces(motion.scene)[1:, None]
    steps = np.diff(positions, axis=0) * paces
    between = 2.0 / (1.0 / paces[1:] + 1.0 / paces[:-1])
    changes = between * np.diff(steps, axis=0) * motion.scene.fps**2
    return float(np.percentile(np.linalg.norm(changes, axis=1), 90)) if len(changes) else 0.0


def _path(body: SceneBody, motion: MotionState) -> np.ndarray:
    """Where a known body is (frame, 3) [m]: its root, or the middle of an animation, whose root may stay."""
    if body.body.animation is None:
        return body.initial.position
    return motion.points[body.name].numpy().mean(axis=1, dtype=np.float64)
