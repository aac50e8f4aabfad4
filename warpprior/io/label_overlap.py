"""How well bodies drawn in some poses cover their labels in the label images of a scene folder."""

from __future__ import annotations

import functools

import numpy as np

from warpprior.bodies.body import Body
from warpprior.io.label_images import read_labels
from warpprior.io.scene_file import SceneFile
from warpprior.render.images import render_masks
from warpprior.scene import Poses, Scene, SceneBody
from warpprior.support.errors import WarppriorError


class LabelOverlap:
    """Intersection over union of drawn bodies with their labels; images are read when the first is asked for.

    Args:
        scene_file: the checked ``scene.toml``.
    """

    def __init__(self, scene_file: SceneFile):
        self._scene_file = scene_file

    def __call__(self, body: Body, motion: Poses, frames: np.ndarray) -> float | None:
        """Median over those frames in which the body is labelled; None where it is in none of them.

        Args:
            body: one body of the scene.
            motion: its poses in these frames.
            frames: which they are (frame,).
        """
        entry = next(entry for entry in self._scene_file.bodies if entry.name == body.name)
        if self._labels is None or not entry.labelled:
            return None
        item = SceneBody(body, entry.label, True, motion)
        part = Scene("part", self._scene_file.camera, self._scene_file.fps, (item,))
        drawn, labels = render_masks(part, {body.name: motion})[body.name], self._labels[frames]
        shown = labels == entry.label
        drawn &= shown | (labels == 0)  # behind another body it may be anywhere
        seen = shown.any(axis=(1, 2))
        if not seen.any():
            return None
        shares = (drawn & shown).sum(axis=(1, 2))[seen] / (drawn | shown).sum(axis=(1, 2))[seen]
        return float(np.median(shares))

    @functools.cached_property
    def _labels(self) -> np.ndarray | None:
        """Label images as stored, with the distortion of the lens, or None where there are none to be read."""
        try:
            return read_labels(self._scene_file, self._scene_file.count, None, [])
        except WarppriorError:
            return None
