"""What a wrong estimate leaves between bodies and between frames: overlap, gaps and jumps."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations

import numpy as np
from scipy.ndimage import median_filter
from scipy.spatial.transform import Rotation

from warpprior.bodies import posed_vertices
from warpprior.geometry.queries import signed_distance
from warpprior.refinement.symmetry import seen_angles
from warpprior.scene import Poses, Scene
from warpprior.support.pieces import pieces
from warpprior.verdicts.steady import in_world
from warpprior.world import CameraPath

POINTS = 400  # of a surface that are looked up in another
MOST_FACES = 400_000  # that are looked up in at once, of all frames: a long recording of a fine mesh takes gigabytes
REACH_M = 0.08  # bodies farther apart than this do not touch in any sense
MOVES_M_S = 0.03  # what is faster than this does not rest by itself
AROUND = 5  # steps that say how large one is as a rule
RATE_HZ = 30.0  # for which jumps are stated


def contact_traces(
    scene: Scene, poses: Mapping[str, Poses], names: list[str], device: str, camera: CameraPath | None = None
) -> dict[str, dict]:
    """Of these bodies (frame,) each, NaN where there is no other body.

    ``inside_mm``: how deep the deepest point of another body lies in it, or it in another.  ``gap_mm``: how far a rigid
    body is from all others while it moves, beside one that may carry it.  ``free_mm``: how far a body that bends is
    from all others, of which one of known size may say how far away it is.  Where the camera moves, ``camera`` is
    its path: bodies rest in the world.
    """
    count = scene.frame_count
    nearest = {name: np.full(count, np.inf) for name in names}
    most = max(body.body.face_count for body in scene.bodies)
    for frames in pieces(count, MOST_FACES // most):
        _bring_near(scene, poses, frames, nearest, device)
    carries = any(not body.body.is_rigid for body in scene.bodies)
    found = {}
    for name, least in nearest.items():
        seen = np.isfinite(least)
        rigid = scene.body(name).body.is_rigid
        away = 1e3 * np.clip(least, 0.0, REACH_M)
        moves = _speeds(in_world(camera, poses[name]).position, scene.fps) > MOVES_M_S
        held = seen & moves & rigid & carries
        found[name] = {
            "inside_mm": np.where(seen, 1e3 * np.maximum(-least, 0.0), np.nan),
            "gap_mm": np.where(held, 1e3 * np.maximum(least, 0.0), np.nan),
            "free_mm": np.where(rigid | (len(scene.bodies) < 2), np.nan, away),
        }
    return found


def _bring_near(
    scene: Scene, poses: Mapping[str, Poses], frames: slice, nearest: Mapping[str, np.ndarray], device: str
) -> None:
    """Lower the distances (frame,) [m] of bodies in some frames to those of what is nearest, at most the reach."""
    surfaces = {body.name: posed_vertices(body.body, poses[body.name].frames(frames), device) for body in scene.bodies}
    for one, other in permutations(scene.bodies, 2):
        if one.name not in nearest and other.name not in nearest:
            continue
        step = max(other.body.vertex_count // POINTS, 1)
        points = np.ascontiguousarray(surfaces[other.name][:, ::step])
        found = signed_distance(one.body, points, surfaces[one.name], reach_m=REACH_M, device=device)
        least = found.distance.numpy().min(axis=1)
        for name in {one.name, other.name} & set(nearest):
            nearest[name][frames] = np.minimum(nearest[name][frames], least)


def jump_traces(poses: Poses, symmetry: str, fps: float) -> dict[str, np.ndarray]:
    """Distance and angle from what is between the frames before and after (frame,), NaN at the ends."""
    count = len(poses.position)
    jump, turn = np.full(count, np.nan), np.full(count, np.nan)
    if count > 2:
        middle = 0.5 * (poses.position[:-2] + poses.position[2:])
        jump[1:-1] = 1e3 * np.linalg.norm(poses.position[1:-1] - middle, axis=1)
        turns = Rotation.from_quat(poses.rotation)
        half = Rotation.from_rotvec(0.5 * (turns[:-2].inv() * turns[2:]).as_rotvec())
        turn[1:-1] = _angles(turns[:-2] * half, turns[1:-1], symmetry)
    rate = (fps / RATE_HZ) ** 2  # what accelerates alike is farther off at fewer frames per second
    return {"jump_mm": jump * rate, "jump_deg": turn * rate}


def break_traces(poses: Poses, symmetry: str) -> dict[str, np.ndarray]:
    """The largest step that parts a frame from most others (frame,), beyond the steps around it: the side with fewer
    frames is the doubtful one.  A body that looks alike from two sides turns over in one step where it is found wrong.
    """
    count = len(poses.position)
    found = {"break_mm": np.zeros(count), "break_deg": np.zeros(count)}
    if count < 3:
        return found
    turns = Rotation.from_quat(poses.rotation)
    steps = {
        "break_mm": 1e3 * np.linalg.norm(np.diff(poses.position, axis=0), axis=1),
        "break_deg": _angles(turns[:-1], turns[1:], symmetry),
    }
    for name, sizes in steps.items():
        excess = np.maximum(sizes - 2.0 * median_filter(sizes, size=min(AROUND, len(sizes)), mode="nearest"), 0.0)
        for before, size in enumerate(excess):
            sides = []
            if before + 1 <= count / 2:
                sides.append(slice(None, before + 1))
            if count - before - 1 <= count / 2:
                sides.append(slice(before + 1, None))
            for side in sides:
                found[name][side] = np.maximum(found[name][side], size)
    return found


def _angles(first: Rotation, second: Rotation, symmetry: str) -> np.ndarray:
    """Between rotations (frame,) [degrees], as far as looks tell."""
    return np.degrees(seen_angles(first.as_quat(), second.as_quat(), symmetry))


def _speeds(position: np.ndarray, fps: float) -> np.ndarray:
    """Of a motion, the less of those to and from each frame (frame,) [m/s]."""
    if len(position) < 2:
        return np.zeros(len(position))
    steps = np.linalg.norm(np.diff(position, axis=0), axis=1) * fps
    return np.minimum(np.append(steps, steps[-1]), np.insert(steps, 0, steps[0]))
