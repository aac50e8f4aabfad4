"""``bop``: one scene of a data set in the BOP layout, with its ground truth or with results; results are written.

The layout is that of bop_toolkit (docs/bop_datasets_format.md, bop_toolkit_lib/inout.py): millimetres, matrices row by
row, ``<name>_<sensor>`` where there are several sensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from warpprior.bodies.readers.mesh import read_mesh
from warpprior.formats.format import Format
from warpprior.formats.parts.bop_rows import HEADER, MILLIMETRE, pose_of, read_results, result_row
from warpprior.formats.parts.image_cameras import ImageCamera, by_frame, common_view, usual_camera
from warpprior.formats.parts.intrinsics import Intrinsics
from warpprior.formats.parts.motion import camera_path, complete, filled, note_camera, split_transforms, transforms_of
from warpprior.formats.parts.own_files import find_model, inside
from warpprior.formats.parts.pictures import (
    color_pictures,
    depth_pictures,
    file_masks,
    known_without_masks,
    label_images,
    numbered,
    picture_size,
)
from warpprior.formats.parts.text_files import entry, numbers, read_json
from warpprior.formats.parts.timeline import Timeline
from warpprior.formats.recording import Recording
from warpprior.io.rectify import Rectifier, Rectifiers
from warpprior.io.world import World
from warpprior.scene import Camera, Poses, Scene, SceneBody
from warpprior.support.errors import InputError
from warpprior.support.limits import number
from warpprior.support.options import option

_MOST_BODIES = 200
_TURN = {0: "x", 1: "y", 2: "z"}

Key = tuple[int, int]  # number of the object, and which of its kind


@dataclass(frozen=True)
class BopOptions:
    """Options of ``bop``."""

    sensor: str = option("suffix of names where there are several sensors, as gray1", "", metavar="NAME")
    models: Path | None = option("folder of obj_000001.ply (default: models beside the split)", metavar="DIR")
    results: Path | None = option("CSV of estimated poses to start from (default: the ground truth)", metavar="FILE")
    rate: float = option("frames per second, which the files do not say", number(30.0, 0.01, 10_000.0))


class BopFormat(Format):
    """A scene in the BOP layout."""

    name = "bop"
    title = "a scene of a BOP data set, with its ground truth or with results"
    reads = (
        "objects, visible masks, colours, depth and poses of the camera of one scene, rectified where images have "
        "intrinsics of their own or HOT3D's lens; ground truth or results CSV"
    )
    writes = "results CSV of the scene, as bop_toolkit takes it"
    verified = (
        "its results by bop_toolkit's own reader and check, results of others in bop_toolkit's tests by that reader; "
        "scenes made in the layout that it documents"
    )
    Options = BopOptions

    def recognises(self, path: Path) -> str:
        found = [file.name for file in path.glob("scene_camera*.json")] if path.is_dir() else []
        return found[0] if found else ""

    def splits_of(self, path: Path) -> tuple[str, ...]:
        """The folder of the scene, as ``test`` or ``train_pbr``; and ``bop19``, ``bop24`` of which it has targets."""
        split = path.absolute().parent
        found = [split.name]
        for file in sorted(split.parent.glob("test_targets_*.json")) if split.name.startswith("test") else ():
            rows = read_json(file, "targets of a BOP data set")
            scenes = [row.get("scene_id") for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
            if path.name.isdecimal() and int(path.name) in scenes:
                found.append(file.stem.removeprefix("test_targets_"))
        return tuple(found)

    def read(self, source: Path, options: BopOptions) -> Recording:
        return _Reader(source, options).read()

    def write(self, recording: Recording, folder: Path, options: BopOptions) -> tuple[str, ...]:
        origin = self.origin_of(recording, "a scene", "results are of images of a BOP data set")
        return (_write_results(recording, _Reader(origin.path, options), folder),)


FORMAT = BopFormat()


class _Reader:
    """One scene being read."""

    def __init__(self, source: Path, options: BopOptions):
        self.source, self.options, self.notes = source, options, []
        self.rectifier: Rectifier | Rectifiers | None = None
        self.cameras = self._by_image("scene_camera")
        self.timeline = Timeline.of(self.cameras, str(source), self.notes)
        truth = source / self._name("scene_gt", ".json")
        self.truth = self._instances(self._by_image("scene_gt")) if truth.is_file() else {}

    def _name(self, stem: str, ending: str = "") -> str:
        return f"{stem}{'_' if self.options.sensor else ''}{self.options.sensor}{ending}"

    def _by_image(self, stem: str) -> dict[int, Any]:
        path = self.source / self._name(stem, ".json")
        if not path.is_file() and not self.options.sensor:
            others = sorted(file.stem.removeprefix(f"{stem}_") for file in self.source.glob(f"{stem}_*.json"))
            others = [name for name in others if name != "info"]
            if others:
                raise InputError(str(path), f"is not there, but of {', '.join(others)}", f"--sensor {others[0]}")
        tree = read_json(inside(path, self.source), f"{stem}.json of a BOP scene")
        good = isinstance(tree, dict) and all(key.isascii() and key.isdigit() and len(key) < 10 for key in tree)
        if not good or not tree:
            raise InputError(str(path), "is no dictionary by numbers of images", "needs a scene of a BOP data set")
        return {int(key): value for key, value in tree.items()}

    def _instances(self, tree: Mapping[int, Any]) -> dict[Key, dict[int, tuple[int, np.ndarray]]]:
        """Which row, and which pose in metres, each thing has in each image."""
        found: dict[Key, dict[int, tuple[int, np.ndarray]]] = {}
        for image, rows in tree.items():
            where = f"{self.source / self._name('scene_gt', '.json')}: {image}"
            if not isinstance(rows, list):
                raise InputError(where, "is no list", "needs a row for each thing")
            counts: dict[int, int] = {}
            for row, value in enumerate(rows):
                item = entry(value, "obj_id", where)
                if type(item) is not int or not 0 <= item < 10**6:
                    raise InputError(f"{where}: obj_id", f"is {str(item)[:20]}", "needs a number")
                which = counts[item] = counts.get(item, 0) + 1
                pose = pose_of(entry(value, "cam_R_m2c", where), entry(value, "cam_t_m2c", where), where)
                found.setdefault((item, which), {})[image] = (row, pose)
        if len(found) > _MOST_BODIES:
            raise InputError(str(self.source), f"{len(found)} things", f"at most {_MOST_BODIES}")
        several = sorted({item for item, which in found if which > 1})
        if several:
            said = ", ".join(map(str, several))
            self.notes.append(f"several things of object {said}: they are told apart by their order in each image")
        return found

    def read(self) -> Recording:
        camera, colors = self._camera()
        start = self.start()
        if self.options.results is None:
            self.notes.append("poses to start from are the ground truth; --results takes others")
        names = {key: body_name(key, start) for key in start}
        bodies = [self._body(names[key], label, start[key], key) for label, key in enumerate(start, start=1)]
        labels, masked = self._labels(camera, names)
        self.notes.append(f"frame rate: {self.options.rate:g} per second, which the files do not say")
        world = self._world()
        scene = Scene(
            name=f"bop {self.source.resolve().name}",
            camera=camera,
            fps=self.options.rate,
            bodies=tuple(bodies),
            labels=labels,
            read_rgb=color_pictures(colors, camera, self.rectifier),
            read_depth=self._depth(camera),
            warnings=tuple(self.notes),
        )
        return Recording(known_without_masks(scene, masked), world)

    def start(self) -> dict[Key, dict[int, tuple[int, np.ndarray]]]:
        """Poses to start from: the ground truth, or results."""
        if self.options.results is not None:
            return self._results(self.options.results)
        if not self.truth:
            raise InputError(str(self.source), "has no scene_gt.json", "poses to start from: --results FILE.csv")
        return self.truth

    def _pictures(self, *stems: str) -> dict[int, Path]:
        for stem in stems:
            found = numbered(self.source / self._name(stem), (".png", ".jpg", ".jpeg"), root=self.source)
            if found:
                return self.timeline.by_frame(found, str(self.source / stem), self.notes)
        return {}

    def _camera(self) -> tuple[Camera, dict[int, Path]]:
        """One camera for all images, and colours by frame; ``rectifier`` makes their pictures those of it."""
        path = self.source / self._name("scene_camera", ".json")
        cameras = {image: ImageCamera.of(value, f"{path}: {image}") for image, value in self.cameras.items()}
        usual, apart = usual_camera(cameras)
        colors = self._pictures("rgb", "gray")
        sample = next(iter((colors or self._pictures("depth")).values()), None) or self._mask_sample()
        found = Intrinsics(*usual)
        if sample is None:
            stated = next((camera.size for camera in cameras.values() if camera.size is not None), None)
            size = stated or (max(2, round(2 * found.cx)), max(2, round(2 * found.cy)))
            self.notes.append(f"size of the pictures: guessed to be {size[0]} x {size[1]}: there are none")
            return found.camera(size, None, path.name, self.notes), colors
        size = picture_size(sample)
        if not apart:
            return found.camera(size, None, path.name, self.notes), colors
        camera, made = common_view(cameras, size, path.name, self.notes)
        self.rectifier = by_frame(self.timeline.by_frame(made, str(path), self.notes))
        return camera, colors

    def _mask_sample(self) -> Path | None:
        """Any mask, for its size: their names end with the number of a row, not of an image."""
        folders = (self.source / self._name(stem) for stem in ("mask_visib", "mask"))
        found = next((path for folder in folders for path in sorted(folder.glob("*.png"))), None)
        return None if found is None else inside(found, self.source)

    def _body(self, name: str, label: int, poses: dict[int, tuple[int, np.ndarray]], key: Key) -> SceneBody:
        position, rotation = self._motion(poses, name)
        initial = filled(self.source, name, position, rotation, complete(position), self.notes)
        truth = None
        if self.options.results is not None and key in self.truth:
            position, rotation = self._motion(self.truth[key], name)
            truth = Poses(position, rotation, np.zeros((len(position), 0)))
        path = self._model(key[0])
        body = read_mesh(path, name, scale=MILLIMETRE)
        self.notes += [f"{path.name}: {warning}" for warning in body.warnings]
        return SceneBody(replace(body, warnings=()), label, False, initial, truth, self._symmetry(path, key[0]), path)

    def _motion(self, poses: dict[int, tuple[int, np.ndarray]], name: str) -> tuple[np.ndarray, np.ndarray]:
        """Positions (frame, 3) and quaternions (frame, 4), NaN where there is none."""
        frames = self.timeline.by_frame(poses, name, self.notes)
        matrices = np.full((self.timeline.count, 4, 4), np.nan)
        for frame, (_, pose) in frames.items():
            matrices[frame] = pose
        there = complete(matrices)
        position, rotation, size = split_transforms(matrices, there, f"{self.source}: {name}", self.notes)
        if size != 1.0:
            raise InputError(f"{self.source}: {name}", f"has a size factor of {size:.4g} in cam_R_m2c", "rotations")
        return position, rotation

    def _model(self, item: int) -> Path:
        file = f"obj_{item:06d}.ply"
        if self.options.models is not None:
            places = [self.options.models]
        else:
            here = self.source.absolute()
            places = [up / "models" for up in (here, *list(here.parents)[:3])]
        path = find_model(places, [file], self.notes)
        if path is None:
            raise InputError(str(places[0]), f"holds no {file}", "the models of the data set: --models DIR")
        return path

    def _symmetry(self, model: Path, item: int) -> str:
        """The axis of our own symmetries, of models_info.json beside the model."""
        path = model.with_name("models_info.json")
        if not path.is_file():
            return "none"
        tree = read_json(inside(path, path.parent), "models_info.json", limit=64 << 20)
        info = tree.get(str(item)) if isinstance(tree, dict) else None
        turns = info.get("symmetries_continuous") if isinstance(info, dict) else None
        if isinstance(info, dict) and info.get("symmetries_discrete"):
            self.notes.append(f"object {item} has discrete symmetries, which are not used")
        for turn in turns if isinstance(turns, list) else ():
            axis = np.abs(numbers(entry(turn, "axis", str(path)), (3,), f"{path}: {item}: axis"))
            offset = numbers(turn.get("offset", [0, 0, 0]), (3,), f"{path}: {item}: offset")
            across = np.delete(offset, int(axis.argmax()))
            if axis.max() > 0.999 * np.linalg.norm(axis) and np.abs(across).max() < 1.0:
                return _TURN[int(axis.argmax())]
        return "none"

    def _labels(self, camera: Camera, names: Mapping[Key, str]) -> tuple[np.ndarray | None, set[int]]:
        """Label images of visible masks, and the labels that have some."""
        folder = self.source / self._name("mask_visib")
        if not folder.is_dir() or not self.truth:
            self.notes.append("no visible masks: nothing holds objects to the pictures")
            return None, set()
        masks, named = {}, {}
        for label, key in enumerate(names, start=1):
            rows = {image: row for image, (row, _) in self.truth.get(key, {}).items()}
            paths = {image: folder / f"{image:06d}_{row:06d}.png" for image, row in rows.items()}
            there = {image: inside(path, folder) for image, path in paths.items() if path.is_file()}
            if there:
                there = self.timeline.by_frame(there, str(folder), self.notes)
                masks[label] = file_masks(there, camera, self.rectifier)
                named[label] = names[key]
        count, how = self.timeline.count, self.rectifier
        images = label_images(masks, count, camera, named, "mask_visib", self.notes, rectifier=how)
        return images, set(masks)

    def _depth(self, camera: Camera):
        paths = self._pictures("depth")
        scales = [value.get("depth_scale") for value in self.cameras.values() if isinstance(value, dict)]
        where = f"{self.source / self._name('scene_camera', '.json')}: depth_scale"
        given = [float(numbers(scale, (), where)) for scale in scales if scale is not None]
        if not paths or not given or not float(np.median(given)) > 0.0:
            return None
        unit = float(np.median(given)) * MILLIMETRE
        return depth_pictures(paths, camera, partial(np.multiply, unit), rectifier=self.rectifier)

    def _world(self) -> World:
        path = self.source / self._name("scene_camera", ".json")
        matrices = np.full((self.timeline.count, 4, 4), np.nan)
        for frame, value in self.timeline.by_frame(self.cameras, str(path), self.notes).items():
            if "cam_R_w2c" in value and "cam_t_w2c" in value:
                where = f"{path}, frame {frame}"
                placed = pose_of(value["cam_R_w2c"], value["cam_t_w2c"], where)
                if np.isfinite(placed).all() and abs(np.linalg.det(placed)) < 0.5:
                    raise InputError(f"{where}: cam_R_w2c", "is no rotation", "the camera's pose, world to camera")
                matrices[frame] = np.linalg.inv(placed)
        found = camera_path(matrices, complete(matrices), str(path), self.notes)
        note_camera(found, self.notes)
        return World(found)

    def scene_number(self) -> int:
        """The number of the scene, the name of its folder."""
        name = self.source.resolve().name
        if not (name.isascii() and name.isdigit() and len(name) < 10):
            raise InputError(str(self.source), f"its name {name!r} is no number of a scene", "a folder such as 000048")
        return int(name)

    def _results(self, path: Path) -> dict[Key, dict[int, tuple[int, np.ndarray]]]:
        """Poses of a results file, the one of the best score for each image and thing."""
        found = read_results(path, self.scene_number(), self.cameras, self.notes)
        return {(item, 1): {image: (0, pose) for image, pose in images.items()} for item, images in found.items()}


def body_name(key: Key, among: Mapping[Key, Any]) -> str:
    """``obj_000005``, or ``obj_000005_2`` of several of its kind."""
    item, which = key
    several = (item, 2) in among
    return f"obj_{item:06d}_{which}" if several else f"obj_{item:06d}"


def _write_results(recording: Recording, reader: _Reader, folder: Path) -> str:
    """The results file; a sentence about it."""
    scene, lines = reader.scene_number(), [HEADER]
    if recording.scene.frame_count != reader.timeline.count:
        found = f"{recording.scene.frame_count} frames, the scene {reader.timeline.count}"
        raise InputError("recording", f"has {found}", "the same frames")
    start = reader.start()
    given = {body_name(key, start): rows for key, rows in start.items()}
    for frame, image in enumerate(reader.timeline.numbers):
        for item in recording.scene.bodies:
            row = given.get(item.name, {}).get(image)
            if row is None or not np.isfinite(row[1]).all():
                continue  # it is not in this image, or nobody knows where
            one = item.initial.frames(slice(frame, frame + 1))
            matrix = transforms_of(one.position, one.rotation)[0]
            lines.append(result_row(scene, image, int(item.name.split("_")[1]), matrix))
    split = reader.source.resolve().parent
    file = folder / f"warpprior_{split.parent.name}-{split.name}.csv"
    file.write_text("\n".join([*lines, ""]), newline="\n")
    return f"{file.name}: {len(lines) - 1} poses, without scores and times"
