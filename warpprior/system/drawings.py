"""Every estimated body drawn alone, with its contour, and what else is in the picture."""

from __future__ import annotations

from collections.abc import Iterator

import warp as wp

from warpprior.render.canvas import Canvas
from warpprior.render.parts import Part, Parts, one_part
from warpprior.system.backdrop import Backdrop
from warpprior.system.holding import Holding
from warpprior.system.motion import MotionState
from warpprior.system.observed import ObservedPicture


class Drawings:
    """Canvases of the estimated bodies.

    Where all frames are one part, what was drawn stays until it is drawn again.  Where they are not, the same buffers
    hold one part after the other, and :meth:`each` draws it anew for whoever looks.

    Args:
        motion: of all bodies.
        observed: the label images.
        holding: how much is in memory at a time.

    Attributes:
        parts: frames that are drawn together.
        alone: by body name, a canvas with that body alone, as channel 0, and its contour.
    """

    def __init__(self, motion: MotionState, observed: ObservedPicture, holding: Holding):
        self._motion, self._observed, self._compares = motion, observed, observed.labels is not None
        self.parts: Parts = one_part(motion.frame_count) if holding.parts is None else holding.parts
        self.alone: dict[str, Canvas] = {}
        self._together: dict[str, Canvas] = {}
        count, window = len(motion.estimated), observed.window
        for index, body in enumerate(motion.estimated):
            channels = [0 if other == index else None for other in range(count)]
            self.alone[body.name] = Canvas(
                motion.assembly, channels, [True] * count, window, motion.device, parts=self.parts
            )
        if count > 2 or (count == 2 and motion.known):
            for index, body in enumerate(motion.estimated):
                channels = [None if other == index else 0 for other in range(count)]
                self._together[body.name] = Canvas(
                    motion.assembly, channels, [False] * count, window, motion.device, parts=self.parts
                )
        self._backdrop = Backdrop(motion, observed, self.parts, hold=holding.backdrop)
        self._turn_to(self.parts[0])

    @property
    def whole(self) -> bool:
        """All frames are one part."""
        return len(self.parts) == 1

    def hold_whole(self) -> None:
        """Draw all frames at once from now on, for whoever walks the same drawings twice."""
        if self.whole:
            return
        self.parts = one_part(self._motion.frame_count)
        for canvas in self._canvases():
            canvas.take_buffers(self._observed.window)
        self._backdrop = Backdrop(self._motion, self._observed, self.parts)
        self._turn_to(self.parts[0])

    def behind(self, name: str) -> wp.array:
        """Keys of all bodies but one [frame, pixel], of the part that was drawn last."""
        if name in self._together:
            return self._together[name].keys
        others = [canvas for other, canvas in self.alone.items() if other != name]
        keys = others[0].keys if others else self._backdrop.keys
        assert keys is not None, "there is something behind a body that is alone"
        return keys

    def draw(self) -> None:
        """Draw everything where it is now; launches only.  Without labels there is nothing to compare drawings with.

        Of a sequence in several parts nothing is drawn here, nor by :meth:`draw_alone`: :meth:`each` does.
        """
        for name in self.alone:
            self.draw_alone(name)
        if self._compares and self.whole:
            for canvas in self._together.values():
                canvas.draw_faces(self._motion.screen)

    def draw_alone(self, name: str) -> None:
        """Draw one body anew, likewise; launches only."""
        if self._compares and self.whole:
            self.alone[name].draw(self._motion.screen)

    def each(self, name: str | None = None) -> Iterator[Part]:
        """Part by part, each drawn where bodies are now; launches only.

        Args:
            name: of a body that alone has its contour drawn; None for all.
        """
        for part in self.parts:
            if not self.whole:
                self._turn_to(part)
                self._draw_part(name)
            yield part

    def renew(self) -> None:
        """Void all claims, before a graph is recorded that is to be replayed often."""
        for canvas in self._canvases():
            canvas.renew()

    def refresh_backdrop(self) -> None:
        """Take the known bodies where the focal length has them now."""
        self._backdrop.refresh()

    def _canvases(self) -> list[Canvas]:
        return [*self.alone.values(), *self._together.values()]

    def _turn_to(self, part: Part) -> None:
        self._backdrop.turn_to(part)
        for canvas in self._canvases():
            canvas.turn_to(part)
        for canvas in self._together.values():
            canvas.backdrop = self._backdrop.keys

    def _draw_part(self, name: str | None) -> None:
        if not self._compares:
            return
        screen = self._motion.screen
        for other, canvas in self.alone.items():
            if name is None or other == name:
                canvas.draw(screen)
            elif name not in self._together:
                canvas.draw_faces(screen)
        for other, canvas in self._together.items():
            if name is None or other == name:
                canvas.draw_faces(screen)
