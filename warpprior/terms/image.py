"""Image (Eq. 1): the body's own colours should lie where the picture shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import warp as wp
from scipy.ndimage import binary_erosion

from warpprior.kernels import shading
from warpprior.support.errors import InputError
from warpprior.terms.prior import check_positive, single

if TYPE_CHECKING:
    from warpprior.render.canvas import Canvas
    from warpprior.scene import SceneBody
    from warpprior.system.motion import MotionState

PLAIN = 0.01  # colours that vary less than this over the surface carry no information [grey levels]


@dataclass(frozen=True)
class ImageSettings:
    """How alike colours should be, and where they are compared.

    Attributes:
        sigma_grey: difference that counts as one sigma [grey levels of 0 to 1]; costs grow linearly beyond.
        sample_count: most pixels compared in a frame.
        margin_px: pixels this near to the border of the body's label are not compared [px].
        least_cosine: faces seen more obliquely than this are not compared; their colours say little.
        sample_share_floor: share of a frame's samples that must be seen for the mean to be over those alone.
        literal: the paper's equation: the sum of squared differences over the picture, the hand cut out, black
            wherever the object is not; no gain, no offset [grey level^2].
    """

    sigma_grey: float = 0.05
    sample_count: int = 1024
    margin_px: int = 2
    least_cosine: float = 0.15
    sample_share_floor: float = 0.05
    literal: bool = False

    def __post_init__(self):
        check_positive("image", self, zero_allowed=("margin_px", "least_cosine"))
        for name in ("sample_count", "margin_px"):
            value = getattr(self, name)
            if value != int(value):
                raise InputError(f"image: {name}", f"{value!r}", "a whole number")
        if self.least_cosine >= 1.0:
            raise InputError("image: least_cosine", f"{self.least_cosine!r}", "less than 1")


class ImagePrior:
    """Differences of colour between one moving body and the pictures, where both its label and it itself are seen.

    Samples are fixed pixels inside the body's label.  Each refers, until the next :meth:`freeze`, to the face it saw
    then.  Per frame and channel, an offset and a gain that is affine in the normal are fitted then, too, so that
    exposure, ambient light and the side a lamp is on do not matter.

    Args:
        body: the body; it must be moving and have vertex colours, else the prior is not active.
        state: the motion of the scene, whose pictures are read here, one at a time.
        labels: label images within the canvas's window (frame, height, width) uint8, or None.
        canvas: what is visible: the body on ``channel``, what may hide it on others or in the backdrop.
        channel: the body's channel on the canvas; nothing in the backdrop may have it too.
        settings: sigma and where to compare.
        redraw: :meth:`freeze` draws the canvas's faces; False where the caller has drawn them.

    Attributes:
        active: there is something to compare; inactive priors must not be frozen or evaluated.
        reason: why it is not active, one sentence, or "".
        sigma: ``settings.sigma_grey`` on the device [1] float32; may be changed between iterations.
        gains: of each sample by the light last fitted [frame, sample, channel] float32.
        offsets: of that light [frame, channel] float32.
        counts: samples that saw the body when last frozen [frame] float32.
    """

    def __init__(
        self,
        body: SceneBody,
        state: MotionState,
        labels: np.ndarray | None,
        canvas: Canvas,
        channel: int,
        settings: ImageSettings | None = None,
        *,
        redraw: bool = True,
    ):
        self.settings = ImageSettings() if settings is None else settings
        self.name = f"image {body.name}"
        self.unit = "grey level^2" if self.settings.literal else "sigma^2"
        self.body, self.canvas, self.channel, self._redraw = body.name, canvas, channel, redraw
        self.reason = why_not(body, state, labels)
        chosen = []
        if not self.reason:
            chosen = [self._choose(frame, labels[frame], body.label, state) for frame in range(state.frame_count)]
            if not any(len(pixels) for pixels, _ in chosen):
                self.reason = f"no picture shows the inside of the label of {body.name}"
        self.active = not self.reason
        if self.active:
            self._allocate(body, state, chosen)

    def _choose(self, frame: int, label: np.ndarray, own_label: int, state) -> tuple[np.ndarray, np.ndarray]:
        """Pixels of the window to compare in a frame (sample,), and their colours (sample, 3) in [0, 1]."""
        image = state.scene.read_rgb(frame)
        if image is None:
            return np.zeros(0, dtype=np.int32), np.zeros((0, 3), dtype=np.float32)
        window = self.canvas.window
        column, row = window.origins[frame]
        image = image[row : row + window.height, column : column + window.width].reshape(-1, 3)
        own = label == own_label
        if self.settings.literal:
            pixels = np.flatnonzero(own | (label == 0)).astype(np.int32)
            return pixels, np.where(own.ravel()[pixels, None], image[pixels] / np.float32(255.0), np.float32(0.0))
        inside = own
        if self.settings.margin_px:
            inside = binary_erosion(own, iterations=int(self.settings.margin_px), border_value=1)
        pixels = thin_out(inside, int(self.settings.sample_count))
        return pixels, image[pixels] / np.float32(255.0)

    def _allocate(self, body, state, chosen) -> None:
        device, frame_count = state.device, state.frame_count
        counts = np.array([len(pixels) for pixels, _ in chosen])
        shape = (frame_count, int(counts.max()))
        pixels = np.full(shape, -1, dtype=np.int32)
        observed = np.zeros((*shape, 3), dtype=np.float32)
        for frame, (places, colors) in enumerate(chosen):
            pixels[frame, : len(places)], observed[frame, : len(places)] = places, colors
        window, camera = self.canvas.window, state.camera
        corner = window.origins.astype(np.float64)[:, None, :]
        centers = corner + np.stack([pixels % window.width, pixels // window.width], axis=2) + 0.5
        rays = (centers - [camera.cx, camera.cy]) / [camera.fx, camera.fy]
        colors = np.zeros((state.assembly.vertex_count, 3), dtype=np.float32)
        first = state.first_vertex(body.name)
        colors[first : first + body.body.vertex_count] = body.body.colors
        self._pixels = wp.array(pixels, dtype=wp.int32, device=device)
        self._observed = wp.array(observed, dtype=wp.vec3, device=device)
        self._rays = wp.array(rays.astype(np.float32), dtype=wp.vec2, device=device)
        self._colors = wp.array(colors, dtype=wp.vec3, device=device)
        least = np.maximum(counts * self.settings.sample_share_floor, 1.0)
        self._least_counts = wp.array(least.astype(np.float32), dtype=wp.float32, device=device)
        self._faces = wp.full(shape, -1, dtype=wp.int32, device=device)
        self._shades = wp.zeros(shape, dtype=wp.vec3, device=device)
        self.sigma = single(self.settings.sigma_grey, device)
        self._normals = wp.zeros(shape, dtype=wp.vec3, device=device)
        self.gains = wp.full((*shape, 3), 1.0, dtype=wp.float32, device=device)
        self.offsets = wp.zeros((frame_count, 3), dtype=wp.float32, device=device)
        self.counts = wp.zeros(frame_count, dtype=wp.float32, device=device)

    def freeze(self, state: MotionState) -> None:
        """Look up which face each sample sees now, and fit the light there; launches only."""
        if self._redraw:
            self.canvas.draw_faces(state.screen)
        corners = self.canvas.faces
        shading.find_faces(
            self.canvas.keys,
            self._pixels,
            self._rays,
            state.vertices,
            corners,
            self.channel,
            0.0 if self.settings.literal else self.settings.least_cosine,
            faces_out=self._faces,
            normals_out=self._normals,
        )
        if self.settings.literal:
            return
        shading.shade_samples(state.vertices, corners, self._colors, self._rays, self._faces, shades_out=self._shades)
        shading.fit_light(
            self._shades,
            self._normals,
            self._observed,
            self._faces,
            self.sigma,
            gains_out=self.gains,
            offsets_out=self.offsets,
            counts_out=self.counts,
        )

    def evaluate(self, state: MotionState, rows: wp.array, row: int) -> None:
        """Add each frame's mean difference to ``rows[row]``; gradients to ``state.vertices``."""
        surface = (state.vertices, self.canvas.faces, self._colors, self._rays, self._faces, self._observed)
        if self.settings.literal:
            shading.add_image_literal(*surface, row, rows_out=rows)
            return
        shading.add_image(
            *surface,
            self.gains,
            self.offsets,
            self.counts,
            self._least_counts,
            self.sigma,
            row,
            rows_out=rows,
        )


def why_not(body: SceneBody, state: MotionState, labels: np.ndarray | None) -> str:
    """Why a body's colours cannot be compared with the pictures, or ""."""
    if body.known:
        return f"{body.name} is known"
    if state.scene.read_rgb is None:
        return "the scene has no pictures"
    if labels is None:
        return "the scene has no label images"
    colors = body.body.colors
    if colors is None:
        return f"{body.name} has no vertex colours"
    if np.asarray(colors, dtype=np.float64).std(axis=0).max() < PLAIN:
        return f"{body.name} has one colour all over: nothing to compare"
    return ""


def thin_out(mask: np.ndarray, count: int) -> np.ndarray:
    """At most ``count`` pixels of a mask (height, width), evenly spread: flat indices (pixel,) int32, ascending.

    Pixels are taken in the order of a low-discrepancy sequence in the plane (R2, Roberts 2018).
    """
    found = np.flatnonzero(mask)
    rows, columns = np.divmod(found, mask.shape[1])
    order = (0.7548776662466927 * columns + 0.5698402909980532 * rows) % 1.0
    return np.sort(found[np.argsort(order, kind="stable")[:count]]).astype(np.int32)
