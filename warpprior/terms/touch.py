"""Touch: what moves is touched by something; it tells how large a body is, and how far away, whose size is unknown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from warpprior.support.limits import number, positive, weight
from warpprior.terms.term import BoundTerm, Term

if TYPE_CHECKING:
    from warpprior.kernels.rows import System
    from warpprior.scene import Scene, SceneBody
    from warpprior.system.motion import MotionState
    from warpprior.system.problem import Problem
    from warpprior.system.stage import Stage

AROUND = 3  # frames before and after, between which it is seen whether a body moves
FARTHEST = 1e6  # [m]


@dataclass(frozen=True)
class Touch(Term):
    """Gap between a rigid body that moves and the nearest point of all others, by a Cauchy cost.

    Of bodies whose size is estimated alone: of others, depth is told by their size.

    Attributes:
        sigma_m: error of the gap: of surfaces, of soft contact, and between the points of a surface [m].
        width_sigmas: gaps beyond so many sigmas count less and less: what flies is touched by nothing.
        alike_frames: in so many frames in a row the gap errs alike.
        speed_lengths_s: what moves faster across the line of sight is moved by something [lengths of the body per s].
    """

    name: ClassVar[str] = "touch"

    sigma_m: float = positive(0.003)
    width_sigmas: float = positive(3.0)
    alike_frames: float = number(4.0, 1.0)
    speed_lengths_s: float = weight(0.3)

    def lacks(self, scene: Scene) -> tuple[str, ...]:
        """A body whose size is estimated."""
        return () if any(body.size is not None for body in scene.bodies) else ("body of unknown size",)

    def bind(self, problem: Problem) -> Iterable[BoundTerm]:
        """One for each body whose size is estimated, where there is another that may touch it."""
        bodies = problem.motion.estimated if len(problem.motion.scene.bodies) > 1 else ()
        return [BoundTouch(self, body, problem) for body in bodies if body.size is not None]


class BoundTouch(BoundTerm):
    """What touches one rigid body."""

    term: Touch

    def __init__(self, term: Touch, body: SceneBody, problem: Problem):
        import warp as wp

        from warpprior.kernels.touch import Gap

        super().__init__(term, body, problem)
        motion, device = problem.motion, problem.motion.device
        self._pairs = list(problem.contacts(body).pairs.values())
        self._moving = wp.zeros(motion.frame_count, dtype=wp.float32, device=device)
        self._distances = wp.zeros(motion.frame_count, dtype=wp.float32, device=device)
        self._nearest = wp.full(motion.frame_count, wp.vec2i(-1, -1), dtype=wp.vec2i, device=device)
        self._gap = wp.zeros(1, dtype=Gap, device=device)

    def enter(self, stage: Stage) -> None:
        from warpprior.kernels.touch import Gap

        term, gap = self.term, Gap()
        gap.weight = term.weight / (term.alike_frames * term.sigma_m**2)
        gap.width = term.width_sigmas * term.sigma_m
        self._gap.assign([gap])
        moving = moving_frames(self.problem.motion, self.body, term.speed_lengths_s)
        self._moving.assign(moving.astype(np.float32))

    def freeze(self) -> None:
        """Which point is nearest."""
        import warp as wp

        from warpprior.kernels.touch import find_nearest

        self._distances.fill_(FARTHEST)
        self._nearest.fill_(wp.vec2i(-1, -1))
        for number_of_pair, pair in enumerate(self._pairs):
            find_nearest(
                pair.contacts.samples, number_of_pair, distances_out=self._distances, nearest_out=self._nearest
            )

    def add(self, system: System, *, alone: bool = False) -> None:
        from warpprior.kernels.touch import add_touch

        for number_of_pair, pair in enumerate(self._pairs):
            contacts = pair.held if alone else pair.contacts
            add_touch(contacts, number_of_pair, self._nearest, self._moving, self._gap, system, cost_out=self.costs)

    def measurements(self, pixels: float) -> float:
        """Each frame in which it moves is one gap."""
        return float(self._moving.numpy().sum()) / self.term.alike_frames


def moving_frames(motion: MotionState, body: SceneBody, least: float) -> np.ndarray:
    """Where the body moves faster than ``least`` of its lengths per second across the line of sight (frame,) bool.

    In lengths of itself it moves alike whatever its size, as pictures show it; where the camera moves, in the world.
    """
    from warpprior.system.motion import NEAREST_M

    positions = motion.states[body.name].poses.numpy()[:, :3].astype(np.float64)
    length = motion.read_size(body) * float(np.ptp(body.body.vertices, axis=0).max())
    frames = np.arange(len(positions))
    before, after = np.maximum(frames - AROUND, 0), np.minimum(frames + AROUND, frames[-1])
    now, then = (
        places[:, :2] / np.maximum(places[:, 2:], NEAREST_M)
        for places in (positions[after], motion.if_at_rest_since(before, after, positions[before]))
    )
    seconds = np.maximum(motion.scene.times[after] - motion.scene.times[before], 1e-6)
    speeds = np.linalg.norm(now - then, axis=1) * positions[:, 2] / (length * seconds)
    return speeds > least
