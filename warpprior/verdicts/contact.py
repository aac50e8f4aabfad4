"""What a wrong estimate leaves between bodies and between frames: overlap, gaps and jumps."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bodies import posed_vertices
from warpprior.geometry.queries import signed_distance
from warpprior.scene import Poses, Scene

POINTS = 400  # of a surface that are looked up in another
REACH_M = 0.08  # bodies farther apart than this do not touch in any sense
MOVES_M_S = 0.03  # what is faster than this does not rest by itself
RATE_HZ = 30.0  # for which jumps are stated


def contact_traces(scene: Scene, poses: Mapping[str, Poses], names: list[str], device: str) -> dict[str, dict]:
    """Of these bodies (frame,) each, NaN where there is no other body.

    ``inside_mm``: how deep the deepest point of another body lies in it, or it in another.  ``gap_mm``: how far a rigid
    body is from all others while it moves, beside one that may carry it.
    """
    count = scene.frame_count
    surfaces = {body.name: posed_vertices(body.body, poses[body.name], device) for body in scene.bodies}
    nearest = {name: np.full(count, np.inf) for name in names}
    for one, other in permutations(scene.bodies, 2):
        if one.name not in nearest and other.name not in nearest:
            continue
        step = max(other.body.vertex_count // POINTS, 1)
        points = np.ascontiguousarray(surfaces[other.name][:, ::step])
        distance = signed_distance(one.body, points, surfaces[one.name], reach_m=REACH_M, device=device).distance
        least = np.asarray(distance).min(axis=1)
        for name in {one.name, other.name} & set(nearest):
            nearest[name] = np.minimum(nearest[name], least)
    carries = any(not body.body.is_rigid for body in scene.bodies)
    found = {}
    for name, least in nearest.items():
        seen = np.isfinite(least)
        moves = _speeds(poses[name].position, scene.fps) > MOVES_M_S
        held = seen & moves & scene.body(name).body.is_rigid & carries
        found[name] = {
            "inside_mm": np.where(seen, 1e3 * np.maximum(-least, 0.0), np.nan),
            "gap_mm": np.where(held, 1e3 * np.maximum(least, 0.0), np.nan),
        }
    return found


def jump_traces(poses: Poses, fps: float) -> dict[str, np.ndarray]:
    """Distance and angle from what is between the frames before and after (frame,), NaN at the ends."""
    count = len(poses.position)
    jump, turn = np.full(count, np.nan), np.full(count, np.nan)
    if count > 2:
        middle = 0.5 * (poses.position[:-2] + poses.position[2:])
        jump[1:-1] = 1e3 * np.linalg.norm(poses.position[1:-1] - middle, axis=1)
        turns = Rotation.from_quat(poses.rotation)
        half = Rotation.from_rotvec(0.5 * (turns[:-2].inv() * turns[2:]).as_rotvec())
        turn[1:-1] = np.degrees(((turns[:-2] * half).inv() * turns[1:-1]).magnitude())
    rate = (fps / RATE_HZ) ** 2  # what accelerates alike is farther off at fewer frames per second
    return {"jump_mm": jump * rate, "jump_deg": turn * rate}


def _speeds(position: np.ndarray, fps: float) -> np.ndarray:
    """Of a motion, the less of those to and from each frame (frame,) [m/s]."""
    if len(position) < 2:
        return np.zeros(len(position))
    steps = np.linalg.norm(np.diff(position, axis=0), axis=1) * fps
    return np.minimum(np.append(steps, steps[-1]), np.insert(steps, 0, steps[0]))
