"""How far label borders lie outside the true ones, as the known bodies in a picture show, a part of it at a time."""

from __future__ import annotations

import numpy as np
import warp as wp

from warpprior.kernels.label_borders import list_runs, sum_known_borders
from warpprior.support.replay import Replay
from warpprior.system.mask_bias import APART, FEWEST, REACH, MaskBias
from warpprior.tracking.label_window import LabelWindow, fitted
from warpprior.tracking.single_frame import SingleFrame
from warpprior.tracking.twin_arrays import twin_zeros

PARTS = 5  # one above the other, each looked at in a picture of its own
MARGIN = 12  # around known bodies, and around each part [px]: more than what borders are told apart by
EDGE = 2  # pixels at the sides of the window that do not count


class KnownBorders:
    """The bodies whose poses are known as label images should show them.

    Args:
        frame: where the bodies are placed.

    Attributes:
        sums: how far borders lie outside [px], summed, and how many pixels of them there are: so far (2,).
    """

    def __init__(self, frame: SingleFrame):
        self._frame, device = frame, frame.device
        # All are drawn on one channel: a border is one where known bodies meet the background, whichever they are.
        self._canvas = frame.canvas([body.name for body in frame.known], outlined=False)
        self._labels = LabelWindow(self._canvas.window, device)
        own = [body.label for body in frame.known]
        self._own = own[0]
        self._as_one = np.arange(256, dtype=np.uint8)
        self._as_one[own] = self._own
        self._area = twin_zeros(4, wp.int32, device)
        self._sums = twin_zeros(2, wp.float64, device)
        self.sums = np.zeros(2)
        self._take()

    def _take(self) -> None:
        self._labels.resize(self._canvas.window)
        self._comparing = Replay(self._launch, self._frame.device, capture=True)

    def look(self, labels: np.ndarray, part: int) -> None:
        """Compare a part of the window around the known bodies, with what their label image (height, width) shows."""
        box = self._frame.box(self._frame.known, MARGIN)
        if box is None:
            return
        left, top, right, bottom = box
        first, stop = (top + (bottom - top) * bound // PARTS for bound in (part, part + 1))
        before = self._canvas.window
        window = fitted(before, (left, max(first - MARGIN, top), right, min(stop + MARGIN, bottom)), self._frame.camera)
        if (window.width, window.height) == (before.width, before.height):
            self._canvas.shift(window.origins)
        else:
            self._canvas.look_at(window)
            self._take()
        column, row = window.origins[0].tolist()
        image = labels[row : row + window.height, column : column + window.width]
        self._as_one.take(image, out=self._labels.image, mode="clip")
        self._labels.push()
        rows = max(first, top + EDGE), min(stop, bottom - EDGE)
        self._area.host[:] = left + EDGE - column, rows[0] - row, right - EDGE - column, rows[1] - row
        self._area.push()
        self._comparing()
        self.sums += self._sums.pull()

    def _launch(self) -> None:
        list_runs(self._labels.runs)
        self._canvas.draw_faces(self._frame.state.screen)
        self._sums.array.zero_()
        sum_known_borders(
            self._labels.runs, self._own, self._canvas.keys, self._area.array, REACH, APART, sums_out=self._sums.array
        )

    def found(self) -> MaskBias | None:
        """What all parts together say, to begin anew; None: too little border is in sight."""
        total, count = self.sums.tolist()
        self.sums[:] = 0.0
        return MaskBias(total / count, int(count)) if count >= FEWEST else None
