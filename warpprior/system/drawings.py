"""Every estimated body drawn alone, with its contour, and what else is in the picture."""

from __future__ import annotations

import warp as wp

from warpprior.kernels.contour import Borders
from warpprior.render.canvas import Canvas
from warpprior.system.motion import MotionState
from warpprior.system.observed import ObservedPicture


class Drawings:
    """Canvases of the estimated bodies.

    Args:
        motion: of all bodies.
        observed: the label images.

    Attributes:
        alone: by body name, a canvas with that body alone, as channel 0, and its contour.
        keys: of these, in their order [body, frame, pixel]: what is behind one of them is looked up in all others.
    """

    def __init__(self, motion: MotionState, observed: ObservedPicture):
        self._motion, self._observed, self._compares = motion, observed, observed.labels is not None
        self.alone: dict[str, Canvas] = {}
        count, window = len(motion.estimated), observed.window
        self.keys = wp.zeros((count, *observed.backdrop.shape), dtype=wp.uint64, device=motion.device)
        for index, body in enumerate(motion.estimated):
            channels, keys = [0 if other == index else None for other in range(count)], self.keys[index]
            self.alone[body.name] = Canvas(motion.assembly, channels, [True] * count, window, motion.device, keys=keys)

    def show_others(self, name: str, borders: Borders) -> None:
        """Let a body's contour see all bodies but itself."""
        borders.blockers, borders.bodies = self._observed.backdrop, self.keys
        borders.number = list(self.alone).index(name)

    def draw(self) -> None:
        """Draw everything where it is now; launches only.  Without labels there is nothing to compare drawings with."""
        for name in self.alone:
            self.draw_alone(name)

    def draw_alone(self, name: str) -> None:
        """Draw one body anew, likewise; launches only."""
        if self._compares:
            self.alone[name].draw(self._motion.screen)
