"""Writing a scene folder that :func:`warpprior.io.load_scene` reads back."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from warpprior.bodies.readers.kinds import KINDS, BodyTarget, find_kind
from warpprior.io.atomic import atomic_folder
from warpprior.io.contact_maps import save_contact_maps
from warpprior.io.images import import_cv2
from warpprior.io.keypoints import save_detections
from warpprior.io.poses import save_poses
from warpprior.io.scene_file import SCENE_FILE, SourceEntry, read_scene_file
from warpprior.io.timestamps import save_timestamps
from warpprior.io.world import World, save_camera_path
from warpprior.observations import CHANNELS, DETECTIONS
from warpprior.scene import Scene, SceneBody
from warpprior.support.errors import InputError

DEPTH_SCALE = 1e-4  # metres per unit of depth images
KEYPOINTS_FILE, TIMESTAMPS_FILE = "keypoints.npz", "timestamps.npz"
CAMERA_FILE, CAMERA_TRUTH = "camera_poses.npz", "camera_truth.npz"
CONTACT_FILE = "contact_maps.npz"
_THREADS = 4
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}  # on Windows


def save_scene(scene: Scene, folder: str | Path, *, overwrite: bool = False) -> Path:
    """Write a scene folder: ``scene.toml``, models, pose files, detections, timestamps, label and colour images.

    Rigid bodies are written as OBJ, vertices at every frame as ``.npz``; MANO, SMPL and skin files are copied from
    ``SceneBody.source``, URDF files with the meshes they name; our own hand needs no file.  The folder appears only
    when it is complete.  Depth is rounded to 0.1 mm and reaches to 6.5 m.

    Args:
        scene: what to write; pictures are those of a pinhole camera, so no distortion is written.
        folder: must not exist or be empty.
        overwrite: replace an existing scene folder as a whole.

    Returns:
        the folder.

    Raises:
        InputError: the folder exists, or holds files that are no part of a scene, or a body's source file is not
            known or not there.
        RunError: the file system refused.
        MissingExtraError: pictures are to be written and OpenCV is not installed.
    """
    folder = Path(folder)
    if overwrite:
        check_replaceable(folder)
    with atomic_folder(folder, overwrite=overwrite) as target:
        write_scene(scene, target)
    return folder


def write_scene(scene: Scene, target: Path, *, source: SourceEntry | None = None) -> None:
    """Write a scene into an empty folder that is there.

    Args:
        scene, target: as of :func:`save_scene`, which has the errors too.
        source: what the scene was imported from.
    """
    stems = file_stems([item.name for item in scene.bodies])
    models = {item.name: _write_model(scene, item, target, stems[item.name]) for item in scene.bodies}
    bodies = [item.body for item in scene.bodies]
    save_poses(target / "initial.npz", {item.name: item.initial for item in scene.bodies}, bodies=bodies)
    truth = {item.name: item.truth for item in scene.bodies if item.truth is not None}
    if truth:
        save_poses(target / "truth.npz", truth, bodies=bodies, gaps=True)
    if _has_detections(scene):
        save_detections(target / KEYPOINTS_FILE, scene)
    if scene.timestamps is not None:
        save_timestamps(target / TIMESTAMPS_FILE, scene.timestamps)
    if scene.contact_maps:
        save_contact_maps(target / CONTACT_FILE, scene.contact_maps)
    if (labels := scene.labels) is not None:
        _write_pictures(target / "labels", scene.frame_count, lambda frame: labels[frame])
    if (read_rgb := scene.read_rgb) is not None:
        _write_pictures(target / "rgb", scene.frame_count, lambda frame: _bgr(read_rgb(frame)))
    if (read_depth := scene.read_depth) is not None:
        _write_pictures(target / "depth", scene.frame_count, lambda frame: _depth_units(read_depth(frame)))
    for path, name in (
        (scene.world and scene.world.camera, CAMERA_FILE),
        (scene.world and scene.world.truth, CAMERA_TRUTH),
    ):
        if path is not None:
            save_camera_path(target / name, path)
    text = "\n".join([*_describe(scene, models, bool(truth)), *_describe_origin(scene.world, source), ""])
    (target / SCENE_FILE).write_text(text, encoding="utf-8", newline="\n")


def _has_detections(scene: Scene) -> bool:
    return any(getattr(scene, field) for field in DETECTIONS)


def check_replaceable(folder: Path) -> None:
    """InputError when replacing the folder would delete anything that is not part of a scene."""
    if not folder.is_dir():
        return
    parts = {SCENE_FILE, "initial.npz", "truth.npz", KEYPOINTS_FILE, TIMESTAMPS_FILE, CAMERA_FILE, CAMERA_TRUTH}
    parts |= {"labels", "rgb", "depth", CONTACT_FILE}
    try:
        root = folder.resolve()
        paths = [entry.path for entry in read_scene_file(folder).bodies if entry.path is not None]
        parts |= {path.relative_to(root).parts[0] for path in paths}
    except InputError:
        pass  # not a readable scene: nothing but the usual names is taken for a part of one
    strangers = sorted(path.name for path in folder.iterdir() if path.name not in parts)
    if strangers:
        shown = ", ".join(strangers[:5]) + (", ..." if len(strangers) > 5 else "")
        raise InputError(str(folder), f"holds files that are no part of a scene: {shown}", "choose another folder")


def _bgr(image: np.ndarray | None) -> np.ndarray | None:
    return None if image is None else np.ascontiguousarray(image[..., ::-1])


def _depth_units(depth: np.ndarray | None) -> np.ndarray | None:
    """Depth in units of 0.1 mm, 0 where it does not fit 16 bits."""
    if depth is None:
        return None
    units = np.rint(depth.astype(np.float64) / DEPTH_SCALE)
    return np.where((units > 0) & (units < 2**16), units, 0).astype(np.uint16)


def _write_pictures(folder: Path, frame_count: int, picture) -> None:
    cv2 = import_cv2()
    folder.mkdir()

    def write(frame: int) -> None:
        image = picture(frame)
        if image is None:
            return
        _, data = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 3])
        (folder / f"{frame:06d}.png").write_bytes(data.tobytes())

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(write, range(frame_count)))


def file_stems(names: list[str]) -> dict[str, str]:
    """A file name without suffix for each body, all different whatever their case, of characters every system takes."""
    stems, taken = (
        {},
        {
            *_RESERVED,
            "rgb",
            "labels",
            "depth",
            "initial",
            "truth",
            "keypoints",
            "timestamps",
            "camera_poses",
            "contact_maps",
        },
    )
    for index, name in enumerate(names):
        stem = plain = re.sub(r"[^A-Za-z0-9_-]", "_", name)[:80]
        number = index + 1
        while stem.lower() in taken:
            stem, number = f"{plain}_{number}", number + 1
        stems[name] = stem
        taken.add(stem.lower())
    return stems


def _write_model(scene: Scene, item: SceneBody, folder: Path, stem: str) -> list[str]:
    """Write one body's model below ``folder``; the lines of ``scene.toml`` that name it."""
    kind = find_kind(item.body.kind)
    if kind is None:
        accepted = f"bodies of kind {', '.join(KINDS)} can be saved"
        raise InputError(f"body {item.name!r}", f"is of kind {item.body.kind!r}", accepted)
    keys = kind.write(item.body, BodyTarget(folder, stem, item.source, scene.folder, item.initial.moments))
    return [f"{key} = {_toml(value)}" for key, value in keys.items()]


def _describe(scene: Scene, models: dict[str, list[str]], has_truth: bool) -> list[str]:
    camera = scene.camera
    lines = [
        "# Units: metres, seconds, radians, pixels.  Poses are camera_from_body in the OpenCV camera frame",
        "# (x right, y down, z forward); quaternions are stored x, y, z, w.",
        "[camera]",
        f"width = {camera.width}",
        f"height = {camera.height}",
        *(f"{key} = {float(getattr(camera, key))!r}" for key in ("fx", "fy", "cx", "cy")),
        "",
        "[frames]",
        f"count = {scene.frame_count}",
        f"fps = {float(scene.fps)!r}",
    ]
    lines += [f"timestamps = {_quote(TIMESTAMPS_FILE)}"] if scene.timestamps is not None else []
    lines += ['rgb = "rgb/{:06d}.png"'] if scene.read_rgb is not None else []
    lines += ['labels = "labels/{:06d}.png"   # one byte per pixel'] if scene.labels is not None else []
    if scene.read_depth is not None:
        lines += ['depth = "depth/{:06d}.png"', f"depth_scale = {DEPTH_SCALE}"]
    for item in scene.bodies:
        lines += ["", "[[body]]", f"name = {_quote(item.name)}", f"kind = {_quote(item.body.kind)}"]
        lines += [*models[item.name], f"label = {item.label}"]
        lines += ["known = true"] if item.known else []
        if item.size is not None:
            least, most = (float(value) for value in item.size.range)
            lines += [
                'scale = "estimate"',
                f"scale_sigma = {float(item.size.sigma)!r}   # of the logarithm of a factor",
            ]
            lines += [f"scale_least = {least!r}", f"scale_most = {most!r}"]
        lines += [f"symmetry = {_quote(item.symmetry)}"] if item.symmetry != "none" else []
        lines += [f"{key} = {value!r}" for key, value in asdict(item.matter).items() if value is not None]
    lines += ["", "[poses]", 'initial = "initial.npz"']
    lines += ['truth = "truth.npz"             # used for metrics only'] if has_truth else []
    lines += ["", "[keypoints]", f"file = {_quote(KEYPOINTS_FILE)}"] if _has_detections(scene) else []
    lines += ["", "[contact_maps]", f"file = {_quote(CONTACT_FILE)}"] if scene.contact_maps else []
    if scene.noise:
        lines += ["", "[noise]                         # one sigma of what was observed"]
        lines += [
            f"{name} = {scene.sigma(name)!r}   # {CHANNELS[name].unit}" for name in CHANNELS if name in scene.noise
        ]
    return lines


def _describe_origin(world: World | None, source: SourceEntry | None) -> list[str]:
    lines = []
    if world is not None and (world.camera is not None or world.gravity is not None):
        lines += ["", "[world]"]
        lines += [f"camera_poses = {_quote(CAMERA_FILE)}"] if world.camera is not None else []
        lines += [f"camera_truth = {_quote(CAMERA_TRUTH)}   # used for metrics only"] if world.truth is not None else []
        if world.noise is not None:
            noise = world.noise
            lines += ['camera = "estimate"             # its poses are measured, as far off as this']
            lines += [f"camera_jitter = [{noise.jitter_m!r}, {noise.jitter_rad!r}]   # of each frame, m and rad"]
            lines += [f"camera_drift = [{noise.drift_m!r}, {noise.drift_rad!r}]   # after one second"]
        if world.gravity is not None:
            lines += [f"gravity = {[float(value) for value in world.gravity]}   # the way things fall"]
    if source is not None:
        lines += ["", "[source]                        # what this was imported from"]
        lines += [f"format = {_quote(source.format)}", f"path = {_quote(source.path)}", "notes = ["]
        lines += [f"  {_quote(note)}," for note in source.notes] + ["]"]
        lines += ["[source.options]"] if source.options else []
        lines += [f"{key} = {_toml(value)}" for key, value in source.options.items()]
    return lines


def _toml(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_toml(item) for item in value)}]"
    return _quote(value) if isinstance(value, str) else json.dumps(value)


def _quote(text: str) -> str:
    # JSON strings without escapes beyond \uXXXX are TOML basic strings.
    return json.dumps(text, ensure_ascii=False)
