"""Frames without a usable pose, filled from their neighbours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from warpprior.scene import Poses, Scene

_SAME_M, _SAME_COSINE = 1e-6, 1.0 - 1e-6  # files hold float32


def fill_gaps(values: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Linear interpolation over the frames that are not usable; held constant before the first and after the last.

    Args:
        values: (frame, n).
        usable: (frame,) bool, true somewhere.
    """
    before, after, weight = _neighbours(usable)
    weight = weight[:, None]
    return np.where(usable[:, None], values, (1 - weight) * values[before] + weight * values[after])


def fill_rotation_gaps(rotation: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """As :func:`fill_gaps` for unit quaternions (frame, 4), along the shorter great arc at constant speed."""
    before, after, weight = _neighbours(usable)
    first, second = rotation[before], rotation[after]
    cosine = np.sum(first * second, axis=1)
    second = np.where(cosine[:, None] < 0, -second, second)
    angle = np.arccos(np.clip(np.abs(cosine), 0.0, 1.0))
    sine = np.sin(angle)
    near = sine < 1e-6
    safe = np.where(near, 1.0, sine)
    start = np.where(near, 1 - weight, np.sin((1 - weight) * angle) / safe)
    end = np.where(near, weight, np.sin(weight * angle) / safe)
    between = start[:, None] * first + end[:, None] * second
    between /= np.linalg.norm(between, axis=1, keepdims=True)
    return np.where(usable[:, None], rotation, between)


def filled_in_world(scene: Scene) -> Scene:
    """The scene with first guesses that were interpolated in the camera's frame interpolated in the world instead.

    Where the camera stands, as it is; and so are frames that somebody else filled, by whatever means.
    """
    path = None if scene.world is None or not scene.world.moves else scene.world.camera
    bodies = []
    for item in scene.bodies:
        made_up = item.initial.imputed
        if path is not None and made_up is not None and _interpolated(item.initial, made_up):
            position, rotation = path.moved(item.initial.position, item.initial.rotation)
            filled = path.seen(fill_gaps(position, ~made_up), fill_rotation_gaps(rotation, ~made_up))
            item = replace(item, initial=replace(item.initial, position=filled[0], rotation=filled[1]))
        bodies.append(item)
    return scene if path is None else replace(scene, bodies=tuple(bodies))


def _interpolated(poses: Poses, made_up: np.ndarray) -> bool:
    """Frames that were made up lie straight between those that were not."""
    if not made_up.any() or made_up.all():
        return False
    places = np.abs(fill_gaps(poses.position, ~made_up) - poses.position)
    turns = np.abs(np.sum(fill_rotation_gaps(poses.rotation, ~made_up) * poses.rotation, axis=1))
    return bool(places.max() < _SAME_M and turns.min() > _SAME_COSINE)


def _neighbours(usable: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Usable frame at or before and at or after each frame, and how far between them it lies, in [0, 1]."""
    known = np.flatnonzero(usable)
    frames = np.arange(len(usable))
    after = np.searchsorted(known, frames, side="left").clip(max=len(known) - 1)
    before = (np.searchsorted(known, frames, side="right") - 1).clip(min=0)
    first, second = known[before], known[after]
    span = second - first
    weight = np.where(span > 0, (frames - first) / np.maximum(span, 1), 0.0)
    return first, second, weight
