"""Figures of what moves in the world, where the camera moves: surfaces there, and the camera itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.scene import Poses
from warpprior.world import CameraPath, World

Surface = Callable[[Poses], np.ndarray]


def moving_world(world: World | None, camera: CameraPath | None = None) -> World | None:
    """The world where its camera moves, with another path of the camera where one is given; None where it stands."""
    if world is None or not world.moves:
        return None
    return World(camera or world.camera, world.gravity, world.noise, world.truth)


def into_world(path: CameraPath | None, surface: Surface) -> Surface:
    """What poses a surface (frame, vertex, 3), all frames of it, in the world; as it is without a path."""
    if path is None:
        return surface
    turns = Rotation.from_quat(path.rotation).as_matrix().transpose(0, 2, 1)
    return lambda poses: surface(poses).astype(np.float64) @ turns + path.position[:, None]


def world_errors(world: World, poses: Poses, truth: Poses) -> np.ndarray:
    """Distance of a body's origin from the true one in the world (frame,) [mm], NaN where the truth has no pose."""
    if world.camera is None or world.truth is None:
        return np.full(poses.frame_count, np.nan)
    return 1e3 * np.linalg.norm(
        world.camera.moved_places(poses.position) - world.truth.moved_places(truth.position), axis=1
    )


def camera_rows(world: World) -> dict[str, np.ndarray]:
    """Errors of the camera where the truth is known, and how it shakes (frame,) each, NaN where it is not defined."""
    path, truth = world.camera, world.truth
    assert path is not None, "it moves"
    rows = {"shake_mm": _bends(path.position), "shake_deg": _spins(path.rotation)}
    if truth is not None:
        turn = Rotation.from_quat(path.rotation).inv() * Rotation.from_quat(truth.rotation)
        rows["translation_mm"] = 1e3 * np.linalg.norm(path.position - truth.position, axis=1)
        rows["rotation_deg"] = np.degrees(turn.magnitude())
        rows["acceleration_error_mm"] = _bends(path.position - truth.position)
    return rows


def _bends(position: np.ndarray) -> np.ndarray:
    """Length of the second difference (frame,) [mm], NaN at both ends."""
    found = np.full(len(position), np.nan)
    found[1:-1] = 1e3 * np.linalg.norm(np.diff(position, 2, axis=0), axis=1)
    return found


def _spins(rotation: np.ndarray) -> np.ndarray:
    """Change of the turn between frames (frame,) [degrees], NaN at both ends."""
    turns, found = Rotation.from_quat(rotation), np.full(len(rotation), np.nan)
    if len(rotation) > 2:
        steps = (turns[:-1].inv() * turns[1:]).as_rotvec()
        found[1:-1] = np.degrees(np.linalg.norm(np.diff(steps, axis=0), axis=1))
    return found
