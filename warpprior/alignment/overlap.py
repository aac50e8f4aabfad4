"""Overlap of one moving body, drawn alone, with its label."""

from __future__ import annotations

import numpy as np
import warp as wp

from warpprior.canvas import Canvas
from warpprior.kernels.overlap import measure_overlap
from warpprior.scene import SceneBody
from warpprior.state import MotionState
from warpprior.window import Window

FEWEST_PIXELS = 30.0  # labels and drawings smaller than this say nothing


class Overlap:
    """Areas and centroids of a body's drawing and of its label; what other bodies' labels may hide is left out.

    Args:
        body: the moving body.
        state: the motion.
        labels: label images within the window (frame, height, width) uint8.
        window: the crop.
        canvas: where the body is drawn, alone, as channel 0, by whoever calls :meth:`measure`; None draws it here.

    Attributes:
        drawn, labelled: pixels, sum of columns, sum of rows, as last measured (frame, 3).
        shared: pixels that are both (frame,).
    """

    def __init__(
        self, body: SceneBody, state: MotionState, labels: np.ndarray, window: Window, *, canvas: Canvas | None = None
    ):
        self._state, self._label = state, body.label
        self._draws = canvas is None
        alone = [0 if other.name == body.name else None for other in state.moving]
        self._canvas = canvas or Canvas(state.assembly, alone, [False] * len(alone), window, state.device)
        images = labels.reshape(state.frame_count, -1)
        self._labels = wp.array(images, dtype=wp.uint8, device=state.device)
        self._drawn = wp.zeros((state.frame_count, 3), dtype=wp.float32, device=state.device)
        self._labelled = wp.zeros((state.frame_count, 3), dtype=wp.float32, device=state.device)
        self._shared = wp.zeros(state.frame_count, dtype=wp.float32, device=state.device)

    def measure(self) -> None:
        """Fill the attributes for the body where it is drawn, or is now; waits for the device."""
        for array in (self._drawn, self._labelled, self._shared):
            array.zero_()
        if self._draws:
            self._canvas.draw_faces(self._state.screen)
        measure_overlap(
            self._canvas.keys,
            self._labels,
            self._label,
            self._canvas.crop.width,
            drawn_out=self._drawn,
            labelled_out=self._labelled,
            shared_out=self._shared,
        )
        self.drawn, self.labelled, self.shared = self._drawn.numpy(), self._labelled.numpy(), self._shared.numpy()

    @property
    def usable(self) -> np.ndarray:
        """Frames whose label is large enough to say something (frame,) bool."""
        return self.labelled[:, 0] >= FEWEST_PIXELS

    @property
    def mean(self) -> float:
        """Mean intersection over union of the usable frames; 0 without any."""
        union = np.maximum(self.drawn[:, 0] + self.labelled[:, 0] - self.shared, 1.0)
        return float((self.shared / union)[self.usable].mean()) if self.usable.any() else 0.0
