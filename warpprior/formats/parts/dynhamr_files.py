"""Results of Dyn-HaMR: ``*_world_results.npz``, and ``track_info.json`` in the folder of its run.

``trans``, ``root_orient`` (track, frame, 3), ``pose_body`` (track, frame, 45 or 15, 3), ``betas`` (track, 10),
``is_right`` (track, frame), ``cam_R`` and ``cam_t`` world to camera, ``intrins`` fx, fy, cx, cy
(dyn-hamr/optim/output.py).  Hands are right hands of MANO in the world; a left one is mirrored in x *after* it was
put into the world (dyn-hamr/body_model/utils.py), so that its place and its turn are mirrored, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from warpprior.formats.parts.motion import camera_path
from warpprior.formats.parts.own_files import inside
from warpprior.formats.parts.text_files import numbers, read_json
from warpprior.formats.parts.world_hands import HandTrack, WorldHands
from warpprior.io.scene_file import FRAME_LIMIT
from warpprior.support.errors import InputError
from warpprior.support.npz import NpzArrays

ENDING = "_world_results.npz"
KEYS = ("trans", "root_orient", "pose_body", "cam_R", "cam_t")
_STAGES = ("prior", "smooth_fit", "root_fit", "init")  # the last one first
_MOST_TRACKS = 32
_BYTES = 1 << 30
_ACCEPTED = "give a run of Dyn-HaMR, or its *_world_results.npz"


def dynhamr_file(path: Path) -> Path | None:
    """The results of the last stage that a path stands for: the file, or one in a folder or its stages."""
    if path.is_file():
        return path if path.suffix.lower() == ".npz" and _is_result(path) else None
    for place in (path, *(path / stage for stage in _STAGES)):
        found = sorted(file for file in place.glob(f"*{ENDING}") if "_init_" not in file.name) if place.is_dir() else []
        if found and _is_result(inside(found[-1], path)):
            return found[-1]
    return None


def _is_result(path: Path) -> bool:
    try:
        return set(KEYS) <= set(_open(path))
    except InputError:
        return path.name.endswith(ENDING)  # damaged: that is said when it is read


def _open(path: Path) -> NpzArrays:
    return NpzArrays(path, "results of Dyn-HaMR", _ACCEPTED, limit=_BYTES, unpacked=_BYTES)


def read_dynhamr(path: Path) -> WorldHands:
    """A run, or the results in one file.

    Raises:
        InputError: there are none, or they are damaged.
    """
    file = dynhamr_file(path)
    if file is None:
        raise InputError(str(path), "holds no results of Dyn-HaMR", _ACCEPTED)
    arrays = _open(file)
    notes = [f"{file.name}: hands in the world, left ones as mirror images of right ones, the camera beside them"]
    trans = numbers(_of(arrays, "trans", file), (None, None, 3), f"{file}: trans", finite=False)
    tracks, count = trans.shape[:2]
    if not (1 <= tracks <= _MOST_TRACKS and 1 <= count <= FRAME_LIMIT):
        raise InputError(f"{file}: trans", f"has shape {trans.shape}", "needs (track, frame, 3)")
    orient = _shaped(arrays, "root_orient", (tracks, count, 3), file)
    joints = _shaped(arrays, "pose_body", (tracks, count, 45), file)
    right = _sides(arrays, tracks, count, file, notes)
    shapes = _shapes(arrays, tracks, count, file)
    seen, begin = _track_info(file, tracks, count, notes)
    found: dict[str, HandTrack] = {}
    for track in sorted(range(tracks), key=lambda track: -int(seen[track].sum())):
        side = "right" if right[track] else "left"
        if side in found:
            notes.append(f"{file.name}: track {track} is a second {side} hand; the one that is seen longer was taken")
            continue
        valid = seen[track] & np.isfinite(trans[track]).all(axis=1) & np.isfinite(orient[track]).all(axis=1)
        valid &= np.isfinite(joints[track]).all(axis=1) & np.isfinite(shapes[track]).all(axis=1)
        none = np.zeros(count, dtype=bool)
        values = (orient[track], joints[track], trans[track], shapes[track])
        found[side] = HandTrack(*values, valid, none, of_right=True, index=track)
    intrinsics = None
    if "intrins" in arrays:
        values = np.ravel(numbers(np.ravel(arrays["intrins"]), (None,), f"{file}: intrins"))[:4]
        intrinsics = (
            (float(values[0]), float(values[1]), float(values[2]), float(values[3])) if len(values) == 4 else None
        )
    ordered = {side: found[side] for side in ("left", "right") if side in found}
    path_of_camera = _camera(arrays, tracks, count, file, notes)
    return WorldHands(file, count, ordered, path_of_camera, intrinsics, begin=begin, notes=notes)


def _of(arrays: Mapping[str, np.ndarray], key: str, file: Path) -> np.ndarray:
    if key not in arrays:
        raise InputError(f"{file}: {key}", "is missing", _ACCEPTED)
    return arrays[key]


def _shaped(arrays: NpzArrays, key: str, shape: tuple[int, ...], file: Path) -> np.ndarray:
    stored = _of(arrays, key, file)
    if stored.size != np.prod(shape):
        raise InputError(f"{file}: {key}", f"has shape {stored.shape}", f"needs as many numbers as {shape}")
    return numbers(stored.reshape(shape), shape, f"{file}: {key}", finite=False)


def _sides(arrays: NpzArrays, tracks: int, count: int, file: Path, notes: list[str]) -> np.ndarray:
    """Which tracks are right hands (track,) bool; what most of the frames say."""
    if "is_right" not in arrays:
        if tracks > 2:
            raise InputError(f"{file}: is_right", "is missing", _ACCEPTED)
        notes.append(f"{file.name}: nothing says which hand is which; the first is taken for the left one")
        return np.arange(tracks) > 0
    stored = arrays["is_right"]
    values = _shaped(arrays, "is_right", (tracks, stored.size // tracks or 1), file)
    return np.nanmean(np.where(np.isfinite(values), values, 0.0), axis=1) >= 0.5


def _shapes(arrays: NpzArrays, tracks: int, count: int, file: Path) -> np.ndarray:
    """Shape parameters (track, frame, 10)."""
    if "betas" not in arrays:
        return np.zeros((tracks, count, 10))
    stored = arrays["betas"]
    each = (tracks, count, 10) if stored.size == tracks * count * 10 else (tracks, 1, 10)
    return np.broadcast_to(_shaped(arrays, "betas", each, file), (tracks, count, 10))


def _track_info(file: Path, tracks: int, count: int, notes: list[str]) -> tuple[np.ndarray, int]:
    """In which frames each track was seen (track, frame) bool, and which picture the first frame is."""
    seen, first = np.ones((tracks, count), dtype=bool), 0
    path = next((place / "track_info.json" for place in (file.parent, file.parent.parent)
                 if (place / "track_info.json").is_file()), None)  # fmt: skip
    if path is None:
        notes.append(f"{file.name}: there is no track_info.json: hands are taken to be seen in all frames")
        return seen, first
    tree = read_json(inside(path, path.parent), "tracks of Dyn-HaMR")
    listed = tree.get("tracks") if isinstance(tree, dict) else None
    meta = tree.get("meta") if isinstance(tree, dict) else None
    begin = meta.get("data_interval", [0]) if isinstance(meta, dict) else [0]
    if isinstance(begin, list) and begin and isinstance(begin[0], int) and 0 <= begin[0] < 10**9:
        first = begin[0]
    for info in listed.values() if isinstance(listed, dict) else ():
        index = info.get("index") if isinstance(info, dict) else None
        mask = info.get("vis_mask") if isinstance(info, dict) else None
        if isinstance(index, int) and 0 <= index < tracks and mask is not None:
            flags = numbers(
                [float(bool(flag)) for flag in mask] if isinstance(mask, list) else mask, (None,), str(path)
            )
            kept = min(len(flags), count)
            seen[index, :kept] = flags[:kept] > 0.5
            seen[index, kept:] = False
    return seen, first


def _camera(arrays: NpzArrays, tracks: int, count: int, file: Path, notes: list[str]):
    """The camera's poses in the world; the tracks of one clip have the same."""
    turns = _of(arrays, "cam_R", file)
    several = turns.size == tracks * count * 9
    shape = (tracks, count) if several else (1, count)
    turns, shifts = _shaped(arrays, "cam_R", (*shape, 3, 3), file)[0], _shaped(arrays, "cam_t", (*shape, 3), file)[0]
    valid = np.isfinite(turns).all(axis=(1, 2)) & np.isfinite(shifts).all(axis=1)
    to_camera = np.tile(np.eye(4), (count, 1, 1))
    to_camera[valid, :3, :3], to_camera[valid, :3, 3] = turns[valid], shifts[valid]
    valid &= np.abs(np.linalg.det(to_camera[:, :3, :3])) > 1e-6
    to_camera[~valid] = np.eye(4)
    return camera_path(np.linalg.inv(to_camera), valid, f"{file}: cam_R", notes)
