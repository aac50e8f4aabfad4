"""What a wrong estimate leaves behind: misses of labels and keypoints, overlap, gaps and jumps, per body and frame."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bodies import posed_keypoints, posed_vertices
from warpprior.geometry.queries import signed_distance
from warpprior.render.images import render_labels
from warpprior.scene import IGNORE_LABEL, Poses, Scene, SceneBody

BORDER = 4.0  # length of a border over the root of its area
FEWEST_PIXELS = 30  # labels smaller than this tell nothing
FEWEST_KEYPOINTS = 4
CONFIDENT = 0.3  # keypoints less sure than this tell nothing
POINTS = 400  # of a surface that are looked up in another
REACH_M = 0.08  # bodies farther apart than this do not touch in any sense
MOVES_M_S = 0.03  # what is faster than this does not rest by itself

Traces = dict[str, np.ndarray]


def find_traces(scene: Scene, poses: Mapping[str, Poses], device: str = "cpu") -> dict[str, Traces]:
    """Traces of each estimated body, (frame,) each, NaN where the evidence for one is missing.

    ``border``: how far drawing and label are apart on average, as a share of the root of the label's area;
    ``border_px`` the same in pixels.  ``keypoints``: median miss of the confident ones, as a share of the box around
    them.  ``inside_mm``: how deep the deepest point of another body lies in it, or it in another.  ``gap_mm``: how far
    it is from all others while it moves, of rigid bodies beside one that may carry them.  ``jump_mm``, ``jump_deg``:
    how far it is from between its neighbours in time.

    Args:
        scene: what was observed.
        poses: of every body, by name.
        device: where bodies are drawn.
    """
    moving = [body for body in scene.bodies if not body.known]
    found: dict[str, Traces] = {body.name: {} for body in moving}
    for body in moving:
        found[body.name].update(_jumps(poses[body.name], scene.fps))
        found[body.name]["keypoints"] = _keypoint_misses(scene, body, poses[body.name], device)
    _add_borders(scene, poses, found, device)
    _add_contact(scene, poses, found, device)
    return found


def _add_borders(scene: Scene, poses: Mapping[str, Poses], found: dict[str, Traces], device: str) -> None:
    count = scene.frame_count
    names = {body.name: body.label for body in scene.bodies if body.name in found}
    for name in names:
        found[name]["border"], found[name]["border_px"] = np.full(count, np.nan), np.full(count, np.nan)
    if scene.labels is None:
        return
    drawn = render_labels(scene, dict(poses), device)
    for frame in range(count):
        pairs = drawn[frame].astype(np.int32) * 256 + scene.labels[frame]
        table = np.bincount(pairs.ravel(), minlength=256 * 256).reshape(256, 256)
        table[:, IGNORE_LABEL] = 0
        for name, label in names.items():
            labelled, both = table[:, label].sum(), table[label, label]
            if labelled < FEWEST_PIXELS:
                continue
            between = labelled + table[label].sum() - 2.0 * both
            found[name]["border_px"][frame] = between / (BORDER * np.sqrt(labelled))
            found[name]["border"][frame] = between / (BORDER * labelled)


def _keypoint_misses(scene: Scene, body: SceneBody, poses: Poses, device: str) -> np.ndarray:
    misses = np.full(scene.frame_count, np.nan)
    seen = scene.keypoints2d.get(body.name)
    if seen is None:
        return misses
    places = posed_keypoints(body.body, poses, device).astype(np.float64)
    camera = scene.camera
    depth = np.maximum(places[..., 2], 1e-3)
    drawn = np.stack(
        [camera.fx * places[..., 0] / depth + camera.cx, camera.fy * places[..., 1] / depth + camera.cy], axis=-1
    )
    for frame in range(scene.frame_count):
        sure = seen[frame, :, 2] > CONFIDENT
        if sure.sum() >= FEWEST_KEYPOINTS:
            size = np.linalg.norm(np.ptp(seen[frame, sure, :2], axis=0))
            apart = np.linalg.norm(drawn[frame, sure] - seen[frame, sure, :2], axis=1)
            misses[frame] = np.median(apart) / max(size, 1.0)
    return misses


def _add_contact(scene: Scene, poses: Mapping[str, Poses], found: dict[str, Traces], device: str) -> None:
    count = scene.frame_count
    surfaces = {body.name: posed_vertices(body.body, poses[body.name], device) for body in scene.bodies}
    nearest = {name: np.full(count, np.inf) for name in found}
    for one, other in permutations(scene.bodies, 2):
        if one.name not in found and other.name not in found:
            continue
        step = max(other.body.vertex_count // POINTS, 1)
        points = np.ascontiguousarray(surfaces[other.name][:, ::step])
        distance = signed_distance(one.body, points, surfaces[one.name], reach_m=REACH_M, device=device).distance
        least = np.asarray(distance).min(axis=1)
        for name in {one.name, other.name} & set(found):
            nearest[name] = np.minimum(nearest[name], least)
    carries = any(not body.body.is_rigid for body in scene.bodies)
    for body in scene.bodies:
        if body.name not in found:
            continue
        least = nearest[body.name]
        seen = np.isfinite(least)
        found[body.name]["inside_mm"] = np.where(seen, 1e3 * np.maximum(-least, 0.0), np.nan)
        moves = _speeds(poses[body.name].position, scene.fps) > MOVES_M_S
        held = seen & moves & body.body.is_rigid & carries
        found[body.name]["gap_mm"] = np.where(held, 1e3 * np.maximum(least, 0.0), np.nan)


def _speeds(position: np.ndarray, fps: float) -> np.ndarray:
    """Of a motion, the less of those to and from each frame (frame,) [m/s]."""
    if len(position) < 2:
        return np.zeros(len(position))
    steps = np.linalg.norm(np.diff(position, axis=0), axis=1) * fps
    return np.minimum(np.append(steps, steps[-1]), np.insert(steps, 0, steps[0]))


def _jumps(poses: Poses, fps: float) -> Traces:
    """Distance and angle from what is between the frames before and after (frame,), NaN at the ends."""
    count = len(poses.position)
    jump, turn = np.full(count, np.nan), np.full(count, np.nan)
    if count > 2:
        middle = 0.5 * (poses.position[:-2] + poses.position[2:])
        jump[1:-1] = 1e3 * np.linalg.norm(poses.position[1:-1] - middle, axis=1)
        turns = Rotation.from_quat(poses.rotation)
        half = Rotation.from_rotvec(0.5 * (turns[:-2].inv() * turns[2:]).as_rotvec())
        turn[1:-1] = np.degrees(((turns[:-2] * half).inv() * turns[1:-1]).magnitude())
    rate = (fps / 30.0) ** 2  # what accelerates alike is farther off at fewer frames per second
    return {"jump_mm": jump * rate, "jump_deg": turn * rate}
