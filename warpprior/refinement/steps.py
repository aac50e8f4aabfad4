"""From the solution of the equations to a step that a linearisation can be trusted with."""

from __future__ import annotations

import numpy as np
import warp as wp

from warpprior.kernels.steps import StepLimits, take_steps
from warpprior.scene import SceneBody
from warpprior.system.motion import MotionState
from warpprior.system.problem import Problem

STEP_LIMITS = (0.05, 0.05, 0.1, 0.2, 0.2, 0.2)  # x/z, y/z, log z, rotation [rad]: beyond, the linearisation is off
JOINT_STEP_LIMIT = 0.3  # [rad or m]
FLOOR = 1.0  # keeps directions that nothing observes where they are


class BodySteps:
    """The steps of one estimated body.

    Args:
        body: the body.
        problem: the sequence's.
        motion: that is moved, of some of its frames; None for all.

    Attributes:
        columns: of its unknowns.
        floor: absolute damping of each of them.
    """

    def __init__(self, body: SceneBody, problem: Problem, motion: MotionState | None = None):
        self.body, self._motion = body, problem.motion if motion is None else motion
        start, count = problem.equations.starts[body.name], problem.equations.counts[body.name]
        self.columns = slice(start, start + count)
        self.floor = np.full(count, FLOOR)
        longest = np.concatenate([STEP_LIMITS, np.full(count - 6, JOINT_STEP_LIMIT)])
        limits, device, model = StepLimits(), problem.motion.device, body.body
        limits.longest = wp.array(longest, dtype=wp.float64, device=device)
        limits.lower = wp.array(model.lower, dtype=wp.float32, device=device)
        limits.upper = wp.array(model.upper, dtype=wp.float32, device=device)
        self._limits = limits

    def take(self, steps: wp.array, first: int = 0) -> None:
        """Write steps, shortened to what can be trusted, into the body's increments; launches only.

        Joints end within their limits: what the solution wants beyond them is cut off.

        Args:
            steps: of all columns that were solved for [frame, column] float64.
            first: column of the body's root among them.
        """
        self._limits.first = first
        name = self.body.name
        take_steps(steps, self._limits, self._motion.base_joints[name], increments_out=self._motion.increments[name])
