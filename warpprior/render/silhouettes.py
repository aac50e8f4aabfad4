"""Masks: differentiable silhouettes of a canvas, compared with targets.  One class per method, one interface.

``evaluate`` adds each frame's loss to a row of a [term, frame] array.  Its launches are not recorded; on a tape it
leaves its hand-written adjoint, which takes the row's gradient and adds to that of the screen positions.
"""

from __future__ import annotations

import numpy as np
import warp as wp

from warpprior.bodies.assembly import Assembly
from warpprior.kernels import contour_mask, mask_loss, silhouette, softras
from warpprior.kernels.slabs import FEWEST_FRAMES
from warpprior.render.canvas import Canvas
from warpprior.render.window import Window
from warpprior.support.device import warp_device
from warpprior.support.replay import Replays
from warpprior.support.tape import record_adjoint

LANES = 32  # on a GPU so many threads share a pixel row


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
        # A CPU spends as long on launches of a single picture as on the picture; of many, threads share the frames.
        record = device.is_cpu and frame_count < 2 * FEWEST_FRAMES
        self._evaluating, self._pushing = Replays(device, capture=record), Replays(device, capture=record)

    def evaluate(self, screen: wp.array, rows: wp.array, row: int) -> None:
        """Add the mean squared mask error, in sigmas of contour displacement, to ``rows[row]``."""
        self.canvas.renew_claims()
        arrays = (screen, rows, self.canvas.keys)
        self._evaluating(lambda: self._launch(screen, rows, row), arrays, row, self.canvas.part)
        record_adjoint(lambda: self._push(screen, rows, row), [screen, rows])

    def _launch(self, screen: wp.array, rows: wp.array, row: int) -> None:
        canvas, sigma = self.canvas, self.sigma
        canvas.draw(screen)
        outline = canvas.outline(screen)
        silhouette.cover_pixels(outline, stride=canvas.stride, coverage_out=self.coverage)
        mask_loss.compare_labels(
            canvas.keys, self.targets, self.scales, sigma, canvas.crop, row, lanes=self.lanes, rows_out=rows
        )
        mask_loss.mark_residuals(
            outline, self.targets, self.scales, sigma, stride=canvas.stride, differences_out=self.differences
        )
        mask_loss.settle_coverage(
            outline,
            self.targets,
            self.scales,
            sigma,
            row,
            stride=canvas.stride,
            coverage_out=self.coverage,
            differences_out=self.differences,
            rows_out=rows,
        )

    def _push(self, screen: wp.array, rows: wp.array, row: int) -> None:
        def launch() -> None:
            silhouette.push_coverage_gradient(
                self.canvas.outline(screen),
                self.differences,
                row,
                rows.grad,
                stride=self.canvas.stride,
                screen_gradients_out=screen.grad,
            )

        self._pushing(launch, (screen, rows.grad, screen.grad, self.canvas.keys), row, self.canvas.part)


class ContourMask:
    """The mask of channel 0, blurred by the distance to its contour, against the label blurred alike.

    Args:
        canvas: layer to draw, of one channel.
        distances: signed distance of the label, plus inside, 1e6 where it is unknown (frame, height, width) [px].
        scales: loss per pixel of squared error, times sigma (frame,).
        sigma: contour displacement that counts as one [1] float32 [px].
        tau: width of the blur [1] float32 [px].
    """

    def __init__(self, canvas: Canvas, distances: np.ndarray, scales: np.ndarray, sigma: wp.array, tau: wp.array):
        device, frame_count = canvas.device, len(distances)
        self.canvas, self.sigma, self.tau = canvas, sigma, tau
        self.targets = wp.array(distances.reshape(frame_count, -1), dtype=wp.float32, device=device)
        self.scales = wp.array(scales, dtype=wp.float32, device=device)
        self.spans = wp.zeros(canvas.entries.shape, dtype=wp.vec2, device=device)
        self.band = wp.zeros(canvas.keys.shape, dtype=wp.uint64, device=device)
        self.differences = wp.zeros(canvas.keys.shape, dtype=wp.float32, device=device)
        self.lanes = 1 if device.is_cpu else LANES

    def draw(self, screen: wp.array) -> None:
        """Draw the canvas and its band."""
        canvas = self.canvas
        if canvas.draw(screen):
            self.band.zero_()
        outline = canvas.outline(screen)
        contour_mask.clip_edges(outline, stride=canvas.stride, spans_out=self.spans)
        contour_mask.spread_contour(outline, self.spans, self.tau, stride=canvas.stride, band_out=self.band)

    def read(self, screen: wp.array) -> np.ndarray:
        """The soft mask (frame, height, width) float32."""
        self.draw(screen)
        masks = wp.empty(self.band.shape, dtype=wp.float32, device=self.canvas.device)
        contour_mask.read_soft_mask(self.canvas.keys, self.band, self.canvas.epoch, masks_out=masks)
        return masks.numpy().reshape(-1, self.canvas.crop.height, self.canvas.crop.width)

    def evaluate(self, screen: wp.array, rows: wp.array, row: int) -> None:
        """Add the squared difference of the soft masks to ``rows[row]``."""
        self.draw(screen)
        contour_mask.compare_soft_masks(
            self.canvas.keys,
            self.band,
            self.targets,
            self.scales,
            self.sigma,
            self.tau,
            self.canvas.crop,
            self.canvas.epoch,
            row,
            lanes=self.lanes,
            rows_out=rows,
            differences_out=self.differences,
        )
        record_adjoint(lambda: self._push(screen, rows, row), [screen, rows])

    def _push(self, screen: wp.array, rows: wp.array, row: int) -> None:
        canvas = self.canvas
        contour_mask.push_contour_gradient(
            canvas.outline(screen),
            self.spans,
            self.band,
            self.tau,
            self.differences,
            row,
            rows.grad,
            stride=canvas.stride,
            screen_gradients_out=screen.grad,
        )


class SoftrasMask:
    """The product over all faces against hard labels, as the paper's renderer has it.

    Args:
        assembly: topology of the moving bodies; its vertices index ``screen``.
        channels: channel of each body, None for bodies that are left out.
        window: crop of the image.
        targets: channel each pixel should show, 254 background, 255 ignored (frame, height, width) uint8.
        scales: loss per pixel of squared error, times sigma (frame, channel).
        sigma: contour displacement that counts as one [1] float32 [px].
        softness: of the faces' borders [1] float32 [px^2].
        device: Warp device.

    Attributes:
        backdrop: logarithms of one minus the masks of what does not move [frame, channel, pixel], or None.
    """

    def __init__(
        self,
        assembly: Assembly,
        channels: list[int | None],
        window: Window,
        targets: np.ndarray,
        scales: np.ndarray,
        sigma: wp.array,
        softness: wp.array,
        device,
    ):
        self.device = warp_device(device)
        table = np.array([-1 if channel is None else channel for channel in channels], dtype=np.int32)
        drawn = table[assembly.face_bodies] >= 0
        self.crop, self.origins = window.crop(int(table.max()) + 1), window.device_origins(device)
        self.faces = wp.array(assembly.faces[drawn], dtype=wp.vec3i, device=device)
        self.face_channels = wp.array(table[assembly.face_bodies[drawn]], dtype=wp.int32, device=device)
        self.sigma, self.softness = sigma, softness
        self.targets = wp.array(targets.reshape(len(targets), -1), dtype=wp.uint8, device=device)
        self.scales = wp.array(scales, dtype=wp.float32, device=device)
        shape = (len(targets), self.crop.channel_count, window.height * window.width)
        self.logs = wp.zeros(shape, dtype=wp.float32, device=device)
        self.differences = wp.zeros(shape, dtype=wp.float32, device=device)
        self.backdrop: wp.array | None = None
        self.lanes = 1 if self.device.is_cpu else LANES

    def draw(self, screen: wp.array) -> wp.array:
        """Draw the logarithms of one minus the masks [frame, channel, pixel]: added to ``backdrop`` if there is one."""
        if self.backdrop is None:
            self.logs.zero_()
        else:
            wp.copy(self.logs, self.backdrop)
        softras.scatter_logs(
            screen, self.faces, self.face_channels, self.origins, self.crop, self.softness, logs_out=self.logs
        )
        return self.logs

    def read(self, screen: wp.array) -> np.ndarray:
        """The soft masks (frame, channel, height, width) float32."""
        self.draw(screen)
        return -np.expm1(self.logs.numpy().reshape(*self.logs.shape[:2], self.crop.height, self.crop.width))

    def evaluate(self, screen: wp.array, rows: wp.array, row: int) -> None:
        """Add the squared difference between the masks and the labels to ``rows[row]``."""
        self.draw(screen)
        softras.compare_products(
            self.logs,
            self.targets,
            self.scales,
            self.sigma,
            self.crop,
            row,
            lanes=self.lanes,
            rows_out=rows,
            differences_out=self.differences,
        )
        record_adjoint(lambda: self._push(screen, rows, row), [screen, rows])

    def _push(self, screen: wp.array, rows: wp.array, row: int) -> None:
        softras.push_log_gradient(
            screen,
            self.faces,
            self.face_channels,
            self.origins,
            self.crop,
            self.softness,
            self.differences,
            row,
            rows.grad,
            screen_gradients_out=screen.grad,
        )
