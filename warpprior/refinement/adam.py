"""Adam on the energy of everything that is estimated, with contact and slip going from coarse to fine."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import warp as wp

from warpprior.kernels.adam import adam_step
from warpprior.kernels.joints import bound_joints
from warpprior.settings import RefineSettings
from warpprior.support.history import History
from warpprior.support.replay import Replay
from warpprior.system.energy import Energy
from warpprior.system.problem import Problem
from warpprior.terms import ADAM
from warpprior.terms.term import bind_terms

ROUND = 10  # iterations between changes of rates and scales
DECAYS = (0.9, 0.99)
CLIP = 100.0  # longest gradient of a frame, per unit steps


def _held(problem: Problem) -> list[str]:
    """Unknowns of the problem that move bodies or what is seen of them, and are no increments of a body's motion."""
    shared, world = problem.shared, problem.motion.world
    held = [f"the size of {name}" for name in shared.sizes] + [f"the shape of {name}" for name in shared.shapes]
    held += ["the focal length"] if "focal" in shared.names else []
    return held + (["the camera's motion"] if world is not None and world.estimated else [])


class Adam:
    """The descent of the energy.

    Args:
        problem: what terms share; steps are taken in the increments of its motion.
        settings: of the whole refinement.
        capture: replay iterations as a graph; None does so on a GPU.

    Attributes:
        energy: what goes down.
    """

    def __init__(self, problem: Problem, settings: RefineSettings, *, capture: bool | None = None):
        self.problem, self.settings = problem, settings.adam
        self._capture = capture
        used = settings.used_by(ADAM)
        problem.prepare_for(used)
        problem.drawings.hold_whole()  # a tape walks them forth and back
        problem.refresh_backdrop()
        self.energy = Energy(problem, bind_terms(used, problem))
        motion, s = problem.motion, settings.adam
        for held in _held(problem):
            problem.note(f"adam holds {held} as it was before, and moves poses and joints alone.")
        device = motion.device
        self._rate = wp.full(1, s.rate, dtype=wp.float32, device=device)
        self._decays = wp.array(np.array(DECAYS, dtype=np.float32), dtype=wp.float32, device=device)
        self._clip = wp.full(1, CLIP, dtype=wp.float32, device=device)
        self._active = wp.full(motion.frame_count, 1, dtype=wp.int32, device=device)
        self._buffers = {}
        for body in motion.estimated:
            increments = motion.increments[body.name]
            focal: list[float] = list(motion.focal)
            steps = [s.step_px / focal[0], s.step_px / focal[1], s.step_log_depth]
            steps += [s.step_rad] * 3 + [s.step_joint] * body.body.coordinate_count
            self._buffers[body.name] = (
                wp.array(np.array(steps, dtype=np.float32), dtype=wp.float32, device=device),
                wp.zeros(motion.frame_count, dtype=wp.int32, device=device),
                wp.zeros(increments.shape, dtype=wp.float32, device=device),
                wp.zeros(increments.shape, dtype=wp.float32, device=device),
                wp.zeros(motion.frame_count, dtype=wp.int32, device=device),
            )
        self._limits = {
            body.name: tuple(
                wp.array(limit.astype(np.float32), dtype=wp.float32, device=device)
                for limit in (body.body.lower, body.body.upper)
            )
            for body in motion.estimated
            if body.body.coordinate_count
        }

    def run(self, iterations: int, report: Callable[[int], None]) -> list[dict[str, float]]:
        """Go down; returns the cost of every term, summed over the frames, at every iteration.

        Args:
            iterations: how many.
            report: called after each round with how many iterations are done.
        """
        names = self.energy.names
        history = History(names, iterations, self.problem.motion.device)
        step = Replay(lambda: self._iterate(history), self.problem.motion.device, capture=self._capture)
        for done in range(0, iterations, ROUND):
            self._anneal(done / max(iterations, 1))
            for _ in range(min(ROUND, iterations - done)):
                step()
            report(min(done + ROUND, iterations))
            if 2 * done >= iterations and self._settled(self._costs(history)):
                break
        self.problem.motion.pose()  # limits may have moved joints after the surface was made
        return [dict(zip(names, row, strict=True)) for row in self._costs(history)]

    def _costs(self, history: History) -> np.ndarray:
        """Costs so far (iteration, term)."""
        return history.read() * self.energy.factors

    def _settled(self, rows: np.ndarray) -> bool:
        """The last round changed the energy by next to nothing."""
        if len(rows) <= ROUND:
            return False
        before, now = float(rows[-1 - ROUND].sum()), float(rows[-1].sum())
        return abs(before - now) <= self.settings.tolerance * abs(now)

    @property
    def skipped(self) -> int:
        """Gradients that could not be used so far, over all frames and bodies; waits for the device."""
        return int(sum(int(skipped.numpy().sum()) for *_, skipped in self._buffers.values()))

    def _iterate(self, history: History) -> None:
        """One step; launches only."""
        motion = self.problem.motion
        self.energy.freeze()
        self.energy.differentiate()
        history.add_rows(self.energy.rows)
        history.close_row()
        for body in motion.estimated:
            increments = motion.increments[body.name]
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
        motion.pose()
        for name, (lower, upper) in self._limits.items():
            bound_joints(lower, upper, joints_out=motion.joints[name])
        motion.settle()

    def _anneal(self, progress: float) -> None:
        """Rates fall along a cosine; contact and slip tighten over the first half."""
        s = self.settings
        fall = 0.5 * (1.0 + math.cos(math.pi * progress))
        self._rate.fill_(s.rate * (s.final_rate + (1.0 - s.final_rate) * fall))
        coarse = s.coarse ** max(0.0, 1.0 - 2.0 * progress)
        stage = replace(
            s.stage,
            contact_distance_m=s.stage.contact_distance_m * coarse,
            contact_softness_m=s.stage.contact_softness_m * coarse,
            sigma_slip_m_s=s.stage.sigma_slip_m_s * coarse,
        )
        self.problem.enter(stage)
        for term in self.energy.terms:
            term.enter(stage)
