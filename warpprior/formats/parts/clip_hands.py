"""Keypoints of hands in files of their own: which hand, which order, pixels or metres."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from warpprior.formats.parts.keypoints import COUNT, ORDERS, SIZES, guess_order, reordered, sort_kind
from warpprior.formats.parts.stored_type import in_type_of
from warpprior.formats.parts.text_files import check_reach, numbers, read_json
from warpprior.formats.parts.timeline import Timeline
from warpprior.scene import SceneBody
from warpprior.support.errors import InputError
from warpprior.support.npz import NpzArrays, read_npy

_ACCEPTED = f"needs numbers (frame, {' or '.join(map(str, SIZES))}, 2 to 4)"
_BYTES = 1 << 30


@dataclass(frozen=True, eq=False)
class HandTrack:
    """Keypoints of one hand.

    Attributes:
        path: the file.
        name: ``hand_right`` or ``hand_left``.
        kind: ``keypoints2d`` or ``keypoints3d``.
        values: in our order, (row or frame, 21, 3 or 4), the last confidence.
        numbers: of the rows, or None.
        save: writes the keypoints of a body into a file like the one that was read.
    """

    path: Path
    name: str
    kind: str
    values: np.ndarray
    numbers: tuple[int, ...] | None = None
    save: Callable[[Path, SceneBody, Timeline], None] | None = None

    @property
    def side(self) -> str:
        return self.name.removeprefix("hand_")

    def rectified(self, points: Callable[[np.ndarray], np.ndarray]) -> HandTrack:
        """The same with keypoints in pictures moved to where a pinhole camera sees them; beyond it they are none."""
        return self if self.kind != "keypoints2d" else replace(self, values=rectified(self.values, points))

    def on(self, timeline: Timeline, notes: list[str]) -> HandTrack:
        """The same with a row for each frame."""
        whole = np.zeros((timeline.count, *self.values.shape[1:]))
        for frame, row in _rows(self, timeline, notes).items():
            whole[frame] = self.values[row]
        return replace(self, values=whole)


def rectified(values: np.ndarray, points: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Keypoints in pictures (..., 3) where a pinhole camera sees them; those beyond what it sees have no confidence."""
    moved, values = points(values[..., :2]), values.copy()
    lost = np.logical_not(np.isfinite(moved).all(axis=-1))
    values[..., :2] = np.where(lost[..., None], np.nan, moved)
    values[..., -1] = np.where(lost, 0.0, values[..., -1])
    return values


def _rows(track: HandTrack, timeline: Timeline, notes: list[str]) -> dict[int, int]:
    """Row of each frame."""
    if track.numbers is None:
        frames = timeline.rows(len(track.values), str(track.path), notes)
        return {int(frame): row for row, frame in enumerate(frames) if frame >= 0}
    return timeline.by_frame({number: row for row, number in enumerate(track.numbers)}, str(track.path), notes)


def read_hand_tracks(
    paths: Sequence[Path],
    side: str | None,
    order: str | None,
    size: tuple[int, int],
    notes: list[str],
    *,
    probe: bool = False,
) -> list[HandTrack]:
    """Keypoints of files.

    Args:
        paths: ``.npy``, ``.npz`` or ``.json``.
        side: of a hand whose file does not say it.
        order: of the keypoints, or None to guess it.
        size: of the pictures.
        notes: what was taken how is appended.
        probe: lengths alone are asked for: nothing else is said or refused.

    Raises:
        InputError: no keypoints, the side is not said, or one hand comes twice.
    """
    found: dict[str, HandTrack] = {}
    for path in paths:
        for key, values, numbered in _arrays(path):
            if probe:
                return [HandTrack(path, "hand_right", "", values, numbered)]
            track = _track(path, key, values, numbered, (side, order, size), notes)
            if track.name in found:
                raise InputError(str(path), f"a second {track.name}", "--hand-keypoints PATH decides")
            found[track.name] = track
    return list(found.values())


def _arrays(path: Path) -> list[tuple[str, np.ndarray, tuple[int, ...] | None]]:
    """Arrays of a file, by what they are called there; and numbers of their rows."""
    ending = path.suffix.lower()
    if ending == ".npy":
        return [("", read_npy(path, "keypoints", _ACCEPTED, limit=_BYTES), None)]
    if ending == ".npz":
        arrays = NpzArrays(path, "keypoints", _ACCEPTED, limit=_BYTES, unpacked=_BYTES)
        return [(key, arrays[key], None) for key in arrays if arrays[key].ndim >= 3]
    tree = read_json(path, "keypoints")
    named = {"left", "right"} & {str(key).lower() for key in tree} if isinstance(tree, dict) else set()
    parts = {key: tree[key] for key in tree if str(key).lower() in named} if named else {"": tree}
    return [(str(key), *_of_tree(part, f"{path}: {key}" if key else str(path))) for key, part in parts.items()]


def _of_tree(tree: Any, where: str) -> tuple[np.ndarray, tuple[int, ...] | None]:
    rows, found = tree, None
    if isinstance(tree, dict):
        if not tree or not all(str(key).isascii() and str(key).isdigit() and len(str(key)) < 19 for key in tree):
            raise InputError(where, "is a dictionary by something else than frames", _ACCEPTED)
        rows, found = list(tree.values()), tuple(int(key) for key in tree)
    if not isinstance(rows, list) or not rows:
        raise InputError(where, "is no list of frames", _ACCEPTED)
    first = next((row for row in rows if row), None)
    if not all(isinstance(row, list) or row is None for row in rows) or first is None:
        raise InputError(where, "is no list of keypoints", _ACCEPTED)
    shape = numbers(first, (None, None), where, finite=False).shape
    whole = [row if row else np.full(shape, np.nan).tolist() for row in rows]
    return numbers(whole, (None, *shape), where, finite=False), found


def _track(
    path: Path,
    key: str,
    stored: np.ndarray,
    numbered: tuple[int, ...] | None,
    how: tuple[str | None, str | None, tuple[int, int]],
    notes: list[str],
) -> HandTrack:
    side, order, size = how
    where = f"{path.name}: {key}" if key else path.name
    if (
        stored.ndim != 3
        or stored.shape[1] not in SIZES
        or not 2 <= stored.shape[2] <= 4
        or stored.dtype.kind not in "fiu"
    ):
        raise InputError(str(path), f"{stored.dtype} of shape {stored.shape}", _ACCEPTED)
    check_reach(stored, str(path))
    with np.errstate(invalid="ignore"):  # of numbers that are none, in a form of their own
        values = stored.astype(np.float64)
    words = set(f"{path.stem}_{key}".lower().replace("-", "_").split("_"))
    sides = [word for word in ("left", "right") if word in words]
    chosen = sides[0] if len(sides) == 1 else side
    if chosen is None:
        raise InputError(str(path), "does not say which hand it is of", "--side right or left")
    taken = order if order is not None and stored.shape[1] == len_of(order) else guess_order(values)
    if order is not None and taken != order:
        raise InputError(str(path), f"has {stored.shape[1]} keypoints", f"order {order} has {len_of(order)}")
    notes.append(
        f"{where}: keypoints of the {chosen} hand in the order {taken}{'' if order else ', by their distances'}"
    )
    kind, found = sort_kind(reordered(values, taken), where, size, notes)
    track = HandTrack(path, f"hand_{chosen}", kind, found, numbered)
    return replace(track, save=_saver(track, stored, taken)) if key == "" else track


def len_of(order: str) -> int:
    """How many keypoints an order has."""
    return next(count for count, orders in SIZES.items() if order in orders)


def _saver(track: HandTrack, stored: np.ndarray, order: str) -> Callable[[Path, SceneBody, Timeline], None]:
    """What writes the 21 keypoints of a body in the order, unit and type of a file; others stay as they are."""
    scale = 1000.0 if np.nanmax(np.abs(stored[..., :3])) > 20.0 else 1.0

    def save(target: Path, item: SceneBody, timeline: Timeline) -> None:
        from warpprior.bodies.posing import posed_keypoints

        places = posed_keypoints(item.body, item.initial).astype(np.float64) * scale
        made = np.array(stored, dtype=np.float64)
        for frame, row in _rows(track, timeline, []).items():
            if track.values[row, :, -1].any():
                made[row, list(ORDERS[order]), :3] = places[frame]
        assert places.shape[1] == COUNT
        if target.suffix.lower() == ".json":
            lists = [None if np.isnan(row).all() else row.tolist() for row in made]
            names: Mapping | None = (
                None if track.numbers is None else dict(zip(map(str, track.numbers), lists, strict=True))
            )
            target.write_text(json.dumps(lists if names is None else names))
        else:
            np.save(target, in_type_of(stored, made, str(track.path)), allow_pickle=False)

    return save
