"""Evaluation of a motion of all bodies of a scene; :mod:`warpprior.metrics` defines every metric."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from warpprior.bodies import posed_vertices
from warpprior.geometry.signed_distance import Surface
from warpprior.metrics.accuracy import failures, keypoint_errors, surface_errors
from warpprior.metrics.calibration import consistency, stated_errors
from warpprior.metrics.contact import contact_shares
from warpprior.metrics.contact_maps import map_rows
from warpprior.metrics.interaction import Interaction, compare_contacts, interact
from warpprior.metrics.masks import mask_iou
from warpprior.metrics.pose_errors import accelerations, fill_holes, motion_errors
from warpprior.metrics.summary import diameter, listed, summarise
from warpprior.metrics.surfaces import PosedBody, SurfacePoints
from warpprior.metrics.world import camera_rows, into_world, moving_world, world_errors
from warpprior.render.images import each_labels
from warpprior.scene import Poses, Scene, SceneBody, check_is_scene
from warpprior.support.device import resolve_device
from warpprior.support.errors import InputError
from warpprior.support.memory import give_back
from warpprior.support.progress import Course, Progress
from warpprior.support.stored import forget
from warpprior.world import CameraPath, World

MEASURING = "measuring"


def evaluate(
    scene: Scene, poses: dict[str, Poses], *, device: str | None = None, progress: Progress | None = None
) -> dict:
    """Metrics of a motion, per frame and in summary; :mod:`warpprior.metrics` lists them.

    Args:
        scene: bodies, labels and, where known, truth.
        poses: motion by body name; known bodies that are left out keep the scene's poses.
        device: Warp device; None chooses.
        progress: called with parts done, parts in all, and what is being done.

    Returns:
        plain data, ready for JSON.

    Raises:
        InputError: a body has no poses, or the number of frames differs.
    """
    course = Course(progress, {"prepare": 1.0, "measure": 2.0})
    evaluator = Evaluator(scene, device=device, progress=course.part("prepare"))
    return evaluator(poses, course.part("measure"))


class Evaluator:
    """Evaluates several motions of one scene, preparing surfaces, sample points and the truth once.

    Args:
        scene: bodies, labels and, where known, truth.
        device: Warp device; None chooses.
        progress: called with bodies prepared, bodies in all, and what is being done.
    """

    def __init__(self, scene: Scene, *, device: str | None = None, progress: Progress | None = None):
        check_is_scene(scene, "evaluate")
        self._scene, self._device = scene, resolve_device(device)
        self._points = {item.name: SurfacePoints(item.body) for item in scene.bodies}
        self._surfaces: dict[tuple[str, float], Surface] = {}
        self._true: dict[str, tuple[PosedBody, np.ndarray]] = {}
        self._kept: dict[str, PosedBody] = {}
        for number, item in enumerate(scene.bodies):
            if progress is not None:
                progress(number, len(scene.bodies), MEASURING)
            if item.truth is not None:
                filled, holes = fill_holes(item.truth)
                self._true[item.name] = self._pose(item, filled), ~holes
        self._world: World | None = None
        self._true_interaction = self._interact_truly() if len(scene.bodies) > 1 else None

    def __call__(
        self, poses: dict[str, Poses], progress: Progress | None = None, *, camera: CameraPath | None = None
    ) -> dict:
        """Metrics of one motion; see :func:`evaluate`.  ``camera`` stands in for the poses of the scene's own."""
        scene = self._scene
        self._world = moving_world(scene.world, camera)
        report = progress or (lambda done, total, text: None)
        steps = len(scene.bodies) + 2  # motion of each, labels, contact
        poses = self._complete(poses)
        posed = {item.name: self._pose(item, poses[item.name]) for item in scene.bodies}
        rows: dict[str, dict[str, np.ndarray]] = {item.name: {} for item in scene.bodies}
        extra: dict[str, dict] = {item.name: {} for item in scene.bodies}
        for number, item in enumerate(scene.bodies):
            report(number, steps, MEASURING)
            if not item.known:
                self._add_motion(item, posed[item.name], rows[item.name], extra[item.name])
            if poses[item.name].covariance is not None:
                self._add_consistency(item, poses[item.name], rows[item.name], extra[item.name])
        report(steps - 2, steps, MEASURING)
        if scene.labels is not None:
            ious = {item.name: np.full(scene.frame_count, np.nan) for item in scene.bodies}
            for cut, drawn in each_labels(scene, poses, device=self._device):
                for item in scene.bodies:
                    ious[item.name][cut] = mask_iou(drawn, scene.labels[cut], item.label)
                forget(scene.labels[cut])
            for name, values in ious.items():
                rows[name]["mask_iou"] = values
        report(steps - 1, steps, MEASURING)
        pairs = self._add_contact(posed, rows, extra) if len(scene.bodies) > 1 else {}
        report(steps, steps, MEASURING)
        give_back()
        filmed = {} if self._world is None else camera_rows(self._world)
        camera_found = {"per_frame": _listed(filmed), "summary": self._summarised(filmed)}
        return {
            "frames": scene.frame_count,
            "fps": float(scene.fps),
            **({"camera": camera_found} if filmed else {}),
            "per_frame": {body: _listed(values) for body, values in rows.items()},
            "summary": {body: self._summarised(values) | extra[body] for body, values in rows.items()},
            "pairs": pairs,
            **({"maps": self._of_maps(posed, poses)} if scene.contact_maps else {}),
        }

    def _of_maps(self, posed: dict[str, PosedBody], poses: dict[str, Poses]) -> dict:
        """How well maps of contact are met."""
        surfaces = {name: body.vertices for name, body in posed.items()}
        scales = {name: float(np.max(motion.scale)) for name, motion in poses.items()}
        found = map_rows(self._scene, surfaces, scales, self._device)
        return {key: {"per_frame": _listed(rows), "summary": self._summarised(rows)} for key, rows in found.items()}

    def _complete(self, poses: dict[str, Poses]) -> dict[str, Poses]:
        if not isinstance(poses, Mapping):
            raise InputError(
                "evaluate: poses", f"a {type(poses).__name__}", "a dict of warpprior.Poses by name of the body"
            )
        for name, motion in poses.items():
            if not isinstance(motion, Poses):
                raise InputError(f"poses of {name!r}", f"a {type(motion).__name__}", "a warpprior.Poses")
        given = {item.name: item.initial for item in self._scene.bodies if item.known} | poses
        for item in self._scene.bodies:
            if item.name not in given:
                raise InputError(f"poses of {item.name!r}", "are missing", f"given are {sorted(poses)}")
            count = given[item.name].frame_count
            if count != self._scene.frame_count:
                accepted = f"the scene has {self._scene.frame_count}"
                raise InputError(f"poses of {item.name!r}", f"have {count} frames", accepted)
        return given

    def _pose(self, item: SceneBody, poses: Poses) -> PosedBody:
        """The body in motion; known ones, which move alike in all motions, are posed once."""
        kept = self._kept.get(item.name)
        if kept is not None and kept.poses is poses:
            return kept
        posed = PosedBody(item, poses, self._points[item.name], self._rest_surface, self._device)
        if item.known:
            self._kept[item.name] = posed
        return posed

    def _rest_surface(self, item: SceneBody, scale: float) -> Surface:
        key = item.name, scale
        if key not in self._surfaces:
            vertices = item.body.vertices * np.float32(scale)
            self._surfaces[key] = Surface(vertices, item.body.faces, f"body {item.name!r}", self._device)
        return self._surfaces[key]

    def _interact_truly(self) -> Interaction | None:
        """Contact in the true motion; None where a body that is estimated has none."""
        posed, defined = {}, np.ones(self._scene.frame_count, dtype=bool)
        for item in self._scene.bodies:
            if item.name in self._true:
                posed[item.name], scored = self._true[item.name]
                defined &= scored
            elif item.known:
                posed[item.name] = self._pose(item, item.initial)
            else:
                return None
        return interact(posed, defined)

    def _add_motion(self, item: SceneBody, posed: PosedBody, rows: dict, extra: dict) -> None:
        body, poses = item.body, posed.poses

        def surface(motion: Poses) -> np.ndarray:
            for known in (posed, self._true.get(item.name, (posed,))[0]):
                if motion is known.poses:
                    return known.vertices
            if motion.frame_count == 0:
                return np.zeros((0, body.vertex_count, 3), dtype=np.float32)
            return posed_vertices(body, motion, device=self._device)

        if item.truth is not None:
            truth, defined = self._true[item.name]
            if item.size is not None:
                extra["size_error"] = poses.scale / item.truth.scale - 1.0
            rows.update(motion_errors(body, item.symmetry, poses, item.truth, surface))
            rows.update(surface_errors(posed, truth, defined, self._scene.camera))
            if body.keypoint_count:
                found, areas = keypoint_errors(posed, truth, defined)
                rows.update(found)
                extra.update(areas)
            failed = failures(rows)
            if failed:
                size = item.truth.scale * diameter(body.vertices)
                extra["add_below_tenth_diameter"] = float(np.mean(rows["add_mm"][defined] <= 100.0 * size))
                extra.update(failed)
        world = self._world
        if world is not None and world.truth is not None and item.truth is not None:
            rows["world_mm"] = world_errors(world, poses, item.truth)
        there = None if world is None else (world.camera, world.truth or world.camera)
        moved, true_moved = (surface, surface) if there is None else (into_world(path, surface) for path in there)
        own, error, true = accelerations(body, item.symmetry, poses, item.truth, moved, true_moved)
        rows["acceleration_mm"] = own
        if error is not None and true is not None:
            rows["acceleration_error_mm"] = error
            extra["truth_acceleration_mm"] = summarise("truth_acceleration_mm", true, self._scene.fps)

    def _add_consistency(self, item: SceneBody, poses: Poses, rows: dict, extra: dict) -> None:
        assert poses.covariance is not None
        rows.update(stated_errors(poses.covariance))
        if item.truth is not None:
            found, extra["consistency"] = consistency(poses, item.truth, item.symmetry)
            rows.update(found)

    def _add_contact(self, posed: dict[str, PosedBody], rows: dict, extra: dict) -> dict:
        """Add contact to the rows of every body, and give the metrics of the pairs."""
        found = interact(posed, np.ones(self._scene.frame_count, dtype=bool))
        truth, fps = self._true_interaction, self._scene.fps
        for name, values in found.body_rows.items():
            rows[name].update(values)
            extra[name].update(contact_shares(values))
            if truth is not None:
                extra[name]["truth"] = truth.describe(truth.body_rows[name], fps)
        pairs = {}
        for key, values in found.pair_rows.items():
            figures: dict[str, Any] = {}
            if truth is not None:
                compared, scores = compare_contacts(found, truth, key)
                values, figures = values | compared, dict(scores)
                figures["truth"] = truth.describe(truth.pair_rows[key], fps)
            if key in found.pitches:
                figures["volume_pitch_mm"] = 1e3 * found.pitches[key]
            summary = self._summarised(values) | figures | contact_shares(found.pair_rows[key])
            pairs[key] = {"per_frame": _listed(values), "summary": summary}
        return pairs

    def _summarised(self, rows: dict[str, np.ndarray]) -> dict:
        return {name: summarise(name, values, self._scene.fps) for name, values in rows.items()}


def _listed(rows: dict[str, np.ndarray]) -> dict[str, list[float | None]]:
    return {name: listed(values) for name, values in rows.items()}
