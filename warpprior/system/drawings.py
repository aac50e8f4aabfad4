"""Every estimated body drawn alone, with its contour, and what else is in the picture."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import warp as wp

from warpprior.kernels.contour import Borders
from warpprior.kernels.slabs import only_in, runs_of
from warpprior.render.canvas import Canvas, can_follow, untouched
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
        keys: of these, in their order [body, place]: what is behind one of them is looked up in all others.
    """

    def __init__(self, motion: MotionState, observed: ObservedPicture, holding: Holding):
        self._motion, self._observed, self._compares = motion, observed, observed.labels is not None
        self._follow = can_follow(motion.device)
        self.parts: Parts = one_part(motion.frame_count) if holding.parts is None else holding.parts
        self.alone: dict[str, Canvas] = {}
        count, window = len(motion.estimated), observed.window
        keys = self._make_room()
        for index, body in enumerate(motion.estimated):
            channels = [0 if other == index else None for other in range(count)]
            given = {"parts": self.parts, "keys": keys[index], "follows": True}
            self.alone[body.name] = Canvas(motion.assembly, channels, [True] * count, window, motion.device, **given)
        self._backdrop = Backdrop(motion, observed, self.parts, hold=holding.backdrop)
        self._turn_to(self.parts[0])

    def _make_room(self) -> Any:
        """Buffers of keys [body, frame, pixel], for what is the same of all frames."""
        longest, window = max(part.count for part in self.parts), self._observed.window
        count, device = len(self._motion.estimated), self._motion.device
        keys = untouched((count, longest, window.width * window.height), device)
        self.keys = keys.reshape((count, longest * window.width * window.height))
        self._walls = window.views(device)
        self._views = wp.zeros((count, longest), dtype=wp.vec4i, device=device)
        self._sizes = wp.full(count, window.width * window.height, dtype=wp.int32, device=device)
        return keys

    @property
    def whole(self) -> bool:
        """All frames are one part."""
        return len(self.parts) == 1

    def hold_whole(self) -> None:
        """Draw all frames at once from now on, for whoever walks the same drawings twice."""
        if self.whole:
            return
        self.parts = one_part(self._motion.frame_count)
        for canvas, keys in zip(self.alone.values(), self._make_room(), strict=True):
            canvas.take_buffers(self._observed.window, keys=keys)
        self._backdrop = Backdrop(self._motion, self._observed, self.parts)
        self._turn_to(self.parts[0])

    def show_others(self, name: str, borders: Borders) -> None:
        """Let a body's contour see all bodies but itself, of the part that was drawn last."""
        wall: Any = self._backdrop.keys  # None: nothing is there but the bodies
        borders.blockers, borders.bodies, borders.walls = wall, self.keys, self._part.of(self._walls)
        borders.number, borders.views = list(self.alone).index(name), self._look()
        borders.sizes = self._sizes

    def _look(self) -> wp.array:
        """Crops of the bodies' drawings now [body, frame] vec4i: first column and row, width, height."""
        part = self._part
        if self._follow:
            views, pixels = self._views.numpy(), self._sizes.numpy()
            for place, canvas in enumerate(self.alone.values()):
                own, window = views[place], canvas.window
                pixels[place] = window.width * window.height
                own[: part.count, :2] = window.origins[part.frames]
                own[: part.count, 2:] = (
                    (window.width, window.height) if window.sizes is None else window.sizes[part.frames]
                )
        return self._views

    def draw(self) -> None:
        """Draw everything where it is now; launches only.  Without labels there is nothing to compare drawings with.

        Of a sequence in several parts nothing is drawn here, nor by :meth:`draw_alone`: :meth:`each` does.
        """
        for name in self.alone:
            self.draw_alone(name)

    def draw_alone(self, name: str) -> None:
        """Draw one body anew, likewise; launches only."""
        if self._compares and self.whole:
            self.alone[name].draw(self._motion.screen)

    def each(self, name: str | None = None, frames: np.ndarray | None = None) -> Iterator[Part]:
        """Part by part, each drawn where bodies are now; launches only.

        Args:
            name: of a body that alone has its contour drawn; None for all.
            frames: which frames are looked at (frame,) bool; None for all.  Parts without one are left out.
        """
        for part in self.parts:
            chosen = None if frames is None else frames[part.frames]
            if chosen is not None and not chosen.any():
                continue
            if not self.whole:
                self._turn_to(part)
                with only_in(runs_of(chosen)):
                    self._draw_part(name)
            yield part

    def renew(self) -> None:
        """Void all claims, before a graph is recorded that is to be replayed often."""
        for canvas in self.alone.values():
            canvas.renew()

    def refresh_backdrop(self) -> None:
        """Take the known bodies where the focal length has them now."""
        self._backdrop.refresh()

    def _turn_to(self, part: Part) -> None:
        self._part = part
        if not self._follow:  # crops stay where they are
            for index in range(len(self.alone)):
                views: Any = self._views[index]
                wp.copy(views, part.of(self._walls), count=part.count)
        self._backdrop.turn_to(part)
        for canvas in self.alone.values():
            canvas.turn_to(part)

    def _draw_part(self, name: str | None) -> None:
        if not self._compares:
            return
        for other, canvas in self.alone.items():
            if name is None or other == name:
                canvas.draw(self._motion.screen)
            else:
                canvas.draw_faces(self._motion.screen)
