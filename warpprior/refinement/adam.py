"""Adam on everything that moves, with contact and slip going from coarse to fine."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import warp as wp

from warpprior.kernels.adam import adam_step
from warpprior.kernels.joints import bound_joints
from warpprior.settings import PolishSettings
from warpprior.support.history import History
from warpprior.support.replay import Replay
from warpprior.system.energy import Energy
from warpprior.system.motion import MotionState
from warpprior.terms.sliding import SlidingPrior

ROUND = 10  # iterations between changes of rates and scales
COARSE = 10.0  # contact begins this many times farther away, and slip is this many times freer, at the start
DECAYS = (0.9, 0.99)
CLIP = 100.0  # longest gradient of a frame, per unit steps


class Descent:
    """The descent of one energy.

    Args:
        state: the motion; its increments are what steps are taken in.
        energy: what goes down.
        settings: rates and unit steps.
        capture: replay iterations as a graph; None does so on a GPU.
    """

    def __init__(self, state: MotionState, energy: Energy, settings: PolishSettings, *, capture: bool | None = None):
        self.state, self.energy, self.settings = state, energy, settings
        device = state.device
        self._capture = capture
        self._rate = wp.full(1, settings.rate, dtype=wp.float32, device=device)
        self._decays = wp.array(np.array(DECAYS, dtype=np.float32), dtype=wp.float32, device=device)
        self._clip = wp.full(1, CLIP, dtype=wp.float32, device=device)
        self._active = wp.full(state.frame_count, 1, dtype=wp.int32, device=device)
        self._buffers = {}
        for body in state.estimated:
            increments = state.increments[body.name]
            steps = [settings.step_px / state.focal[0], settings.step_px / state.focal[1], settings.step_log_depth]
            steps += [settings.step_rad] * 3 + [settings.step_joint] * body.body.coordinate_count
            self._buffers[body.name] = (
                wp.array(np.array(steps, dtype=np.float32), dtype=wp.float32, device=device),
                wp.zeros(state.frame_count, dtype=wp.int32, device=device),
                wp.zeros(increments.shape, dtype=wp.float32, device=device),
                wp.zeros(increments.shape, dtype=wp.float32, device=device),
                wp.zeros(state.frame_count, dtype=wp.int32, device=device),
            )
        self._limits = {
            body.name: tuple(
                wp.array(limit.astype(np.float32), dtype=wp.float32, device=device)
                for limit in (body.body.lower, body.body.upper)
            )
            for body in state.estimated
            if body.body.coordinate_count
        }

    def run(self, iterations: int, report: Callable[[int], None]) -> list[dict[str, float]]:
        """Go down; returns the value of every term, summed over the frames, at every iteration.

        Args:
            iterations: how many.
            report: told after each round how many iterations are done.
        """
        history = History(self.energy.names, iterations, self.state.device)
        step = Replay(lambda: self._iterate(history), self.state.device, capture=self._capture)
        for done in range(0, iterations, ROUND):
            self._anneal(done / max(iterations, 1))
            for _ in range(min(ROUND, iterations - done)):
                step()
            report(min(done + ROUND, iterations))
            if 2 * done >= iterations and self._settled(history.read()):
                break
        self.state.pose()  # limits may have moved joints after the surface was made
        return [dict(zip(self.energy.names, row, strict=True)) for row in history.read()]

    def _settled(self, rows: np.ndarray) -> bool:
        """The last round changed the energy by next to nothing."""
        if len(rows) <= ROUND:
            return False
        weights = np.array([term.weight for term in self.energy.terms])
        before, now = float(rows[-1 - ROUND] @ weights), float(rows[-1] @ weights)
        return abs(before - now) <= self.settings.tolerance * abs(now)

    @property
    def skipped(self) -> int:
        """Gradients that could not be used so far, over all frames and bodies; waits for the device."""
        return int(sum(int(skipped.numpy().sum()) for *_, skipped in self._buffers.values()))

    def _iterate(self, history: History) -> None:
        """One step; launches only."""
        state = self.state
        self.energy.freeze()
        self.energy.differentiate()
        history.add_rows(self.energy.rows)
        history.close_row()
        for body in state.estimated:
            increments = state.increments[body.name]
            scales, steps, first, second, skipped = self._buffers[body.name]
            adam_step(
                increments.grad,
                scales,
                self._rate,
                self._decays,
                self._clip,
                self._active,
                steps_out=steps,
                first_moment_out=first,
                second_moment_out=second,
                increments_out=increments,
                skipped_out=skipped,
            )
        self.energy.clear()
        state.pose()
        for name, (lower, upper) in self._limits.items():
            bound_joints(lower, upper, joints_out=state.joints[name])
        state.settle()

    def _anneal(self, progress: float) -> None:
        """Rates fall along a cosine; contact and slip tighten over the first half."""
        s = self.settings
        fall = 0.5 * (1.0 + math.cos(math.pi * progress))
        self._rate.fill_(s.rate * (s.final_rate + (1.0 - s.final_rate) * fall))
        coarse = COARSE ** max(0.0, 1.0 - 2.0 * progress)
        for term in self.energy.terms:
            prior = term.prior
            if isinstance(prior, SlidingPrior) and not prior.settings.literal:
                prior.sigma.fill_(prior.settings.sigma_slip_m * coarse)
                prior.contact_distance.fill_(prior.settings.contact_distance_m * coarse)
                prior.softness.fill_(prior.settings.softness_m * coarse)
