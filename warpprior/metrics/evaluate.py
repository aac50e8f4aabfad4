"""Evaluation of a motion of all bodies of a scene; :mod:`warpprior.metrics` defines every metric."""

from __future__ import annotations

import numpy as np

from warpprior.bodies import posed_vertices
from warpprior.device import resolve_device
from warpprior.errors import InputError
from warpprior.metrics.contact import SurfacePoints, contact_metrics, contact_ratio, signed_distances
from warpprior.metrics.masks import mask_iou
from warpprior.metrics.motion import accelerations, motion_errors, rotate
from warpprior.metrics.summary import diameter, listed, summarise
from warpprior.priors.field import Surface
from warpprior.rendering import render_labels
from warpprior.scene import Poses, Scene, SceneBody


def evaluate(scene: Scene, poses: dict[str, Poses], *, device: str | None = None) -> dict:
    """Metrics of a motion, per frame and in summary; :mod:`warpprior.metrics` lists them.

    Args:
        scene: bodies, labels and, where known, truth.
        poses: motion by body name; known bodies that are left out keep the scene's poses.
        device: Warp device; None chooses.

    Returns:
        plain data, ready for JSON.

    Raises:
        InputError: a body has no poses, or the number of frames differs.
    """
    return Evaluator(scene, device=device)(poses)


class Evaluator:
    """Evaluates several motions of one scene, preparing surfaces and sample points once.

    Args:
        scene: bodies, labels and, where known, truth.
        device: Warp device; None chooses.
    """

    def __init__(self, scene: Scene, *, device: str | None = None):
        self._scene, self._device = scene, resolve_device(device)
        self._points = {item.name: SurfacePoints(item.body) for item in scene.bodies} if len(scene.bodies) > 1 else {}
        self._surfaces: dict[tuple[str, float], Surface] = {}
        self._posed: dict[str, tuple[Poses, np.ndarray]] = {}

    def __call__(self, poses: dict[str, Poses]) -> dict:
        """Metrics of one motion; see :func:`evaluate`."""
        scene = self._scene
        poses = self._complete(poses)
        metrics: dict[str, dict[str, np.ndarray]] = {item.name: {} for item in scene.bodies}
        extra: dict[str, dict] = {item.name: {} for item in scene.bodies}
        for item in scene.bodies:
            if not item.known:
                self._add_motion(item, poses[item.name], metrics[item.name], extra[item.name])
        if scene.labels is not None:
            drawn = render_labels(scene, poses, device=self._device)
            for item in scene.bodies:
                metrics[item.name]["mask_iou"] = mask_iou(drawn, scene.labels, item.label)
        if len(scene.bodies) > 1:
            on_surfaces = {i.name: self._points[i.name].place(self._surface_at(i, poses[i.name])) for i in scene.bodies}
            for item in scene.bodies:
                if item.body.is_rigid:
                    self._add_contact(item, poses[item.name], on_surfaces, metrics[item.name], extra[item.name])
        return {
            "frames": scene.frame_count,
            "fps": float(scene.fps),
            "per_frame": {body: {name: listed(v) for name, v in rows.items()} for body, rows in metrics.items()},
            "summary": {
                body: {name: summarise(name, v, scene.fps) for name, v in rows.items()} | extra[body]
                for body, rows in metrics.items()
            },
        }

    def _complete(self, poses: dict[str, Poses]) -> dict[str, Poses]:
        given = {item.name: item.initial for item in self._scene.bodies if item.known} | poses
        for item in self._scene.bodies:
            if item.name not in given:
                raise InputError(f"poses of {item.name!r}", "are missing", f"given are {sorted(poses)}")
            count = given[item.name].frame_count
            if count != self._scene.frame_count:
                accepted = f"the scene has {self._scene.frame_count}"
                raise InputError(f"poses of {item.name!r}", f"have {count} frames", accepted)
        return given

    def _surface_at(self, item: SceneBody, poses: Poses) -> np.ndarray:
        """Posed surface (frame, vertex, 3); the last motion of each body is remembered."""
        remembered = self._posed.get(item.name)
        if remembered is None or remembered[0] is not poses:
            remembered = poses, posed_vertices(item.body, poses, device=self._device)
            self._posed[item.name] = remembered
        return remembered[1]

    def _add_motion(self, item: SceneBody, poses: Poses, rows: dict, extra: dict) -> None:
        body = item.body

        def surface(motion: Poses) -> np.ndarray:
            if motion is poses:
                return self._surface_at(item, poses)
            if motion.frame_count == 0:
                return np.zeros((0, body.vertex_count, 3), dtype=np.float32)
            return posed_vertices(body, motion, device=self._device)

        if item.truth is not None:
            rows.update(motion_errors(body, item.symmetry, poses, item.truth, surface))
            size = item.truth.scale * diameter(body.vertices)
            scored = rows["add_mm"][np.isfinite(rows["add_mm"])]
            if len(scored):
                extra["add_below_tenth_diameter"] = float(np.mean(scored <= 100.0 * size))
        own, error, true = accelerations(body, item.symmetry, poses, item.truth, surface)
        rows["acceleration_mm"] = own
        if error is not None:
            rows["acceleration_error_mm"] = error
            extra["truth_acceleration_mm"] = summarise("truth_acceleration_mm", true, self._scene.fps)

    def _add_contact(self, item: SceneBody, poses: Poses, on_surfaces: dict, rows: dict, extra: dict) -> None:
        others = np.concatenate([points for name, points in on_surfaces.items() if name != item.name], axis=1)
        local = rotate(poses.rotation * [-1, -1, -1, 1], others - poses.position[:, None].astype(np.float32))
        surface = self._exact_surface(item, poses.scale)
        lower, upper = surface.vertices.min(axis=0), surface.vertices.max(axis=0)
        distances = signed_distances(lambda points: surface.measure(points)[0], lower, upper, local)
        contact = contact_metrics(distances, local)
        rows.update(contact)
        extra["contact_ratio"] = contact_ratio(contact)

    def _exact_surface(self, item: SceneBody, scale: float) -> Surface:
        key = item.name, scale
        if key not in self._surfaces:
            vertices = item.body.vertices * np.float32(scale)
            self._surfaces[key] = Surface(vertices, item.body.faces, f"body {item.name!r}", self._device)
        return self._surfaces[key]
