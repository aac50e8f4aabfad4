"""Joint coordinates of an articulated body: limits, likely poses, the first guess, smoothness."""

from __future__ import annotations

import numpy as np
import warp as wp

from warpprior.kernels.pose_fit import accumulate_pose
from warpprior.scene import SceneBody
from warpprior.system.problem import Problem


class JointTerms:
    """What is known of joint coordinates without looking.

    Args:
        body: an articulated moving body.
        problem: the sequence's.
    """

    def __init__(self, body: SceneBody, problem: Problem):
        self.body, self.problem = body, problem
        state, model = problem.state, body.body
        device = state.device

        def constant(values):
            return wp.array(np.ascontiguousarray(values, dtype=np.float32), dtype=wp.float32, device=device)

        self.lower, self.upper = constant(model.lower), constant(model.upper)
        prior = model.pose_prior
        self.mean = constant(np.zeros(0) if prior is None else prior.mean)
        self.precision = constant(np.zeros((1, 1)) if prior is None else prior.precision)
        self.guess = constant(body.initial.joints)
        self.stiffness = wp.zeros(5, dtype=wp.float32, device=device)
        self.start = problem.equations.starts[body.name] + 6

    def enter(self) -> None:
        """Take the scales of the settings."""
        s, fps = self.problem.settings, self.problem.state.scene.fps
        values = [
            s.pose_weight / s.sigma_limit_rad**2,
            s.pose_weight / s.sigma_prior**2,
            s.pose_weight / s.sigma_guess_rad**2,
            s.smoothness_weight * (fps**2 / s.sigma_joint_acceleration_rad_s2) ** 2,
            s.consistency_weight * (fps / s.sigma_joint_velocity_rad_s) ** 2,
        ]
        self.stiffness.assign(np.array(values, dtype=np.float32))

    def let_frames_go(self) -> None:
        """Switch off what ties frames together."""
        values = self.stiffness.numpy().copy()
        values[3:] = 0.0
        self.stiffness.assign(values)

    def add(self, cost: wp.array) -> None:
        """Add to the equations and to ``cost`` [frame]; launches only."""
        equations, state = self.problem.equations, self.problem.state
        accumulate_pose(
            state.states[self.body.name].joints,
            self.lower,
            self.upper,
            self.mean,
            self.precision,
            self.guess,
            state.segments,
            self.stiffness,
            start=self.start,
            hessian_out=equations.hessian,
            gradient_out=equations.gradient,
            cost_out=cost,
        )
