"""``contactpose``: a grasp of ContactPose: one object, one or two hands that hold it, one of three cameras.

The layout is that of the data set's own code (facebookresearch/ContactPose: utilities/{dataset,misc}.py, docs/doc.md):
``aTb`` is the pose of b in a, quaternions are w first, hands stand still in their own frame, which moves with the
object or, where ``moving`` says so, by ``hTo`` of each frame.  MANO fits are some principal components about the mean
pose, in a frame of their own (``mTc``), turned about the wrist joint.  Pictures were turned after they were taken, and
cameras are turned likewise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from warpprior.bodies.readers.hand import read_hand
from warpprior.bodies.readers.mesh import read_mesh
from warpprior.formats.format import Format
from warpprior.formats.parts.in_world import InWorld, named_sequence
from warpprior.formats.parts.intrinsics import note_half_pixel
from warpprior.formats.parts.mano_hands import find_mano
from warpprior.formats.parts.motion import camera_path, transforms_of
from warpprior.formats.parts.own_files import find_model, inside
from warpprior.formats.parts.pictures import color_pictures, depth_pictures, numbered
from warpprior.formats.parts.text_files import entry, numbers, read_json
from warpprior.formats.recording import Recording
from warpprior.io.rotations import read_rotations
from warpprior.io.scene_file import FRAME_LIMIT
from warpprior.io.world import CameraPath
from warpprior.scene import Camera, Poses, SceneBody
from warpprior.support.errors import InputError
from warpprior.support.limits import number
from warpprior.support.options import option

ANNOTATIONS = "annotations.json"
SIZE = (960, 540)  # of pictures as they were taken
TURNS = {  # pixels of the pictures as they are stored, of those as they were taken: a turn by 90, 90 or 180 degrees
    "kinect2_left": np.array([[0.0, -1.0, 540.0], [1.0, 0.0, 0.0]]),
    "kinect2_right": np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 960.0]]),
    "kinect2_middle": np.array([[-1.0, 0.0, 960.0], [0.0, -1.0, 540.0]]),
}
_SIDES = ("left", "right")
_FITS = (15, 10)
_MILLIMETRE = 0.001
_CONFIDENCE = 1.0  # of joints


@dataclass(frozen=True)
class ContactPoseOptions:
    """Options of ``contactpose``."""

    sequence: str | None = option("name of the grasp, where the data set is given: full28_use/bowl", metavar="NAME")
    camera: str | None = option("camera to take (default: the middle one, or the first)", choices=tuple(TURNS))
    hands: str = option(
        "MANO fits, our own hand fitted to the joints, or none", "mano", choices=("mano", "joints", "none")
    )
    mano: Path | None = option("folder of MANO_RIGHT and MANO_LEFT (default: $WARPPRIOR_MANO)", metavar="DIR")
    models: Path | None = option("folder of OBJECT.ply (default: the grasp's, or object_models near it)", metavar="DIR")
    rate: float = option("frames per second, which the files do not say", number(30.0, 0.01, 10_000.0))
    pose_sigma: float = option("how far given poses are off, in metres; they are held to it", number(0.005, 1e-5, 1.0))


class ContactPoseFormat(Format):
    """A grasp of ContactPose."""

    name = "contactpose"
    title = "a grasp of ContactPose"
    reads = (
        "object, hands (MANO fits, or our own by their joints), one of three cameras with colours and depth; poses are "
        "truth and start"
    )
    verified = (
        "files made in the layout of the data set's own code, by its own transforms, which others found "
        "right in its files"
    )
    Options = ContactPoseOptions

    def recognises(self, path: Path) -> str:
        there = (path / ANNOTATIONS).is_file() and path.parent.name.startswith("full")
        return f"{ANNOTATIONS} in {path.parent.name}" if there else ""

    def read(self, source: Path, options: ContactPoseOptions) -> Recording:
        if not (source / ANNOTATIONS).is_file():

            def known() -> list[str]:
                return sorted(
                    f"{path.parent.parent.name}/{path.parent.name}" for path in source.glob(f"*/*/{ANNOTATIONS}")
                )

            source = inside(source / named_sequence(source, options.sequence, known, "grasps"), source)
        return _Reader(source.absolute(), options).read()


FORMAT = ContactPoseFormat()


class _Reader:
    """One grasp being read."""

    def __init__(self, source: Path, options: ContactPoseOptions):
        self.source, self.options, self.notes = source, options, []
        self.where = str(source / ANNOTATIONS)
        self.tree = read_json(inside(source / ANNOTATIONS, source), "annotations of ContactPose", limit=1 << 28)
        frames = entry(self.tree, "frames", self.where)
        if not isinstance(frames, list) or not 1 <= len(frames) <= FRAME_LIMIT:
            raise InputError(f"{self.where}: frames", "is no list of frames", f"1 to {FRAME_LIMIT} frames")
        self.frames: list[Any] = frames
        self.count = len(frames)
        self.object = source.name

    def read(self) -> Recording:
        camera, path, name = self._camera()
        world = InWorld(self.where, path, self.notes)
        placed = np.linalg.inv(self._poses("oTw"))  # world_from_object
        bodies = [world.body(self._object(), placed)]
        keypoints: dict[str, np.ndarray] = {}
        for number_of, side in enumerate(_SIDES):
            root = None if self.options.hands == "none" else self._root(number_of)
            if root is None:
                continue
            if self.options.hands == "mano":
                hand = self._mano(world, number_of, side, placed @ root)
                bodies += [] if hand is None else [hand]
            else:
                keypoints[f"hand_{side}"] = self._joints(number_of, np.linalg.inv(path.matrices()) @ placed @ root)
                bodies.append(SceneBody(read_hand(side, name=f"hand_{side}"), 1, False))  # its start is fitted
        folder = self.source / "images_full" / name
        colors, depths = (
            {frame: file for frame, file in numbered(folder / kind, root=self.source).items() if frame < self.count}
            for kind in ("color", "depth")
        )
        self.notes.append(f"frame rate: {self.options.rate:g} per second, which the files do not say")
        return world.recording(
            f"{self.source.parent.name} {self.object} {name}",
            camera,
            self.options.rate,
            bodies,
            self.options.pose_sigma,
            read_rgb=color_pictures(colors, camera),
            read_depth=depth_pictures(depths, camera, _metres),
            keypoints3d=keypoints,
        )

    def _poses(self, key: str) -> np.ndarray:
        """Transforms (frame, 4, 4) of one key of all frames."""
        return np.stack(
            [transform(entry(frame, key, f"{self.where}: frame {k}"), f"{self.where}: frame {k}: {key}")
             for k, frame in enumerate(self.frames)]
        )  # fmt: skip

    def _camera(self) -> tuple[Camera, CameraPath, str]:
        cameras = entry(self.tree, "cameras", self.where)
        given = {name: cameras.get(name) for name in TURNS} if isinstance(cameras, dict) else {}
        valid = [name for name, one in given.items() if isinstance(one, dict) and one.get("valid") is True]
        if not valid:
            raise InputError(f"{self.where}: cameras", "has no valid camera", f"one of {', '.join(TURNS)}")
        usual = "kinect2_middle" if "kinect2_middle" in valid else valid[0]
        name = self.options.camera or usual
        if name not in valid:
            raise InputError(f"camera {name}", "is not valid for this grasp", ", ".join(valid))
        if self.options.camera is None and len(valid) > 1:
            self.notes.append(f"camera {name} of {len(valid)} was read: --camera takes another")
        where = f"{self.where}: {name}"
        values = [
            float(numbers(entry(entry(cameras[name], "K", where), key, where), (), where))
            for key in ("fx", "fy", "cx", "cy")
        ]
        turn, focal, centre = TURNS[name][:, :2], np.array(values[:2]), np.array(values[2:])
        width, height = np.abs(turn @ SIZE).round().astype(int)
        fx, fy = np.abs(turn @ focal)
        cx, cy = turn @ centre + TURNS[name][:, 2] + 0.5
        note_half_pixel(where, self.notes)
        if not (0.01 * width < fx < 100.0 * width and 0.01 * height < fy < 100.0 * height):
            raise InputError(where, f"focal lengths {fx:.4g}, {fy:.4g}", "needs K of these pictures")
        stored = np.eye(4)  # stored_from_taken
        stored[:2, :2] = turn
        placed = transform(entry(cameras[name], "wTc", where), f"{where}: wTc") @ np.linalg.inv(stored)
        path = camera_path(np.tile(placed, (self.count, 1, 1)), np.ones(self.count, bool), where, self.notes)
        assert path is not None, "all frames have a pose"
        return Camera(int(width), int(height), float(fx), float(fy), float(cx), float(cy)), path, name

    def _object(self) -> SceneBody:
        near = [self.source, *(up / "object_models" for up in self.source.parents[:3])]
        folders, name = [self.options.models] if self.options.models else near, f"{self.object}.ply"
        path = find_model(folders, [name], self.notes)
        if path is None:
            raise InputError(str(folders[0] / name), "is not there", "contact maps or object models: --models DIR")
        body = read_mesh(path, self.object)
        if body.colors is not None:
            self.notes.append(f"{path.name}: its colours are its contact map, which is not used")
        self.notes += [f"{self.object}: {warning}" for warning in body.warnings]
        return SceneBody(replace(body, warnings=(), colors=None), 1, False, Poses.identity(self.count), source=path)

    def _root(self, number_of: int) -> np.ndarray | None:
        """object_from_hand (frame, 4, 4) of a hand that is there."""
        hands = entry(self.tree, "hands", self.where)
        where = f"{self.where}: hands: {_SIDES[number_of]}"
        if not isinstance(hands, list) or len(hands) != 2 or not all(isinstance(hand, dict) for hand in hands):
            raise InputError(f"{self.where}: hands", "is no list of two", "left and right")
        if entry(hands[number_of], "valid", where) is not True:
            return None
        if hands[number_of].get("moving") is not True:
            return np.tile(np.eye(4), (self.count, 1, 1))
        found = []
        for k, frame in enumerate(self.frames):
            both, place = entry(frame, "hTo", f"{self.where}: frame {k}"), f"{self.where}: frame {k}: hTo"
            if not isinstance(both, list) or len(both) != 2:
                raise InputError(place, "is no list of two", "left and right")
            found.append(np.linalg.inv(transform(both[number_of], place)))
        return np.stack(found)

    def _mano(self, world: InWorld, number_of: int, side: str, root: np.ndarray) -> SceneBody | None:
        """A hand of MANO, of world_from_hand (frame, 4, 4)."""
        file = next((f for n in _FITS if (f := self.source / f"mano_fits_{n}.json").is_file()), None)
        if file is None:
            found = f"has no mano_fits_{_FITS[0]}.json"
            raise InputError(str(self.source), found, "--hands joints, or none")
        fits, where = read_json(inside(file, self.source), "MANO fits of ContactPose"), f"{file}: {side}"
        if not isinstance(fits, list) or len(fits) != 2 or not all(isinstance(fit, dict) for fit in fits):
            raise InputError(str(file), "is no list of two", "left and right")
        fit = fits[number_of]
        if entry(fit, "valid", where) is not True:
            self.notes.append(f"hand_{side} has no MANO fit; it was left out")
            return None
        pose = numbers(entry(fit, "pose", where), (None,), f"{where}: pose")
        shape = numbers(entry(fit, "betas", where), (10,), f"{where}: betas")
        if not 3 < len(pose) <= 48:
            raise InputError(f"{where}: pose", f"has {len(pose)} numbers", "three and up to 45 components")
        hand = find_mano(self.options.mano, side)
        joints = hand.full_pose(pose[None, 3:], pca=True, flat_hand_mean=False)
        model = root @ np.linalg.inv(transform(entry(fit, "mTc", where), f"{where}: mTc"))  # world_from_MANO
        from scipy.spatial.transform import Rotation

        orient = (Rotation.from_matrix(model[:, :3, :3]) * Rotation.from_rotvec(pose[:3])).as_rotvec()
        wrist = model[:, :3, :3] @ hand.root(shape) + model[:, :3, 3]
        self.notes.append(f"hand_{side}: {len(pose) - 3} principal components about the mean pose, from {file.name}")
        return world.hand(hand, f"hand_{side}", 1, orient, wrist, np.tile(joints, (self.count, 1)), shape)

    def _joints(self, number_of: int, root: np.ndarray) -> np.ndarray:
        """Joints (frame, 21, 4) in the camera, of camera_from_hand (frame, 4, 4)."""
        where = f"{self.where}: hands: {_SIDES[number_of]}: joints"
        joints = numbers(entry(self.tree["hands"][number_of], "joints", where), (21, 3), where)
        places = np.einsum("fab,jb->fja", root[:, :3, :3], joints) + root[:, None, :3, 3]
        return np.concatenate([places, np.full((*places.shape[:2], 1), _CONFIDENCE)], axis=-1)


def transform(tree: Any, where: str) -> np.ndarray:
    """A transform (4, 4) of ``translation`` and ``rotation``, w first."""
    shift = numbers(entry(tree, "translation", where), (3,), f"{where}: translation")
    turn = numbers(entry(tree, "rotation", where), (4,), f"{where}: rotation")
    rotation = read_rotations(turn[None, [1, 2, 3, 0]], where, where, [])
    if not np.isfinite(rotation).all():
        raise InputError(where, "has a quaternion of zeros", "needs a rotation")
    return transforms_of(shift[None], rotation)[0]


def _metres(depth: np.ndarray) -> np.ndarray:
    return _MILLIMETRE * depth
