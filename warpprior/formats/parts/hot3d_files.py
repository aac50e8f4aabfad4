"""The raw layout of HOT3D: tables of poses by time, jsonl of hands, calibrations of cameras."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from warpprior.formats.parts.fisheye624 import NAME, fisheye624
from warpprior.formats.parts.motion import complete, transforms_of
from warpprior.formats.parts.own_files import inside
from warpprior.formats.parts.pictures import label_images
from warpprior.formats.parts.text_files import entry, numbers, read_json, read_table, read_text
from warpprior.io.rectify import Rectifier
from warpprior.io.rotations import read_rotations
from warpprior.io.scene_file import FRAME_LIMIT
from warpprior.scene import SceneBody
from warpprior.support.errors import InputError
from warpprior.support.wording import frame_list

POSE = ("t_wo_x[m]", "t_wo_y[m]", "t_wo_z[m]", "q_wo_w", "q_wo_x", "q_wo_y", "q_wo_z")
SIDES = {"0": "left", "1": "right"}
_LEAST_FPS, _USUAL_FPS = 0.1, 30.0


@dataclass(frozen=True, eq=False)
class HandTrack:
    """Poses of one hand's wrist in the world (frame, 7), xyzw, NaN for none; and joints (frame, n)."""

    poses: np.ndarray
    joints: np.ndarray


@dataclass(frozen=True, eq=False)
class Hot3d:
    """One recording as its files have it.

    Attributes:
        name: of the recording.
        times: of the frames (frame,) [s], from zero on.
        lens: what rectifies pictures of the chosen camera.
        world_from_camera: (frame, 4, 4), NaN for none.
        objects: poses in the world (frame, 7), xyzw, NaN for none, by number of the object.
        names: of objects, where they are known.
        umetrack, mano: hands by side.
        betas: of MANO, for both hands (10,); None where they are not told.
        profile: of the UmeTrack hands, a file or what was in it.
        masks: of objects by their names: of each frame a mask (height, width) bool as the pinhole camera has it.
        pictures: ``Scene.read_rgb``.
    """

    name: str
    times: np.ndarray
    lens: Rectifier
    world_from_camera: np.ndarray
    objects: dict[str, np.ndarray]
    names: dict[str, str]
    umetrack: dict[str, HandTrack]
    mano: dict[str, HandTrack]
    betas: np.ndarray | None
    profile: Path | dict | None
    masks: Mapping[str, Callable[[int], np.ndarray | None]] = field(default_factory=dict)
    pictures: Callable[[int], np.ndarray | None] | None = None

    @property
    def fps(self) -> float:
        """Of the usual step."""
        if len(self.times) < 2:
            return _USUAL_FPS
        return max(_LEAST_FPS, 1.0 / float(np.median(np.diff(self.times))))

    def mesh_names(self, uid: str) -> tuple[str, ...]:
        """Files that an object's mesh may be in."""
        short = (f"obj_{int(uid):06d}.glb",) if len(uid) <= 6 else ()
        return (f"{uid}.glb", *short)

    def labels(self, bodies: Sequence[SceneBody], notes: list[str]) -> np.ndarray | None:
        """Label images of the masks."""
        found = {item.label: self.masks[item.name] for item in bodies if item.name in self.masks}
        names = {item.label: item.name for item in bodies}
        return label_images(found, len(self.times), self.lens.camera, names, self.name, notes, rectifier=self.lens)


def read_folder(folder: Path, stream: str | None, notes: list[str]) -> Hot3d:
    """A recording in the raw layout.

    Raises:
        InputError: a file is missing or damaged, or there is no such camera.
    """
    headset = read_pose_table(folder / "headset_trajectory.csv")
    if len(headset) != 1:
        raise InputError(str(folder / "headset_trajectory.csv"), f"has poses of {len(headset)} things", "one headset")
    ((_, device),) = headset.items()
    lens, device_from_camera, chosen = read_camera(folder, stream, notes)
    stamps = _times_of(folder, chosen, device)
    if len(stamps) > FRAME_LIMIT:
        raise InputError(str(folder), f"has {len(stamps)} frames", f"at most {FRAME_LIMIT} are read")
    rows = {stamp: row for row, stamp in enumerate(stamps)}
    poses = _table(device, rows, f"{folder}: headset", notes)
    objects = {
        uid: _table(found, rows, f"{folder / 'dynamic_objects.csv'}: {uid}", notes)
        for uid, found in read_pose_table(folder / "dynamic_objects.csv").items()
    }
    umetrack = _hands(folder / "umetrack_hand_pose_trajectory.jsonl", rows, "joint_angles", 22, notes)[0]
    mano, betas = _hands(folder / "mano_hand_pose_trajectory.jsonl", rows, "pose", 15, notes)
    _leave_out(folder, rows, objects, (umetrack, mano), notes)
    profile = folder / "umetrack_hand_user_profile.json"
    if (folder / "recording.vrs").exists():
        notes.append("recording.vrs: pictures in VRS files are not read")
    return Hot3d(
        folder.absolute().name,
        1e-9 * (np.array(stamps, dtype=np.int64) - stamps[0]),
        lens,
        matrices_of(poses) @ device_from_camera,
        objects,
        _names(folder),
        umetrack,
        mano,
        betas,
        inside(profile, folder) if profile.is_file() else None,
    )


def frame_stamps(folder: Path, stream: str | None) -> list[int]:
    """Times [ns] of the frames of a recording in the raw layout."""
    ((_, device),) = read_pose_table(folder / "headset_trajectory.csv").items()
    return _times_of(folder, read_camera(folder, stream, [])[2], device)


def _times_of(folder: Path, stream: str, device: Mapping[int, np.ndarray]) -> list[int]:
    """Times of the headset's poses at which the stream has a picture: streams of Aria differ by less than a ms."""
    path = inside(folder / "masks" / "mask_headset_pose_available.csv", folder)
    if not path.is_file():
        return sorted(device)
    _, rows = read_table(path, "a table of good frames")
    seen = {str(row.get("timestamp[ns]")) for row in rows if row.get("stream_id") == stream}
    return sorted(stamp for stamp in device if str(stamp) in seen) or sorted(device)


def matrices_of(poses: np.ndarray) -> np.ndarray:
    """Transforms (frame, 4, 4) of poses (frame, 7), NaN for none."""
    valid = complete(poses)
    matrices = np.full((len(poses), 4, 4), np.nan)
    matrices[valid] = transforms_of(poses[valid, :3], poses[valid, 3:])
    return matrices


def read_pose_table(path: Path) -> dict[str, dict[int, np.ndarray]]:
    """Poses (7,), quaternions w first, by thing and time [ns], of a table with a head.

    Raises:
        InputError: damaged, or without the columns.
    """
    found: dict[str, dict[int, np.ndarray]] = {}
    names, rows = read_table(inside(path, path.parent), "a table of poses")
    wanted = "object_uid", "timestamp[ns]", *POSE
    if not set(wanted) <= set(names):
        raise InputError(str(path), "has not all columns", f"needs {', '.join(wanted)}")
    for line, row in enumerate(rows, start=2):
        try:
            stamp = int(row["timestamp[ns]"])
            values = np.array([float(row[key]) for key in POSE])
        except (TypeError, ValueError):
            raise InputError(f"{path}: line {line}", "is not numbers", "needs a time and seven numbers") from None
        if not -(2**62) < stamp < 2**62:
            raise InputError(f"{path}: line {line}", f"the time {stamp}", "needs nanoseconds")
        found.setdefault(str(row["object_uid"])[:40], {})[stamp] = values
    if not found:
        raise InputError(str(path), "has no rows", "needs poses")
    return found


def _table(found: Mapping[int, np.ndarray], rows: Mapping[int, int], where: str, notes: list[str]) -> np.ndarray:
    """Poses (frame, 7), xyzw, NaN for none, of poses by time."""
    poses = np.full((len(rows), 7), np.nan)
    strange = 0
    for stamp, values in found.items():
        row = rows.get(stamp)
        strange += row is None
        if row is not None and np.isfinite(values).all():
            poses[row] = values
    if strange == len(found):
        raise InputError(where, "has poses at no time of the headset's", "times in nanoseconds of one clock")
    poses[:, 3:] = read_rotations(poses[:, [4, 5, 6, 3]], where, where, notes)
    poses[~complete(poses)] = np.nan
    return poses


def _hands(
    path: Path, rows: Mapping[int, int], key: str, width: int, notes: list[str]
) -> tuple[dict[str, HandTrack], np.ndarray | None]:
    """Hands by side, and the shape."""
    found: dict[str, HandTrack] = {}
    betas = None
    if not path.is_file():
        return found, betas
    poses = {side: {} for side in SIDES.values()}
    joints = {side: np.zeros((len(rows), width)) for side in SIDES.values()}
    for line, text in enumerate(read_text(inside(path, path.parent), "poses of hands").splitlines(), start=1):
        where = f"{path}: line {line}"
        if not text.strip():
            continue
        try:
            tree = json.loads(text)
        except (ValueError, RecursionError):
            raise InputError(where, "is not JSON", "needs one object a line") from None
        stamp = entry(tree, "timestamp_ns", where)
        row = rows.get(stamp) if isinstance(stamp, int) else None
        hands = entry(tree, "hand_poses", where)
        if row is None or not isinstance(hands, dict):
            continue
        for index, side in SIDES.items():
            hand = hands.get(index)
            if not isinstance(hand, dict):
                continue
            wrist = entry(hand, "wrist_xform", where)
            place, turn = (numbers(entry(wrist, name, where), (n,), where) for name, n in (("t_xyz", 3), ("q_wxyz", 4)))
            poses[side][stamp] = np.concatenate([place, turn])
            joints[side][row] = numbers(entry(hand, key, where), (width,), where)
            if "betas" in hand:
                betas = numbers(hand["betas"], (10,), where)
    for side, stamped in poses.items():
        if stamped:
            found[side] = HandTrack(_table(stamped, rows, f"{path}: {side}", notes), joints[side])
    return found, betas


def _leave_out(folder: Path, rows: Mapping[int, int], objects, hands, notes: list[str]) -> None:
    """Poses that masks say are not available become missing."""
    for file, tracks in (
        ("mask_object_pose_available.csv", [*objects.values()]),
        ("mask_hand_pose_available.csv", [track.poses for side in hands for track in side.values()]),
    ):
        path = inside(folder / "masks" / file, folder)
        if not path.is_file():
            continue
        bad = set()
        for row in read_table(path, "a table of good frames")[1]:
            stamp = str(row.get("timestamp[ns]") or "")
            if str(row.get("mask")).strip().lower() == "false" and stamp.isascii() and stamp.isdigit():
                bad.add(rows.get(int(stamp[:19])))
        frames = sorted(bad - {None})  # type: ignore[type-var]
        for poses in tracks:
            poses[frames] = np.nan
        if frames:
            notes.append(f"{file}: poses in {frame_list(np.array(frames))} were left out")


def read_camera(folder: Path, stream: str | None, notes: list[str]) -> tuple[Rectifier, np.ndarray, str]:
    """Lens, device_from_camera (4, 4) and name of the chosen stream: of camera_models.json or Aria's calibration."""
    file, online = folder / "camera_models.json", folder / "mps" / "slam" / "online_calibration.jsonl"
    online = inside(online, folder)
    cameras = _quest_cameras(file) if file.is_file() else _aria_cameras(online) if online.is_file() else {}
    if not cameras:
        raise InputError(str(folder), "has no calibration of cameras", f"needs {file.name}, or {online.name} of Aria")
    chosen = stream or next(iter(cameras))
    if chosen not in cameras:
        raise InputError(f"{folder}: stream {chosen}", "there is none", f"one of {', '.join(cameras)}")
    if stream is None and len(cameras) > 1:
        notes.append(f"stream {chosen} was taken, of {', '.join(cameras)}: --stream takes another")
    return (*cameras[chosen], chosen)


def _quest_cameras(path: Path) -> dict[str, tuple[Rectifier, np.ndarray]]:
    tree = read_json(inside(path, path.parent), "models of cameras", limit=16 << 20)
    found = {}
    for one in tree if isinstance(tree, list) else []:
        where = f"{path}: {str(one.get('stream_id') if isinstance(one, dict) else '')[:20]}"
        if not str(entry(one, "projectionModelType", where)).endswith(NAME):
            continue
        width, height = (int(numbers(entry(one, key, where), (), where)) for key in ("imageWidth", "imageHeight"))
        values = numbers(entry(one, "projectionParams", where), (None,), where)
        placed = transform_of(entry(one, "T_Device_Camera", where), where)
        found[str(entry(one, "stream_id", where))] = fisheye624(values, width, height, where), placed
    return found


_ARIA = {
    "camera-rgb": ("214-1", 1408, 1408),
    "camera-slam-left": ("1201-1", 640, 480),
    "camera-slam-right": ("1201-2", 640, 480),
}


def _aria_cameras(path: Path) -> dict[str, tuple[Rectifier, np.ndarray]]:
    line = read_text(path, "a calibration of Aria", limit=1 << 30).split("\n", 1)[0]
    try:
        tree = json.loads(line)
    except (ValueError, RecursionError):
        raise InputError(str(path), "is not JSON", "needs one object a line") from None
    found = {}
    for one in entry(tree, "CameraCalibrations", str(path)):
        where = f"{path}: {str(one.get('Label') if isinstance(one, dict) else '')[:20]}"
        label = entry(one, "Label", where)
        if label not in _ARIA:
            continue
        name, width, height = _ARIA[label]
        projection = entry(one, "Projection", where)
        placed = entry(one, "T_Device_Camera", where)
        real, rest = entry(placed, "UnitQuaternion", where)
        plain = {"quaternion_wxyz": [real, *rest], "translation_xyz": entry(placed, "Translation", where)}
        values = numbers(entry(projection, "Params", where), (None,), where)
        found[name] = fisheye624(values, width, height, where), transform_of(plain, where)
    return dict(sorted(found.items(), key=lambda item: item[0] != "214-1"))


def transform_of(tree: Any, where: str) -> np.ndarray:
    """A transform (4, 4) of ``quaternion_wxyz`` and ``translation_xyz``."""
    turn = numbers(entry(tree, "quaternion_wxyz", where), (4,), where)
    place = numbers(entry(tree, "translation_xyz", where), (3,), where)
    rotation = read_rotations(turn[None, [1, 2, 3, 0]], where, where, [])
    if not np.isfinite(rotation).all():
        raise InputError(where, "has a quaternion of zeros", "needs a rotation")
    return matrices_of(np.concatenate([place[None], rotation], axis=1))[0]


def _names(folder: Path) -> dict[str, str]:
    """Names of objects by number, of the library's instance.json near the recording."""
    for place in folder.absolute().parents[:3]:
        path = place / "object_library" / "instance.json"
        if path.is_file():
            tree = read_json(inside(path, path.parent), "names of objects", limit=16 << 20)
            rows = tree.items() if isinstance(tree, dict) else ()
            named = {key: one.get("instance_name") for key, one in rows if isinstance(one, dict)}
            return {str(key): name for key, name in named.items() if isinstance(name, str) and name.isidentifier()}
    return {}
