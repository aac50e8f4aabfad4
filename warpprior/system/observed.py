"""What label images show, cut to a window around the estimated bodies, and what known bodies hide."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import warp as wp

from warpprior.kernels.visibility import read_channels
from warpprior.render.parts import Parts
from warpprior.render.window import Window, window_around
from warpprior.scene import SceneBody
from warpprior.support.stored import forget
from warpprior.system.backdrop import draw_known, known_channels
from warpprior.system.border_distances import BorderDistances, distance_crops
from warpprior.system.label_fields import label_boxes, unbias_labels
from warpprior.system.mask_bias import frames_looked_at, measure_mask_bias
from warpprior.system.misfit import Likeness, is_likeness, length_px
from warpprior.system.motion import MotionState

SMALLEST = (16, 16)  # of windows [px]


@dataclass(frozen=True)
class ObservedPicture:
    """Observations within the window.

    Attributes:
        motion: of all bodies.
        window: the crop of each frame.
        labels: label images within it (frame, height, width) uint8, or None.
        mask_bias: how far label borders lie outside the true ones, as known bodies show whose surfaces are exact [px].
        unbiased_labels: labels of the estimated bodies with that corrected, to whole pixels, or None.
        likeness: the same as known bodies show whose surfaces are not, where there are no others; None without.
        margin: space that was left around the labels, as a share of their size.
    """

    motion: MotionState
    window: Window
    labels: np.ndarray | None
    mask_bias: float
    unbiased_labels: np.ndarray | None
    likeness: Likeness | None = None
    margin: float = 0.25
    _boxes: dict[int, np.ndarray] = field(default_factory=dict)
    _distances: dict[int, BorderDistances] = field(default_factory=dict)

    @cached_property
    def backdrop(self) -> wp.array | None:
        """Keys of the known bodies, channels being their places in the scene [frame, pixel]; None without any."""
        return draw_known(self.motion, self.window, known_channels(self.motion))

    def refresh_backdrop(self) -> None:
        """Draw the known bodies anew where the focal length may have changed, if anybody looks at them."""
        drawn = self.__dict__.get("backdrop")
        if drawn is not None:
            keys = draw_known(self.motion, self.window, known_channels(self.motion))
            assert keys is not None, "there are known bodies"
            wp.copy(drawn, keys)

    @cached_property
    def unbiased_labels_on_device(self) -> wp.array:
        """The same [frame, pixel] uint8, for all who compare drawings with them."""
        images = self.unbiased_labels
        assert images is not None, "the sequence has labels"
        # On a CPU these are the images themselves.
        return wp.array(images.reshape(len(images), -1), dtype=wp.uint8, device=self.motion.device, copy=False)

    def shows(self, body: SceneBody) -> np.ndarray:
        """Frames in which the body's label occurs (frame,) bool; none without labels."""
        if self.labels is None:
            return np.zeros(len(self.window.origins), dtype=bool)
        return ~np.isnan(self.boxes(body)[:, 0])

    def boxes(self, body: SceneBody) -> np.ndarray:
        """Bounding boxes of the body's label within the window (frame, 4) [px]; NaN where it does not occur."""
        assert self.labels is not None, "the sequence has labels"
        if body.label not in self._boxes:
            self._boxes[body.label] = label_boxes(self.labels, body.label)
        return self._boxes[body.label]

    def unbiased_boxes(self, body: SceneBody) -> np.ndarray:
        """The same of the label with its bias corrected."""
        if self.unbiased_labels is self.labels or self.unbiased_labels is None:
            return self.boxes(body)
        return label_boxes(self.unbiased_labels, body.label)

    def distance_crops(self, body: SceneBody) -> np.ndarray:
        """Where distances to the body's label are wanted; see :func:`border_distances.distance_crops`."""
        return distance_crops(self.boxes(body), self.window.width, self.window.height, self.margin)

    def border_distances(self, body: SceneBody, parts: Parts | None = None) -> BorderDistances:
        """Distances of the body's contour to its place; see :class:`BorderDistances` for ``parts``."""
        assert self.labels is not None, "the sequence has labels"
        if parts is None and body.label in self._distances:
            return self._distances[body.label]
        crops, device = self.distance_crops(body), self.motion.device
        given = self.labels, body.label, crops, self.mask_bias, device
        found = BorderDistances(*given, origins=self.window.origins, parts=parts)
        if parts is None:
            self._distances[body.label] = found
        return found

    def crop_around(self, body: SceneBody) -> Window:
        """The part of the picture that the body's label needs."""
        within = self._around(body)
        return Window(self.window.origins + within.origins, within.width, within.height)

    def mask_around(self, body: SceneBody, frame: int) -> np.ndarray:
        """Where the body's label is in that part, in a frame (height, width) bool."""
        assert self.labels is not None, "the sequence has labels"
        within = self._around(body)
        column, row = within.origins[frame]
        return np.asarray(self.labels[frame, row : row + within.height, column : column + within.width] == body.label)

    def _around(self, body: SceneBody) -> Window:
        return window_around(self.boxes(body), self.window.width, self.window.height, margin=0.0)


def observe_picture(
    motion: MotionState, margin: float, *, calibrate: bool = True, doubtful: Collection[int] = ()
) -> ObservedPicture:
    """Cut the window around the estimated bodies' labels and draw the known bodies in it.

    Args:
        motion: of all bodies.
        margin: space around the labels, as a share of their size.
        calibrate: measure the bias of the labels on the known bodies.
        doubtful: frames that it is not measured in: what hides a known body there may be labelled as something else.
    """
    scene, camera = motion.scene, motion.scene.camera
    boxes = np.full((len(motion.estimated), motion.frame_count, 4), np.nan)
    if scene.labels is not None:
        boxes = np.stack([label_boxes(scene.labels, body.label) for body in motion.estimated])
    lowest = np.nanmin(np.where(np.isfinite(boxes), boxes, np.inf), axis=0)
    highest = np.nanmax(np.where(np.isfinite(boxes), boxes, -np.inf), axis=0)
    around = np.concatenate([lowest[:, :2], highest[:, 2:]], axis=1)
    around[~np.isfinite(around).all(axis=1)] = np.nan
    window = window_around(around, camera.width, camera.height, margin)
    if scene.labels is None:
        # Nothing is compared with drawings: they may be small.
        window = Window(np.zeros((motion.frame_count, 2), dtype=np.int32), *SMALLEST)
    labels = None if scene.labels is None else window.cut(scene.labels)
    bias, likeness = None, None
    if calibrate and labels is not None and motion.known:
        exact = [body for body in motion.known if not is_likeness(body.body)]
        telling = exact or motion.known
        trusted = np.setdiff1d(np.arange(len(labels)), list(doubtful))
        looked = trusted[frames_looked_at(len(trusted))]
        if len(looked):
            bias = measure_mask_bias(labels[looked], _known_labels(motion, telling, window, looked))
        if bias is not None and not exact:
            longest = max(length_px(body, camera) for body in telling)
            likeness = Likeness(" and ".join(body.name for body in telling), bias.pixels, longest)
            bias = None
    pixels = 0.0 if bias is None else bias.pixels
    unbiased = labels
    if unbiased is not None and pixels:
        for body in motion.estimated:
            unbiased = unbias_labels(unbiased, body.label, pixels)
    for images in (scene.labels, labels, unbiased):
        if images is not None:
            forget(images)
    return ObservedPicture(motion, window, labels, pixels, unbiased, likeness, margin)


def _known_labels(motion: MotionState, bodies: Sequence[SceneBody], window: Window, frames: np.ndarray) -> np.ndarray:
    """Labels of some known bodies as drawn in the window, in some frames (frame, height, width) uint8."""
    values = np.zeros(16, dtype=np.uint8)
    for body in bodies:
        values[motion.scene.bodies.index(body)] = body.label
    keys = draw_known(motion, window, known_channels(motion), frames=frames)
    assert keys is not None, "there are known bodies"
    drawn = wp.empty(keys.shape, dtype=wp.uint8, device=motion.device)
    read_channels(keys, wp.array(values, dtype=wp.uint8, device=motion.device), channels_out=drawn)
    return drawn.numpy().reshape(len(frames), window.height, window.width)
