"""Overlap of one moving body, drawn alone, with its label."""

from __future__ import annotations

import numpy as np
import warp as wp

from warpprior.kernels.overlap import measure_overlap
from warpprior.render.canvas import Canvas
from warpprior.render.window import Window
from warpprior.scene import SceneBody
from warpprior.system.motion import MotionState

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
        drawn_on_device, labelled_on_device: pixels, sum of columns, sum of rows, as last drawn [frame, 3] float32.
        shared_on_device: pixels that are both [frame] float32.
        drawn, labelled, shared: the same as NumPy arrays, as last measured.
    """

    def __init__(
        self, body: SceneBody, state: MotionState, labels: np.ndarray, window: Window, *, canvas: Canvas | None = None
    ):
        self._state, self._label = state, body.label
        self._draws = canvas is None
        alone = [0 if other.name == body.name else None for other in state.estimated]
        self.canvas = canvas or Canvas(state.assembly, alone, [False] * len(alone), window, state.device)
        images = labels.reshape(state.frame_count, -1)
        self._labels = wp.array(images, dtype=wp.uint8, device=state.device)
        self.drawn_on_device = wp.zeros((state.frame_count, 3), dtype=wp.float32, device=state.device)
        self.labelled_on_device = wp.zeros((state.frame_count, 3), dtype=wp.float32, device=state.device)
        self.shared_on_device = wp.zeros(state.frame_count, dtype=wp.float32, device=state.device)

    def draw(self) -> None:
        """Draw the body where it is now, unless its canvas was given, and fill the device arrays; launches only."""
        for array in (self.drawn_on_device, self.labelled_on_device, self.shared_on_device):
            array.zero_()
        if self._draws:
            self.canvas.draw_faces(self._state.screen)
        measure_overlap(
            self.canvas.keys,
            self._labels,
            self._label,
            self.canvas.crop.width,
            drawn_out=self.drawn_on_device,
            labelled_out=self.labelled_on_device,
            shared_out=self.shared_on_device,
        )

    def measure(self) -> None:
        """Draw, and read all arrays; waits for the device."""
        self.draw()
        self.drawn = self.drawn_on_device.numpy()
        self.labelled = self.labelled_on_device.numpy()
        self.shared = self.shared_on_device.numpy()

    @property
    def usable(self) -> np.ndarray:
        """Frames whose label is large enough to say something (frame,) bool."""
        return self.labelled[:, 0] >= FEWEST_PIXELS

    @property
    def mean(self) -> float:
        """Mean intersection over union of the usable frames; 0 without any."""
        union = np.maximum(self.drawn[:, 0] + self.labelled[:, 0] - self.shared, 1.0)
        return float((self.shared / union)[self.usable].mean()) if self.usable.any() else 0.0
