"""A scene folder, read and checked once.  Everything behind this door may trust its Scene."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from warpprior.bodies.body import Body
from warpprior.bodies.readers.conventions import Convention
from warpprior.bodies.readers.kinds import BodySource
from warpprior.io.association import note_swapped_labels
from warpprior.io.contact_maps import load_contact_maps
from warpprior.io.depth_scale import check_depth_scale
from warpprior.io.gaps import filled_in_world
from warpprior.io.keypoints import load_detections
from warpprior.io.label_images import hide_under, read_labels
from warpprior.io.label_overlap import LabelOverlap
from warpprior.io.pictures import find_pictures
from warpprior.io.poses import load_poses, load_truth
from warpprior.io.rectify import Rectifier, point_rectifier
from warpprior.io.scene_file import SCENE_FILE, BodyEntry, SceneFile, read_scene_file
from warpprior.io.timestamps import load_timestamps
from warpprior.io.world import World, load_camera_path
from warpprior.scene import IGNORE_LABEL, Poses, Scene, SceneBody, fit_start
from warpprior.support.errors import InputError
from warpprior.support.progress import Progress
from warpprior.support.stored import forget


def load_scene(
    folder: str | Path, *, num_frames: int | None = None, progress: Progress | None = None, to_check: bool = False
) -> Scene:
    """Read a scene folder: ``scene.toml``, models, pose files and label images; pictures are read when asked for.

    Args:
        folder: holds ``scene.toml``; nothing outside it is opened.
        num_frames: read only the first so many frames; None reads all.
        progress: called while something takes long, with how much of it is done, how much there is, and what it is.
        to_check: poses behind the camera and depth in another unit are not refused but left to :func:`warpprior.check`.

    Returns:
        the scene, rectified when the camera has lens distortion; ``Scene.warnings`` lists what was mended.

    Raises:
        InputError: naming the file, frame or field, what was found and what is accepted.
        MissingExtraError: pictures are needed and OpenCV is not installed.
    """
    scene_file = read_scene_file(folder)
    frame_count = scene_file.count
    if num_frames is not None:
        if not 1 <= num_frames <= scene_file.count:
            accepted = f"the scene has {scene_file.count} frames"
            raise InputError(f"{scene_file.folder}: number of frames", f"{num_frames} asked for", accepted)
        frame_count = num_frames
    notes = [*scene_file.warnings, *(() if scene_file.source is None else scene_file.source.notes)]
    conventions: dict[str, Convention] = {}
    models = [_read_model(scene_file, entry, conventions, notes, progress) for entry in scene_file.bodies]
    known = [entry.name for entry in scene_file.bodies if entry.known]
    count = scene_file.count
    animated = {model.name: model for model in models if model.animation is not None}
    detections = _read_detections(scene_file, models, notes)
    seen = {name for key in ("keypoints2d", "keypoints3d") for name in detections.get(key, {})}
    initial = {}
    if scene_file.initial is not None:
        shared = {"known": known, "optional": seen | set(animated), "conventions": conventions, "notes": notes}
        shared["behind"] = to_check
        initial = load_poses(scene_file.initial, models, frame_count=count, overlap=LabelOverlap(scene_file), **shared)
    initial |= {name: _stay_in_place(model) for name, model in animated.items() if name not in initial}
    for entry, model in zip(scene_file.bodies, models, strict=True):
        if entry.name not in initial:
            place = f"{scene_file.folder / SCENE_FILE}: [poses], initial: body {entry.name!r}"
            start = fit_start(place, model, scene_file.camera, detections, scene_file.noise, known=entry.known)
            initial[entry.name], note = start
            notes.append(note)
    truth = {}
    if scene_file.truth is not None:
        truth = load_truth(scene_file.truth, models, frame_count=count, conventions=conventions, notes=notes)
    rectifier = None
    if scene_file.lens is not None and (scene_file.labels or scene_file.rgb or scene_file.depth):
        place = f"{scene_file.folder / SCENE_FILE}: [camera], distortion"
        rectifier = Rectifier(scene_file.camera, scene_file.lens, place)
        notes.append("scene.toml: [camera], distortion: pictures were rectified to a pinhole camera")
    world = _read_world(scene_file, notes)
    timestamps = None
    if scene_file.timestamps is not None:
        timestamps = load_timestamps(scene_file.timestamps, frame_count=count, fps=scene_file.fps, notes=notes)
    contact_maps = ()
    if scene_file.contact_maps is not None:
        contact_maps = load_contact_maps(scene_file.contact_maps, models, frame_count=count, notes=notes)
    labels = read_labels(scene_file, frame_count, rectifier and rectifier.nearest(IGNORE_LABEL), notes)
    read_rgb, read_depth = find_pictures(scene_file, frame_count, rectifier, notes)
    first = slice(0, frame_count)
    bodies = tuple(
        SceneBody(
            body=model.first_moments(frame_count),
            label=entry.label,
            known=entry.known,
            initial=initial[entry.name].frames(first),
            truth=truth[entry.name].frames(first) if entry.name in truth else None,
            symmetry=entry.symmetry,
            source=entry.path,
            matter=entry.matter,
            size=entry.kind.size(entry.keys),
        )
        for entry, model in zip(scene_file.bodies, models, strict=True)
    )
    if labels is not None:
        note_swapped_labels(scene_file.camera, bodies, labels, notes)
        if read_depth is not None and not to_check:
            check_depth_scale(f"{scene_file.folder / SCENE_FILE}: [frames], depth_scale", bodies, labels, read_depth)
        unlabelled = [item for item, entry in zip(bodies, scene_file.bodies, strict=True) if not entry.labelled]
        _hide_under(scene_file, unlabelled, labels, notes)
        forget(labels)
    scene = Scene(
        name=_readable(scene_file.folder.resolve().name) or "scene",
        camera=scene_file.camera,
        fps=scene_file.fps,
        bodies=bodies,
        labels=labels,
        read_rgb=read_rgb,
        read_depth=read_depth,
        timestamps=None if timestamps is None else timestamps[first],
        **{field: {name: values[first] for name, values in found.items()} for field, found in detections.items()},
        noise=scene_file.noise,
        world=None if world is None else world.first_frames(frame_count),
        contact_maps=tuple(wanted.frames(first) for wanted in contact_maps),
        folder=scene_file.folder,
        warnings=tuple(notes),
    )
    return filled_in_world(scene)


def _readable(name: str) -> str:
    """The name with bytes that are no text written as escapes, for titles and metadata."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _read_detections(scene_file: SceneFile, models: list[Body], notes: list[str]) -> dict[str, dict[str, np.ndarray]]:
    """What was detected in all frames, by field of a scene and body; nothing when ``scene.toml`` names no file."""
    if scene_file.keypoints is None:
        return {}
    rectify = None
    if scene_file.lens is not None:
        place = f"{scene_file.folder / SCENE_FILE}: [camera], distortion"
        rectify = point_rectifier(scene_file.camera, scene_file.lens, place)
    return load_detections(
        scene_file.keypoints, models, scene_file.camera, frame_count=scene_file.count, rectify=rectify, notes=notes
    )


def _read_world(scene_file: SceneFile, notes: list[str]) -> World | None:
    """Where the camera was, and where things fall."""
    entry = scene_file.world
    given, truth = (
        None if path is None else load_camera_path(path, scene_file.count, notes)
        for path in (entry.camera_poses, entry.camera_truth)
    )
    gravity = None if entry.gravity is None else np.array(entry.gravity) / np.linalg.norm(entry.gravity)
    return None if given is None and gravity is None else World(given, gravity, entry.noise, truth)


def _stay_in_place(body: Body) -> Poses:
    """The poses of a body whose animation is in the camera frame: the identity in every frame.

    Raises:
        InputError: the body is behind the camera all the time.
    """
    assert body.animation is not None
    if np.all(body.animation.min(axis=1)[:, 2] + body.animation.max(axis=1)[:, 2] <= 0.0):
        accepted = "z points forward; these look like OpenGL axes, multiply them by diag(1, -1, -1)"
        raise InputError(f"body {body.name!r}: vertices", "are behind the camera in every frame", accepted)
    return Poses.identity(len(body.animation))


def _hide_under(scene_file: SceneFile, bodies: list[SceneBody], labels: np.ndarray, notes: list[str]) -> None:
    """Make don't-care, in place, what known bodies that label images do not show would cover of the background."""
    for item in bodies:
        hide_under(item, scene_file.camera, scene_file.fps, labels)
        notes.append(f"{item.name} has no label; the background where it is drawn is taken as don't-care")


def _read_model(
    scene_file: SceneFile,
    entry: BodyEntry,
    conventions: dict[str, Convention],
    notes: list[str],
    progress: Progress | None,
) -> Body:
    """The model of one body; what its poses mean goes into ``conventions`` where that is not ours."""
    shared = (scene_file.folder, scene_file.count, scene_file.fps)
    source = BodySource(entry.name, entry.path, *shared, entry.keys, progress)
    where = f"{scene_file.folder / SCENE_FILE}: body {entry.name!r} of kind {entry.kind.name!r}"
    try:
        found = entry.kind.read(source)
    except ValueError as error:  # of a body made of wrong arrays
        raise InputError(where, str(error), "a body whose arrays fit each other") from error
    if not (isinstance(found, tuple) and len(found) == 2 and isinstance(found[0], Body)):
        raise InputError(where, f"read returned a {type(found).__name__}", "a body and its convention, or None")
    body, convention = found
    if convention is not None:
        conventions[entry.name] = convention
    origin = entry.name if entry.path is None else entry.path.name
    notes.extend(f"{origin}: {warning}" for warning in body.warnings)
    return body
