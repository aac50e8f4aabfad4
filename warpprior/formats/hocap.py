"""``hocap``: a sequence of HO-Cap, of one of its cameras: objects, hands of MANO, masks where labels are there.

The layout is that of the newer toolkit (hocap_toolkit/{loaders/sequence_loader,renderers/sequence_renderer,
layers/mano_layer,factory/dataset_factory,utils/color_info}.py): YAML, poses in the world of ``tag_1``, quaternions
xyzw before places, all -1 where there is none, depth in millimetres.  Hands are 45 principal components with a
translation after the turn about the wrist joint; the newer toolkit adds MANO's mean pose, the older one does not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from warpprior.bodies.posing import posed_keypoints
from warpprior.bodies.readers.mesh import read_mesh
from warpprior.formats.format import Format
from warpprior.formats.parts.in_world import InWorld, named_sequence
from warpprior.formats.parts.intrinsics import read_intrinsics
from warpprior.formats.parts.mano_hands import ManoHand, find_mano
from warpprior.formats.parts.motion import camera_path, complete, transforms_of
from warpprior.formats.parts.own_files import find_model, inside
from warpprior.formats.parts.pictures import color_pictures, depth_pictures, known_without_masks, numbered
from warpprior.formats.parts.text_files import entry, numbers, read_yaml
from warpprior.formats.recording import Recording
from warpprior.io.label_images import check_label_memory
from warpprior.io.rotations import read_rotations
from warpprior.io.scene_file import FRAME_LIMIT
from warpprior.io.world import CameraPath
from warpprior.scene import IGNORE_LABEL, Camera, Poses, SceneBody
from warpprior.support.errors import InputError
from warpprior.support.limits import number
from warpprior.support.npz import NpzArrays, read_npy
from warpprior.support.options import option
from warpprior.support.stored import each_frame, forget, stored_zeros
from warpprior.support.wording import frame_list

META = "meta.yaml"
SLOTS = {"right": 0, "left": 1}  # of poses_m and of joints
IN_MASKS = {"right": 5, "left": 6}  # objects are 1, 2, ... in their order
MODELS = ("textured_mesh.obj", "cleaned_mesh_10000.obj")
_BYTES = 64 << 20
_LEAST_PIXELS = 30  # of a body that labels show
_LOOKED_AT = 5  # frames by which the convention of the hands is told


@dataclass(frozen=True)
class HoCapOptions:
    """Options of ``hocap``."""

    sequence: str | None = option("name, where the data set is given: subject_1/20231025_165502", metavar="NAME")
    camera: str | None = option("serial number of the camera (default: the first)", metavar="NAME")
    mano: Path | None = option("folder of MANO_RIGHT and MANO_LEFT (default: $WARPPRIOR_MANO)", metavar="DIR")
    without_hands: bool = option("read objects alone, without hands", False)
    mean_pose: str = option("is MANO's mean pose added to the hands'", "auto", choices=("auto", "added", "not"))
    rate: float = option("frames per second", number(30.0, 0.01, 10_000.0))
    pose_sigma: float = option(
        "how far given poses are off, in metres, where there are no labels", number(0.005, 1e-5, 1.0)
    )


class HoCapFormat(Format):
    """A sequence of HO-Cap."""

    name = "hocap"
    title = "a sequence of HO-Cap, of one camera"
    reads = (
        "objects, hands (MANO), colours, depth, masks where labels are there, one camera that stands or the worn "
        "one; poses are truth and start"
    )
    verified = (
        "files made in the layout of the newer toolkit; which convention of hands the set has is told by joints; "
        "others found MANO's mean pose added in its files"
    )
    Options = HoCapOptions

    def recognises(self, path: Path) -> str:
        there = all((path / name).is_file() for name in (META, "poses_o.npy", "poses_m.npy"))
        return f"{META}, poses_o.npy and poses_m.npy" if there else ""

    def read(self, source: Path, options: HoCapOptions) -> Recording:
        if not (source / META).is_file():

            def known() -> list[str]:
                found = [path.parent for path in source.glob(f"*/*/{META}")]
                return sorted(f"{path.parent.name}/{path.name}" for path in found)

            source = source / named_sequence(source, options.sequence, known, "sequences")
        return _Reader(source.absolute(), options).read()


FORMAT = HoCapFormat()


class _Reader:
    """One camera of a sequence being read."""

    def __init__(self, source: Path, options: HoCapOptions):
        self.source, self.options = source, options
        self.notes: list[str] = []
        self.root = source.parent.parent
        self.where = str(source / META)
        self.meta = read_yaml(inside(source / META, self.root), "meta.yaml of HO-Cap")
        count = entry(self.meta, "num_frames", self.where)
        if type(count) is not int or not 1 <= count <= FRAME_LIMIT:
            raise InputError(f"{self.where}: num_frames", f"is {str(count)[:20]}", f"1 to {FRAME_LIMIT}")
        self.count = count
        self.items = self._names(self.meta, "object_ids")
        self.sides = [side for side in self._names(self.meta, "mano_sides") if side in SLOTS]
        serials = self._names(entry(self.meta, "realsense", self.where), "serials")
        worn = self.meta.get("hololens")
        serial = str(worn.get("serial", "")) if isinstance(worn, dict) else ""
        self.worn = serial if _is_name(serial) else ""
        self.serials = [*serials, *([self.worn] if self.worn else [])]
        self.serial = options.camera or next(iter(serials), "")
        if self.serial not in self.serials:
            raise InputError(f"camera {self.serial}", f"{self.where} has none of that name", ", ".join(self.serials))
        if options.camera is None and len(self.serials) > 1:
            self.notes.append(f"camera {self.serial} of {len(self.serials)} was read: --camera takes another")
        self.folder = source / self.serial

    def _names(self, tree: Any, key: str) -> list[str]:
        found = entry(tree, key, self.where)
        names = [str(name) for name in found] if isinstance(found, list) and len(found) <= 64 else [".."]
        if not all(_is_name(name) for name in names):
            raise InputError(f"{self.where}: {key}", f"is {str(found)[:40]}", "needs a list of names")
        return names

    def _name(self, key: str) -> str:
        name = str(entry(self.meta, key, self.where))
        if not _is_name(name):
            raise InputError(f"{self.where}: {key}", f"is {name[:40]}", "needs a name")
        return name

    def read(self) -> Recording:
        camera, path = self._camera()
        world = InWorld(str(self.source), path, self.notes)
        bodies = self._objects(world)
        values = {k + 1: k + 1 for k, item in enumerate(self.items) if item in {body.name for body in bodies}}
        order = {value: row for row, value in enumerate(values, start=1)}
        labelled = self._label_files()
        for side in () if self.options.without_hands else self.sides:
            hand = self._hand(world, side, labelled)
            if hand is not None:
                bodies.append(hand)
                order[IN_MASKS[side]] = len(bodies)
        labels = self._labels(camera, labelled, order)
        colors, depths = self._pictures("color_", (".jpg", ".png")), self._pictures("depth_", (".png",))
        recording = world.recording(
            f"{self.source.parent.name} {self.source.name} {self.serial}",
            camera,
            self.options.rate,
            bodies,
            self.options.pose_sigma,
            read_rgb=color_pictures(colors, camera),
            read_depth=depth_pictures(depths, camera, partial(np.multiply, 0.001)),
            labels=labels,
        )
        if labels is None:
            return recording
        counts = [np.bincount(np.ravel(image), minlength=256) for image in each_frame(labels)]
        seen = set(np.flatnonzero(np.max(counts, axis=0) >= _LEAST_PIXELS).tolist())
        return recording.with_scene(known_without_masks(recording.scene, seen))  # others are out of this camera's sight

    def _camera(self) -> tuple[Camera, CameraPath]:
        worn = self.serial == self.worn
        file = inside(self.root / "calibration" / "intrinsics" / f"{self.serial}.yaml", self.root)
        part = entry(self.meta, "hololens" if worn else "realsense", self.where)
        size = [entry(part, f"pv_{key}" if worn else key, self.where) for key in ("width", "height")]
        if not all(type(length) is int and 2 <= length <= 16384 for length in size):
            raise InputError(self.where, f"says a size of {str(size)[:40]}", "width and height")
        camera = read_intrinsics(file).camera((size[0], size[1]), None, file.name, self.notes)
        if worn:
            poses = self._poses("poses_pv.npy", (self.count, 7))
            matrices, where = _matrices(poses, "poses_pv.npy", self.notes), str(self.source / "poses_pv.npy")
        else:
            name = self._name("extrinsics")
            file = inside(self.root / "calibration" / "extrinsics" / name, self.root / "calibration")
            places, where = entry(read_yaml(file, "extrinsics of HO-Cap"), "extrinsics", str(file)), str(file)
            pair = np.tile(np.eye(4), (2, 1, 1))
            for row, key in enumerate(("tag_1", self.serial)):
                pair[row, :3] = numbers(entry(places, key, where), (12,), f"{where}: {key}").reshape(3, 4)
            if np.abs(np.linalg.det(pair)).min() < 0.5:
                raise InputError(where, "has no rotations", "needs 3x4 poses")
            matrices = np.tile(np.linalg.inv(pair[0]) @ pair[1], (self.count, 1, 1))
        path = camera_path(matrices, complete(matrices), where, self.notes)
        if path is None:
            raise InputError(where, "has no pose of this camera", "needs one")
        return camera, path

    def _poses(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """Poses of a file, NaN where all of one is -1."""
        path = inside(self.source / name, self.root)
        values = read_npy(path, "poses of HO-Cap", f"needs {shape}")
        if values.shape != shape or values.dtype.kind not in "fiu":
            raise InputError(str(path), f"{values.dtype} of shape {values.shape}", f"needs {shape}")
        values = values.astype(np.float64)
        values[(values == -1.0).all(axis=-1)] = np.nan
        return values

    def _objects(self, world: InWorld) -> list[SceneBody]:
        poses = self._poses("poses_o.npy", (len(self.items), self.count, 7))
        bodies = []
        for item, rows in zip(self.items, poses, strict=True):
            if not complete(rows).any():
                self.notes.append(f"{item} has a pose in no frame; it was left out")
                continue
            folder = self.root / "models"
            path = find_model([folder], [f"{item}/{name}" for name in MODELS], self.notes)
            if path is None:
                raise InputError(str(folder / item), f"holds no {MODELS[0]}", "the models of the data set")
            body = read_mesh(path, item)
            self.notes += [f"{item}: {warning}" for warning in body.warnings]
            start = SceneBody(replace(body, warnings=()), 1, False, Poses.identity(self.count), source=path)
            bodies.append(world.body(start, _matrices(rows, f"{self.source}: {item}", self.notes)))
        return bodies

    def _hand(self, world: InWorld, side: str, labelled: dict[int, Path]) -> SceneBody | None:
        stored = self._poses("poses_m.npy", (2, self.count, 51))[SLOTS[side]]
        if not complete(stored).any():
            self.notes.append(f"hand_{side} has a pose in no frame; it was left out")
            return None
        subject = self._name("subject_id")
        file = inside(self.root / "calibration" / "mano" / f"{subject}.yaml", self.root / "calibration")
        shape = numbers(entry(read_yaml(file, "a shape of MANO"), "betas", str(file)), (10,), f"{file}: betas")
        hand = find_mano(self.options.mano, side)
        said = {"added": (False,), "not": (True,)}.get(self.options.mean_pose, (False, True))
        before, made = len(self.notes), []
        for flat in said:
            del self.notes[before:]  # of the one before: they are the same
            made.append(self._posed(world, hand, side, stored, shape, flat))
        if len(made) == 1:
            return made[0]
        joints = self._joints(labelled, side)
        off = [_apart(item, joints) for item in made]
        chosen = 0 if np.isnan(off).any() else int(np.argmin(off))
        word = ("added to", "not added to")[chosen]
        known = (
            "no label tells"
            if np.isnan(off).any()
            else f"joints are {1000 * min(off):.3g} mm off, else {1000 * max(off):.3g}"
        )
        self.notes.append(f"hand_{side}: MANO's mean pose is {word} its principal components: {known}; --mean-pose")
        return made[chosen]

    def _posed(
        self, world: InWorld, hand: ManoHand, side: str, stored: np.ndarray, shape: np.ndarray, flat: bool
    ) -> SceneBody:
        valid = complete(stored)
        plain = np.where(valid[:, None], stored, 0.0)
        joints = hand.full_pose(plain[:, 3:48], pca=True, flat_hand_mean=flat)
        joints = np.where(valid[:, None], joints, np.nan)
        return world.hand(hand, f"hand_{side}", 1, stored[:, :3], stored[:, 48:] + hand.root(shape), joints, shape)

    def _label_files(self) -> dict[int, Path]:
        found = numbered(self.folder, (".npz",), root=self.root)
        return {frame: path for frame, path in found.items() if frame < self.count}

    def _arrays(self, path: Path) -> NpzArrays:
        return NpzArrays(path, "a label of HO-Cap", "needs seg_mask", limit=_BYTES, unpacked=_BYTES)

    def _joints(self, labelled: dict[int, Path], side: str) -> dict[int, np.ndarray]:
        """Joints (21, 3) in the camera of some frames."""
        found: dict[int, np.ndarray] = {}
        for frame, path in labelled.items():
            arrays = self._arrays(path)
            if len(found) == _LOOKED_AT or "hand_joints_3d" not in arrays:
                break
            joints = arrays["hand_joints_3d"]
            if joints.shape == (2, 21, 3) and joints.dtype.kind == "f" and np.isfinite(joints).all():
                own = joints[SLOTS[side]].astype(np.float64)
                if not (own == -1.0).all():
                    found[frame] = own
        return found

    def _labels(self, camera: Camera, labelled: dict[int, Path], order: dict[int, int]) -> np.ndarray | None:
        """Label images of ``seg_mask``: objects are numbered in their order, hands are 5 and 6."""
        if not labelled:
            return None
        check_label_memory(str(self.folder), self.count, camera)
        labels = stored_zeros((self.count, camera.height, camera.width), np.uint8)
        table = np.full(256, IGNORE_LABEL, dtype=np.uint8)
        table[0] = 0
        for value, label in order.items():
            table[value] = label
        for frame in range(self.count):
            if frame not in labelled:
                labels[frame] = IGNORE_LABEL
                continue
            mask = self._arrays(labelled[frame])["seg_mask"]
            if mask.shape != (camera.height, camera.width) or mask.dtype != np.uint8:
                found = f"seg_mask {mask.dtype} of shape {mask.shape}"
                raise InputError(str(labelled[frame]), found, f"needs uint8 {(camera.height, camera.width)}")
            labels[frame] = table[mask]
            forget(labels[frame])
        missing = sorted(set(range(self.count)) - set(labelled))
        if missing:
            self.notes.append(f"no labels in {frame_list(missing)}; nothing is known about their pixels")
        return labels

    def _pictures(self, stem: str, endings: tuple[str, ...]) -> dict[int, Path]:
        """Files of the camera whose names begin with ``stem``, by frame."""
        found = {}
        for frame in range(self.count):
            files = (self.folder / f"{stem}{frame:06d}{ending}" for ending in endings)
            path = next((file for file in files if file.is_file()), None)
            if path is not None:
                found[frame] = inside(path, self.root)
        return found


def _is_name(text: str) -> bool:
    """Of a file or folder, which leads nowhere else."""
    return 0 < len(text) <= 100 and "/" not in text and not text.startswith(".") and text.isprintable()


def _matrices(rows: np.ndarray, where: str, notes: list[str]) -> np.ndarray:
    """Transforms (frame, 4, 4) of quaternions xyzw and places (frame, 7)."""
    turns = read_rotations(np.where(complete(rows)[:, None], rows[:, :4], np.nan), where, where, notes)
    valid = complete(turns)
    matrices = np.full((len(rows), 4, 4), np.nan)
    matrices[valid] = transforms_of(rows[valid, 4:], turns[valid])
    return matrices


def _apart(item: SceneBody, joints: dict[int, np.ndarray]) -> float:
    """Median distance of joints [m]; NaN where none is known."""
    frames = [frame for frame in joints if item.initial.imputed is None or not item.initial.imputed[frame]]
    if not frames:
        return float("nan")
    ours = posed_keypoints(item.body, item.initial.frames(np.array(frames)))
    given = np.stack([joints[frame] for frame in frames])
    return float(np.median(np.linalg.norm(ours[:, 1:] - given[:, 1:], axis=-1)))
