"""Pose: joints keep within their limits, and near to what is likely and to the first guess."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from warpprior.support.limits import positive
from warpprior.terms.term import BoundTerm, Term

if TYPE_CHECKING:
    from warpprior.kernels.rows import System
    from warpprior.scene import SceneBody
    from warpprior.system.problem import Problem


@dataclass(frozen=True)
class Pose(Term):
    """What is known of joint coordinates without looking; wide, it decides about what pictures do not show.

    Attributes:
        sigma_limit_rad: how far beyond a joint's limit counts one [rad or m].
        sigma_prior: how unlikely a pose is, in sigmas of the body's pose prior, that counts one.
        sigma_guess_rad: how far joint coordinates stray from the first guess [rad or m].
    """

    name: ClassVar[str] = "pose"

    sigma_limit_rad: float = positive(0.05)
    sigma_prior: float = positive(5.0)
    sigma_guess_rad: float = positive(0.4)

    def bind(self, problem: Problem) -> Iterable[BoundTerm]:
        """One for each estimated body with joints."""
        return [BoundPose(self, body, problem) for body in problem.motion.estimated if body.body.coordinate_count]


class BoundPose(BoundTerm):
    """The joint coordinates of one body."""

    term: Pose

    def __init__(self, term: Pose, body: SceneBody, problem: Problem):
        import warp as wp

        from warpprior.kernels.pose import Likely

        super().__init__(term, body, problem)
        device, model = problem.motion.device, body.body

        def constant(values: np.ndarray) -> wp.array:
            return wp.array(np.ascontiguousarray(values, dtype=np.float32), dtype=wp.float32, device=device)

        prior = model.pose_prior
        self._limits = constant(model.lower), constant(model.upper)
        self._mean = constant(np.zeros(0) if prior is None else prior.mean)
        self._precision = constant(np.zeros((1, 1)) if prior is None else prior.precision)
        self._guess = constant(body.initial.joints)
        likely = Likely()
        likely.limit, likely.prior, likely.guess = (
            term.weight / sigma**2 for sigma in (term.sigma_limit_rad, term.sigma_prior, term.sigma_guess_rad)
        )
        self._likely = wp.zeros(1, dtype=Likely, device=device)
        self._likely.assign([likely])
        self._start = problem.equations.starts[body.name] + 6

    def across(self, joined: Problem, clips: Sequence[BoundTerm]) -> BoundTerm:
        return BoundPose(self.term, joined.motion.scene.body(self.body.name), joined)

    def add(self, system: System, *, alone: bool = False) -> None:
        from warpprior.kernels.pose import add_pose

        add_pose(
            self.problem.motion.states[self.body.name].joints,
            *self._limits,
            self._mean,
            self._precision,
            self._guess,
            self._likely,
            self._start,
            system,
            cost_out=self.costs,
        )

    def measurements(self, pixels: float) -> float:
        """The first guess, and the prior where there is one; limits are not reached as a rule."""
        model = self.body.body
        return self.problem.motion.frame_count * model.coordinate_count * (1.0 if model.pose_prior is None else 2.0)
