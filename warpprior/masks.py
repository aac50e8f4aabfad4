"""Masks: differentiable silhouettes of a canvas, compared with targets.  One class per method, one interface.

``evaluate`` adds each frame's loss to a row of a [term, frame] array.  Its launches are not recorded; on a tape it
leaves its hand-written adjoint, which takes the row's gradient and adds to that of the screen positions.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import warp as wp

from warpprior.canvas import Canvas
from warpprior.kernels import mask_loss, silhouette

LANES = 32  # on a GPU so many threads share a pixel row


def record_adjoint(adjoint: Callable[[], None], arrays: list[wp.array]) -> None:
    """Have the tape that is recording, if any, call ``adjoint`` in its backward pass."""
    tape = wp._src.context.runtime.tape  # the only handle on the current tape that Warp has
    if tape is not None:
        tape.record_func(adjoint, arrays)


class EdgeMask:
    """Antialiased masks whose owned edge crossings carry the gradient.

    Args:
        canvas: layer to draw.
        targets: channel each pixel should show, 254 background, 255 ignored (frame, height, width) uint8.
        scales: loss per pixel of squared error, times sigma (frame, channel).
        sigma: contour displacement that counts as one [1] float32 [px].
    """

    def __init__(self, canvas: Canvas, targets: np.ndarray, scales: np.ndarray, sigma: wp.array):
        device, frame_count = canvas.device, len(targets)
        self.canvas, self.sigma = canvas, sigma
        self.targets = wp.array(targets.reshape(frame_count, -1), dtype=wp.uint8, device=device)
        self.scales = wp.array(scales, dtype=wp.float32, device=device)
        shape = (frame_count, canvas.crop.channel_count, canvas.keys.shape[1])
        self.coverage = wp.zeros(shape, dtype=wp.float32, device=device)
        self.differences = wp.zeros(shape, dtype=wp.float32, device=device)
        self.lanes = 1 if device.is_cpu else LANES

    def evaluate(self, screen: wp.array, rows: wp.array, row: int) -> None:
        """Add the mean squared mask error, in sigmas of contour displacement, to ``rows[row]``."""
        canvas, sigma = self.canvas, self.sigma
        canvas.draw(screen)
        outline = canvas.outline(screen)
        silhouette.cover_pixels(*outline, stride=canvas.stride, coverage_out=self.coverage)
        mask_loss.compare_labels(
            canvas.keys, self.targets, self.scales, sigma, canvas.crop, row, lanes=self.lanes, rows_out=rows
        )
        mask_loss.mark_residuals(
            *outline, self.targets, self.scales, sigma, stride=canvas.stride, differences_out=self.differences
        )
        mask_loss.settle_coverage(
            *outline,
            self.targets,
            self.scales,
            sigma,
            row,
            stride=canvas.stride,
            coverage_out=self.coverage,
            differences_out=self.differences,
            rows_out=rows,
        )
        record_adjoint(lambda: self._push(screen, rows, row), [screen, rows])

    def _push(self, screen: wp.array, rows: wp.array, row: int) -> None:
        silhouette.push_coverage_gradient(
            *self.canvas.outline(screen),
            self.differences,
            row,
            rows.grad,
            stride=self.canvas.stride,
            screen_gradients_out=screen.grad,
        )
