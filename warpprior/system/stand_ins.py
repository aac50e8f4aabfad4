"""Scenes whose bodies of very many faces are computed with lighter ones, at a stated error on the screen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bodies.stand_in import MANY_FACES, in_steps, lighter
from warpprior.scene import Camera, Poses, Scene, SceneBody

MOST_M = 2e-4  # whatever the distance: contact is measured on these surfaces, too
LEAST_M = 1e-6  # error that is asked for, but for steps down from it
NEAREST = 0.3  # of the middle's depth: what a first guess has nearer is rather farther
NEAREST_M = 0.05


def with_stand_ins(scene: Scene, pixels: float) -> Scene:
    """The scene with lighter bodies in place of those of more than 5,000 faces.

    Poses, joints and frames mean the same with either; :func:`with_originals` puts the bodies back.

    Args:
        scene: its first poses say how near its bodies are.
        pixels: the most that what is drawn may be off [px]; 0 leaves all bodies as they are.
    """
    if not pixels or all(item.body.face_count < MANY_FACES for item in scene.bodies):
        return scene
    return replace(scene, bodies=tuple(_lighter(item, scene, pixels) for item in scene.bodies))


def _lighter(item: SceneBody, scene: Scene, pixels: float) -> SceneBody:
    if item.body.face_count < MANY_FACES:
        return item
    allowed = min(pixels / _pixels_per_metre(item, item.initial, scene.camera), MOST_M / item.initial.scale)
    body = lighter(item.body, in_steps(allowed, LEAST_M), colors=scene.read_rgb is not None)
    return item if body is item.body else replace(item, body=body)


def _pixels_per_metre(item: SceneBody, poses: Poses, camera: Camera) -> float:
    """How far a metre of the body's surface at rest is on the screen, where that is most [px/m]."""
    low, high = item.body.vertices.min(axis=0), item.body.vertices.max(axis=0)
    middle, radius = 0.5 * (low + high) * poses.scale, 0.5 * float(np.linalg.norm(high - low)) * poses.scale
    depths = poses.position[:, 2] + Rotation.from_quat(poses.rotation).apply(middle)[:, 2]
    depths = depths[np.isfinite(depths) & (depths > 0.0)]
    nearest = float(np.maximum(depths - radius, NEAREST * depths).min(initial=np.inf))
    across = max(camera.cx, camera.width - camera.cx) / camera.fx, max(camera.cy, camera.height - camera.cy) / camera.fy
    return max(camera.fx, camera.fy) * math.hypot(1.0, *across) * poses.scale / max(nearest, NEAREST_M)


def with_originals(scene: Scene) -> Scene:
    """The scene with the bodies that others stand in for."""
    bodies = []
    for item in scene.bodies:
        first = item.body.stands_for
        bodies.append(item if first is None else replace(item, body=first.body))
    return replace(scene, bodies=tuple(bodies))


def stand_in_notes(scene: Scene, poses: Mapping[str, Poses]) -> list[str]:
    """Which bodies were computed with fewer faces, and how far off these are at poses, one sentence each."""
    notes = []
    for item in scene.bodies:
        first = item.body.stands_for
        if first is not None:
            pixels = first.away_m * _pixels_per_metre(item, poses[item.name], scene.camera)
            counts = f"{first.body.face_count} faces were computed as {item.body.face_count}"
            off = f"at most {1e3 * first.away_m * item.initial.scale:.3f} mm and {pixels:.2f} px off"
            notes.append(f"{item.name}: {counts}, {off}; stand_in_px=0 takes all of them.")
    return notes
