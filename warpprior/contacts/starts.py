"""Starts of grasps that are to meet a map: spread around the given one, and what is to touch brought together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import sparse
from scipy.spatial.transform import Rotation

from warpprior.bodies import Body, posed_vertices
from warpprior.bodies.contact_map import ContactMap, TouchingPoints
from warpprior.contacts.settings import ContactSettings
from warpprior.scene import Scene, SceneBody
from warpprior.system.surface_places import places_near

NEAR_M = 0.003  # places of a map that are nearer than this say where its middle is [m]


def spread(body: SceneBody, frames: int, settings: ContactSettings, random: np.random.Generator) -> SceneBody:
    """A body whose frames, but for the first ones, start somewhere around where they were."""
    if body.known:
        return body
    start, model = body.initial, body.body
    others = start.frame_count - frames
    turn = Rotation.from_rotvec(settings.spread_rad * random.normal(size=(others, 3)))
    before = Rotation.from_quat(start.rotation[frames:])
    middle = before.apply(start.scale * model.vertices.mean(axis=0).astype(np.float64))
    shift = settings.spread_m * random.normal(size=(others, 3)) + middle - turn.apply(middle)
    position, rotation = start.position.copy(), start.rotation.copy()
    position[frames:] += shift
    rotation[frames:] = (turn * before).as_quat()
    joints = start.joints.copy()
    if model.coordinate_count:
        moved = joints[frames:] + settings.spread_joints * random.normal(size=joints[frames:].shape) @ joint_sigmas(
            model
        )
        joints[frames:] = np.clip(moved, model.lower, model.upper)
    return replace(body, initial=replace(start, position=position, rotation=rotation, joints=joints))


def joint_sigmas(model: Body) -> np.ndarray:
    """A root of the covariance of joint coordinates (coordinate, coordinate)."""
    if model.pose_prior is not None:
        values, vectors = np.linalg.eigh(np.asarray(model.pose_prior.precision, dtype=np.float64))
        sigmas = 1.0 / np.sqrt(np.maximum(values, 1e-6 * values.max()))
        return sigmas[:, None] * vectors.T
    width = np.clip(np.where(np.isfinite(model.upper - model.lower), model.upper - model.lower, 1.0), 0.0, 2.0)
    return np.diag(0.1 * width)


def brought_together(scene: Scene, frames: np.ndarray, device: str) -> Scene:
    """The scene with bodies that are to move shifted, in some frames (frame,) bool, to where they are to touch.

    A body moves to where the middle of its places that shall touch is on that of the other's, where maps tell both.
    """
    places = _touching(scene)
    surfaces = {body.name: posed_vertices(body.body, body.initial, device) for body in scene.bodies}
    for body in scene.bodies:
        if body.known:
            continue
        shifts = []
        for (name, other), weights in places.items():
            if name == body.name and (other, name) in places:
                own = _middles(surfaces[name], weights)
                shifts.append(_middles(surfaces[other], places[other, name]) - own)
        if not shifts:
            continue
        known = np.isfinite(shifts).all(axis=2, keepdims=True)
        count = known.sum(axis=0)
        shift = np.sum(shifts, axis=0, where=known) / np.maximum(count, 1)
        shift = np.where(frames[:, None] & (count > 0), shift, 0.0)
        initial = replace(body.initial, position=body.initial.position + shift)
        scene = scene.with_poses({body.name: initial})
    return scene


def _touching(scene: Scene) -> dict[tuple[str, str], np.ndarray]:
    """What each vertex counts of what is to touch (frame, vertex), by body and what it shall touch."""
    found: dict[tuple[str, str], np.ndarray] = {}

    def count(name: str, other: str, points: np.ndarray | None, touch: np.ndarray) -> None:
        body = scene.body(name).body
        if points is not None:  # by the corners of the faces that they are on
            places, _ = places_near(body, points)
            corners = body.faces[places.faces].ravel()
            rows, shape = np.repeat(np.arange(len(points)), 3), (len(points), body.vertex_count)
            spread = sparse.csr_array((places.barycentrics.ravel().astype(np.float64), (rows, corners)), shape=shape)
            touch = touch @ spread
        found[name, other] = found.get((name, other), 0.0) + touch

    for wanted in scene.contact_maps:
        if isinstance(wanted, TouchingPoints):
            touch = wanted.in_frames(scene.frame_count).astype(np.float64)
            count(wanted.body, wanted.other, wanted.points, touch)
            count(wanted.other, wanted.body, wanted.other_points, touch)
        elif isinstance(wanted, ContactMap):
            touch = (np.nan_to_num(wanted.distances, nan=np.inf) < NEAR_M) * wanted.trust(scene.body(wanted.body).body)
            touch = np.broadcast_to(touch, (scene.frame_count, touch.shape[-1]))
            count(wanted.body, wanted.other, wanted.places, touch)
    return found


def _middles(surface: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted mean of vertices in each frame (frame, 3), NaN where all weights are zero."""
    total = weights.sum(axis=1, dtype=np.float64)
    sums = np.einsum("fv,fvx->fx", weights.astype(np.float64), surface)
    return np.divide(sums, total[:, None], out=np.full(sums.shape, np.nan), where=total[:, None] > 0.0)
