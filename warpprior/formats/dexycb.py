"""``dexycb``: one camera of a sequence of DexYCB, with its labels as initial poses and as truth.

The layout is that of dex-ycb-toolkit (dex_ycb.py, sequence_loader.py): poses in the camera, OpenCV axes, all zeros
where there is none; hands are 45 principal components of MANO about its mean pose, with ``transl`` after the turn about
the wrist joint, and the left model as it was published.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from warpprior.bodies.readers.mesh import read_mesh
from warpprior.formats.format import Format
from warpprior.formats.parts.bop_rows import read_results
from warpprior.formats.parts.dexycb_results import (
    SETUPS,
    SPLITS,
    Numbered,
    number_samples,
    read_joints,
    samples_of,
    splits_of_sequence,
    write_results,
)
from warpprior.formats.parts.intrinsics import read_intrinsics
from warpprior.formats.parts.mano_fit import fit_joints
from warpprior.formats.parts.mano_hands import find_mano
from warpprior.formats.parts.motion import camera_path, complete, filled, split_transforms, spread, with_truth
from warpprior.formats.parts.own_files import find_model, inside
from warpprior.formats.parts.pictures import color_pictures, depth_pictures
from warpprior.formats.parts.text_files import entry, numbers, read_yaml
from warpprior.formats.recording import Recording
from warpprior.io.label_images import check_label_memory
from warpprior.io.scene_file import FRAME_LIMIT
from warpprior.io.world import World
from warpprior.scene import IGNORE_LABEL, Camera, Scene, SceneBody
from warpprior.support.errors import InputError
from warpprior.support.limits import number
from warpprior.support.npz import NpzArrays
from warpprior.support.options import option
from warpprior.support.stored import forget, stored_zeros

YCB = (
    *("002_master_chef_can", "003_cracker_box", "004_sugar_box", "005_tomato_soup_can", "006_mustard_bottle"),
    *("007_tuna_fish_can", "008_pudding_box", "009_gelatin_box", "010_potted_meat_can", "011_banana"),
    *("019_pitcher_base", "021_bleach_cleanser", "024_bowl", "025_mug", "035_power_drill", "036_wood_block"),
    *("037_scissors", "040_large_marker", "051_large_clamp", "052_extra_large_clamp", "061_foam_brick"),
)
"""Names of the objects, number 1 first."""
HAND = 255  # in ``seg``
MODEL = "textured_simple.obj"
_BYTES = 64 << 20


@dataclass(frozen=True)
class DexYcbOptions:
    """Options of ``dexycb``."""

    serial: str | None = option("serial number of the camera (default: the first)", metavar="NAME")
    mano: Path | None = option("folder of MANO_RIGHT and MANO_LEFT (default: $WARPPRIOR_MANO)", metavar="DIR")
    without_hands: bool = option("read objects alone, without hands", False)
    models: Path | None = option("folder of the YCB models (default: models of the data set)", metavar="DIR")
    rate: float = option("frames per second", number(30.0, 0.01, 10_000.0))
    setup: str = option("of the evaluation, whose samples results are of", "s0", choices=SETUPS)
    split: str = option("of the evaluation, whose samples results are of", "test", choices=SPLITS)
    results: Path | None = option("CSV of estimated object poses (BOP) to start from", metavar="FILE")
    joints: Path | None = option("estimated joints of hands (HPE), one line a sample, to start from", metavar="FILE")


class DexYcbFormat(Format):
    """A sequence of DexYCB."""

    name = "dexycb"
    title = "a sequence of DexYCB, of one camera"
    reads = "objects, hand (MANO), labels, colours, depth and the camera's place; poses are truth and start"
    writes = "results of one camera or several for the scorers of the data set: joints of hands, poses of objects (BOP)"
    verified = (
        "files made in the layout of dex-ycb-toolkit, with its MANO layer's rules; results by what its evaluators do "
        "with them"
    )
    Options = DexYcbOptions

    def recognises(self, path: Path) -> str:
        for folder in (path, path.parent):
            if (folder / "meta.yml").is_file() and any(folder.glob("*/labels_*.npz")):
                return "meta.yml and labels of cameras"
        return ""

    def splits_of(self, path: Path) -> tuple[str, ...]:
        """``s0_train`` to ``s3_test``; those of s2 are of cameras, the others of whole sequences."""
        path = path.absolute()
        sequence = path if (path / "meta.yml").is_file() else path.parent
        return splits_of_sequence(sequence, "" if sequence == path else path.name)

    def read(self, source: Path, options: DexYcbOptions) -> Recording:
        return _Reader(source, options).read()

    def write(self, recording: Recording, folder: Path, options: DexYcbOptions) -> tuple[str, ...]:
        return self.write_several((recording,), folder, options)

    def write_several(self, recordings: Sequence[Recording], folder: Path, options: DexYcbOptions) -> tuple[str, ...]:
        places, names = [], []
        for recording in recordings:
            origin = self.origin_of(recording, "a sequence", "results are of samples of DexYCB")
            reader = _Reader(origin.path, replace(options, serial=origin.options.get("serial")))
            places.append((reader.sequence, reader.serial))
            names.append({YCB[item - 1]: item for item in reader.items})
        return write_results(recordings, places, names, folder, options.setup, options.split)


FORMAT = DexYcbFormat()


class _Reader:
    """One camera of a sequence being read."""

    def __init__(self, source: Path, options: DexYcbOptions):
        source = source.absolute()
        is_camera = not (source / "meta.yml").is_file() and (source.parent / "meta.yml").is_file()
        self.sequence = source.parent if is_camera else source
        self.options, self.notes = options, []
        file = self.sequence / "meta.yml"
        if not file.is_file():
            raise InputError(str(source), "holds no meta.yml", "needs a sequence of DexYCB: SUBJECT/SEQUENCE")
        self.meta, self.where = read_yaml(inside(file, self.sequence), "meta.yml of DexYCB"), str(file)
        serials = [str(serial) for serial in self._list("serials")]
        chosen = options.serial or (source.name if is_camera else next(iter(serials), ""))
        if chosen not in serials:
            raise InputError(
                f"{self.where}: serials", f"{chosen!r} is none of them", ", ".join(serials[:8]) or "a list"
            )
        self.serial, self.folder = chosen, self.sequence / chosen
        if not is_camera and options.serial is None:
            self.notes.append(f"camera {chosen} of {len(serials)} was read: --serial takes another")
        self.root = self.sequence.parents[1] if len(self.sequence.parents) > 1 else self.sequence.parent
        count = entry(self.meta, "num_frames", self.where)
        if type(count) is not int or not 1 <= count <= FRAME_LIMIT:
            raise InputError(f"{self.where}: num_frames", f"is {str(count)[:20]}", f"1 to {FRAME_LIMIT}")
        self.count = count
        self.items = self._list("ycb_ids")
        if not all(type(item) is int and 1 <= item <= len(YCB) for item in self.items) or not self.items:
            raise InputError(f"{self.where}: ycb_ids", f"are {str(self.items)[:40]}", f"numbers from 1 to {len(YCB)}")
        if len(set(self.items)) < len(self.items):
            raise InputError(f"{self.where}: ycb_ids", f"are {self.items}", "each object once")

    def _list(self, key: str) -> list:
        value = entry(self.meta, key, self.where)
        if not isinstance(value, list) or len(value) > 100:
            raise InputError(f"{self.where}: {key}", f"is {str(value)[:40]}", "needs a list")
        return value

    def read(self) -> Recording:
        camera = self._camera()
        poses, hands, found = self._labels_of(camera)
        labels, files = found
        bodies = [self._object(k, item, poses[:, k]) for k, item in enumerate(self.items)]
        if self.options.results is not None:
            given = read_results(self.options.results, self._samples.scene, range(self.count), self.notes)
            bodies = [self._started(body, given.get(item)) for body, item in zip(bodies, self.items, strict=True)]
        hand = None if self.options.without_hands else self._hand(hands, len(self.items) + 1)
        if hand is None:
            for image in labels:
                image[image == len(self.items) + 1] = IGNORE_LABEL
            self.notes.append("without the hand: its pixels are don't-care")
        bodies += [] if hand is None else [hand]
        missing = sorted(set(range(self.count)) - set(files))
        if missing:
            self.notes.append(f"{len(missing)} frames have no labels_*.npz")
        colors = self._pictures("color_", (".jpg", ".png"))
        depths = self._pictures("aligned_depth_to_color_", (".png",))
        world = self._world()
        if self.options.results is None or self.options.joints is None:
            what = "poses" if self.options.results is self.options.joints else "poses without results"
            self.notes.append(f"{what} to start from are the labels of the data set, which are its truth, too")
        scene = Scene(
            name=f"{self.sequence.name} {self.serial}",
            camera=camera,
            fps=self.options.rate,
            bodies=tuple(bodies),
            labels=labels,
            read_rgb=color_pictures(colors, camera),
            read_depth=depth_pictures(depths, camera, partial(np.multiply, 0.001)),
            warnings=tuple(self.notes),
        )
        return Recording(scene, world)

    def _pictures(self, stem: str, endings: tuple[str, ...]) -> dict[int, Path]:
        found = {}
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            digits = path.stem.removeprefix(stem)
            if path.name.startswith(stem) and digits.isascii() and digits.isdigit() and path.suffix.lower() in endings:
                if int(digits) < self.count:
                    found[int(digits)] = inside(path, self.folder)
        return dict(sorted(found.items()))

    def _camera(self) -> Camera:
        folder = self.root / "calibration" / "intrinsics"
        files = sorted(folder.glob(f"{self.serial}_*.yml"))
        if len(files) != 1:
            raise InputError(str(folder), f"has {len(files)} files of {self.serial}", f"{self.serial}_640x480.yml")
        size = files[0].stem.rpartition("_")[2].split("x")
        if len(size) != 2 or not all(part.isdigit() and len(part) < 6 for part in size):
            raise InputError(str(files[0]), "its name says no size", f"{self.serial}_640x480.yml")
        width, height = int(size[0]), int(size[1])
        inside(files[0], self.root / "calibration")
        return read_intrinsics(files[0]).camera((width, height), None, files[0].name, self.notes)

    def _labels_of(self, camera: Camera) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, dict[int, Path]]]:
        """Poses of objects (frame, object, 3, 4), of the hand (frame, 51), NaN where there is none; label images."""
        files = self._pictures("labels_", (".npz",))
        if not files:
            raise InputError(str(self.folder), "holds no labels_*.npz", "needs a camera of a sequence of DexYCB")
        check_label_memory(str(self.folder), self.count, camera)
        labels = stored_zeros((self.count, camera.height, camera.width), np.uint8)
        for frame in set(range(self.count)) - set(files):
            labels[frame] = IGNORE_LABEL
        poses = np.full((self.count, len(self.items), 3, 4), np.nan)
        hands = np.full((self.count, 51), np.nan)
        table = np.full(256, IGNORE_LABEL, np.uint8)
        table[0], table[HAND] = 0, len(self.items) + 1
        for label, item in enumerate(self.items, start=1):
            table[item] = label
        for frame, path in files.items():
            arrays = NpzArrays(path, "labels of DexYCB", "needs seg, pose_y and pose_m", limit=_BYTES, unpacked=_BYTES)
            seg = self._array(arrays, "seg", path)
            if seg.shape != labels.shape[1:] or seg.dtype != np.uint8:
                found = f"{seg.dtype} of shape {seg.shape}"
                raise InputError(f"{path}: seg", found, f"needs uint8 {labels.shape[1:]}")
            labels[frame] = table[seg]
            forget(labels[frame])
            stored = numbers(
                self._array(arrays, "pose_y", path), (len(self.items), 3, 4), f"{path}: pose_y", finite=False
            )
            there = np.any(stored != 0.0, axis=(1, 2))
            poses[frame, there] = stored[there]
            hand = numbers(self._array(arrays, "pose_m", path), (1, 51), f"{path}: pose_m", finite=False)[0]
            if np.any(hand != 0.0):
                hands[frame] = hand
        return poses, hands, (labels, files)

    @staticmethod
    def _array(arrays: NpzArrays, key: str, path: Path) -> np.ndarray:
        if key not in arrays:
            raise InputError(f"{path}: {key}", "is missing", "needs seg, pose_y and pose_m")
        return arrays[key]

    def _object(self, k: int, item: int, stored: np.ndarray) -> SceneBody:
        name = YCB[item - 1]
        matrices = np.tile(np.eye(4), (self.count, 1, 1))
        matrices[:, :3] = stored
        valid = complete(stored)
        position, rotation, _ = split_transforms(matrices, valid, f"{self.folder}: {name}", self.notes)
        poses = filled(self.folder, name, position, rotation, valid, self.notes)
        folder = self.options.models or self.root / "models"
        path = find_model([folder], [f"{name}/{MODEL}"], self.notes) or folder / name / MODEL  # which is said to miss
        body = read_mesh(path, name)
        self.notes += [f"{name}: {warning}" for warning in body.warnings]
        return with_truth(SceneBody(replace(body, warnings=()), k + 1, False, poses, source=path))

    @cached_property
    def _samples(self) -> Numbered:
        """Where this camera's samples are among those of the split."""
        found = number_samples(self.root, self.options.setup, self.options.split)[0]
        return samples_of(found, self.sequence, self.serial, self.options.setup, self.options.split)

    def _started(self, item: SceneBody, given: dict[int, np.ndarray] | None) -> SceneBody:
        """The object in poses of a results file; it stays where it is where the file has none."""
        if given is None:
            self.notes.append(f"{item.name} is not in {self.options.results}: it starts from its labels")
            return item
        matrices = np.full((self.count, 4, 4), np.nan)
        for frame, pose in given.items():
            matrices[frame] = pose
        valid = complete(matrices)
        position, rotation, _ = split_transforms(matrices, valid, f"{self.options.results}: {item.name}", self.notes)
        return replace(item, initial=filled(self.folder, item.name, position, rotation, valid, self.notes))

    def _hand(self, stored: np.ndarray, label: int) -> SceneBody | None:
        sides, calibrations = self._list("mano_sides"), self._list("mano_calib")
        if len(sides) != 1 or sides[0] not in ("left", "right") or len(calibrations) != 1:
            raise InputError(f"{self.where}: mano_sides", f"are {str(sides)[:40]}", "needs one hand, left or right")
        name, valid = f"hand_{sides[0]}", complete(stored)
        if not valid.any():
            self.notes.append(f"{name} has a pose in no frame; it was left out")
            return None
        name_of = str(calibrations[0])
        file = inside(self.root / "calibration" / f"mano_{name_of}" / "mano.yml", self.root / "calibration")
        tree: Any = read_yaml(file, "a calibration of MANO")
        shape = numbers(entry(tree, "betas", str(file)), (10,), f"{file}: betas")
        hand = find_mano(self.options.mano, sides[0])
        plain = np.where(valid[:, None], stored, 0.0)
        joints = hand.full_pose(plain[:, 3:48], pca=True, flat_hand_mean=False)
        self.notes.append(f"{name}: 45 principal components about the mean pose were made rotation vectors")
        poses = hand.poses(self.folder, name, plain[:, :3], plain[:, 48:51], joints, shape, valid, self.notes)
        item = with_truth(hand.scene_body(name, label, poses))
        if self.options.joints is None:
            return item
        given = read_joints(self.options.joints, self._samples)
        seen = np.flatnonzero(complete(given))
        if not len(seen):
            raise InputError(str(self.options.joints), f"has nothing of {self.folder}", "joints of these samples")
        start, off = fit_joints(hand, given[seen], shape)
        self.notes.append(
            f"{name} starts from {self.options.joints.name}: MANO fitted to it, off by {1e3 * off:.2g} mm"
        )
        return replace(item, initial=spread(self.folder, name, start, seen, self.count, self.notes))

    def _world(self) -> World:
        """Where the camera stands among the others."""
        name = str(self.meta.get("extrinsics", ""))
        file = self.root / "calibration" / f"extrinsics_{name}" / "extrinsics.yml"
        if not file.is_file():
            self.notes.append(f"no {file.name} of extrinsics_{name}: the camera's place is not known")
            return World()
        tree = read_yaml(inside(file, self.root / "calibration"), "extrinsics of DexYCB")
        places = entry(tree, "extrinsics", str(file))
        place = numbers(entry(places, self.serial, str(file)), (12,), f"{file}: {self.serial}").reshape(3, 4)
        matrices = np.tile(np.eye(4), (self.count, 1, 1))
        matrices[:, :3] = place
        return World(camera_path(matrices, np.ones(self.count, dtype=bool), str(file), self.notes))
