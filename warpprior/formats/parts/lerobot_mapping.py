"""Which columns of a LeRobot data set are what: a JSON file, for hands and objects have no standard there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from warpprior.bodies.hand_parts import KEYPOINT_NAMES
from warpprior.formats.parts.keypoints import ORDERS, SIZES
from warpprior.formats.parts.lerobot_files import DataFile
from warpprior.formats.parts.text_files import entry, numbers, read_json
from warpprior.support.errors import InputError

FILE = "meta/warpprior.json"
WIDTHS = {"xyzw": 4, "wxyz": 4, "rotvec": 3, "matrix": 9, "rows6": 6, "columns6": 6, "rpy": 3}
"""Forms of rotations, and how many numbers each has: two rows or columns of the matrix, roll, pitch and yaw, ..."""
_PLACE = re.compile(r"([^\[\]]{1,200})(?:\[(\d{1,6}):(\d{1,6})\])?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,60}")
_MOST_BODIES = 50
_KEYS = {
    "top": {"frame", "gravity", "unit", "camera", "bodies"},
    "camera": {"position", "rotation", "form", "width", "height", "fx", "fy", "cx", "cy"},
    "body": {
        *("mesh", "mesh_scale", "urdf", "side", "mano", "keypoints", "points", "confidence", "known"),
        *("position", "rotation", "form", "joints", "joints_form", "flat_hand_mean", "shape", "valid", "wrist"),
    },
}


@dataclass(frozen=True)
class Columns:
    """A column, or some values of each of its rows, as ``observation.state[0:7]``.

    Attributes:
        name: of the column.
        values: which, or None for all.
    """

    name: str
    values: tuple[int, int] | None

    @staticmethod
    def of(text: Any, where: str) -> Columns:
        """What a text names.

        Raises:
            InputError: it is no such text.
        """
        found = _PLACE.fullmatch(text) if isinstance(text, str) else None
        if found is None or (found[2] and int(found[2]) >= int(found[3])):
            raise InputError(where, f"is {str(text)[:40]!r}", "needs a column, or COLUMN[FROM:TO]")
        return Columns(found[1], (int(found[2]), int(found[3])) if found[2] else None)

    def of_rows(self, width: int, where: str) -> slice:
        """The values in a row of so many.

        Raises:
            InputError: the rows are shorter.
        """
        first, last = (0, width) if self.values is None else self.values
        if last > width:
            raise InputError(f"{where}: {self.name}", f"has {width} values, not {last}", "values that are there")
        return slice(first, last)

    def read(self, file: DataFile, rows: np.ndarray, width: int | None = None) -> np.ndarray:
        """Values (frame, n) of some rows of a file.

        Raises:
            InputError: there is no such column, or there are not ``width`` values.
        """
        values = file.numbers(self.name)
        found = values[rows, self.of_rows(values.shape[1], str(file.path))]
        if width is not None and found.shape[1] != width:
            raise InputError(f"{file.path}: {self}", f"are {found.shape[1]} values", f"needs {width}")
        return found

    def __str__(self) -> str:
        return self.name if self.values is None else f"{self.name}[{self.values[0]}:{self.values[1]}]"


@dataclass(frozen=True)
class Mapped:
    """One body of a mapping.

    Attributes:
        name: of the body.
        keys: what stands there, plain data.
        where: names it in messages.
    """

    name: str
    keys: Mapping[str, Any]
    where: str

    def columns(self, key: str) -> Columns | None:
        """The columns of a key, or None."""
        return Columns.of(self.keys[key], f"{self.where}: {key}") if key in self.keys else None

    def needed(self, key: str) -> Columns:
        """The same; InputError where it is missing."""
        return Columns.of(entry(dict(self.keys), key, self.where), f"{self.where}: {key}")

    def form(self, key: str = "form", default: str = "xyzw") -> str:
        """The form of rotations."""
        form = self.keys.get(key, default)
        if form not in WIDTHS:
            raise InputError(f"{self.where}: {key}", f"is {str(form)[:20]!r}", f"one of {', '.join(WIDTHS)}")
        return form

    def points(self) -> dict[int, int]:
        """Our keypoint -> row of theirs."""
        given = self.keys.get("points", "openpose")
        if isinstance(given, str) and given in ORDERS:
            return dict(enumerate(ORDERS[given]))
        if (
            isinstance(given, list)
            and given
            and all(name in KEYPOINT_NAMES for name in given)
            and len(set(given)) == len(given)
        ):
            return {KEYPOINT_NAMES.index(name): row for row, name in enumerate(given)}
        accepted = f"one of {', '.join(ORDERS)}, or a list of {KEYPOINT_NAMES[0]}, {KEYPOINT_NAMES[1]}, ..."
        raise InputError(f"{self.where}: points", f"is {str(given)[:40]}", accepted)

    def point_count(self) -> int:
        """How many keypoints a row has."""
        given = self.keys.get("points", "openpose")
        if isinstance(given, list):
            return len(given)
        return next(size for size, orders in SIZES.items() if given in orders)


@dataclass(frozen=True)
class ColumnMap:
    """The whole file.

    Attributes:
        frame: ``world`` or ``camera``, of all poses.
        gravity: unit vector in the world (3,), or None.
        unit: metres of one of its lengths.
        camera: what is said of the camera.
        bodies: what is said of each.
        path: of the file; meshes are looked for beside it and in the data set.
    """

    frame: str
    gravity: np.ndarray | None
    unit: float
    camera: Mapped
    bodies: tuple[Mapped, ...]
    path: Path = field(default=Path())


def read_mapping(path: Path) -> ColumnMap:
    """Read a mapping.

    Raises:
        InputError: it is no such file; the message names the key.
    """
    tree, where = read_json(path, "a mapping of columns", limit=4 << 20), str(path)
    _check_keys(tree, "top", where)
    frame = tree.get("frame", "world")
    if frame not in ("world", "camera"):
        raise InputError(f"{where}: frame", f"is {str(frame)[:20]!r}", "world or camera")
    gravity = tree.get("gravity")
    if gravity is not None:
        gravity = numbers(gravity, (3,), f"{where}: gravity")
        if not np.linalg.norm(gravity) > 1e-9:
            raise InputError(f"{where}: gravity", "is zero", "the direction in which things fall")
        gravity = gravity / np.linalg.norm(gravity)
    unit = float(numbers(tree.get("unit", 1.0), (), f"{where}: unit"))
    if not 1e-6 <= unit <= 1e3:
        raise InputError(f"{where}: unit", f"is {unit:g}", "metres of one of its lengths")
    camera = tree.get("camera", {})
    _check_keys(camera, "camera", f"{where}: camera")
    bodies = entry(tree, "bodies", where)
    if not isinstance(bodies, dict) or not 1 <= len(bodies) <= _MOST_BODIES:
        raise InputError(f"{where}: bodies", "is no dictionary of bodies", "a name and what its columns are, for each")
    for name, keys in bodies.items():
        if not _NAME.fullmatch(name):
            raise InputError(f"{where}: bodies", f"has the name {name[:40]!r}", "letters, digits, _ and -")
        _check_keys(keys, "body", f"{where}: {name}")
    found = tuple(Mapped(name, keys, f"{where}: {name}") for name, keys in bodies.items())
    return ColumnMap(frame, gravity, unit, Mapped("camera", camera, f"{where}: camera"), found, path)


def _check_keys(tree: Any, kind: str, where: str) -> None:
    if not isinstance(tree, dict):
        raise InputError(where, f"is a {type(tree).__name__}", "needs a dictionary")
    unknown = sorted(set(tree) - _KEYS[kind])
    if unknown:
        raise InputError(
            f"{where}: {unknown[0][:40]}", "is no key of it", f"accepted: {', '.join(sorted(_KEYS[kind]))}"
        )


def to_quaternions(values: np.ndarray, form: str, where: str) -> np.ndarray:
    """Quaternions (n, 4) xyzw of rotations (n, width) of a form; NaN where there is none (zeros, not finite).

    Raises:
        InputError: quaternions are not of length 1, or matrices no rotations, by more than a hundredth.
    """
    from scipy.spatial.transform import Rotation

    found = np.full((len(values), 4), np.nan)
    there = np.isfinite(values).all(axis=1)
    if form not in ("rotvec", "rpy"):
        there &= np.abs(values).max(axis=1) > 0.0
    given = values[there]
    if not len(given):
        return found
    if form in ("xyzw", "wxyz"):
        length = np.linalg.norm(given, axis=1)
        if np.abs(length - 1.0).max() > 0.01:
            raise InputError(where, f"has quaternions of length {length.min():.3g} to {length.max():.3g}", "unit ones")
        turns = Rotation.from_quat(given if form == "xyzw" else given[:, [1, 2, 3, 0]])
    elif form in ("rotvec", "rpy"):
        turns = Rotation.from_rotvec(given) if form == "rotvec" else Rotation.from_euler("xyz", given)
    else:
        if form == "matrix":
            matrices = given.reshape(-1, 3, 3)
        else:
            first, second = given[:, :3], given[:, 3:]
            pair = np.stack([first, second, np.cross(first, second)], axis=1)
            matrices = pair if form == "rows6" else np.swapaxes(pair, 1, 2)
        off = np.abs(matrices @ np.swapaxes(matrices, 1, 2) - np.eye(3)).max(axis=(1, 2))
        if off.max() > 0.02 or np.linalg.det(matrices).min() < 0.5:
            raise InputError(where, f"is off an orthogonal matrix by {off.max():.2g}", f"rotations of form {form}")
        turns = Rotation.from_matrix(matrices)
    found[there] = turns.as_quat()
    return found


def from_quaternions(rotation: np.ndarray, form: str, near: np.ndarray) -> np.ndarray:
    """The inverse of :func:`to_quaternions`; of what has two signs or many turns, the nearest to ``near``."""
    from scipy.spatial.transform import Rotation

    turns = Rotation.from_quat(rotation)
    if form in ("xyzw", "wxyz"):
        values = rotation if form == "xyzw" else rotation[:, [3, 0, 1, 2]]
        with np.errstate(invalid="ignore"):
            return np.where(np.sum(values * near, axis=1, keepdims=True) < 0.0, -values, values)
    if form == "rpy":
        values = turns.as_euler("xyz")
        return values + 2.0 * np.pi * np.round(np.nan_to_num(near - values) / (2.0 * np.pi))
    if form == "rotvec":
        values = turns.as_rotvec()
        length = np.linalg.norm(values, axis=1, keepdims=True)
        axis = values / np.maximum(length, 1e-12)
        return (
            values
            + 2.0
            * np.pi
            * np.round(np.nan_to_num(np.sum((near - values) * axis, axis=1, keepdims=True)) / (2.0 * np.pi))
            * axis
        )
    matrices = turns.as_matrix()
    if form == "matrix":
        return matrices.reshape(-1, 9)
    return (matrices[:, :2] if form == "rows6" else np.swapaxes(matrices, 1, 2)[:, :2]).reshape(-1, 6)
