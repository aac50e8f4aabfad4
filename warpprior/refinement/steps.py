"""From the solution of the equations to a step that a linearisation can be trusted with."""

from __future__ import annotations

import numpy as np

from warpprior.scene import SceneBody
from warpprior.system.problem import Problem

STEP_LIMITS = (0.05, 0.05, 0.1, 0.2, 0.2, 0.2)  # x/z, y/z, log z, rotation [rad]: beyond, the linearisation is off
JOINT_STEP_LIMIT = 0.3  # [rad or m]
FLOOR = 1.0  # keeps directions that nothing observes where they are


class BodySteps:
    """The steps of one estimated body.

    Args:
        body: the body.
        problem: the sequence's.

    Attributes:
        columns: of its unknowns.
        floor: absolute damping of each of them.
    """

    def __init__(self, body: SceneBody, problem: Problem):
        self.body, self._motion = body, problem.motion
        start, count = problem.equations.starts[body.name], problem.equations.counts[body.name]
        self.columns = slice(start, start + count)
        self.floor = np.full(count, FLOOR)
        self._limits = np.concatenate([STEP_LIMITS, np.full(count - 6, JOINT_STEP_LIMIT)])

    def take(self, steps: np.ndarray) -> None:
        """Write steps (frame, unknown), shortened to what can be trusted, into the body's increments.

        Joints end within their limits: what the solution wants beyond them is cut off.
        """
        ratio = np.maximum(np.abs(steps) / self._limits, 1.0).max(axis=1, keepdims=True)
        increments = (steps / ratio).astype(np.float32)
        model = self.body.body
        if model.coordinate_count:
            joints = self._motion.base_joints[self.body.name].numpy()
            increments[:, 6:] = np.clip(joints + increments[:, 6:], model.lower, model.upper) - joints
        self._motion.increments[self.body.name].assign(increments)
