"""``taco``: a sequence of TACO: a tool, a target and two hands of MANO, from the head or from cameras that stand.

The layout is that of the data set's own code (leolyliu/TACO-Instructions: README, dataset_utils/{hand_pose_loader,
project_pose_to_egocentric_view,visualization,visualize_world_coordinate_system}.py): world poses in metres, meshes in
centimetres, whole rotation vectors about the flat hand, ``hand_trans`` the wrist joint itself, the left model as it was
published.  Hands are tensors of torch in pickles, which are read as data.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from warpprior.bodies.readers.mesh import read_mesh
from warpprior.bodies.readers.plain_pickle import read_plain
from warpprior.formats.format import Format
from warpprior.formats.parts.in_world import SIDES, InWorld, named_sequence, pinhole
from warpprior.formats.parts.mano_hands import find_mano
from warpprior.formats.parts.motion import camera_path, complete
from warpprior.formats.parts.own_files import find_model, inside
from warpprior.formats.parts.text_files import entry, numbers, read_json, read_number_rows, read_text
from warpprior.formats.recording import Recording
from warpprior.io.scene_file import FRAME_LIMIT
from warpprior.io.standing_camera import standing_camera
from warpprior.io.world import CameraPath
from warpprior.scene import Camera, Poses, SceneBody
from warpprior.support.errors import InputError
from warpprior.support.limits import number
from warpprior.support.npz import read_npy
from warpprior.support.options import option

ROLES = ("tool", "target")
OBJECTS, HANDS, CAMERAS, EGO = (
    "Object_Poses",
    "Hand_Poses",
    "Allocentric_Camera_Parameters",
    "Egocentric_Camera_Parameters",
)
SPLITS = "v1_overall_data_train_test_split.txt"
_EGO_SIZE = (1920, 1080)
_CENTIMETRE = 0.01
_MODELS = ("Object_Models", "object_models_released", "object_models")


@dataclass(frozen=True)
class TacoOptions:
    """Options of ``taco``."""

    sequence: str | None = option("name of the sequence, where the data set is given: 20231105_019", metavar="NAME")
    camera: str | None = option(
        "ego, or the serial number of one that stands (default: ego if it is there)", metavar="NAME"
    )
    mano: Path | None = option("folder of MANO_RIGHT and MANO_LEFT (default: $WARPPRIOR_MANO)", metavar="DIR")
    without_hands: bool = option("read objects alone, without hands", False)
    models: Path | None = option("folder of NNN_cm.obj (default: Object_Models of the data set)", metavar="DIR")
    pose_sigma: float = option("how far given poses are off, in metres; they are held to it", number(0.005, 1e-5, 1.0))


class TacoFormat(Format):
    """A sequence of TACO."""

    name = "taco"
    title = "a sequence of TACO"
    reads = "tool and target, both hands (MANO), poses of the worn camera or one that stands; poses are truth and start"
    verified = (
        "files made in the layout of the data set's own code, tensors as torch pickles them; torch did not run here; "
        "the genuine list of splits"
    )
    Options = TacoOptions

    def recognises(self, path: Path) -> str:
        there = path.is_dir() and path.parent.parent.name == OBJECTS and all(_file(path, role) for role in ROLES)
        return f"{OBJECTS} of tool and target" if there else ""

    def splits_of(self, path: Path) -> tuple[str, ...]:
        """The split of the list that the data set's code comes with, where it lies in the data set or above it."""
        for folder in list(path.absolute().parents)[2:4]:
            for file in (folder / SPLITS, folder / "data_lists" / SPLITS):
                if file.is_file():
                    text = read_text(inside(file, folder), "splits of TACO")
                    rows = (line.strip().partition(",") for line in text.splitlines())
                    return tuple(split for name, _, split in rows if name == path.name)
        return ()

    def read(self, source: Path, options: TacoOptions) -> Recording:
        if (source / OBJECTS).is_dir():
            folders = {path.name: path for path in (source / OBJECTS).glob("*/*") if path.is_dir()}
            name = named_sequence(source, options.sequence, lambda: sorted(folders), "sequences")
            source = folders[name]
        return _Reader(source.absolute(), options).read()


FORMAT = TacoFormat()


def _file(folder: Path, role: str) -> Path | None:
    return next(iter(sorted(folder.glob(f"{role}_*.npy"))), None)


class _Reader:
    """One sequence being read."""

    def __init__(self, source: Path, options: TacoOptions):
        if source.parent.parent.name != OBJECTS:
            raise InputError(str(source), f"is no folder below {OBJECTS}", f"needs {OBJECTS}/TRIPLET/SEQUENCE of TACO")
        self.source, self.options = source, options
        self.notes: list[str] = []
        self.root, self.triplet, self.name = source.parents[2], source.parent.name, source.name
        self.objects: dict[str, tuple[str, np.ndarray]] = {}
        for role in ROLES:
            path = _file(source, role)
            if path is None:
                raise InputError(str(source), f"holds no {role}_*.npy", "needs tool and target")
            poses = read_npy(inside(path, self.root), "poses of an object of TACO", "needs (frame, 4, 4)")
            if poses.ndim != 3 or poses.shape[1:] != (4, 4) or poses.dtype.kind not in "fiu":
                raise InputError(str(path), f"{poses.dtype} of shape {poses.shape}", "needs (frame, 4, 4)")
            self.objects[role] = path.stem.removeprefix(f"{role}_"), poses.astype(np.float64)
        lengths = {len(poses) for _, poses in self.objects.values()}
        if len(lengths) > 1 or not 1 <= min(lengths) <= FRAME_LIMIT:
            raise InputError(str(source), f"has objects of {sorted(lengths)} frames", "the same number for both")
        self.count = lengths.pop()

    def _place(self, kind: str) -> Path:
        return self.root / kind / self.triplet / self.name

    def read(self) -> Recording:
        camera, path, name = self._camera()
        world = InWorld(str(self.source), path, self.notes)
        bodies = [world.body(self._object(role, key), poses) for role, (key, poses) in self.objects.items()]
        for side in () if self.options.without_hands else SIDES:
            hand = self._hand(world, side)
            bodies += [] if hand is None else [hand]
        self.notes.append("pictures of TACO are videos, which are not read")
        return world.recording(f"{self.triplet} {self.name} {name}", camera, 30.0, bodies, self.options.pose_sigma)

    def _camera(self) -> tuple[Camera, CameraPath, str]:
        chosen = self.options.camera
        ego = self._place(EGO)
        if chosen == "ego" or (chosen is None and (ego / "egocentric_intrinsic.txt").is_file()):
            file = inside(ego / "egocentric_intrinsic.txt", self.root)
            k = numbers(read_number_rows(file, "intrinsics of TACO"), (3, 3), str(file))
            file = inside(ego / "egocentric_frame_extrinsic.npy", self.root)
            poses = read_npy(file, "poses of the worn camera of TACO", "needs (frame, 4, 4)")
            poses = numbers(poses, (self.count, 4, 4), str(file), finite=False)
            return pinhole(k, _EGO_SIZE, str(file), self.notes), self._path(poses, str(file)), "ego"
        file = self._place(CAMERAS) / "calibration.json"
        if not file.is_file() and chosen is None:
            places = np.concatenate([poses[complete(poses), :3, 3] for _, poses in self.objects.values()])
            if not len(places):
                raise InputError(str(self.source), "has poses of nothing", "needs a sequence with poses")
            self.notes.append("no parameters of cameras are there: a camera that stands was made up")
            return *standing_camera(places, self.count), "made up"
        tree = read_json(inside(file, self.root), "cameras of TACO")
        names = sorted(tree) if isinstance(tree, dict) else []
        serial = chosen or next(iter(names), "")
        if serial not in names:
            raise InputError(f"camera {serial}", f"{file} has none of that name", ", ".join(names[:6]) or "none")
        if chosen is None and len(names) > 1:
            self.notes.append(f"camera {serial} of {len(names)} was read: --camera takes another")
        where, one = f"{file}: {serial}", tree[serial]
        size = numbers(entry(one, "imgSize", where), (2,), f"{where}: imgSize")
        k, turn, shift = (np.ravel(_plain(entry(one, key, where), f"{where}: {key}")) for key in ("K", "R", "T"))
        if (len(k), len(turn), len(shift)) != (9, 9, 3) or not (2 <= size).all() or not (size <= 16384).all():
            raise InputError(where, "has other sizes of K, R, T and imgSize", "9, 9, 3 and 2 numbers")
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = turn.reshape(3, 3), shift
        camera = pinhole(k.reshape(3, 3), (int(size[0]), int(size[1])), where, self.notes)
        return camera, self._path(np.tile(pose, (self.count, 1, 1)), where), serial

    def _path(self, world_to_camera: np.ndarray, where: str) -> CameraPath:
        valid = complete(world_to_camera)
        valid[valid] = np.abs(np.linalg.det(world_to_camera[valid])) > 0.5
        matrices = np.full_like(world_to_camera, np.nan)
        matrices[valid] = np.linalg.inv(world_to_camera[valid])
        path = camera_path(matrices, valid, where, self.notes)
        if path is None:
            raise InputError(where, "has no pose of the camera", "world to camera, (frame, 4, 4)")
        return path

    def _object(self, role: str, key: str) -> SceneBody:
        folders = [self.options.models] if self.options.models else [self.root / name for name in _MODELS]
        path = find_model(folders, [f"{key}_cm.obj"], self.notes)
        if path is None:
            raise InputError(str(folders[0]), f"holds no {key}_cm.obj", "the object models of TACO: --models DIR")
        body = read_mesh(path, role, scale=_CENTIMETRE)
        self.notes += [f"{path.name}: {warning}" for warning in body.warnings]
        return SceneBody(replace(body, warnings=()), 1, False, Poses.identity(self.count), source=path)

    def _hand(self, world: InWorld, side: str) -> SceneBody | None:
        file = self._place(HANDS) / f"{side}_hand.pkl"
        if not file.is_file():
            self.notes.append(f"hand_{side}: there is no {file.name}; it was left out")
            return None
        pose, wrist = np.full((self.count, 48), np.nan), np.full((self.count, 3), np.nan)
        for frame, (key, one) in enumerate(self._frames(file)):
            pose[frame] = _row(one, "hand_pose", 48, f"{file}: {str(key)[:20]}")
            wrist[frame] = _row(one, "hand_trans", 3, f"{file}: {str(key)[:20]}")
        shapes = file.with_name(f"{side}_hand_shape.pkl")
        shape = np.zeros(10)
        if shapes.is_file():
            tree = read_plain(inside(shapes, self.root), "the shape of a hand of TACO")
            shape = _row(tree, "hand_shape", 10, str(shapes))
        else:
            self.notes.append(f"hand_{side}: there is no {shapes.name}; the mean shape was taken")
        hand = find_mano(self.options.mano, side)
        return world.hand(hand, f"hand_{side}", 1, pose[:, :3], wrist, pose[:, 3:], shape)

    def _frames(self, file: Path) -> list[tuple[Any, Any]]:
        """Key and arrays of each frame, in the order of their keys."""
        tree = read_plain(inside(file, self.root), "hands of TACO")
        if not isinstance(tree, dict) or len({type(key) for key in tree}) > 1:
            raise InputError(str(file), "holds no dictionary by frames", f"needs {self.count} frames")
        if len(tree) != self.count:
            raise InputError(str(file), f"has {len(tree)} frames", f"{self.count}, as the objects have")
        return sorted(tree.items(), key=lambda item: item[0])


def _row(tree: Any, key: str, size: int, where: str) -> np.ndarray:
    return numbers(
        np.ravel(_plain(entry(tree, key, where), f"{where}: {key}")), (size,), f"{where}: {key}", finite=False
    )


def _plain(tree: object, where: str) -> np.ndarray:
    try:
        return np.asarray(tree, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        raise InputError(where, "is no array of numbers", "needs numbers") from None
