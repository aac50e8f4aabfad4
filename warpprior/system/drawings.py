"""Every estimated body drawn alone, with its contour, and what else is in the picture."""

from __future__ import annotations

import warp as wp

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
        others: by body name, keys of all other bodies [frame, pixel].
    """

    def __init__(self, motion: MotionState, observed: ObservedPicture):
        self._motion, self._compares = motion, observed.labels is not None
        self.alone: dict[str, Canvas] = {}
        self.others: dict[str, wp.array] = {}
        self._together: list[Canvas] = []
        count, window = len(motion.estimated), observed.window
        for index, body in enumerate(motion.estimated):
            channels = [0 if other == index else None for other in range(count)]
            self.alone[body.name] = Canvas(motion.assembly, channels, [True] * count, window, motion.device)
        for index, body in enumerate(motion.estimated):
            if count == 1:
                self.others[body.name] = observed.backdrop
            elif count == 2 and not motion.known:
                self.others[body.name] = self.alone[motion.estimated[1 - index].name].keys
            else:
                channels = [None if other == index else 0 for other in range(count)]
                canvas = Canvas(
                    motion.assembly, channels, [False] * count, window, motion.device, backdrop=observed.backdrop
                )
                self._together.append(canvas)
                self.others[body.name] = canvas.keys

    def draw(self) -> None:
        """Draw everything where it is now; launches only.  Without labels there is nothing to compare drawings with."""
        for name in self.alone:
            self.draw_alone(name)
        for canvas in self._together if self._compares else ():
            canvas.draw_faces(self._motion.screen)

    def draw_alone(self, name: str) -> None:
        """Draw one body anew, likewise; launches only."""
        if self._compares:
            self.alone[name].draw(self._motion.screen)
