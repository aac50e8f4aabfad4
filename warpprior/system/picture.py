"""What the estimators need of the observations: label images cut to a window, and what still bodies hide."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import warp as wp

from warpprior.kernels.visibility import read_channels
from warpprior.render.window import Window, window_around
from warpprior.system.backdrop import draw_known
from warpprior.system.label_fields import label_boxes, unbias_labels
from warpprior.system.mask_bias import measure_mask_bias
from warpprior.system.motion import MotionState

SMALLEST = (16, 16)  # of windows [px]


@dataclass(frozen=True)
class Picture:
    """Observations within the window.

    Attributes:
        window: the crop of each frame.
        labels: label images within it (frame, height, width) uint8, or None.
        backdrop: keys of the still bodies, channels being their places in the scene [frame, pixel] uint64.
        mask_bias: how far label borders lie outside the true ones, as the still bodies tell [px].
        unbiased_labels: labels of the moving bodies with that corrected, to whole pixels, or None.
    """

    window: Window
    labels: np.ndarray | None
    backdrop: wp.array
    mask_bias: float
    unbiased_labels: np.ndarray | None

    def crop_around(self, label: int) -> tuple[Window, np.ndarray]:
        """The part of the window that a label needs, and where the label is in it (frame, height, width) bool."""
        own = self.labels == label
        within = window_around(label_boxes(self.labels, label), self.window.width, self.window.height, margin=0.0)
        return Window(self.window.origins + within.origins, within.width, within.height), within.cut(own)


def prepare_picture(state: MotionState, margin: float, *, calibrate: bool = True) -> Picture:
    """Cut the window around the moving bodies' labels and draw the still bodies in it.

    Args:
        state: the motion.
        margin: space around the labels, as a share of their size.
        calibrate: measure the bias of the labels on the still bodies.
    """
    scene, camera = state.scene, state.scene.camera
    boxes = np.full((len(state.estimated), state.frame_count, 4), np.nan)
    if scene.labels is not None:
        boxes = np.stack([label_boxes(scene.labels, body.label) for body in state.estimated])
    lowest = np.nanmin(np.where(np.isfinite(boxes), boxes, np.inf), axis=0)
    highest = np.nanmax(np.where(np.isfinite(boxes), boxes, -np.inf), axis=0)
    around = np.concatenate([lowest[:, :2], highest[:, 2:]], axis=1)
    around[~np.isfinite(around).all(axis=1)] = np.nan
    window = window_around(around, camera.width, camera.height, margin)
    if scene.labels is None:
        # Nothing is compared with drawings: they may be small.
        window = Window(np.zeros((state.frame_count, 2), dtype=np.int32), *SMALLEST)
    labels = None if scene.labels is None else window.cut(scene.labels)
    backdrop = draw_known(state, window, [scene.bodies.index(body) for body in state.known])
    if backdrop is None:
        shape = (state.frame_count, window.width * window.height)
        backdrop = wp.zeros(shape, dtype=wp.uint64, device=state.device)
    bias = None
    if calibrate and labels is not None and state.known:
        bias = measure_mask_bias(labels, _known_labels(state, backdrop, labels.shape))
    pixels = 0.0 if bias is None else bias.pixels
    unbiased = labels
    for body in state.estimated if labels is not None else ():
        unbiased = unbias_labels(unbiased, body.label, pixels)
    return Picture(window, labels, backdrop, pixels, unbiased)


def _known_labels(state: MotionState, backdrop: wp.array, shape: tuple[int, ...]) -> np.ndarray:
    """Labels of the still bodies as drawn in the window."""
    values = np.zeros(16, dtype=np.uint8)
    for body in state.known:
        values[state.scene.bodies.index(body)] = body.label
    drawn = wp.empty(backdrop.shape, dtype=wp.uint8, device=state.device)
    read_channels(backdrop, wp.array(values, dtype=wp.uint8, device=state.device), channels_out=drawn)
    return drawn.numpy().reshape(shape)
