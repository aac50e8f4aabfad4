"""How far surfaces move from one iteration to the next, and how far they have yet to go: whether a stage is done.

Least squares that are reweighted near their end in one of two ways: steps shrink by a factor each, and what is left is
the sum of those to come; or they go to and fro between two states, and nothing is left but that.
"""

from __future__ import annotations

from copy import copy

import numpy as np
import warp as wp

from warpprior.render.parts import Part
from warpprior.system.motion import MotionState

SHARE = 0.9  # of the frames that is to be at rest: a few may go to and fro between two states for ever
SLOWEST = 0.95  # steps that shrink less than this are taken to
POINT_STRIDE = 8  # of contact points that are looked at


class Stillness:
    """The last two steps of all estimated bodies.

    Args:
        motion: of all bodies, where it begins.
    """

    def __init__(self, motion: MotionState):
        self._motion = motion
        names = [body.name for body in motion.estimated]
        self._kept = {
            name: [wp.empty_like(motion.points[name], requires_grad=False) for _ in range(3)] for name in names
        }
        self._count, self._whole = [0], True
        self.keep()

    def of_clip(self, part: Part, motion: MotionState) -> Stillness:
        """Those of one of several clips, which are kept when those of all are."""
        clip = copy(self)
        clip._motion, clip._whole = motion, False
        clip._kept = {name: [part.of(array) for array in kept] for name, kept in self._kept.items()}
        return clip

    def keep(self) -> None:
        """Remember where surfaces are now; launches only."""
        if not self._whole:
            return
        for name, kept in self._kept.items():
            wp.copy(kept[self._count[0] % len(kept)], self._motion.points[name])
        self._count[0] += 1

    def read(self) -> tuple[float, float]:
        """How far the body that moves most went in the last step, and has yet to go [px]; waits for the device.

        Millimetres are told in pixels at their depth, those in depth, too.  Both are infinite before two steps.
        """
        if self._count[0] < 3:
            return np.inf, np.inf
        found = [self._read(kept) for kept in self._kept.values()]
        return max(step for step, _ in found), max(left for _, left in found)

    def _read(self, kept: list[wp.array]) -> tuple[float, float]:
        """The same of one body."""
        order = [(self._count[0] + number) % 3 for number in range(3)]  # the oldest is the next to be overwritten
        before, between, now = (kept[place].numpy()[:, ::POINT_STRIDE] for place in order)
        per_metre = self._motion.focal[0] / np.maximum(now[..., 2].mean(axis=1), 1e-6)
        first, second = between - before, now - between
        steps = per_metre * np.sqrt(np.square(second).sum(axis=2).mean(axis=1))
        along, size = np.sum(first * second, axis=(1, 2)), np.square(first).sum(axis=(1, 2))
        shrink = float(np.clip(np.median(along / np.maximum(size, 1e-20)), 0.0, SLOWEST))
        step = float(np.quantile(steps, SHARE))
        return step, step * shrink / (1.0 - shrink)
