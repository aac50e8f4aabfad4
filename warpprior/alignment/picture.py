"""What the estimators need of the observations: label images cut to a window, and what still bodies hide."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import warp as wp

from warpprior.bodies.assembly import assemble
from warpprior.canvas import Canvas
from warpprior.kernels.camera import project_points
from warpprior.priors.label_fields import label_boxes
from warpprior.state import MotionState
from warpprior.window import Window, window_around


@dataclass(frozen=True)
class Picture:
    """Observations within the window.

    Attributes:
        window: the crop of each frame.
        labels: label images within it (frame, height, width) uint8, or None.
        backdrop: keys of the still bodies, channels being their places in the scene [frame, pixel] uint64.
    """

    window: Window
    labels: np.ndarray | None
    backdrop: wp.array


def prepare_picture(state: MotionState, margin: float) -> Picture:
    """Cut the window around the moving bodies' labels and draw the still bodies in it.

    Args:
        state: the motion.
        margin: space around the labels, as a share of their size.
    """
    scene, camera = state.scene, state.scene.camera
    boxes = np.full((len(state.moving), state.frame_count, 4), np.nan)
    if scene.labels is not None:
        boxes = np.stack([label_boxes(scene.labels, body.label) for body in state.moving])
    seen = np.isfinite(boxes[:, :, 0])
    around = np.concatenate(
        [
            np.where(seen[..., None], boxes, np.inf)[..., :2].min(0),
            np.where(seen[..., None], boxes, -np.inf)[..., 2:].max(0),
        ],
        axis=1,
    )
    around[~seen.any(axis=0)] = np.nan
    window = window_around(around, camera.width, camera.height, margin)
    labels = None if scene.labels is None else window.cut(scene.labels)
    return Picture(window, labels, _draw_still(state, window))


def _draw_still(state: MotionState, window: Window) -> wp.array:
    """Key buffer of the still bodies."""
    if not state.still:
        shape = (state.frame_count, window.width * window.height)
        return wp.zeros(shape, dtype=wp.uint64, device=state.device)
    assembly = assemble([body.body for body in state.still])
    vertices = wp.empty((state.frame_count, assembly.vertex_count), dtype=wp.vec3, device=state.device)
    for index, body in enumerate(state.still):
        state.pose_surface(body.name, vertices, int(assembly.vertex_starts[index]))
    screen = wp.empty(vertices.shape, dtype=wp.vec3, device=state.device)
    project_points(vertices, state.focal, state.center, screen_out=screen)
    channels = [state.scene.bodies.index(body) for body in state.still]
    canvas = Canvas(assembly, channels, [False] * len(channels), window, state.device)
    canvas.draw_faces(screen)
    return canvas.keys
