"""Masks of objects as segmenters save them: pictures by object, pictures of ids, arrays, and run-length JSON."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from warpprior.formats.parts.own_files import inside
from warpprior.formats.parts.pictures import (
    Masks,
    file_masks,
    mask_of,
    numbered,
    picture_size,
    read_mask_values,
)
from warpprior.formats.parts.rle import decode_rle, is_rle
from warpprior.formats.parts.text_files import read_json
from warpprior.formats.parts.timeline import Timeline
from warpprior.formats.parts.videos import is_video, read_video, video_masks
from warpprior.scene import IGNORE_LABEL, Camera
from warpprior.support.errors import InputError
from warpprior.support.npz import NpzArrays, read_npy

MOST_OBJECTS = 200
_BYTES = 8 << 30
_ID_KEYS = ("object_id", "obj_id", "track_id", "id", "label", "category_id")
ONE = ""  # the name of what is masked, where a file names nothing


def mask_numbers(path: Path) -> list[int]:
    """Numbers of the frames that a folder of masks has; none where masks are in one file."""
    if is_video(path):
        return list(range(read_video(path).count))
    if not path.is_dir():
        return []
    found = numbered(path)
    longest = max((read_video(video).count for video in mask_videos(path).values()), default=0)
    if longest and not found:
        return list(range(longest))
    for child in _children(path) if not found else ():
        found |= numbered(child, root=path)
    return list(found)


def mask_size(path: Path) -> tuple[int, int] | None:
    """The size of the pictures of a folder of masks, or of a video of them."""
    for video in [path] if is_video(path) else mask_videos(path).values():
        return read_video(video).size
    for place in (path, *_children(path)) if path.is_dir() else ():
        for picture in numbered(place, root=path).values():
            return picture_size(picture)
    return None


def mask_videos(path: Path) -> dict[str, Path]:
    """Videos of a folder by their names, which are of what is masked."""
    files = sorted(path.iterdir()) if path.is_dir() else []
    return {file.stem: inside(file, path) for file in files if is_video(file) and not file.name.startswith(".")}


def _children(path: Path) -> list[Path]:
    return sorted(child for child in path.iterdir() if child.is_dir() and not child.name.startswith("."))


def read_masks(path: Path, timeline: Timeline, camera: Camera, notes: list[str]) -> dict[str, Masks]:
    """Masks by the name or number of what they are of; of one thing without a name, by an empty text.

    Args:
        path: a folder of pictures, of such folders or of videos, a video, ``.npz``, ``.npy`` or ``.json``.
        timeline: the frames.
        camera: whose size they have.
        notes: what was taken how is appended.

    Raises:
        InputError: it holds no masks, or of more things than there can be.
    """
    videos = {ONE: path} if is_video(path) else mask_videos(path)
    if videos and not numbered(path):
        found = {name: _of_video(video, timeline, camera, notes) for name, video in videos.items()}
    elif path.is_dir():
        found = _of_folder(path, timeline, camera, notes)
    elif path.suffix.lower() == ".json":
        found = _of_json(path, timeline, camera)
    elif path.suffix.lower() in (".npz", ".npy"):
        found = _of_arrays(path, timeline, camera, notes)
    else:
        raise InputError(
            str(path), f"{path.suffix or 'no'} files hold no masks", "a folder, a video, .npz, .npy or .json"
        )
    if not 0 < len(found) <= MOST_OBJECTS:
        raise InputError(str(path), f"masks of {len(found)} things", f"1 to {MOST_OBJECTS}")
    return found


def _of_video(path: Path, timeline: Timeline, camera: Camera, notes: list[str]) -> Masks:
    count = read_video(path).count
    rows = {number: number for number in range(count)}
    return video_masks(path, timeline.by_frame(rows, path.name, notes), camera)


def _of_folder(path: Path, timeline: Timeline, camera: Camera, notes: list[str]) -> dict[str, Masks]:
    files = numbered(path)
    if files:
        frames = timeline.by_frame(files, str(path), notes)
        return _of_values(frames, path, camera, notes)
    found = {}
    for child in _children(path):
        files = numbered(child, root=path)
        if files:
            found[child.name] = file_masks(timeline.by_frame(files, str(child), notes), camera)
    return found


def _of_values(frames: Mapping[int, Path], path: Path, camera: Camera, notes: list[str]) -> dict[str, Masks]:
    """Pictures of ids, or of one mask: what values they have tells."""

    def values_at(frame: int) -> np.ndarray | None:
        place = frames.get(frame)
        return None if place is None else read_mask_values(place, camera, f"{place} (frame {frame})")

    seen: set[int] = set()
    for frame in frames:
        values = values_at(frame)
        assert values is not None
        seen |= set(np.unique(values).tolist())
        if len(seen) > MOST_OBJECTS:
            break
    ids = sorted(seen - {0})
    if ids in ([1], [255]) or (len(ids) > 1 and len(ids) > MOST_OBJECTS // 4):
        if len(ids) > 1:
            notes.append(f"{path}: masks with soft edges; values above 127 were taken")
        return {ONE: file_masks(frames, camera)}
    if IGNORE_LABEL in ids:
        notes.append(f"{path}: value 255 beside other ids is taken for nothing that is known")
    found = {}
    for value in ids:
        if value != IGNORE_LABEL:
            found[str(value)] = partial(_where_equal, values_at, value)
    return found


def _where_equal(values_at, value: int, frame: int) -> np.ndarray | None:
    values = values_at(frame)
    return None if values is None else values == value


def _of_arrays(path: Path, timeline: Timeline, camera: Camera, notes: list[str]) -> dict[str, Masks]:
    accepted = "needs bool (frame, height, width), or numbers of objects"
    if path.suffix.lower() == ".npy":
        arrays: Mapping[str, np.ndarray] = {ONE: read_npy(path, "an array of masks", accepted, limit=_BYTES)}
    else:
        arrays = NpzArrays(path, "an archive of masks", accepted, limit=_BYTES, unpacked=_BYTES)
    size = (camera.height, camera.width)
    found: dict[str, Masks] = {}
    for name in arrays:
        values = arrays[name]
        where = f"{path}: {name}" if name else str(path)
        if values.dtype.kind not in "biuf":
            continue
        if values.ndim == 4 and 1 in values.shape[:2]:
            values = values[0] if values.shape[0] == 1 else values[:, 0]
        if values.ndim == 2 and len(timeline.numbers) > 1 and name[len(name.rstrip("0123456789")) :]:
            raise InputError(where, "is one picture", accepted)
        if values.ndim != 3 or values.shape[1:] != size:
            raise InputError(where, f"has shape {values.shape}", f"needs (frame, {size[0]}, {size[1]})")
        timeline.rows(len(values), where, notes)
        lone = len(arrays) == 1
        ids = [] if values.dtype.kind in "bf" else sorted(set(np.unique(values).tolist()) - {0})
        if len(ids) > 1 and ids != [IGNORE_LABEL] and len(ids) <= MOST_OBJECTS:
            for value in ids:
                found[str(value) if lone else f"{name}/{value}"] = partial(_row_equal, values, value)
        else:
            found[ONE if lone else name] = partial(_row, values)
    return found


def _row(values: np.ndarray, frame: int) -> np.ndarray | None:
    return mask_of(values[frame]) if frame < len(values) else None


def _row_equal(values: np.ndarray, value: int, frame: int) -> np.ndarray | None:
    return values[frame] == value if frame < len(values) else None


def _of_json(path: Path, timeline: Timeline, camera: Camera) -> dict[str, Masks]:
    """Run-length masks: by frame and object, by object and frame, or a list of either."""
    tree = read_json(path, "run-length masks")
    table: dict[str, dict[int, Any]] = {}
    for key, value in _items(tree):
        if is_rle(value):
            table.setdefault(ONE, {})[_frame(key, timeline, path)] = value
            continue
        outer_is_frame = isinstance(tree, list) or _is_number(key)
        for inner, rle in _items(value):
            if isinstance(rle, dict) and not is_rle(rle):
                name = next((rle[word] for word in _ID_KEYS if isinstance(rle.get(word), (int, str))), inner)
                inner, rle = name, rle.get("segmentation", rle.get("rle", rle.get("mask")))
            if not is_rle(rle):
                raise InputError(f"{path}: {str(key)[:30]}", "holds something that is no mask", _RLE)
            name, number = (inner, key) if outer_is_frame else (key, inner)
            table.setdefault(str(name), {})[_frame(number, timeline, path)] = rle
    return {name: partial(_decoded, masks, camera, str(path)) for name, masks in table.items()}


_RLE = 'needs {"size": [height, width], "counts": ...} by frame, or by frame and object'


def _items(tree: Any) -> list[tuple[Any, Any]]:
    if isinstance(tree, dict):
        return list(tree.items())
    return list(enumerate(tree)) if isinstance(tree, list) else []


def _is_number(key: Any) -> bool:
    return isinstance(key, int) or (str(key).isascii() and str(key).isdigit() and len(str(key)) < 19)


def _frame(key: Any, timeline: Timeline, path: Path) -> int:
    """The frame of a key: a number of the files, or of a row."""
    text = str(key)
    digits = text[len(text.rstrip("0123456789")) :]
    if not 1 <= len(digits) < 19 or not digits.isascii():
        raise InputError(f"{path}: {text[:30]!r}", "is no number of a frame", _RLE)
    number = int(digits)
    if isinstance(key, int):
        if number >= timeline.count:
            raise InputError(f"{path}: row {number}", f"there are {timeline.count} frames", "a row for each frame")
        return number
    if number not in timeline.numbers:
        accepted = f"numbers from {timeline.numbers[0]} to {timeline.numbers[-1]}"
        raise InputError(f"{path}: {text[:30]!r}", "is of no frame", accepted)
    return timeline.numbers.index(number)


def _decoded(masks: Mapping[int, Any], camera: Camera, where: str, frame: int) -> np.ndarray | None:
    if frame not in masks:
        return None
    place = f"{where}, frame {frame}"
    mask = decode_rle(masks[frame], place)
    if mask.shape != (camera.height, camera.width):
        found = f"has {mask.shape[1]} x {mask.shape[0]} pixels"
        raise InputError(place, found, f"the pictures have {camera.width} x {camera.height}")
    return mask
