"""``arctic``: a sequence of ARCTIC: two hands of MANO and an object of two parts that turn about an axis.

The layout is that of the data set's own code (zc-alexfan/arctic: docs/data/data_doc.md, common/object_tensors.py,
common/body_models.py, src/arctic/{preprocess_dataset,processing}.py): world poses, objects and their places in
millimetres, one angle about -z of the object's frame for what ``parts.json`` marks with 0, whole rotation vectors about
MANO's mean pose, ``transl`` after the turn about the wrist joint, the left model as it was published.  Pickles inside
``.npy`` files are read as data.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from warpprior.bodies.readers.plain_pickle import read_plain
from warpprior.formats.format import Format
from warpprior.formats.parts.hinged import hinged_body
from warpprior.formats.parts.in_world import SIDES, InWorld, named_sequence, pinhole, rigid
from warpprior.formats.parts.mano_hands import find_mano
from warpprior.formats.parts.motion import camera_path, complete
from warpprior.formats.parts.own_files import inside
from warpprior.formats.parts.pictures import color_pictures, numbered, picture_size
from warpprior.formats.parts.text_files import entry, numbers, read_json
from warpprior.formats.recording import Recording
from warpprior.io.lens import make_lens
from warpprior.io.rectify import Rectifier
from warpprior.io.scene_file import FRAME_LIMIT
from warpprior.io.world import CameraPath
from warpprior.scene import Camera, Poses, SceneBody
from warpprior.support.errors import InputError
from warpprior.support.limits import number
from warpprior.support.npz import read_npy
from warpprior.support.options import option

MOTION = ".mano.npy"
AXIS = (0.0, 0.0, -1.0)  # of the turn of an object's top
_EGO_SIZE = (2800, 2000)
_SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class ArcticOptions:
    """Options of ``arctic``."""

    sequence: str | None = option("name of the sequence, where the data set is given: s01/box_grab_01", metavar="NAME")
    view: int = option("camera: 0 is worn on the head, 1 to 8 stand (those need meta/misc.json)", number(0, 0, 8))
    mano: Path | None = option("folder of MANO_RIGHT and MANO_LEFT (default: $WARPPRIOR_MANO)", metavar="DIR")
    without_hands: bool = option("read the object alone, without hands", False)
    pose_sigma: float = option("how far given poses are off, in metres; they are held to it", number(0.005, 1e-5, 1.0))


class ArcticFormat(Format):
    """A sequence of ARCTIC."""

    name = "arctic"
    title = "a sequence of ARCTIC"
    reads = (
        "the articulated object, both hands (MANO), one of nine cameras with its pictures, the worn one rectified; "
        "poses are truth and start"
    )
    verified = (
        "files made in the layout of the data set's own code, by its own rules for hands, objects and lens; units, "
        "sizes and axis as others measured them in its files"
    )
    Options = ArcticOptions

    def recognises(self, path: Path) -> str:
        there = path.name.endswith(MOTION) and path.with_name(f"{_stem(path)}.object.npy").is_file()
        return f"*{MOTION} and *.object.npy" if there else ""

    def splits_of(self, path: Path) -> tuple[str, ...]:
        """Splits of ``splits_json/protocol_NAME.json`` as ``p1_val``; sequences of none of them are train's."""
        found = []
        root = _root(path.absolute())
        for file in sorted((root / "splits_json").glob("protocol_*.json")):
            tree = read_json(inside(file, root), "splits of ARCTIC")
            name = f"{path.parent.name}/{_stem(path)}"
            word = file.stem.removeprefix("protocol_")
            listed = {split: tree.get(split) for split in _SPLITS} if isinstance(tree, dict) else {}
            found += [f"{word}_{split}" for split, names in listed.items() if isinstance(names, list) and name in names]
        return tuple(found)

    def read(self, source: Path, options: ArcticOptions) -> Recording:
        if source.is_dir():
            folder = next((f for f in (source / "raw_seqs", source) if any(f.glob(f"*/*{MOTION}"))), source)

            def known() -> list[str]:
                return sorted(f"{path.parent.name}/{_stem(path)}" for path in folder.glob(f"*/*{MOTION}"))

            name = named_sequence(source, options.sequence, known, "sequences")
            source = folder / f"{name}{MOTION}"
        return _Reader(source.absolute(), options).read()


FORMAT = ArcticFormat()


def _stem(path: Path) -> str:
    return path.name.removesuffix(MOTION)


def _root(path: Path) -> Path:
    """The data set of a sequence: above ``raw_seqs/SUBJECT``, or ``SUBJECT``; the root of a file system is its own."""
    above = path.parent.parent
    return above.parent if above.name == "raw_seqs" else above


class _Reader:
    """One sequence being read."""

    def __init__(self, source: Path, options: ArcticOptions):
        if not source.name.endswith(MOTION):
            raise InputError(str(source), f"is no *{MOTION}", "needs raw_seqs/SUBJECT/SEQUENCE.mano.npy of ARCTIC")
        self.root = _root(source)
        self.source, self.options = inside(source, self.root), options
        self.notes: list[str] = []
        self.subject, self.name = source.parent.name, _stem(source)
        self.kind = self.name.partition("_")[0]
        path = self._beside("object")
        self.object = read_npy(path, "poses of an object of ARCTIC", "needs numbers (frame, 7)")
        if self.object.ndim != 2 or self.object.shape[1] != 7 or self.object.dtype.kind not in "fiu":
            raise InputError(str(path), f"{self.object.dtype} of shape {self.object.shape}", "needs (frame, 7)")
        if not 1 <= len(self.object) <= FRAME_LIMIT:
            raise InputError(str(path), f"has {len(self.object)} frames", f"1 to {FRAME_LIMIT}")
        self.count = len(self.object)
        self.misc = self._misc()

    def _beside(self, word: str) -> Path:
        return inside(self.source.with_name(f"{self.name}.{word}.npy"), self.root)

    def _misc(self) -> dict[str, Any] | None:
        """Cameras of the subject, of meta/misc.json."""
        path = self.root / "meta" / "misc.json"
        if not path.is_file():
            return None
        where = f"{path}: {self.subject}"
        tree = entry(read_json(inside(path, self.root), "misc.json of ARCTIC"), self.subject, str(path))
        if not isinstance(tree, dict):
            raise InputError(where, "is no dictionary", "needs world2cam, intris_mat, image_size and ioi_offset")
        return tree

    def read(self) -> Recording:
        camera, rectifier, path = self._camera()
        world = InWorld(str(self.source), path, self.notes)
        values = self.object.astype(np.float64)
        bodies = [world.body(self._object(), rigid(values[:, 1:4], 0.001 * values[:, 4:]), values[:, :1])]
        if not self.options.without_hands:
            tree = read_plain(self.source, "hands of ARCTIC")
            bodies += [self._hand(world, tree, side) for side in SIDES]
        colors = self._pictures()
        if colors and picture_size(next(iter(colors.values()))) != (camera.width, camera.height):
            found = "pictures of another size than misc.json says"
            raise InputError(str(next(iter(colors.values())).parent), found, "needs images, not cropped_images")
        pictures = color_pictures(colors, camera, rectifier)
        name = f"{self.subject} {self.name} {self.options.view}"
        return world.recording(name, camera, 30.0, bodies, self.options.pose_sigma, read_rgb=pictures)

    def _camera(self) -> tuple[Camera, Rectifier | None, CameraPath]:
        view = self.options.view
        if view > 0 and self.misc is None:
            raise InputError(f"view {view}", f"{self.root / 'meta'} has no misc.json", "--view 0, or the file")
        size = self._size(view)
        if view == 0:
            file = self._beside("egocam.dist")
            tree = read_plain(file, "the worn camera of ARCTIC")
            k, turns, places, bent = (
                numbers(entry(tree, key, str(file)), shape, f"{file}: {key}")
                for key, shape in (
                    ("intrinsics", (3, 3)),
                    ("R_k_cam_np", (self.count, 3, 3)),
                    ("T_k_cam_np", (self.count, 3, 1)),
                    ("dist8", (8,)),
                )
            )
            lens = make_lens("opencv", bent.tolist(), f"{file}: dist8")
            matrices = np.tile(np.eye(4), (self.count, 1, 1))
            matrices[:, :3, :3], matrices[:, :3, 3:] = turns, places
            where = str(file)
        else:
            assert self.misc is not None
            where = f"{self.root / 'meta' / 'misc.json'}: {self.subject}"
            k = numbers(entry(self.misc, "intris_mat", where), (None, 3, 3), where)
            cameras = numbers(entry(self.misc, "world2cam", where), (None, 4, 4), where)
            if min(len(k), len(cameras)) < view:
                raise InputError(where, f"has {min(len(k), len(cameras))} cameras that stand", f"view {view}")
            k, lens, matrices = k[view - 1], None, np.tile(cameras[view - 1], (self.count, 1, 1))
        if np.abs(np.linalg.det(matrices)).min() < 0.5:
            raise InputError(where, "has no rotations of cameras", "needs rigid poses, world to camera")
        path = camera_path(np.linalg.inv(matrices), np.ones(self.count, dtype=bool), where, self.notes)
        assert path is not None, "all frames have a pose"
        camera = pinhole(k, size, where, self.notes)
        rectifier = None if lens is None else Rectifier(camera, lens, where)
        if lens is not None:
            self.notes.append("pictures of the worn camera are rectified from its eight numbers of distortion")
        return camera, rectifier, path

    def _size(self, view: int) -> tuple[int, int]:
        if self.misc is None:
            return _EGO_SIZE
        where = f"{self.root / 'meta' / 'misc.json'}: {self.subject}: image_size"
        sizes = numbers(entry(self.misc, "image_size", where), (None, 2), where)
        if len(sizes) <= view or not (sizes[view] >= 2).all() or (sizes[view] > 16384).any():
            raise InputError(where, "says no size of this view", "needs width and height of nine views")
        return int(sizes[view][0]), int(sizes[view][1])

    def _pictures(self) -> dict[int, Path]:
        """Files by frame: their numbers are ahead of the motion's by ``ioi_offset``."""
        folder = self.root / "images" / self.subject / self.name / str(self.options.view)
        files = numbered(folder, (".jpg", ".png"), root=self.root)
        if files and (self.misc is None or type(self.misc.get("ioi_offset")) is not int):
            self.notes.append(f"pictures were left out: misc.json does not say ioi_offset of {self.subject}")
            return {}
        ahead = self.misc["ioi_offset"] if files and self.misc is not None else 0
        return {k - ahead: path for k, path in files.items() if 0 <= k - ahead < self.count}

    def _object(self) -> SceneBody:
        folder = self.root / "meta" / "object_vtemplates" / self.kind
        if not (folder / "mesh.obj").is_file():
            raise InputError(str(folder), "holds no mesh.obj", "the object models of ARCTIC's meta")
        file = inside(folder / "parts.json", self.root)
        top = numbers(read_json(file, "parts of an object of ARCTIC"), (None,), str(file)) == 0.0
        body = hinged_body(inside(folder / "mesh.obj", self.root), self.kind, top, AXIS, 0.001)
        self.notes += [f"{self.kind}: {warning}" for warning in body.warnings]
        nothing = Poses.identity(self.count)
        return SceneBody(replace(body, warnings=()), 1, False, replace(nothing, joints=np.zeros((self.count, 1))))

    def _hand(self, world: InWorld, tree: Any, side: str) -> SceneBody:
        where = f"{self.source}: {side}"
        stored = entry(tree, side, str(self.source))
        orient, pose, shift = (
            numbers(entry(stored, key, where), (self.count, size), f"{where}: {key}", finite=False)
            for key, size in (("rot", 3), ("pose", 45), ("trans", 3))
        )
        shape = numbers(entry(stored, "shape", where), (10,), f"{where}: shape")
        hand = find_mano(self.options.mano, side)
        joints = hand.full_pose(np.where(complete(pose)[:, None], pose, 0.0), pca=False, flat_hand_mean=False)
        joints = np.where(complete(pose)[:, None], joints, np.nan)
        return world.hand(hand, f"hand_{side}", 1, orient, shift + hand.root(shape), joints, shape)
