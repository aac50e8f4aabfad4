"""``egodex``: episodes of EgoDex: ``NUMBER.hdf5`` with joints in the world, ``NUMBER.mp4`` beside it.

``transforms/NAME`` (frame, 4, 4) are poses of 68 joints and of ``camera`` in ARKit's world, y up; the camera looks
along its z axis, x right and y down.  ``camera/intrinsic`` (3, 3); ``confidences/NAME`` (frame,), where there are any.
The pictures were made of several cameras, so that joints are some pixels off in them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from warpprior.bodies.hand_parts import FINGERS, KEYPOINT_NAMES
from warpprior.formats.format import Format
from warpprior.formats.parts.hands_alone import hands_recording
from warpprior.formats.parts.intrinsics import Intrinsics
from warpprior.formats.parts.motion import camera_path, complete, note_camera
from warpprior.formats.parts.own_files import inside
from warpprior.formats.parts.text_files import numbers
from warpprior.formats.parts.videos import VideoColors, VideoFrames, read_video
from warpprior.formats.parts.virtual_camera import points_into_camera
from warpprior.formats.recording import Recording
from warpprior.io.scene_file import FRAME_LIMIT
from warpprior.io.world import World
from warpprior.support.errors import InputError, MissingExtraError
from warpprior.support.limits import number
from warpprior.support.options import option

RATE = 30.0
SIGMA_M = 0.01
_HDF5 = b"\x89HDF\r\n\x1a\n"
_LOOK = 1 << 20  # bytes in which a file names its groups
_PARTS = ("Knuckle", "IntermediateBase", "IntermediateTip", "Tip")
_WORDS = {"thumb": "Thumb", **{finger: f"{finger.title()}Finger" for finger in FINGERS[1:]}, "pinky": "LittleFinger"}
_ACCEPTED = "give an episode of EgoDex: NUMBER.hdf5"


def joint_names(side: str) -> tuple[str, ...]:
    """Names of the joints that are our 21 keypoints, in our order."""
    names = tuple(f"{side}{_WORDS[finger]}{part}" for finger in FINGERS for part in _PARTS)
    return (f"{side}Hand", *names)


@dataclass(frozen=True)
class EgoDexOptions:
    """Options of ``egodex``."""

    least_confidence: float = option("joints that are less sure say nothing", number(0.0, 0.0, 1.0))
    without_video: bool = option("leave the video out", False)


class EgoDexFormat(Format):
    """Episodes of EgoDex."""

    name = "egodex"
    title = "an episode of EgoDex (NUMBER.hdf5, with its NUMBER.mp4)"
    reads = (
        "both hands as our own by 21 of their joints, with their confidences; the moving camera in the world, gravity, "
        "pictures of the video; extra `formats` (h5py), `cv` for the video"
    )
    verified = "files written by h5py in its layout; projections as others' readers make them; no genuine file ran here"
    Options = EgoDexOptions

    def recognises(self, path: Path) -> str:
        if not path.is_file() or path.suffix.lower() not in (".hdf5", ".h5"):
            return ""
        with open(path, "rb") as stream:
            start = stream.read(_LOOK)
        there = start.startswith(_HDF5) and b"transforms" in start and b"leftHand" in start
        return f"transforms of leftHand in {path.name}" if there else ""

    def read(self, source: Path, options: EgoDexOptions) -> Recording:
        return _read(source, options)


FORMAT = EgoDexFormat()


class _File:
    """An HDF5 file whose arrays are in it: nothing that it refers to elsewhere is followed."""

    def __init__(self, path: Path):
        try:
            h5py: Any = import_module("h5py")
        except ImportError as error:
            raise MissingExtraError("reading HDF5 files", "formats") from error
        self.path, self.h5py = path, h5py
        with open(path, "rb") as stream:
            if not stream.read(8) == _HDF5:
                raise InputError(str(path), "is no HDF5 file", _ACCEPTED)
        try:
            self.root = h5py.File(path, "r")
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(str(path), f"cannot be opened ({str(error)[:80]})", _ACCEPTED) from None

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *_: object) -> None:
        self.root.close()

    def array(self, name: str, shape: tuple[int | None, ...]) -> np.ndarray | None:
        """Numbers of that shape, float64, or None where there are none of that name.

        Raises:
            InputError: of another shape, too large, kept in another file, or damaged.
        """
        where = f"{self.path}: {name}"
        try:
            node: Any = self.root
            for part in name.split("/"):
                if part not in node:
                    return None
                if not isinstance(node.get(part, getlink=True), self.h5py.HardLink):
                    raise InputError(where, "refers to something elsewhere", "an array in the file itself")
                node = node[part]
            plain = isinstance(node, self.h5py.Dataset) and not node.external and not node.is_virtual
            if not plain or node.dtype.kind not in "fiu" or node.ndim != len(shape):
                raise InputError(where, "is no array of numbers of that form", _ACCEPTED)
            if node.size > 16 * FRAME_LIMIT:
                raise InputError(where, f"has {node.size} numbers", f"at most {FRAME_LIMIT} frames")
            return numbers(node[()], shape, where, finite=False)
        except InputError:
            raise
        except Exception as error:  # HDF5's own, of many kinds, on damaged files
            raise InputError(where, f"cannot be read ({str(error)[:80]})", _ACCEPTED) from None


def _read(source: Path, options: EgoDexOptions) -> Recording:
    notes: list[str] = []
    with _File(source) as file:
        poses = file.array("transforms/camera", (None, 4, 4))
        matrix = file.array("camera/intrinsic", (3, 3))
        if poses is None or matrix is None or not 1 <= len(poses) <= FRAME_LIMIT:
            raise InputError(str(source), "has no camera", _ACCEPTED)
        places, trust = _joints(file, len(poses), options.least_confidence)
    video = None if options.without_video else _video(source, notes)
    count = len(poses)
    if video is not None and video.count != count:
        count = min(count, video.count)
        notes.append(f"{video.path.name} has {video.count} frames, {source.name} {len(poses)}; {count} were taken")
    valid = complete(poses)
    path = camera_path(
        np.where(valid[:, None, None], poses, np.eye(4))[:count], valid[:count], f"{source}: camera", notes
    )
    if path is None:
        raise InputError(f"{source}: transforms/camera", "has a pose in no frame", "needs one at least")
    note_camera(path, notes)
    found = Intrinsics(matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2])
    size = (max(2, round(2 * found.cx)), max(2, round(2 * found.cy))) if video is None else video.size
    camera = found.camera(size, None, "camera/intrinsic", notes)
    deep = {}
    for side, values in places.items():
        whole = np.zeros((count, len(KEYPOINT_NAMES), 4))
        whole[..., :3] = points_into_camera(path, np.nan_to_num(values[:count]))
        whole[..., 3] = trust[side][:count]
        deep[side] = whole * (trust[side][:count, :, None] > 0.0)
    rate = RATE
    times = None
    if video is not None and (told := video.frame_rate()) is not None:
        rate, even = told
        times = None if even else video.times[:count]
        if not even:
            notes.append(f"{video.path.name}: its frames are not evenly spaced; its times were taken")
    name = f"{source.parent.name}_{source.stem}"
    world = World(path, np.array([0.0, -1.0, 0.0]))
    noise = {"keypoints3d": SIGMA_M}
    recording = hands_recording(name, camera, rate, {}, deep, notes, times=times, world=world, noise=noise)
    if video is None:
        return recording
    colors = VideoColors(VideoFrames(video), {frame: frame for frame in range(count)})
    return recording.with_scene(replace(recording.scene, read_rgb=colors))


def _joints(file: _File, count: int, least: float) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Places in the world (frame, 21, 3), NaN where there is none, and confidences (frame, 21), by side."""
    places, trust = {}, {}
    for side in ("left", "right"):
        where = np.full((count, len(KEYPOINT_NAMES), 3), np.nan)
        sure = np.ones((count, len(KEYPOINT_NAMES)))
        for row, name in enumerate(joint_names(side)):
            poses = file.array(f"transforms/{name}", (count, 4, 4))
            if poses is not None:
                where[:, row] = poses[:, :3, 3]
            stated = file.array(f"confidences/{name}", (count,))
            if stated is not None:
                sure[:, row] = np.clip(np.nan_to_num(stated), 0.0, 1.0)
        gone = ~np.isfinite(where).all(axis=2) | (np.abs(np.nan_to_num(where)).max(axis=2) > 1e4) | (sure < least)
        sure[gone] = 0.0
        places[side], trust[side] = where, sure
    return places, trust


def _video(source: Path, notes: list[str]):
    path = source.with_suffix(".mp4")
    if not path.is_file():
        notes.append(f"there is no {path.name} beside it: no pictures")
        return None
    return read_video(inside(path, source.parent))
