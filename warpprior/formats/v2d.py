"""``v2d``: result bundles of nvidia-isaac/video_to_data, read and written back repaired.

A bundle is a folder with ``result.npz``, ``mesh.obj`` and ``manifest.json``; its neighbours hold frames and masks
(reconstruction/modules/v2d_common/result_bundle.py, state of June 2026).  Three things about it give silently wrong
numbers: what stands in frames without their flag is a default; both hands are right hands of MANO, and the left one is
mirrored after it was posed; and ``*_wrist_to_*_transform`` has the rotation and ``cam_t``, not the wrist's place.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from warpprior.bodies.readers.mesh import read_mesh
from warpprior.formats.format import Format
from warpprior.formats.parts.mano_hands import find_mano, hand_of
from warpprior.formats.parts.motion import (
    MIRROR,
    camera_path,
    filled,
    note_camera,
    one_scale,
    split_transforms,
    transforms_of,
)
from warpprior.formats.parts.npz_back import replace_arrays
from warpprior.formats.parts.own_files import inside
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
from warpprior.formats.recording import Recording
from warpprior.io.scene_file import FRAME_LIMIT
from warpprior.io.world import CameraPath, World
from warpprior.scene import Camera, Poses, Scene, SceneBody
from warpprior.support.errors import InputError
from warpprior.support.limits import number
from warpprior.support.npz import NpzArrays
from warpprior.support.options import option
from warpprior.support.wording import frame_list

BUNDLES = ("result_slam_gravity_aligned", "result_slam", "result_gravity_aligned", "result")  # the fullest first
RESULT_FILE, MESH_FILE, MANIFEST_FILE = "result.npz", "mesh.obj", "manifest.json"
TRACKS = {"object": 1, "hand_left": 2, "hand_right": 3}  # of masks, and our labels
SIDES = ("left", "right")
VERTICES = 778  # of MANO, without what closes its wrist
_BYTES = 2 << 30
_AGREE = 1e-3  # [m]: how far the two poses of one thing may be apart


@dataclass(frozen=True)
class V2dOptions:
    """Options of ``v2d``."""

    mano: Path | None = option("folder of MANO_RIGHT.pkl or .npz (default: $WARPPRIOR_MANO)", metavar="DIR")
    without_hands: bool = option("read the object alone, without hands", False)
    bundle: str | None = option(
        "which result folder, of several (default: the one with SLAM and gravity)", choices=BUNDLES
    )
    fps: float = option("frames per second, which the files do not say", number(30.0, 0.01, 10_000.0))
    pixel_centers: str = option(
        "where the centre of the first pixel is in their intrinsics: 0 (integer) or 0.5 (half)",
        "integer",
        choices=("integer", "half"),
    )
    with_depth: bool = option("take the estimated depth images, too", False)


class V2dFormat(Format):
    """Result bundles of video_to_data."""

    name = "v2d"
    sizes = "which is in its matrices"
    title = "a result bundle of NVIDIA video_to_data, or the folder that holds several"
    reads = (
        "object, both hands (MANO), camera poses, gravity in all four world variants; frames, masks and depth beside it"
    )
    writes = "back in place: corrected frames, with flags, conventions and every other file as they were"
    verified = "files made in its layout, by its own rules for hands; no genuine bundle could be had"
    Options = V2dOptions

    def recognises(self, path: Path) -> str:
        bundles = _bundles(path)
        return f"{bundles[0] / RESULT_FILE}" if bundles else ""

    def read(self, source: Path, options: V2dOptions) -> Recording:
        return _Reader(source, options).read()

    def write(self, recording: Recording, folder: Path, options: V2dOptions) -> tuple[str, ...]:
        origin = self.origin_of(recording, "a bundle", "bundles are written back, not made anew")
        said = []
        bundles = _bundles(origin.path)
        alone = len(bundles) == 1 and bundles[0] in (origin.path, origin.path.parent)
        for bundle in bundles:
            target = folder if alone else folder / bundle.name
            target.mkdir(exist_ok=True)
            said.append(_write_bundle(recording, bundle, target))
        return tuple(said)


FORMAT = V2dFormat()


def _bundles(path: Path) -> list[Path]:
    """Folders with result.npz that a path stands for: it, its file's, or those inside it, the fullest first."""
    if path.name == RESULT_FILE and path.is_file():
        return [path.parent] if _is_bundle(path.parent) else []
    if (path / RESULT_FILE).is_file():
        return [path] if _is_bundle(path) else []
    for place in (path, path / "outputs"):
        found = [place / name for name in BUNDLES if (place / name / RESULT_FILE).is_file()]
        if found:
            return [bundle for bundle in found if _is_bundle(bundle)]
    return []


def _is_bundle(folder: Path) -> bool:
    arrays = _open(folder)
    return "object_to_camera_transform" in arrays and "camera_intrinsics" in arrays


def _open(bundle: Path) -> NpzArrays:
    accepted = "give a result bundle of video_to_data: result.npz with its 23 arrays"
    return NpzArrays(inside(bundle / RESULT_FILE, bundle), "a result bundle", accepted, limit=_BYTES, unpacked=_BYTES)


class _Arrays:
    """The arrays of one bundle, checked."""

    def __init__(self, bundle: Path):
        self.path = bundle / RESULT_FILE
        self.arrays = _open(bundle)
        shape = self._of("object_to_camera_transform").shape
        if len(shape) != 3 or not 1 <= shape[0] <= FRAME_LIMIT:
            raise InputError(self.place("object_to_camera_transform"), f"has shape {shape}", "needs (frame, 4, 4)")
        self.count = shape[0]

    def place(self, key: str) -> str:
        return f"{self.path}: {key}"

    def _of(self, key: str) -> np.ndarray:
        if key not in self.arrays:
            there = ", ".join(name for name in sorted(self.arrays)[:4])
            raise InputError(self.place(key), "is missing", f"is it a result bundle of video_to_data? it has {there}")
        return self.arrays[key]

    def get(self, key: str, *shape: int) -> np.ndarray:
        """Numbers of that shape behind the frames, float64."""
        return numbers(self._of(key), (self.count, *shape), self.place(key), finite=False)

    def plain(self, key: str, *shape: int) -> np.ndarray:
        """Numbers of that shape."""
        return numbers(self._of(key), shape, self.place(key))

    def flag(self, key: str) -> np.ndarray:
        """Flags (frame,) bool."""
        values = self._of(key)
        if values.shape != (self.count,) or values.dtype.kind not in "biu":
            raise InputError(self.place(key), f"{values.dtype} of shape {values.shape}", f"needs ({self.count},) bool")
        return values.astype(bool)

    def says(self, key: str) -> bool:
        """Whether the bundle has one flag of that name, and it is set."""
        return key in self.arrays and bool(np.any(self.arrays[key]))


class _Reader:
    """One bundle being read."""

    def __init__(self, source: Path, options: V2dOptions):
        bundles = _bundles(source)
        if not bundles:
            raise InputError(str(source), "holds no result bundle", f"needs a folder with {RESULT_FILE}")
        chosen = [bundle for bundle in bundles if options.bundle in (None, bundle.name)]
        if not chosen:
            there = ", ".join(bundle.name for bundle in bundles)
            raise InputError(str(source), f"holds no {options.bundle}", f"there are {there}")
        self.bundle, self.options, self.notes = chosen[0], options, []
        self.around = self.bundle.parent
        self.arrays = _Arrays(self.bundle)
        if len(bundles) > 1:
            others = ", ".join(bundle.name for bundle in bundles if bundle != self.bundle)
            self.notes.append(f"{self.bundle.name} was read, of {others} too: --bundle takes another")

    def read(self) -> Recording:
        camera, frames = self._camera()
        bodies = [self._object()]
        bodies += [] if self.options.without_hands else [item for side in SIDES if (item := self._hand(side))]
        if self.options.without_hands:
            self.notes.append("hands were left out, as asked")
        self.notes.append(f"frame rate: {self.options.fps:g} per second, which the files do not say")
        labels, masked = self._labels(camera, bodies)
        if not masked:
            self.notes.append(f"no masks beside {self.bundle.name}: nothing holds poses to the pictures")
        world = self._world()
        scene = Scene(
            name=self.around.resolve().parent.name or "v2d",
            camera=camera,
            fps=self.options.fps,
            bodies=tuple(bodies),
            labels=labels,
            read_rgb=color_pictures(frames, camera),
            read_depth=self._depth(camera),
            warnings=tuple(self.notes),
        )
        return Recording(known_without_masks(scene, masked), world)

    def _camera(self) -> tuple[Camera, dict[int, Path]]:
        """Intrinsics, and colour pictures by frame."""
        fx, fy, cx, cy = self.arrays.plain("camera_intrinsics", 4)
        count = self.arrays.count
        paths = {frame: path for frame, path in self._beside("frames").items() if frame < count}
        size = picture_size(next(iter(paths.values()))) if paths else None
        stated = self.around / "intrinsics_stable.json"
        if size is None and stated.is_file():
            tree = read_json(inside(stated, self.around), "intrinsics of video_to_data", limit=1 << 20)
            width, height = (entry(tree, key, str(stated)) for key in ("width", "height"))
            wide, high = (int(numbers(value, (), str(stated))) for value in (width, height))
            size = wide, high
        for track in TRACKS.values():
            masks = self._beside(f"masks/{track}")
            size = size or (picture_size(next(iter(masks.values()))) if masks else None)
        if size is None:
            size = max(2, round(2 * cx)), max(2, round(2 * cy))
            said = f"{size[0]} x {size[1]} from the principal point"
            self.notes.append(f"size of the pictures: guessed to be {said}: there are no frames beside the bundle")
        shift = 0.5 if self.options.pixel_centers == "integer" else 0.0
        if shift:
            self.notes.append("principal point: 0.5 px were added, for the first pixel's centre is taken to be (0, 0)")
        width, height = size
        if not (1e-3 * width < fx < 1e3 * width and 1e-3 * height < fy < 1e3 * height):
            found = f"focal lengths {fx:.4g} and {fy:.4g} px for a picture of {width} x {height}"
            raise InputError(self.arrays.place("camera_intrinsics"), found, "needs fx, fy, cx, cy [px]")
        missing = sorted(set(range(count)) - set(paths))
        if paths and missing:
            self.notes.append(f"frames: {frame_list(missing)} missing")
        return Camera(width, height, fx, fy, cx + shift, cy + shift), paths

    def _beside(self, name: str) -> dict[int, Path]:
        return numbered(self.around / name, root=self.around)

    def _object(self) -> SceneBody:
        arrays, notes = self.arrays, self.notes
        valid = arrays.flag("object_is_valid")
        place = arrays.place("object_to_camera_transform")
        position, rotation, size = split_transforms(arrays.get("object_to_camera_transform", 4, 4), valid, place, notes)
        stated = float(arrays.plain("object_scale"))
        if not stated > 0.0:
            raise InputError(arrays.place("object_scale"), f"is {stated}", "needs a number above zero")
        if abs(stated - 1.0) > 1e-5:
            notes.append(f"object_scale is {stated:.6g}; it was put into the mesh")
        poses = filled(arrays.path, "object", position, rotation, valid, notes)
        self._compare_with_world(transforms_of(poses.position, poses.rotation, size), valid)
        mesh = inside(self.bundle / MESH_FILE, self.bundle)
        body = read_mesh(mesh, "object", scale=size * stated)
        notes += [f"{MESH_FILE}: {warning}" for warning in body.warnings]
        return SceneBody(body, TRACKS["object"], False, poses, source=mesh)

    def _compare_with_world(self, in_camera: np.ndarray, valid: np.ndarray) -> None:
        """A note where poses in the camera and in the world do not say the same."""
        arrays = self.arrays
        both = valid & arrays.flag("camera_is_valid")
        if not both.any():
            return
        made = arrays.get("camera_to_world_transform", 4, 4)[both] @ in_camera[both]
        apart = np.abs(made - arrays.get("object_to_world_transform", 4, 4)[both])[:, :3].max()
        if not apart <= _AGREE:
            said = f"object_to_world_transform is up to {apart:.3g} off camera_to_world times object_to_camera"
            self.notes.append(f"{said}; the pose in the camera was taken")

    def _hand(self, side: str) -> SceneBody | None:
        arrays, name = self.arrays, f"hand_{side}"
        valid = arrays.flag(f"{name}_is_valid")
        if not valid.any():
            self.notes.append(f"{name} is valid in no frame; it was left out")
            return None
        hand = find_mano(self.options.mano, side, mirrored=side == "left")
        orient, joints = arrays.get(f"{name}_wrist_orient_in_camera", 3), arrays.get(f"{name}_finger_pose", 15, 3)
        if side == "left":
            orient, joints = orient * MIRROR, joints * MIRROR
            self.notes.append("hand_left is a right hand of MANO, mirrored after posing: it was read as that")
        shape = arrays.plain(f"{name}_betas", 10)
        shifts, joints = arrays.get(f"{name}_wrist_trans_in_camera", 3), joints.reshape(arrays.count, 45)
        scales = np.where(valid, arrays.get(f"{name}_scale"), 1.0)
        if not (np.isfinite(scales).all() and scales.min() > 0.01):
            raise InputError(arrays.place(f"{name}_scale"), f"reaches {scales.min()}", "needs numbers above zero")
        scale = one_scale(name, scales[valid], self.notes)
        poses = replace(hand.poses(arrays.path, name, orient, shifts, joints, shape, valid, self.notes), scale=scale)
        item = hand.scene_body(name, TRACKS[name], poses)
        shift = _centroid_shift(item, poses)
        return item if shift is None else replace(item, initial=replace(poses, position=poses.position - shift))

    def _labels(self, camera: Camera, bodies: list[SceneBody]) -> tuple[np.ndarray | None, set[int]]:
        """Label images, and the labels that have masks."""
        found = {item.label: self._beside(f"masks/{item.label}") for item in bodies}
        masks = {label: file_masks(paths, camera) for label, paths in found.items() if paths}
        names = {item.label: item.name for item in bodies}
        labels = label_images(masks, self.arrays.count, camera, names, str(self.around / "masks"), self.notes)
        return labels, set(masks)

    def _depth(self, camera: Camera):
        paths = {frame: path for frame, path in self._beside("depth").items() if frame < self.arrays.count}
        if paths and not self.options.with_depth:
            self.notes.append(f"{len(paths)} estimated depth images were left out: --with-depth takes them")
            return None
        return depth_pictures(paths, camera, _inverse_depth)

    def _world(self) -> World:
        arrays, notes = self.arrays, self.notes
        valid = arrays.flag("camera_is_valid")
        place = arrays.place("camera_to_world_transform")
        path = camera_path(arrays.get("camera_to_world_transform", 4, 4), valid, place, notes)
        if path is not None and not path.moves and "slam" not in self.bundle.name and valid.all():
            notes.append("the camera stands still in all frames: without SLAM that is stated of moving ones, too")
        note_camera(path, notes)
        gravity = None
        if arrays.says("gravity_alignment_applied"):
            gravity = arrays.plain("gravity_target_world", 3)
        elif path is not None:
            gravity = self._measured_gravity(path)
        return World(path, gravity)

    def _measured_gravity(self, path: CameraPath) -> np.ndarray | None:
        """Gravity of geocalib/calibration.json in the world, which has the way up in the camera."""
        file = self.around / "geocalib" / "calibration.json"
        if not file.is_file():
            return None
        tree = read_json(inside(file, self.around), "a calibration of GeoCalib", limit=16 << 20)
        samples = tree.get("samples") if isinstance(tree, dict) else None
        found = []
        for sample in samples if isinstance(samples, list) else []:
            gravity = sample.get("gravity") if isinstance(sample, dict) else None
            vector = gravity.get("vector_camera") if isinstance(gravity, dict) else None
            frame = sample.get("frame_index", 0) if isinstance(sample, dict) else None
            if vector is not None and isinstance(frame, int) and 0 <= frame < path.frame_count:
                up = numbers(vector, (3,), f"{file}: samples")
                found.append(-path.matrices()[frame, :3, :3] @ up)
        mean = np.mean(found, axis=0) if found else np.zeros(3)
        length = np.linalg.norm(mean)
        if not length > 1e-6:
            return None
        self.notes.append(f"gravity: of {len(found)} frames of GeoCalib, which give the way up; it was turned round")
        return mean / length


def _inverse_depth(stored: np.ndarray) -> np.ndarray:
    """Metres of depth images that hold 65535 / (depth + 1), 0 for none."""
    return np.where(stored > 0, 65535.0 / np.maximum(stored, 1) - 1.0, 0.0)


def _centroid_shift(item: SceneBody, poses: Poses) -> np.ndarray | None:
    """How far the wrist is off (frame, 3) [m] because hands are scaled about the middle of their posed vertices."""
    if poses.scale == 1.0:
        return None
    from warpprior.bodies.posing import posed_vertices

    plain = replace(poses, position=np.zeros_like(poses.position), scale=1.0)
    middle = posed_vertices(item.body, plain)[:, :VERTICES].astype(np.float64).mean(axis=1)
    return (poses.scale - 1.0) * middle


def _write_bundle(recording: Recording, bundle: Path, target: Path) -> str:
    """Copy a bundle with the poses of the recording in it; a sentence about what was changed."""
    arrays = _Arrays(bundle)
    recording.check_frames(arrays.count, arrays.path)
    new: dict[str, np.ndarray] = {}
    to_world, world = arrays.get("camera_to_world_transform", 4, 4), recording.world
    changed = []
    if world.noise is not None and world.camera is not None:
        to_world = new["camera_to_world_transform"] = world.camera.matrices()
        changed.append("the camera")
    for item in recording.scene.bodies:
        if item.known:
            continue
        valid = arrays.flag(f"{item.name}_is_valid")
        made = _object_arrays(arrays, item) if item.name == "object" else _hand_arrays(item)
        camera_key = "object_to_camera_transform" if item.name == "object" else f"{item.name}_wrist_to_camera_transform"
        made[camera_key.replace("_to_camera_", "_to_world_")] = to_world @ made[camera_key]
        for key, values in made.items():
            if key.endswith("_betas"):
                new[key] = values
            else:
                before = np.array(arrays.arrays[key])
                before[valid] = values[valid]
                new[key] = before
        changed.append(f"{item.name} in {int(valid.sum())} frames")
    for path in sorted(bundle.iterdir()):
        if path.name != RESULT_FILE and path.is_file():
            shutil.copyfile(inside(path, bundle), target / path.name)
    replace_arrays(arrays.path, target / RESULT_FILE, new)
    return f"{bundle.name}: {', '.join(changed) or 'nothing'} written; all else is as it was"


def _object_arrays(arrays: _Arrays, item: SceneBody) -> dict[str, np.ndarray]:
    valid = arrays.flag("object_is_valid")
    place = arrays.place("object_to_camera_transform")
    _, _, size = split_transforms(arrays.get("object_to_camera_transform", 4, 4), valid, place, [])
    poses = item.initial
    return {"object_to_camera_transform": transforms_of(poses.position, poses.rotation, size * poses.scale)}


def _hand_arrays(item: SceneBody) -> dict[str, np.ndarray]:
    """Arrays of a hand in the bundle's conventions."""
    from scipy.spatial.transform import Rotation

    side, poses, name = item.name.removeprefix("hand_"), item.initial, item.name
    hand = hand_of(item, mirrored=side == "left")
    flip = MIRROR if side == "left" else np.ones(3)
    shift = _centroid_shift(item, poses)
    orient = Rotation.from_quat(poses.rotation).as_rotvec() * flip
    moved = poses.position - hand.root(poses.shape) + (0.0 if shift is None else shift)
    return {
        f"{name}_betas": poses.shape,
        f"{name}_wrist_orient_in_camera": orient,
        f"{name}_wrist_trans_in_camera": moved,
        f"{name}_finger_pose": poses.joints.reshape(-1, 15, 3) * flip,
        f"{name}_scale": np.full(len(moved), poses.scale),
        f"{name}_wrist_to_camera_transform": transforms_of(moved, Rotation.from_rotvec(orient).as_quat()),
    }
