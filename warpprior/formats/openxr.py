"""``openxr``: recordings of hand joints in OpenXR's order, as programs save them; there is no one layout.

JSON, or a line of JSON for each frame: a time, and for each hand its joints by number or by name, with ``isActive``,
``locationFlags`` and poses where the program kept them; or arrays (frame, 26, 3 or 7) by hand, as ``hand_keypoints``
writes them.  Frames of reference are OpenXR's: metres, y up, z backward (KhronosGroup/OpenXR-Docs, its extension
XR_EXT_hand_tracking).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from warpprior.formats.format import Format
from warpprior.formats.parts.hands_alone import hands_recording
from warpprior.formats.parts.keypoints import ORDERS
from warpprior.formats.parts.openxr_frames import COUNT, XrHand, fill_frame, left_handed, of_array, told_side
from warpprior.formats.parts.text_files import JSON_LIMIT, numbers, read_json, read_text
from warpprior.formats.parts.virtual_camera import points_into_camera
from warpprior.formats.recording import Recording
from warpprior.io.scene_file import FRAME_LIMIT
from warpprior.io.standing_camera import standing_camera
from warpprior.io.world import CameraPath, World
from warpprior.support.errors import InputError
from warpprior.support.limits import number
from warpprior.support.npz import NpzArrays, read_npy
from warpprior.support.options import option

SIDES = ("left", "right")
KEYPOINTS = "hand_keypoints.npz"
SIGMA_M = 0.01
_FRAMES, _HANDS = ("frames", "samples", "data", "records"), ("hands", "handTracking", "hand_tracking")
_TIMES = (
    "timestamp",
    "time",
    "t",
    "times",
    "timestamps",
    "displayTime",
    "xr_time",
    "timestamp_ns",
    "time_ns",
    "time_s",
)
_WORD = ("handedness", "hand", "side", "name")
_ACCEPTED = "give a recording of hand joints in OpenXR's order, by frame"
_UNITS = (
    (1.0, 1.0, "seconds"),
    (1e3, 1e-3, "milliseconds"),
    (1e6, 1e-6, "microseconds"),
    (np.inf, 1e-9, "nanoseconds"),
)
_BYTES, _LOOK = 1 << 30, 64 << 20
# OpenXR's axes in a world whose z points up, in which a standing camera is chosen.
_Z_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])


@dataclass(frozen=True)
class OpenXrOptions:
    """Options of ``openxr``."""

    up: str = option("which axis points up (default: y, as OpenXR has it)", "y", choices=("y", "z"))
    axes: str | None = option(
        "handedness of the axes (default: by the quaternions): left for recordings of Unity", choices=("right", "left")
    )
    side: str | None = option("side of a hand that nothing in its file says", choices=("right", "left"))
    fps: float = option("frames per second, where there are no times", number(30.0, 0.01, 10_000.0))


class OpenXrFormat(Format):
    """Recordings of hand joints."""

    name = "openxr"
    title = "a recording of hand joints of OpenXR or WebXR: JSON by frame, JSON lines, npz, npy"
    reads = (
        "both hands as our own by 26 or 25 joints, by number or name; flags, missing frames, uneven times in any unit; "
        "left-handed axes are told by the quaternions; the world, gravity"
    )
    verified = (
        "files written by the tests in the order and with the axes of the specification; what hand_keypoints writes"
    )
    Options = OpenXrOptions

    def recognises(self, path: Path) -> str:
        if not path.is_file() or path.suffix.lower() not in (".json", ".jsonl", ".npz"):
            return ""
        if path.suffix.lower() == ".npz":
            arrays = NpzArrays(path, "joints", _ACCEPTED, limit=_BYTES, unpacked=_LOOK)
            named = (name for name in arrays if any(word in name.lower() for word in ("openxr", "webxr", *SIDES)))
            return next((f"{name} in {path.name}" for name in named if _are_joints(arrays[name])), "")
        with open(path, "rb") as stream:
            start = stream.read(1 << 16).lower()
        marks = (
            b"xr_hand_joint_",
            b"jointlocations",
            b"index-finger-tip",
            b"index_metacarpal",
            b"index-finger-metacarpal",
        )
        return next((f"{mark.decode()} in {path.name}" for mark in marks if mark in start), "")

    def read(self, source: Path, options: OpenXrOptions) -> Recording:
        notes: list[str] = []
        ending = source.suffix.lower()
        if ending in (".npz", ".npy"):
            hands, times, up = _of_arrays(source, options)
        else:
            frames = _lines(source) if ending == ".jsonl" else _listed(source)
            hands, times = _of_frames(source, frames)
            up = options.up
        return _recording(source, hands, times, up, options, notes)


FORMAT = OpenXrFormat()


def _lines(source: Path) -> list[Any]:
    rows = []
    for row, line in enumerate(read_text(source, "a recording of hand joints").splitlines()):
        if line.strip():
            try:
                rows.append(json.loads(line))
            except (ValueError, RecursionError):
                raise InputError(f"{source}: line {row + 1}", "is not JSON", _ACCEPTED) from None
    return rows


def _listed(source: Path) -> list[Any]:
    tree = read_json(source, "a recording of hand joints", limit=JSON_LIMIT)
    if isinstance(tree, dict):
        tree = next((tree[key] for key in _FRAMES if key in tree), tree)
    if not isinstance(tree, list):
        raise InputError(str(source), "is no list of frames", _ACCEPTED)
    return tree


def _of_frames(source: Path, frames: list[Any]) -> tuple[dict[str, XrHand], np.ndarray | None]:
    """Hands by side, and times as they are stored."""
    if not 1 <= len(frames) <= FRAME_LIMIT:
        raise InputError(str(source), f"has {len(frames)} frames", f"1 to {FRAME_LIMIT}")
    hands = {side: XrHand.empty(len(frames)) for side in SIDES}
    times = np.full(len(frames), np.nan)
    for row, frame in enumerate(frames):
        where = f"{source}: frame {row}"
        if frame is None:
            continue
        if not isinstance(frame, dict):
            raise InputError(where, f"is a {type(frame).__name__}", _ACCEPTED)
        stamp = next((frame[key] for key in _TIMES if key in frame), None)
        if isinstance(stamp, (int, float)) and not isinstance(stamp, bool) and abs(stamp) < 1e19:
            times[row] = float(stamp)
        for side, node in _sides(frame, where):
            fill_frame(hands[side], row, node, where)
    return hands, times if np.isfinite(times).all() else None


def _sides(frame: Mapping[str, Any], where: str) -> list[tuple[str, Any]]:
    """Hands of a frame, by side."""
    inner = next((frame[key] for key in _HANDS if key in frame), frame)
    if isinstance(inner, list):
        found = []
        for hand in inner:
            word = next((hand[key] for key in _WORD if key in hand), None) if isinstance(hand, dict) else None
            side = next((side for side in SIDES if isinstance(word, str) and side in word.lower()), None)
            if side is None:
                raise InputError(where, "has a hand that is neither left nor right", _ACCEPTED)
            found.append((side, hand))
        return found
    if not isinstance(inner, dict):
        return []
    return [(side, inner[key]) for key in inner for side in SIDES if side in str(key).lower().replace("-", "_")]


def _of_arrays(source: Path, options: OpenXrOptions) -> tuple[dict[str, XrHand], np.ndarray | None, str]:
    """Hands by side, times and which axis points up, of arrays by name."""
    if source.suffix.lower() == ".npy":
        arrays: Mapping[str, np.ndarray] = {source.stem: read_npy(source, "joints", _ACCEPTED, limit=_BYTES)}
    else:
        arrays = NpzArrays(source, "joints", _ACCEPTED, limit=_BYTES, unpacked=_BYTES)
    hands: dict[str, XrHand] = {}
    ours = any(name.endswith("/openxr26") for name in arrays)
    for name in arrays:
        text = name.lower()
        if text.endswith("valid") or (ours and not text.endswith("openxr26")) or not _are_joints(arrays[name]):
            continue
        hand = of_array(arrays[name], f"{source}: {name}")
        side = next((side for side in SIDES if side in text), None)
        if side is None and (side := told_side(hand) or options.side) is None:
            raise InputError(f"{source}: {name}", "does not say which hand it is", "--side right or left")
        if side in hands:
            continue  # the same hand in another form
        hands[side] = hand
        stem = text.rpartition("/")[0] or side
        flags = next((arrays[key] for key in arrays if key.lower().endswith("valid") and stem in key.lower()), None)
        if flags is not None and flags.shape == (len(hand.places),) and flags.dtype.kind in "biu":
            hand.places[~flags.astype(bool)] = np.nan
    if not hands:
        raise InputError(str(source), "has no joints of a left or a right hand", _ACCEPTED)
    counts = {len(hand.places) for hand in hands.values()}
    if len(counts) != 1 or not 1 <= min(counts) <= FRAME_LIMIT:
        raise InputError(str(source), f"has hands of {sorted(counts)} frames", "as many of each")
    (count,) = counts
    stored = next((arrays[key] for key in arrays if key in _TIMES), None)
    times = None if stored is None else numbers(np.ravel(stored), (count,), f"{source}: times")
    return hands, times, "z" if ours else options.up


def _are_joints(values: np.ndarray) -> bool:
    return values.ndim == 3 and values.shape[1] in (COUNT, COUNT - 1) and values.shape[2] >= 3


def _recording(
    source: Path,
    hands: dict[str, XrHand],
    times: np.ndarray | None,
    up: str,
    options: OpenXrOptions,
    notes: list[str],
) -> Recording:
    count = len(next(iter(hands.values())).places)
    rows = np.arange(count)
    if times is not None:
        times, rows = _seconds(source, times, notes)
    told = left_handed(hands)
    flip = options.axes == "left" if options.axes is not None else told is not None and told[0]
    places = {side: hand.places[rows] * ([1.0, 1.0, -1.0] if flip else 1.0) for side, hand in hands.items()}
    if flip:
        by = f", by its quaternions (cosine {told[1]:.2g})" if told is not None and options.axes is None else ""
        notes.append(f"{source.name}: its axes are left-handed, as Unity's{by}; z was turned round")
    seen = np.concatenate([values.reshape(-1, 3) for values in places.values()])
    seen = seen[np.isfinite(seen).all(axis=1)]
    if not len(seen):
        raise InputError(str(source), "has no joint in any frame", _ACCEPTED)
    level = _Z_UP if up == "y" else np.eye(3)
    camera, stand = standing_camera(seen @ level.T, len(rows))
    path = _turned(stand, level.T)
    deep = {}
    for side, values in places.items():
        found = np.zeros((len(rows), 21, 4))
        ours = points_into_camera(path, values[:, list(ORDERS["openxr"])])
        there = np.isfinite(ours).all(axis=2)
        found[there, :3], found[there, 3] = ours[there], 1.0
        deep[side] = found
    notes.append("there is no camera: one was made up that stands and sees everything")
    rate = options.fps if times is None else _rate(times)
    if times is None:
        notes.append(f"frame rate: {rate:g} per second, which the file does not say")
    gravity = np.array([0.0, -1.0, 0.0]) if up == "y" else np.array([0.0, 0.0, -1.0])
    noise = {"keypoints3d": SIGMA_M}
    stamps = times if times is not None and len(times) > 1 else None
    return hands_recording(
        source.stem, camera, rate, {}, deep, notes, times=stamps, world=World(path, gravity), noise=noise
    )


def _seconds(source: Path, stored: np.ndarray, notes: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Times from the first frame [s] that increase, and the frames that have one."""
    rows = np.flatnonzero(np.concatenate([[True], stored[1:] > np.maximum.accumulate(stored)[:-1]]))
    if len(rows) < len(stored):
        notes.append(f"{source.name}: {len(stored) - len(rows)} frames whose times do not increase were left out")
    steps = np.diff(stored[rows])
    usual = float(np.median(steps)) if len(steps) else 1.0
    unit, word = next((unit, word) for most, unit, word in _UNITS if usual < most)
    if word != "seconds":
        notes.append(f"{source.name}: times are taken for {word}, for frames are {usual:.4g} apart (median)")
    return (stored[rows] - stored[rows[0]]) * unit, rows


def _rate(times: np.ndarray) -> float:
    usual = float(np.median(np.diff(times))) if len(times) > 1 else 1.0 / 30.0
    return float(np.clip(1.0 / usual, 0.01, 10_000.0))


def _turned(path: CameraPath, turn: np.ndarray) -> CameraPath:
    """Poses of a camera in a world that is turned."""
    from scipy.spatial.transform import Rotation

    rotation = (Rotation.from_matrix(turn) * Rotation.from_quat(path.rotation)).as_quat()
    return CameraPath(path.position @ turn.T, rotation)
