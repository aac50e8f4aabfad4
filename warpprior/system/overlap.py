"""Overlap of one estimated body, drawn alone, with its label."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import warp as wp

from warpprior.kernels.overlap import count_bare, measure_overlap
from warpprior.render.canvas import Canvas
from warpprior.render.parts import Part
from warpprior.render.window import Window
from warpprior.support.stored import forget

BORDER = 4.0  # length of a border over the root of its area: a square's, less than that of most
FEWEST_PIXELS = 30.0  # labels and drawings smaller than this say nothing


class Overlap:
    """Areas and centroids of a body's drawing and of its label; what other bodies' labels may hide is left out.

    Args:
        label: of the body.
        labels: label images within a window [frame, pixel] uint8.
        boxes: of the label in them (frame, 4): left, top, right, bottom [px]; NaN where it does not occur.
        window: of the label images.
        canvas: where the body is drawn, alone, as channel 0.
        screen: of all bodies [frame, vertex]: a canvas that draws part by part holds no more than the last.

    Attributes:
        drawn_on_device, labelled_on_device: pixels, sum of columns, sum of rows, as last compared [frame, 3] float32.
        shared_on_device: pixels that are both [frame] float32.
        drawn, labelled, shared: the same as NumPy arrays, as last measured.
    """

    def __init__(
        self, label: int, labels: wp.array, boxes: np.ndarray, window: Window, canvas: Canvas, screen: wp.array
    ):
        self.canvas, self._label, self._labels, self._screen = canvas, label, labels, screen
        self._window, self._corners = window, window.device_origins(canvas.device)
        self._widths: wp.array | None = None
        if window.sizes is not None:
            self._widths = wp.array(window.sizes[:, 0].copy(), dtype=wp.int32, device=canvas.device)
        sides = np.nan_to_num(boxes, nan=0.0).astype(np.int32)
        self._boxes = wp.array(np.ascontiguousarray(sides), dtype=wp.vec4i, device=canvas.device)
        frame_count, device = labels.shape[0], canvas.device
        self.drawn_on_device = wp.zeros((frame_count, 3), dtype=wp.float32, device=device)
        self.labelled_on_device = wp.zeros((frame_count, 3), dtype=wp.float32, device=device)
        self.shared_on_device = wp.zeros(frame_count, dtype=wp.float32, device=device)

    def compare(self, screen: wp.array | None = None) -> None:
        """Fill the device arrays from what is on the canvas; ``screen`` is drawn first, where given; launches only."""
        for array in (self.drawn_on_device, self.labelled_on_device, self.shared_on_device):
            array.zero_()
        canvas = self.canvas
        if screen is None and len(canvas.parts) > 1:
            screen = self._screen
        for part in canvas.parts:
            if screen is not None:
                canvas.turn_to(part)
                canvas.draw_faces(screen)
            measure_overlap(
                *self._sides(part),
                **self._sizes(part),
                rows=self._window.height,
                drawn_out=part.of(self.drawn_on_device),
                labelled_out=part.of(self.labelled_on_device),
                shared_out=part.of(self.shared_on_device),
            )
            if not part.whole:
                forget(part.of(self._labels))

    def _sides(self, part: Part) -> tuple:
        """What is compared of a part of the frames, as kernels take it: the drawing, and the label."""
        canvas, labels = self.canvas, part.of(self._labels)
        drawn = canvas.keys, canvas.origins, canvas.crop.width
        return *drawn, labels, part.of(self._corners), self._label, self._window.width, part.of(self._boxes)

    def _sizes(self, part: Part) -> dict[str, wp.array | None]:
        """Sizes of crops that differ."""
        return {"sizes": self.canvas.sizes, "widths": None if self._widths is None else part.of(self._widths)}

    def measure(self, screen: wp.array | None = None) -> None:
        """The same, and read all arrays; waits for the device."""
        self.compare(screen)
        self.drawn = self.drawn_on_device.numpy()
        self.labelled = self.labelled_on_device.numpy()
        self.shared = self.shared_on_device.numpy()

    @cached_property
    def bare_on_device(self) -> wp.array:
        """Pixels of the label where the body is not drawn, as last counted [frame] float32."""
        return wp.zeros(self._labels.shape[0], dtype=wp.float32, device=self.canvas.device)

    def count_bare(self, part: Part) -> None:
        """Fill :attr:`bare_on_device` in the frames that are drawn; launches only."""
        bare = part.of(self.bare_on_device)
        count_bare(*self._sides(part), **self._sizes(part), bare_out=bare)

    @property
    def usable(self) -> np.ndarray:
        """Frames whose label is large enough to say something (frame,) bool."""
        return self.labelled[:, 0] >= FEWEST_PIXELS

    @property
    def by_frame(self) -> np.ndarray:
        """Intersection over union (frame,), NaN in frames that are not usable."""
        union = np.maximum(self.drawn[:, 0] + self.labelled[:, 0] - self.shared, 1.0)
        return np.where(self.usable, self.shared / union, np.nan).astype(np.float64)

    @property
    def displacement(self) -> np.ndarray:
        """How far the two borders are apart on average (frame,) [px]: the area between them over their length."""
        between = self.drawn[:, 0] + self.labelled[:, 0] - 2.0 * self.shared
        return between / (BORDER * np.sqrt(np.maximum(self.labelled[:, 0], 1.0)))

    @property
    def mean(self) -> float:
        """Mean intersection over union of the usable frames; 0 without any."""
        return float(np.nanmean(self.by_frame)) if self.usable.any() else 0.0
