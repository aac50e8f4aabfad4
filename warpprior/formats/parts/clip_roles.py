"""What each file of a folder of loose outputs is: by its name, and by what is in it where that does not say."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from warpprior.bodies.readers.mesh import READERS as MESHES
from warpprior.formats.parts.hand_sources import OWN_FILES, kind_of_hands
from warpprior.formats.parts.intrinsics import read_intrinsics
from warpprior.formats.parts.mask_sources import mask_videos
from warpprior.formats.parts.own_files import inside
from warpprior.formats.parts.pictures import numbered
from warpprior.formats.parts.videos import VIDEOS
from warpprior.support.errors import InputError
from warpprior.support.files import MAX_BYTES, read_bytes
from warpprior.support.picture_headers import read_header

# Role, which is also the option that decides -> what it is called in messages.
ROLES: dict[str, str] = {
    "rgb": "colour pictures",
    "depth_images": "depth images",
    "masks": "masks",
    "intrinsics": "intrinsics",
    "object_poses": "poses of an object",
    "camera_poses": "poses of the camera",
    "mesh": "a mesh",
    "hand_keypoints": "keypoints of a hand",
    "hands": "hands of a network",
}
_DEPTH = 2  # folders down
_MOST = 20_000  # entries looked at, pictures of a folder counted once
_WORDS = {
    "rgb": ("rgb", "color", "colour", "image", "images", "frames", "extracted_images", "jpegimages", "img"),
    "depth_images": ("depth", "depths"),
    "masks": (
        "mask",
        "masks",
        "seg",
        "segmentation",
        "segmentations",
        "annotation",
        "annotations",
        "sam",
        "sam2",
        "rle",
    ),
    "intrinsics": ("k", "intrinsics", "intrinsic", "cam_k", "cameras", "calib", "calibration", "camera_info", "camera"),
    "camera_poses": ("camera", "cam", "camera_poses", "slam", "trajectory", "traj", "c2w", "odometry", "headset"),
    "object_poses": ("ob_in_cam", "pose", "poses", "object_poses", "object_pose", "obj_pose", "object_in_camera"),
    "hand_keypoints": ("hand", "hands", "keypoint", "keypoints", "joints", "landmarks", "kp3d", "kp2d"),
}
_DRAWN = {"overlay", "vis", "viz", "visualization", "render", "rendered", "debug", "grid", "depth", "preview", "result"}
_GENERIC = {"ob", "in", "cam", "object", "objects", "pose", "poses", "mesh", "meshes", "model", "models"}


@dataclass
class Roles:
    """Files and folders by role.

    Attributes:
        found: by role.
        names: of tracks of objects, where folders say them.
        unused: what has no role, below the folder.
    """

    found: dict[str, list[Path]] = field(default_factory=lambda: {role: [] for role in ROLES})
    names: dict[Path, str] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)


def find_roles(root: Path, given: Mapping[str, Any]) -> Roles:
    """The roles of what a folder holds.

    Args:
        root: the folder.
        given: by role, a path or paths that were named, below the folder or absolute; these are not guessed.

    Raises:
        InputError: what was named is not there, or a link leads out.
    """
    roles = Roles()
    decided = {}
    for role, value in given.items():
        paths = [value] if isinstance(value, Path) else list(value or ())
        decided[role] = [_named(root, path, role) for path in paths]
    _Scan(root, roles, {role for role, paths in decided.items() if paths}).folder(root, 0)
    for role in ("rgb", "masks"):  # a video beside its pictures is the same again
        folders = [path for path in roles.found[role] if path.is_dir()]
        if folders and len(folders) < len(roles.found[role]):
            roles.unused += [str(path.relative_to(root)) for path in roles.found[role] if path not in folders]
            roles.found[role] = folders
    for role, paths in decided.items():
        if paths:
            roles.found[role] = paths
            there = {os.path.relpath(path, root) for path in paths}
            roles.unused = [name for name in roles.unused if name not in there]
    for role, paths in decided.items():  # what was named for one role has no other
        for other, found in roles.found.items():
            if other != role and paths:
                roles.found[other] = [path for path in found if path not in paths or path in decided.get(other, ())]
    return roles


def holds_objects(path: Path) -> bool:
    """Is a path a folder with poses of an object and a mesh, so that hands in it are not all there is?"""
    if not path.is_dir():
        return False
    found = find_roles(path, {}).found
    return bool(found["object_poses"] and found["mesh"])


def _named(root: Path, path: Path, role: str) -> Path:
    whole = root / path
    if not whole.exists():
        raise InputError(f"--{role.replace('_', '-')}", f"{path} is not there", f"a path below {root}, or absolute")
    return whole


class _Scan:
    """Looks through a folder, and what is in it."""

    def __init__(self, root: Path, roles: Roles, decided: set[str]):
        self.root, self.roles, self.decided, self.left = root, roles, decided, _MOST

    def folder(self, folder: Path, depth: int) -> None:
        kind = kind_of_hands(folder) if depth == 0 else ""
        own = OWN_FILES.get(kind, ())
        if own:
            self._enter(folder, "hands")
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            raise InputError(str(folder), f"cannot be read ({error.strerror})", "a folder you may read") from None
        for entry in entries:
            self.left -= 1
            if entry.name.startswith((".", *own)) or self.left < 0:
                continue
            path = Path(entry.path)
            if entry.is_symlink():
                inside(path, self.root)
            if entry.is_dir():
                self._child(path, depth)
            elif entry.is_file():
                self._enter(path, self._role_of_file(path))

    def _child(self, path: Path, depth: int) -> None:
        pictures = numbered(path, root=self.root, strict=False)
        texts = numbered(path, (".txt", ".json"), root=self.root, strict=False)
        if not pictures and kind_of_hands(path):
            self._enter(path, "hands")
        elif pictures:
            self._enter(path, _word_role(path, ("depth_images", "masks", "rgb")) or _picture_role(pictures))
        elif len(texts) > 1 or (texts and _word_role(path, ("object_poses",))):
            is_camera = _word_role(path, ("object_poses", "camera_poses")) == "camera_poses"
            self._enter(path, "camera_poses" if is_camera else "object_poses")
        elif _word_role(path, ("masks",)) and (self._has_numbered(path) or mask_videos(path)):
            self._enter(path, "masks")
        elif depth < _DEPTH:
            self.folder(path, depth + 1)

    def _has_numbered(self, path: Path) -> bool:
        """Does one of its folders hold numbered pictures?"""
        return any(numbered(child, root=self.root, strict=False) for child in path.iterdir() if child.is_dir())

    def _enter(self, path: Path, role: str | None) -> None:
        if role is None or role in self.decided:
            self.roles.unused.append(str(path.relative_to(self.root)))
            return
        self.roles.found[role].append(path)
        if role == "object_poses":
            self.roles.names[path] = _object_name(path, self.root)

    def _role_of_file(self, path: Path) -> str | None:
        ending = path.suffix.lower()
        if ending in MESHES:
            return "mesh"
        if kind_of_hands(path):
            return "hands"
        if ending in VIDEOS:
            return None if _words(path) & _DRAWN else _word_role(path, ("masks",)) or "rgb"
        named = {
            ".txt": ("intrinsics", "object_poses", "camera_poses"),
            ".yaml": ("intrinsics",),
            ".yml": ("intrinsics",),
            ".json": ("masks", "hand_keypoints", "object_poses", "camera_poses", "intrinsics"),
            ".npy": ("masks", "hand_keypoints", "object_poses", "camera_poses"),
            ".npz": ("masks", "hand_keypoints"),
        }.get(ending)
        if named is None:
            return None
        role = _word_role(path, named)
        if ending == ".txt" and role in (None, "camera_poses", "intrinsics"):
            role = _role_of_text(path, role)
        if ending == ".json" and role in ("camera_poses", "intrinsics"):
            role = _role_of_json(path)
        return role


def _role_of_text(path: Path, named: str | None) -> str | None:
    """Of a text file: rows of 8 numbers are a trajectory, 9 numbers in all a matrix."""
    try:
        text = read_bytes(path, "a text file", limit=MAX_BYTES).decode("utf-8")
    except (InputError, UnicodeDecodeError):
        return None
    rows = [row for line in text.splitlines() if (row := line.partition("#")[0].split())]
    try:
        widths = [len([float(word.strip(",;[]")) for word in row if word.strip(",;[]")]) for row in rows[:20]]
    except ValueError:
        return "intrinsics" if named == "intrinsics" else None
    if widths and set(widths) == {8}:
        return (
            "camera_poses" if _word_role(path, ("object_poses", "camera_poses")) == "camera_poses" else "object_poses"
        )
    if sum(widths) == 9 and len(rows) <= 9:
        return "intrinsics"
    return named if named == "intrinsics" else None


def _role_of_json(path: Path) -> str | None:
    """Of JSON about a camera: its intrinsics, or its poses."""
    try:
        read_intrinsics(path)
    except InputError:
        return _word_role(path, ("camera_poses",)) or "intrinsics"
    return "intrinsics"


def _words(path: Path) -> set[str]:
    stem = path.stem.lower().replace("-", "_").replace(" ", "_")
    return {stem, *stem.split("_")}


def _word_role(path: Path, roles: Sequence[str]) -> str | None:
    """The first of the roles whose words are in a name."""
    words = _words(path)
    return next((role for role in roles if words & set(_WORDS[role])), None)


def _picture_role(pictures: Mapping[int, Path]) -> str | None:
    """Of a folder of pictures without a telling name: colours, 16-bit depth, or masks."""
    first = next(iter(pictures.values()))
    header = read_header(read_bytes(first, "a picture", limit=MAX_BYTES))
    if header is None:
        return None
    if header.format == "jpeg" or (header.channels >= 3 and not header.palette):
        return "rgb"
    return "depth_images" if header.bits == 16 else "masks"


def _object_name(path: Path, root: Path) -> str:
    """The name that a track's path suggests: its own without general words, else its folder's."""
    for part in (path, path.parent):
        if part == root:
            break
        words = [word for word in part.stem.replace("-", "_").split("_") if word.lower() not in _GENERIC]
        if words:
            return "_".join(words)
    return path.stem
