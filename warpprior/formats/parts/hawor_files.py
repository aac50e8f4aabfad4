"""Folders of HaWoR: ``world_space_res.pth``, ``SLAM/hawor_slam_w_scale_*.npz`` and ``cam_space/{0,1}/*.json``.

Results in the world are a joblib list of trans, rot, hand_pose, betas and valid, the left hand first, rotation vectors
of MANO's own left model, whose shape directions were corrected.  Poses of the camera are world_from_camera, quaternions
x, y, z, w, and their places are to be multiplied by ``scale``.  ``cam_space`` has what was seen, in the camera, as
matrices; other frames of the world's results were filled in (scripts/scripts_test_video, lib/eval_utils).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from warpprior.bodies.readers.plain_pickle import read_plain
from warpprior.formats.parts.motion import camera_path, complete, transforms_of
from warpprior.formats.parts.own_files import inside
from warpprior.formats.parts.pictures import numbered, picture_size
from warpprior.formats.parts.text_files import numbers, read_json, read_number_rows
from warpprior.formats.parts.world_hands import HandTrack, WorldHands
from warpprior.io.rotations import read_joint_matrices, read_rotations
from warpprior.io.scene_file import FRAME_LIMIT
from warpprior.io.world import CameraPath
from warpprior.support.errors import InputError
from warpprior.support.npz import NpzArrays
from warpprior.support.wording import frame_list

RESULT = "world_space_res.pth"
PICTURES = "extracted_images"
_SIDES = ("left", "right")
_ACCEPTED = f"give the folder of a video of HaWoR, with {RESULT} or cam_space"
_BYTES = 4 << 30


def is_hawor(path: Path) -> bool:
    """Is a folder HaWoR's of a video?"""
    return path.is_dir() and ((path / RESULT).is_file() or any((path / "cam_space" / row).is_dir() for row in "01"))


def read_hawor(folder: Path) -> WorldHands:
    """The folder of one video.

    Raises:
        InputError: it holds no hands, or is damaged.
    """
    if not is_hawor(folder):
        raise InputError(str(folder), "holds no hands of HaWoR", _ACCEPTED)
    notes: list[str] = []
    pictures = folder / PICTURES
    files = numbered(pictures, root=folder)
    camera, intrinsics = _slam(folder, notes)
    seen = _chunks(folder, notes)
    in_world = (folder / RESULT).is_file() and camera is not None
    if in_world:
        count, tracks = _world(inside(folder / RESULT, folder), seen, notes)
        assert camera is not None
        camera = _as_long(camera, count, notes)
        notes.append(f"{RESULT}: hands in the world, of MANO's own left model with corrected shapes")
    else:
        if not seen:
            raise InputError(str(folder), "has no camera's way (SLAM) and no cam_space", _ACCEPTED)
        count = max(max(rows) for rows in seen.values() if rows) + 1
        count = max(count, 0 if camera is None else camera.frame_count)
        tracks = _seen_tracks(seen, count, folder, notes)
        camera = None if camera is None else _as_long(camera, count, notes)
        notes.append("cam_space: hands in the camera, in the frames in which they were seen")
    size = picture_size(next(iter(files.values()))) if files else None
    there = pictures if files else None
    first = min(files, default=0)
    return WorldHands(folder, count, tracks, camera, intrinsics, size, there, first, notes=notes, in_world=in_world)


def _slam(folder: Path, notes: list[str]) -> tuple[CameraPath | None, tuple[float, float, float, float] | None]:
    """Poses of the camera, and its intrinsics."""
    found = sorted((folder / "SLAM").glob("hawor_slam_w_scale_*.npz")) if (folder / "SLAM").is_dir() else []
    if not found:
        return None, _estimated(folder, notes)
    file = inside(found[-1], folder)
    arrays = NpzArrays(file, "a camera's way of HaWoR", _ACCEPTED, limit=_BYTES, unpacked=_BYTES)
    for key in ("traj", "scale"):
        if key not in arrays:
            raise InputError(f"{file}: {key}", "is missing", _ACCEPTED)
    way = numbers(arrays["traj"], (None, 7), f"{file}: traj", finite=False)
    scale = float(numbers(np.ravel(arrays["scale"])[:1], (1,), f"{file}: scale")[0])
    if not (1 <= len(way) <= FRAME_LIMIT and scale > 0.0):
        raise InputError(str(file), f"has {len(way)} poses and a scale of {scale:g}", _ACCEPTED)
    rotation = read_rotations(way[:, 3:], "camera", f"{file}: traj", notes)
    valid = complete(way) & complete(rotation)
    matrices = transforms_of(
        np.where(valid[:, None], way[:, :3], 0.0) * scale, np.where(valid[:, None], rotation, [0.0, 0.0, 0.0, 1.0])
    )
    focal = _number(arrays, "img_focal", file)
    center = (
        np.ravel(numbers(np.ravel(arrays["img_center"]), (None,), f"{file}: img_center"))
        if "img_center" in arrays
        else []
    )
    path = camera_path(matrices, valid, f"{file}: traj", notes)
    if focal is None or len(center) != 2 or not focal > 0.0:
        return path, _estimated(folder, notes)
    return path, (focal, focal, float(center[0]), float(center[1]))


def _number(arrays: NpzArrays, key: str, file: Path) -> float | None:
    return float(numbers(np.ravel(arrays[key])[:1], (1,), f"{file}: {key}")[0]) if key in arrays else None


def _estimated(folder: Path, notes: list[str]) -> tuple[float, float, float, float] | None:
    """The focal length of est_focal.txt, and the middle of the pictures."""
    file, files = folder / "est_focal.txt", numbered(folder / PICTURES, root=folder)
    if not file.is_file() or not files:
        return None
    rows = read_number_rows(inside(file, folder), "a focal length")
    focal = rows[0][0] if rows else 0.0
    width, height = picture_size(next(iter(files.values())))
    if not focal > 0.0:
        raise InputError(str(file), "holds no focal length", "needs pixels")
    notes.append(f"est_focal.txt: {focal:g} px, guessed or estimated by HaWoR; the principal point is the middle")
    return focal, focal, 0.5 * width, 0.5 * height


def _chunks(folder: Path, notes: list[str]) -> dict[str, dict[int, tuple[np.ndarray, ...]]]:
    """What was seen in the camera, by side and frame: rotation, joints (rotation vectors), place and shape."""
    found: dict[str, dict[int, tuple[np.ndarray, ...]]] = {}
    for row, side in enumerate(_SIDES):
        place = folder / "cam_space" / str(row)
        for file in sorted(place.glob("*.json")) if place.is_dir() else ():
            first, _, last = file.stem.partition("_")
            if not (first.isascii() and first.isdigit() and last.isascii() and last.isdigit() and len(file.stem) < 24):
                continue
            tree = read_json(inside(file, folder), "hands of HaWoR")
            orient = _part(tree, "init_root_orient", (1, None, 3, 3), file)
            count = orient.shape[1]
            joints = _part(tree, "init_hand_pose", (1, count, 15, 3, 3), file)[0]
            place_of, shape = (
                _part(tree, "init_trans", (1, count, 3), file)[0],
                _part(tree, "init_betas", (1, count, 10), file)[0],
            )
            if int(last) - int(first) + 1 != count or int(last) >= FRAME_LIMIT:
                notes.append(f"{file.name} has {count} frames; its name says others, and it was left out")
                continue
            vectors = read_joint_matrices(orient[0][:, None], f"{file}: init_root_orient", notes)
            bent = read_joint_matrices(joints, f"{file}: init_hand_pose", notes)
            rows = zip(range(int(first), int(last) + 1), vectors, bent, place_of, shape, strict=True)
            found.setdefault(side, {}).update({row[0]: row[1:] for row in rows})
    return found


def _part(tree: Any, key: str, shape: tuple[int | None, ...], file: Path) -> np.ndarray:
    if not isinstance(tree, dict) or key not in tree:
        raise InputError(f"{file}: {key}", "is missing", _ACCEPTED)
    return numbers(tree[key], shape, f"{file}: {key}", finite=False)


def _world(file: Path, seen: dict[str, dict], notes: list[str]) -> tuple[int, dict[str, HandTrack]]:
    parts = read_plain(file, "results of HaWoR")
    if not isinstance(parts, list) or len(parts) != 5:
        raise InputError(str(file), "is no list of five arrays", "needs trans, rot, hand_pose, betas, valid")
    trans = numbers(parts[0], (2, None, 3), f"{file}: trans", finite=False)
    count = trans.shape[1]
    if not 1 <= count <= FRAME_LIMIT:
        raise InputError(f"{file}: trans", f"has {count} frames", f"1 to {FRAME_LIMIT}")
    widths = {"rot": 3, "hand_pose": 45, "betas": 10}
    rot, pose, betas = (
        numbers(part, (2, count, width), f"{file}: {key}", finite=False)
        for part, (key, width) in zip(parts[1:4], widths.items(), strict=True)
    )
    flags = np.asarray(parts[4])
    if flags.shape != (2, count) or flags.dtype.kind not in "biuf":
        raise InputError(f"{file}: valid", f"{flags.dtype} of shape {flags.shape}", f"needs (2, {count})")
    tracks = {}
    for row, side in enumerate(_SIDES):
        valid = flags[row].astype(np.float64) > 0.5
        for values in (trans, rot, pose, betas):
            valid &= np.isfinite(values[row]).all(axis=1)
        guessed = np.zeros(count, dtype=bool)
        if seen:
            guessed = valid & ~np.isin(np.arange(count), list(seen.get(side, {})))
            if guessed.any():
                notes.append(f"hand_{side} was filled in by HaWoR, not seen, in {frame_list(np.flatnonzero(guessed))}")
        if valid.any():
            tracks[side] = HandTrack(rot[row], pose[row], trans[row], betas[row], valid, guessed, index=row)
    if not tracks:
        raise InputError(str(file), "has no valid hand in any frame", "needs one at least")
    return count, tracks


def _seen_tracks(seen: dict[str, dict], count: int, folder: Path, notes: list[str]) -> dict[str, HandTrack]:
    tracks = {}
    for side, rows in seen.items():
        widths = (3, 45, 3, 10)
        whole = [np.zeros((count, width)) for width in widths]
        valid = np.zeros(count, dtype=bool)
        for frame, values in rows.items():
            for target, value in zip(whole, values, strict=True):
                target[frame] = value
            valid[frame] = all(np.isfinite(value).all() for value in values)
        orient, joints, transl, shapes = whole
        tracks[side] = HandTrack(orient, joints, transl, shapes, valid, np.zeros(count, dtype=bool))
    return tracks


def _as_long(camera: CameraPath, count: int, notes: list[str]) -> CameraPath:
    """Poses of the camera for so many frames: the last one held where the camera's way ends before."""
    if camera.frame_count >= count:
        return camera.frames(slice(0, count))
    notes.append(f"the camera's way ends after {camera.frame_count} of {count} frames; its last pose was held")
    rows = np.minimum(np.arange(count), camera.frame_count - 1)
    given = np.ones(camera.frame_count, dtype=bool) if camera.valid is None else camera.valid
    longer = camera.frames(rows)
    return CameraPath(longer.position, longer.rotation, given[rows] & (np.arange(count) < camera.frame_count))
