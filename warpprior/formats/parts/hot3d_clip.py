"""Clips of HOT3D: one tar archive of 150 frames, read in place; nothing of it is unpacked onto the disk."""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from warpprior.formats.parts.fisheye624 import NAME, fisheye624
from warpprior.formats.parts.hot3d_files import HandTrack, Hot3d, transform_of
from warpprior.formats.parts.text_files import entry, numbers
from warpprior.io.rectify import Rectifier
from warpprior.support.errors import InputError, reason_of

_MOST_MEMBERS, _MOST_BYTES = 20_000, 64 << 20
_STEP_NS = 1e9 / 30.0
_ACCEPTED = "give a clip of HOT3D: clip-NUMBER.tar"


@dataclass(frozen=True)
class Members:
    """Where each member of an archive lies in its file.

    Attributes:
        path: of the archive.
        places: start and size [bytes] by name.
    """

    path: Path
    places: dict[str, tuple[int, int]]

    @staticmethod
    def of(path: Path) -> Members:
        """The members of an uncompressed archive.

        Raises:
            InputError: damaged, or with far too many members.
        """
        places = {}
        try:
            with tarfile.open(path, "r:") as archive:
                for member in archive:
                    if member.isfile():
                        places[member.name.removeprefix("./")] = member.offset_data, member.size
                    if len(places) > _MOST_MEMBERS:
                        raise InputError(str(path), f"has more than {_MOST_MEMBERS} members", _ACCEPTED)
        except (tarfile.TarError, OSError, ValueError, EOFError, RecursionError) as error:
            raise InputError(str(path), f"is no tar archive: {reason_of(error)}", _ACCEPTED) from None
        return Members(path, places)

    def read(self, name: str) -> bytes:
        """The bytes of a member.

        Raises:
            InputError: it is not there, too large or cut off.
        """
        where = f"{self.path}: {name}"
        if name not in self.places:
            raise InputError(where, "is missing", _ACCEPTED)
        start, size = self.places[name]
        if size > _MOST_BYTES:
            raise InputError(where, f"has {size} bytes", f"at most {_MOST_BYTES} are read")
        with open(self.path, "rb") as stream:
            stream.seek(start)
            data = stream.read(size)
        if len(data) < size:
            raise InputError(where, "is cut off", _ACCEPTED)
        return data

    def tree(self, name: str) -> Any:
        """What a JSON member holds."""
        try:
            return json.loads(self.read(name))
        except (ValueError, RecursionError) as error:
            raise InputError(f"{self.path}: {name}", f"is not JSON: {reason_of(error)}", _ACCEPTED) from None


def is_clip(path: Path) -> bool:
    """Is a file a clip, by the name of its first member?"""
    if path.suffix.lower() != ".tar":
        return False
    try:
        with tarfile.open(path, "r:") as archive:
            first = archive.next()
        return first is not None and first.name.removeprefix("./")[:6].isdigit()
    except (tarfile.TarError, OSError, ValueError, EOFError):
        return False


@dataclass(frozen=True, eq=False)
class ClipPictures:
    """``Scene.read_rgb`` of a clip: pictures of one stream, rectified.

    Attributes:
        members: of the archive.
        names: member of each frame.
        lens: what rectifies them.
    """

    members: Members
    names: dict[int, str]
    lens: Rectifier

    def __call__(self, frame: int) -> np.ndarray | None:
        """Colour picture (height, width, 3) uint8 RGB of one frame, or None where there is none."""
        from warpprior.io.images import decode_image
        from warpprior.support.picture_headers import read_header

        name = self.names.get(frame)
        if name is None:
            return None
        where, data = f"{self.members.path}: {name}", self.members.read(name)
        header = read_header(data)
        seen = self.lens.seen_by
        if header is None or (header.width, header.height) != (seen.width, seen.height):
            raise InputError(where, "is no picture of its camera's size", f"{seen.width} x {seen.height}")
        return self.lens.linear(decode_image(header, data, where, color=True))


@dataclass(frozen=True, eq=False)
class ClipMasks:
    """Masks of one object in one stream, rectified; empty where the object is not seen.

    Attributes:
        members: of the archive.
        uid, stream: the object, and the stream.
        frames: names of the frames.
        lens: what rectifies them.
    """

    members: Members
    uid: str
    stream: str
    frames: list[str]
    lens: Rectifier

    def __call__(self, frame: int) -> np.ndarray | None:
        name = f"{self.frames[frame]}.objects.json"
        where = f"{self.members.path}: {name}"
        whole = np.zeros((self.lens.seen_by.height, self.lens.seen_by.width), dtype=bool)
        for one in instances(self.members.tree(name), self.uid, where):
            mask = _masks(one).get(self.stream)
            if mask is not None:
                whole |= decode_rows(mask, whole.shape, where)
        return self.lens.mask(whole)


def decode_rows(tree: Any, shape: tuple[int, int], where: str) -> np.ndarray:
    """A mask (height, width) bool of run lengths: starts from one on and lengths in turn, row by row."""
    size = tuple(int(numbers(entry(tree, key, where), (), where)) for key in ("height", "width"))
    if size != shape:
        raise InputError(where, f"has a mask of {size}", f"needs {shape}, as its camera has")
    runs = numbers(entry(tree, "rle", where), (None,), where) if len(entry(tree, "rle", where)) else np.zeros(0)
    if len(runs) % 2 or (runs < 0).any() or (runs > shape[0] * shape[1] + 1).any():
        raise InputError(where, "has run lengths that leave the picture", "pairs of a start and a length")
    mask = np.zeros(shape[0] * shape[1] + 1, dtype=np.int32)
    starts, lengths = runs[::2].astype(int) - 1, runs[1::2].astype(int)
    if len(starts) and (starts.min() < 0 or (starts + lengths).max() > len(mask) - 1):
        raise InputError(where, "has run lengths that leave the picture", "pairs of a start and a length")
    np.add.at(mask, starts, 1)
    np.add.at(mask, starts + lengths, -1)
    return (np.cumsum(mask)[:-1] > 0).reshape(shape)


def instances(tree: Any, uid: str, where: str) -> list[dict]:
    """Annotations of one object in one frame."""
    found = tree.get(uid, []) if isinstance(tree, dict) else None
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise InputError(where, "is no table of objects", _ACCEPTED)
    return found


def _masks(one: dict) -> dict:
    found = one.get("masks_modal") or one.get("masks_visible") or one.get("masks_amodal")
    return found if isinstance(found, dict) else {}


def read_clip(path: Path, stream: str | None, notes: list[str]) -> Hot3d:
    """A clip.

    Raises:
        InputError: damaged, or there is no such camera.
    """
    members = Members.of(path)
    frames = sorted(name.split(".", 1)[0] for name in members.places if name.endswith(".cameras.json"))
    if not frames:
        raise InputError(str(path), "has no cameras.json", _ACCEPTED)
    lens, chosen, cameras, times = None, stream, np.full((len(frames), 4, 4), np.nan), np.zeros(len(frames))
    for row, frame in enumerate(frames):
        where = f"{path}: {frame}.cameras.json"
        tree = members.tree(f"{frame}.cameras.json")
        if not isinstance(tree, dict) or not tree:
            raise InputError(where, "names no camera", _ACCEPTED)
        chosen = chosen or ("214-1" if "214-1" in tree else next(iter(tree)))
        if chosen not in tree:
            raise InputError(f"{where}: stream {chosen}", "there is none", f"one of {', '.join(map(str, tree))}"[:200])
        if lens is None:
            lens = _lens(entry(tree[chosen], "calibration", where), where)
            if stream is None and len(tree) > 1:
                notes.append(f"stream {chosen} was taken, of {', '.join(map(str, tree))}: --stream takes another")
        placed = tree[chosen].get("T_world_from_camera")
        if placed is not None:
            cameras[row] = transform_of(placed, where)
        times[row] = _time(members, frame, chosen, row)
    assert lens is not None and chosen is not None, "there are frames"
    objects, masked = _objects(members, frames, chosen)
    masks = {f"object_{uid}": ClipMasks(members, uid, chosen, frames, lens) for uid in sorted(masked)}
    names = {row: f"{frame}.image_{chosen}.jpg" for row, frame in enumerate(frames)}
    names = {row: name for row, name in names.items() if name in members.places}
    umetrack, mano = _hands(members, frames)
    betas, profile = _shapes(members)
    times = (times - times[0]) * 1e-9
    if not (np.diff(times) > 0.0).all():
        times = np.arange(len(frames)) * _STEP_NS * 1e-9
        notes.append("times do not increase: 30 frames per second were taken")
    pictures = ClipPictures(members, names, lens) if names else None
    notes.append(f"pictures of stream {chosen} are rectified from {NAME}")
    return Hot3d(path.stem, times, lens, cameras, objects, {}, umetrack, mano, betas, profile, masks, pictures)


def _lens(tree: Any, where: str) -> Rectifier:
    kind = str(entry(tree, "projection_model_type", where))
    if not kind.endswith(NAME):
        raise InputError(where, f"a camera of kind {kind[:40]}", f"{NAME}")
    width, height = (int(numbers(entry(tree, key, where), (), where)) for key in ("image_width", "image_height"))
    values = numbers(entry(tree, "projection_params", where), (None,), where)
    return fisheye624(values, width, height, where)


def _time(members: Members, frame: str, stream: str, row: int) -> float:
    name = f"{frame}.info.json"
    tree = members.tree(name) if name in members.places else {}
    stamps = tree.get("image_timestamps_ns") if isinstance(tree, dict) else None
    stamp = stamps.get(stream) if isinstance(stamps, dict) else None
    return float(stamp) if isinstance(stamp, int) and 0 <= stamp < 2**62 else row * _STEP_NS


def _objects(members: Members, frames: list[str], stream: str) -> tuple[dict[str, np.ndarray], set[str]]:
    """Poses (frame, 7) of objects by number, of several of one kind the first; and those with masks in the stream."""
    from scipy.spatial.transform import Rotation

    found: dict[str, np.ndarray] = {}
    masked = set()
    for row, frame in enumerate(frames):
        name = f"{frame}.objects.json"
        if name not in members.places:
            continue
        where, tree = f"{members.path}: {name}", members.tree(name)
        for uid in tree if isinstance(tree, dict) else []:
            several = instances(tree, uid, where)
            for one in several[:1]:
                matrix = transform_of(entry(one, "T_world_from_object", where), where)
                poses = found.setdefault(uid[:40], np.full((len(frames), 7), np.nan))
                poses[row] = [*matrix[:3, 3], *Rotation.from_matrix(matrix[:3, :3]).as_quat()]
            if any(_masks(one).get(stream) is not None for one in several):
                masked.add(uid)
    return found, masked & set(found)


def _hands(members: Members, frames: list[str]) -> tuple[dict[str, HandTrack], dict[str, HandTrack]]:
    """UmeTrack and MANO hands by side."""
    from scipy.spatial.transform import Rotation

    kinds = {"umetrack": 20, "mano": 15}
    made = {
        kind: {
            side: HandTrack(np.full((len(frames), 7), np.nan), np.zeros((len(frames), width)))
            for side in ("left", "right")
        }
        for kind, width in kinds.items()
    }
    for row, frame in enumerate(frames):
        name = f"{frame}.hands.json"
        tree = members.tree(name) if name in members.places else {}
        where = f"{members.path}: {name}"
        for side, hand in tree.items() if isinstance(tree, dict) else []:
            if side not in ("left", "right") or not isinstance(hand, dict):
                continue
            if "umetrack_pose" in hand:
                pose = hand["umetrack_pose"]
                track, matrix = made["umetrack"][side], numbers(entry(pose, "wrist_xform", where), (4, 4), where)
                matrix = matrix @ np.diag([np.sign(np.linalg.det(matrix[:3, :3])) or 1.0, 1.0, 1.0, 1.0])
                turn = Rotation.from_matrix(matrix[:3, :3]).as_quat()
                track.poses[row] = [*matrix[:3, 3], *turn]
                track.joints[row] = numbers(entry(pose, "joint_angles", where), (None,), where)[:20]
            if "mano_pose" in hand:
                pose, track = hand["mano_pose"], made["mano"][side]
                wrist = numbers(entry(pose, "wrist_xform", where), (6,), where)
                track.poses[row] = [*wrist[3:], *Rotation.from_rotvec(wrist[:3]).as_quat()]
                track.joints[row] = numbers(entry(pose, "thetas", where), (15,), where)
    return made["umetrack"], made["mano"]


def _shapes(members: Members) -> tuple[np.ndarray | None, dict | None]:
    """Shape of MANO, and the profile of the UmeTrack hands."""
    name = "__hand_shapes.json__"
    if name not in members.places:
        return None, None
    tree = members.tree(name)
    if not isinstance(tree, dict):
        raise InputError(f"{members.path}: {name}", "is no dictionary", _ACCEPTED)
    betas = numbers(tree["mano"], (10,), f"{members.path}: {name}: mano") if "mano" in tree else None
    profile = tree.get("umetrack")
    return betas, profile if isinstance(profile, dict) else None
