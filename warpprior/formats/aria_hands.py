"""``aria_hands``: hand tracking of Aria's machine perception services (hand_tracking_results.csv, version 2).

21 landmarks of each hand in the *device* frame, tips first and palm last; a confidence of -1 means that there is no
hand, whatever the other numbers are.  closed_loop_trajectory.csv near it gives the device's pose in the world,
quaternions x, y, z, w (facebookresearch/projectaria_tools, its sample).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from warpprior.bodies.hand_parts import KEYPOINT_NAMES
from warpprior.formats.format import Format, NoOptions
from warpprior.formats.parts.hands_alone import hands_recording
from warpprior.formats.parts.motion import camera_path, complete, note_camera, transforms_of
from warpprior.formats.parts.text_files import read_table
from warpprior.formats.recording import Recording
from warpprior.io.rotations import read_rotations
from warpprior.io.scene_file import FRAME_LIMIT
from warpprior.io.world import World
from warpprior.scene import Camera
from warpprior.support.errors import InputError

# Row of ours -> row of theirs; the first joint of the thumb and knuckles of fingers stand for themselves, the thumb's
# base is not among them.
_THUMB = {"thumb2": 6, "thumb3": 7, "thumb_tip": 0}
_FINGERS = {
    f"{finger}{part}": first + step
    for finger, first in (("index", 8), ("middle", 11), ("ring", 14), ("pinky", 17))
    for step, part in enumerate("123")
}
_TIPS = {f"{finger}_tip": row for row, finger in enumerate(("thumb", "index", "middle", "ring", "pinky"))}
ROWS = {"wrist": 5, **_THUMB, **_FINGERS, **_TIPS}
_STAMP = "tracking_timestamp_us"
_ACCEPTED = "give hand_tracking_results.csv of Aria MPS, with landmarks"
_NEAREST_M = 0.15  # of landmarks, in front of the camera
_NEAR_US = 20_000  # how far a pose of the device may be from a hand's time
# The device frame of Aria is that of its left SLAM camera: its pinhole stand-in, for pictures that are not read.
_CAMERA = Camera(640, 480, 240.0, 240.0, 320.0, 240.0)


class AriaHandsFormat(Format):
    """Hand tracking of Aria MPS."""

    name = "aria_hands"
    title = "hand tracking of Aria MPS (hand_tracking_results.csv, or its folder)"
    reads = (
        "both hands as our own, by landmarks in space; frames without one; poses of the device in the world, gravity"
    )
    verified = "files in its layout, with the columns of the genuine sample in its repository"

    def recognises(self, path: Path) -> str:
        file = _file(path)
        return file.name if file is not None else ""

    def read(self, source: Path, options: NoOptions) -> Recording:
        file = _file(source)
        if file is None:
            raise InputError(str(source), "holds no hand tracking results", _ACCEPTED)
        return _read(file)


def _file(path: Path) -> Path | None:
    names = "hand_tracking_results.csv", "hand_tracking/hand_tracking_results.csv", "hand_tracking_results_v2.csv"
    files = [path] if path.is_file() else [path / name for name in names]
    for file in files:
        if file.is_file() and file.suffix == ".csv":
            with open(file, "rb") as stream:
                if b"left_tracking_confidence" in stream.read(4096):
                    return file
    return None


def _read(file: Path) -> Recording:
    notes: list[str] = []
    rows = _table(file)
    stamps = np.array([int(row[_STAMP]) for row in rows], dtype=np.int64)
    if len(rows) < 2 or not (np.diff(stamps) > 0).all():
        raise InputError(str(file), f"{len(rows)} rows, or times that do not increase", "needs two rows at least")
    deep = {}
    for side in ("left", "right"):
        values = np.zeros((len(rows), len(KEYPOINT_NAMES), 4))
        for frame, row in enumerate(rows):
            trust = _number(row, f"{side}_tracking_confidence", file)
            if trust <= 0.0:
                continue
            for name, landmark in ROWS.items():
                place = [_number(row, key, file) for key in _columns(row, side, landmark, file)]
                values[frame, KEYPOINT_NAMES.index(name)] = [*place, min(trust, 1.0)]
        deep[side] = values
    back = _stand_back(deep)
    notes.append(f"a made-up camera looks along the z axis of the device, from {100 * back:.3g} cm behind it")
    world = _world(file, stamps, back, notes)
    times = 1e-6 * (stamps - stamps[0])
    fps = float(1.0 / np.median(np.diff(times)))
    return hands_recording(file.parent.name, _CAMERA, fps, {}, deep, notes, times=times, world=world)


def _stand_back(deep: dict[str, np.ndarray]) -> float:
    """Move all landmarks in front of a camera behind the device; how far it stands behind [m]."""
    seen = [values[..., 2][values[..., 3] > 0.0] for values in deep.values()]
    nearest = min((float(depths.min()) for depths in seen if len(depths)), default=_NEAREST_M)
    back = max(0.0, _NEAREST_M - nearest)
    for values in deep.values():
        values[..., 2] += back * (values[..., 3] > 0.0)
    return back


def _table(file: Path) -> list[dict[str, str]]:
    _, rows = read_table(file, "hand tracking of Aria")
    if not rows or _STAMP not in rows[0] or len(rows) > FRAME_LIMIT:
        raise InputError(str(file), "has no rows, or no times", _ACCEPTED)
    if not all((row.get(_STAMP) or "").isascii() and (row.get(_STAMP) or "").isdigit() for row in rows):
        raise InputError(f"{file}: {_STAMP}", "is not whole microseconds", _ACCEPTED)
    if not all(len(row[_STAMP]) < 19 for row in rows):
        raise InputError(f"{file}: {_STAMP}", "is too large", _ACCEPTED)
    return rows


def _columns(row: dict[str, str], side: str, landmark: int, file: Path) -> list[str]:
    found = [f"t{axis}_{side}_landmark_{landmark}_device" for axis in "xyz"]
    if set(found) <= set(row):
        return found
    raise InputError(str(file), f"has no landmark {landmark} of the {side} hand", _ACCEPTED)


def _number(row: dict[str, str], key: str, file: Path) -> float:
    try:
        value = float(row[key])
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{file}: {key}", "is missing or not a number", _ACCEPTED) from None
    if not abs(value) < 1e6:
        raise InputError(f"{file}: {key}", f"is {value}", "needs metres")
    return value


def _world(file: Path, stamps: np.ndarray, back: float, notes: list[str]) -> World:
    """Poses of the device at the times, of the trajectory near the file, and gravity."""
    places = (file.parent / "slam", file.parent, file.parent.parent / "slam", file.parent.parent)
    paths = (place / "closed_loop_trajectory.csv" for place in places)
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        notes.append("there is no closed_loop_trajectory.csv: the device is taken to stand")
        return World()
    rows = _table(path)
    names = [f"t{axis}_world_device" for axis in "xyz"] + [f"q{axis}_world_device" for axis in "xyzw"]
    own = np.array([int(row[_STAMP]) for row in rows], dtype=np.int64)
    order = np.argsort(own, kind="stable")
    own = own[order]
    after = np.clip(np.searchsorted(own, stamps), 1, len(own) - 1) if len(own) > 1 else np.zeros(len(stamps), dtype=int)
    before = np.maximum(after - 1, 0)
    nearest = np.where(np.abs(own[after] - stamps) < np.abs(own[before] - stamps), after, before)
    valid = np.abs(own[nearest] - stamps) <= _NEAR_US
    values = np.array([[_number(rows[order[row]], name, path) for name in names] for row in nearest])
    rotation = read_rotations(values[:, 3:], "device", str(path), notes)
    valid &= complete(rotation)
    matrices = transforms_of(values[:, :3], np.where(valid[:, None], rotation, [0.0, 0.0, 0.0, 1.0]))
    matrices[:, :3, 3] -= back * matrices[:, :3, 2]
    found = camera_path(matrices, valid, str(path), notes)
    note_camera(found, notes)
    keys = [f"gravity_{axis}_world" for axis in "xyz"]
    gravity = np.array([_number(rows[0], key, path) for key in keys]) if set(keys) <= set(rows[0]) else None
    length = 0.0 if gravity is None else float(np.linalg.norm(gravity))
    return World(found, gravity / length if gravity is not None and length > 1e-6 else None)


FORMAT = AriaHandsFormat()
