"""Every moving body drawn alone, with its contour, and what else is in the picture."""

from __future__ import annotations

import warp as wp

from warpprior.render.canvas import Canvas
from warpprior.system.motion import MotionState
from warpprior.system.picture import Picture


class Drawings:
    """Canvases of the moving bodies.

    Args:
        state: the motion.
        picture: the observations.

    Attributes:
        alone: by body name, a canvas with that body alone, as channel 0, and its contour.
        others: by body name, keys of all other bodies [frame, pixel].
    """

    def __init__(self, state: MotionState, picture: Picture):
        self._state, self._compares = state, picture.labels is not None
        self.alone: dict[str, Canvas] = {}
        self.others: dict[str, wp.array] = {}
        self._together: list[Canvas] = []
        count, window = len(state.estimated), picture.window
        for index, body in enumerate(state.estimated):
            channels = [0 if other == index else None for other in range(count)]
            self.alone[body.name] = Canvas(state.assembly, channels, [True] * count, window, state.device)
        for index, body in enumerate(state.estimated):
            if count == 1:
                self.others[body.name] = picture.backdrop
            elif count == 2 and not state.known:
                self.others[body.name] = self.alone[state.estimated[1 - index].name].keys
            else:
                channels = [None if other == index else 0 for other in range(count)]
                canvas = Canvas(
                    state.assembly, channels, [False] * count, window, state.device, backdrop=picture.backdrop
                )
                self._together.append(canvas)
                self.others[body.name] = canvas.keys

    def draw(self) -> None:
        """Draw everything where it is now; launches only.  Without labels there is nothing to compare drawings with."""
        if not self._compares:
            return
        for name in self.alone:
            self.draw_alone(name)
        for canvas in self._together:
            canvas.draw_faces(self._state.screen)

    def draw_alone(self, name: str) -> None:
        """Draw one body anew; launches only."""
        self.alone[name].draw(self._state.screen)
