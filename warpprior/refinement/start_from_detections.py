"""Closed-form start from detections: depth from the spread of keypoints or of a box, bearing from their middle."""

from __future__ import annotations

import numpy as np

from warpprior.refinement.rays import LARGEST_FACTOR, goes_on, move_along_rays
from warpprior.scene import Scene, SceneBody
from warpprior.support.stored import each_frame
from warpprior.system.motion import NEAREST_M, MotionState
from warpprior.terms.boxes import cut_off

FEWEST_KEYPOINTS = 4
CONFIDENT = 0.2
SMALLEST_SPREAD = 2.0  # [px]


def start_from_detections(body: SceneBody, motion: MotionState, *, passes: int) -> bool:
    """Move a body along and across its line of sight until it has the spread and middle of what was detected.

    Keypoints are used where there are some, else the bounding box, unless labels show the body: they say more of one
    that is partly hidden.  Frames without either follow the frames around them.

    Args:
        body: the estimated body.
        motion: of all bodies; its poses are changed.
        passes: how often to correct, at most.

    Returns:
        Whether anything was detected.
    """
    camera = motion.scene.camera
    focal = np.array([camera.fx, camera.fy])
    for turn in range(passes):
        measured = _measure(body, motion)
        if measured is None:
            return False
        usable, shift, factor = measured
        move_along_rays(body, motion, np.column_stack([shift / focal, np.log(factor)]), usable)
        if not goes_on(turn, np.log(factor[usable])):
            break
    return True


def _measure(body: SceneBody, motion: MotionState) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Usable frames, shift of the middle [px] and factor of depth, by frame; None where nothing was detected."""
    scene, name = motion.scene, body.name
    usable = np.zeros(motion.frame_count, dtype=bool)
    shift, factor = np.zeros((motion.frame_count, 2)), np.ones(motion.frame_count)
    if name in scene.boxes and not _shown_by_labels(body, scene):
        boxes = np.asarray(scene.boxes[name], dtype=float)
        drawn = _drawn_boxes(body, motion)
        ends = np.tile([scene.camera.width, scene.camera.height], 2)
        drawn = np.where(cut_off(boxes, scene.camera), np.clip(drawn, 0.0, ends), drawn)
        usable = np.isfinite(boxes).all(axis=1) & np.isfinite(drawn).all(axis=1)
        _compare(usable, drawn.reshape(-1, 2, 2), boxes.reshape(-1, 2, 2), np.ones((len(boxes), 2)), shift, factor)
    if name in scene.keypoints2d:
        seen = np.asarray(scene.keypoints2d[name], dtype=float)
        weights = np.where(np.isfinite(seen).all(axis=2), seen[:, :, 2], 0.0)
        weights = np.where(weights > CONFIDENT, weights, 0.0)
        drawn = _drawn_keypoints(body, motion)
        weights *= np.isfinite(drawn).all(axis=2)
        enough = (weights > 0.0).sum(axis=1) >= FEWEST_KEYPOINTS
        _compare(enough, drawn, seen[:, :, :2], weights, shift, factor)
        usable |= enough
    if not usable.any():
        return None
    return np.asarray(usable), shift, np.clip(factor, 1.0 / LARGEST_FACTOR, LARGEST_FACTOR)


def _shown_by_labels(body: SceneBody, scene: Scene) -> bool:
    return scene.labels is not None and any((image == body.label).any() for image in each_frame(scene.labels))


def _compare(frames, drawn, seen, weights, shift, factor) -> None:
    """Fill in the shift from drawn to seen points, and the factor of depth that makes their spreads equal."""
    for frame in np.flatnonzero(frames):
        weight = weights[frame] / weights[frame].sum()
        on = weight > 0.0
        ours, theirs, weight = drawn[frame][on], seen[frame][on], weight[on, None]
        middle, target = (weight * ours).sum(axis=0), (weight * theirs).sum(axis=0)
        spread = np.sqrt((weight * (ours - middle) ** 2).sum())
        wanted = np.sqrt((weight * (theirs - target) ** 2).sum())
        shift[frame] = target - middle
        factor[frame] = max(spread, SMALLEST_SPREAD) / max(wanted, SMALLEST_SPREAD)


def _drawn_boxes(body: SceneBody, motion: MotionState) -> np.ndarray:
    """Bounding box of the projected surface (frame, 4), NaN where a part of it is behind the camera."""
    first = motion.first_vertex(body.name)
    screen = motion.screen.numpy()[:, first : first + body.body.vertex_count].astype(float)
    boxes = np.concatenate([screen[:, :, :2].min(axis=1), screen[:, :, :2].max(axis=1)], axis=1)
    boxes[screen[:, :, 2].min(axis=1) <= NEAREST_M] = np.nan
    return boxes


def _drawn_keypoints(body: SceneBody, motion: MotionState) -> np.ndarray:
    """Projected keypoints (frame, keypoint, 2) [px], NaN behind the camera."""
    camera, first = motion.scene.camera, motion.first_vertex(body.name)
    links = motion.states[body.name].links.numpy().reshape(motion.frame_count, -1, 7)
    surface = motion.vertices.numpy()[:, first : first + body.body.vertex_count]
    keypoints = body.body.keypoints
    assert keypoints is not None, "it has what was detected of it"
    points = keypoints.places(links, surface).astype(float)
    depth = points[:, :, 2:]
    places = points[:, :, :2] / np.where(depth > NEAREST_M, depth, np.nan)
    return places * [camera.fx, camera.fy] + [camera.cx, camera.cy]
