"""What a wrong estimate leaves in pictures: drawings that miss labels, keypoints and depth images, in mm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from warpprior.bodies import posed_keypoints
from warpprior.render.images import each_labels, render_depth, render_labels
from warpprior.render.thinning import thinned, thinned_camera
from warpprior.scene import IGNORE_LABEL, Poses, Scene, SceneBody, depth_image, trust_of
from warpprior.support.pieces import pieces
from warpprior.support.stored import forget

BORDER = 4.0  # length of a border over the root of its area
FEWEST_PIXELS = 30  # labels smaller than this tell nothing
FEWEST_KEYPOINTS = 4
CONFIDENT = 0.3  # keypoints less sure than this tell nothing
MOST_DRAWN_PX = 160  # width of the pictures in which depth and colours are compared
LEAST_M = 1e-3  # of a depth
AT_ONCE = 100  # frames that are drawn together


def label_traces(scene: Scene, poses: Mapping[str, Poses], names: Mapping[str, int], device: str) -> dict[str, dict]:
    """Of bodies that have these labels: how far drawings are from labels (frame,) each, NaN without a label.

    ``border_mm``: how far borders are apart on average.  ``size_mm``: how far off in depth a body of this size is, as
    the areas have it.  ``middle_mm``: how far middles are apart.  ``unmet``: one less intersection over union.
    ``unseen``: how many frames away it is from one whose label shows it.
    """
    assert scene.labels is not None
    count = scene.frame_count
    found = {
        name: {key: np.full(count, np.nan) for key in ("border_mm", "size_mm", "middle_mm", "unmet")} for name in names
    }
    for traces in found.values():
        traces["unseen"] = np.zeros(count)
    for cut, drawn in each_labels(scene, dict(poses), device):
        for name, label in names.items():
            _trace_labels(scene, poses[name], label, cut, drawn, found[name])
        forget(scene.labels[cut])
    for traces in found.values():
        traces["unseen"] = _frames_to(traces["unseen"] == 0.0)
    return found


def _trace_labels(scene: Scene, poses: Poses, label: int, cut: slice, drawn: np.ndarray, traces: dict) -> None:
    """The traces of one body in some frames, drawn (frame, height, width)."""
    assert scene.labels is not None
    camera = scene.camera
    columns, rows = np.arange(camera.width, dtype=float), np.arange(camera.height, dtype=float)
    depth = np.maximum(poses.position[:, 2], LEAST_M)
    for frame, image in enumerate(drawn, cut.start):
        told = scene.labels[frame] != IGNORE_LABEL
        ours, theirs = (image == label) & told, scene.labels[frame] == label
        area, seen = np.count_nonzero(theirs), np.count_nonzero(ours)
        if area < FEWEST_PIXELS:
            traces["unseen"][frame] = 1.0
            continue
        metres = depth[frame] / camera.fx
        both = np.count_nonzero(ours & theirs)
        traces["unmet"][frame] = 1.0 - both / (area + seen - both)
        traces["border_mm"][frame] = 1e3 * metres * (area + seen - 2.0 * both) / (BORDER * np.sqrt(area))
        traces["size_mm"][frame] = 1e3 * depth[frame] * 0.5 * abs(np.log(max(seen, 1.0) / area))
        if seen >= FEWEST_PIXELS:
            away = [
                ours.sum(axis=axis) @ places / seen - theirs.sum(axis=axis) @ places / area
                for axis, places in ((0, columns), (1, rows))
            ]
            traces["middle_mm"][frame] = 1e3 * metres * np.hypot(*away)


def _frames_to(marked: np.ndarray) -> np.ndarray:
    """How many frames each is from the next that is marked (frame,)."""
    frames, chosen = np.arange(len(marked)), np.flatnonzero(marked)
    if not len(chosen):
        return np.full(len(marked), float(len(marked)))
    later = np.searchsorted(chosen, frames).clip(max=len(chosen) - 1)
    either = np.stack([chosen[later], chosen[np.maximum(later - 1, 0)]])
    return np.abs(frames - either).min(axis=0).astype(float)


def keypoint_traces(scene: Scene, body: SceneBody, poses: Poses, device: str) -> dict[str, np.ndarray]:
    """How far keypoints are from detected ones (frame,) each, NaN where few were found.

    ``keypoints_mm``: the median.  ``keypoints_apart_mm``: all together.  ``keypoints_size_mm``: how far off in depth,
    as their spread has it.
    """
    found = {
        key: np.full(scene.frame_count, np.nan) for key in ("keypoints_mm", "keypoints_apart_mm", "keypoints_size_mm")
    }
    seen = scene.keypoints2d.get(body.name)
    if seen is None:
        return found
    places = posed_keypoints(body.body, poses, device).astype(np.float64)
    camera = scene.camera
    depth = np.maximum(places[..., 2:], LEAST_M)
    drawn = places[..., :2] / depth * [camera.fx, camera.fy] + [camera.cx, camera.cy]
    trust = trust_of(np.asarray(seen, dtype=np.float64))
    for frame in range(scene.frame_count):
        sure = trust[frame] > CONFIDENT
        if sure.sum() < FEWEST_KEYPOINTS:
            continue
        ours, theirs = drawn[frame, sure], np.asarray(seen[frame, sure, :2], dtype=np.float64)
        metres = float(np.median(depth[frame])) / camera.fx
        away = theirs - ours
        found["keypoints_mm"][frame] = 1e3 * metres * np.median(np.linalg.norm(away, axis=1))
        found["keypoints_apart_mm"][frame] = 1e3 * metres * np.linalg.norm(np.median(away, axis=0))
        spread = [np.median(np.linalg.norm(each - np.median(each, axis=0), axis=1)) for each in (ours, theirs)]
        factor = max(spread[0], 1.0) / max(spread[1], 1.0)
        found["keypoints_size_mm"][frame] = 1e3 * metres * camera.fx * abs(np.log(factor))
    return found


@dataclass(frozen=True, eq=False)
class Small:
    """All bodies drawn small in some frames: every ``step``-th pixel, the first in the middle of its block.

    Attributes:
        frames: which.
        depth: of what is seen (frame, row, column) [m], 0 where nothing is.
        labels: of what is seen (frame, row, column).
        step: pixels of the picture to one of these.
    """

    frames: slice
    depth: np.ndarray
    labels: np.ndarray
    step: int

    def thinned(self, image: np.ndarray) -> np.ndarray:
        """The pixels of a picture that were drawn."""
        return thinned(image, self.step)

    def each(self) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Number, depth and labels of each frame."""
        return zip(range(self.frames.start, self.frames.stop), self.depth, self.labels, strict=True)


def draw_small(scene: Scene, poses: Mapping[str, Poses], device: str) -> Iterator[Small]:
    """Draw all bodies, some frames at a time."""
    step = max(1, -(-scene.camera.width // MOST_DRAWN_PX))
    small = replace(scene, camera=thinned_camera(scene.camera, step), labels=None, read_rgb=None, read_depth=None)
    for frames in pieces(scene.frame_count, AT_ONCE):
        part = {name: own.frames(frames) for name, own in poses.items()}
        yield Small(frames, render_depth(small, part, device), render_labels(small, part, device), step)


def trace_depth(scene: Scene, names: Mapping[str, int], small: Small, found: Mapping[str, np.ndarray]) -> None:
    """How far bodies that have these labels are from measured depth, the median of their pixels [mm].

    Args:
        scene: with depth images.
        names: labels by name.
        small: some frames.
        found: by name (frame,), of all frames; those that are told are filled.
    """
    for frame, depth, labels in small.each():
        image = depth_image(scene, frame)
        if image is None:
            continue
        measured = small.thinned(image)
        seen = (measured > 0.0) & (depth > 0.0)
        for name, label in names.items():
            own = seen & (labels == label)
            if scene.labels is not None:
                own &= small.thinned(scene.labels[frame]) == label
            if np.count_nonzero(own) >= FEWEST_PIXELS // 3:
                found[name][frame] = 1e3 * abs(np.median(measured[own] - depth[own]))
