"""Intrinsics as others save them: 3x3 text, numbers, JSON, YAML, and COLMAP's cameras.txt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from warpprior.formats.parts.text_files import numbers, read_json, read_number_rows, read_text, read_yaml
from warpprior.io.lens import BrownLens, FisheyeLens, Lens, make_lens
from warpprior.scene import Camera
from warpprior.support.errors import InputError

_MATRIX_KEYS = ("K", "cam_K", "camera_matrix", "intrinsic_matrix", "intrinsics", "intrinsic", "intrinsic_mat")
_NESTED_KEYS = ("color", "rgb", "camera", "intrinsics", "depth")
_CENTERS = (("cx", "cy"), ("ppx", "ppy"), ("principal_point_x", "principal_point_y"))
_LENSES = ("distortion", "distortion_coefficients", "dist_coeffs", "dist", "D")
_FISHEYES = ("fish", "equi", "kannala", "kb4")  # parts of the names of lenses
COLMAP = {  # parameters by name; those of the lens are called as its numbers
    "SIMPLE_PINHOLE": ("f", "cx", "cy"),
    "PINHOLE": ("fx", "fy", "cx", "cy"),
    "SIMPLE_RADIAL": ("f", "cx", "cy", "k1"),
    "RADIAL": ("f", "cx", "cy", "k1", "k2"),
    "OPENCV": ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2"),
    "FULL_OPENCV": ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6"),
    "SIMPLE_RADIAL_FISHEYE": ("f", "cx", "cy", "k1"),
    "RADIAL_FISHEYE": ("f", "cx", "cy", "k1", "k2"),
    "OPENCV_FISHEYE": ("fx", "fy", "cx", "cy", "k1", "k2", "k3", "k4"),
    "RAD_TAN_THIN_PRISM_FISHEYE": (
        *("fx", "fy", "cx", "cy", *(f"k{i}" for i in range(1, 7))),
        *("p1", "p2", "s1", "s2", "s3", "s4"),
    ),
}
_BROWN = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
_FISHEYE = (*(f"k{i}" for i in range(1, 7)), "p1", "p2", "s1", "s2", "s3", "s4")


@dataclass(frozen=True)
class Intrinsics:
    """Intrinsics of a file.

    Attributes:
        fx, fy, cx, cy: as stated [px].
        size: width and height, or None.
        half: the centre of the first pixel is known to be (0.5, 0.5); else OpenCV's (0, 0) is supposed.
        lens: what the pictures were taken through, or None for a pinhole.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    size: tuple[int, int] | None = None
    half: bool = False
    lens: Lens | None = None

    def camera(self, size: tuple[int, int], pixel_centers: str | None, where: str, notes: list[str]) -> Camera:
        """The pinhole camera in our convention.

        Args:
            size: of the pictures.
            pixel_centers: ``integer``, ``half``, or None for what the file's kind has.
            where: names the file in messages.
            notes: a shift is said.

        Raises:
            InputError: no focal length for such pictures, or it is stated for others.
        """
        half = self.half if pixel_centers is None else pixel_centers == "half"
        width, height = size
        if self.size is not None and self.size != size:
            found = f"says {self.size[0]} x {self.size[1]}, the pictures have {width} x {height} pixels"
            raise InputError(where, found, "needs the intrinsics of these pictures")
        if not (1e-2 * width < self.fx < 1e3 * width and 1e-2 * height < self.fy < 1e3 * height):
            found = f"focal lengths {self.fx:.4g} and {self.fy:.4g} px for pictures of {width} x {height}"
            raise InputError(where, found, "needs fx, fy, cx, cy [px]")
        if not half:
            note_half_pixel(where, notes)
        shift = 0.0 if half else 0.5
        return Camera(width, height, self.fx, self.fy, self.cx + shift, self.cy + shift)


def note_half_pixel(where: str, notes: list[str]) -> None:
    """Say that a principal point was moved to where the first pixel's centre is (0.5, 0.5)."""
    notes.append(f"{where}: principal point: 0.5 px were added, for OpenCV has the first pixel's centre at (0, 0)")


def read_intrinsics(path: Path) -> Intrinsics:
    """Intrinsics of a file.

    Raises:
        InputError: it holds none, or those of several cameras, or of a lens that is not read.
        MissingExtraError: it is YAML, and PyYAML is not installed.
    """
    where, what = str(path), "intrinsics"
    ending = path.suffix.lower()
    if ending == ".json":
        return _of_tree(read_json(path, what, limit=4 << 20), where)
    if ending in (".yaml", ".yml"):
        return _of_tree(read_yaml(path, what), where)
    if ending == ".txt" and any(model in read_text(path, what, limit=4 << 20) for model in COLMAP):
        return _of_colmap(path)
    values = [value for row in read_number_rows(path, "a 3x3 matrix, or fx fy cx cy") for value in row]
    return _of_numbers(np.array(values), where)


def _of_numbers(values: np.ndarray, where: str) -> Intrinsics:
    """Of 9 or 16 numbers of a matrix, or fx, fy, cx, cy and perhaps width and height."""
    accepted = "needs a 3x3 matrix, or fx fy cx cy, with width and height or without"
    if not np.isfinite(values).all():
        raise InputError(where, "is not finite", accepted)
    if len(values) in (9, 16):
        side = 3 if len(values) == 9 else 4
        return _of_matrix(values.reshape(side, side)[:3, :3], where)
    if len(values) == 6:
        return Intrinsics(*_four(values[:4]), size=_size(values[4], values[5], where))
    if len(values) != 4:
        raise InputError(where, f"has {len(values)} numbers", accepted)
    return Intrinsics(*_four(values))


def _four(values: Sequence[float] | np.ndarray) -> tuple[float, float, float, float]:
    fx, fy, cx, cy = (float(value) for value in values)
    return fx, fy, cx, cy


def _of_matrix(matrix: np.ndarray, where: str) -> Intrinsics:
    """Of K, or of its transpose, as files hold it that store columns first."""
    if abs(matrix[2, 0]) > 1.0 and matrix[0, 2] == 0.0:
        matrix = matrix.T
    low = np.abs(matrix[2] - [0.0, 0.0, 1.0]).max()
    if low > 1e-6 or abs(matrix[0, 1]) > 1e-3 * abs(matrix[0, 0]) or abs(matrix[1, 0]) > 1e-6:
        accepted = "needs fx 0 cx, 0 fy cy, 0 0 1"
        raise InputError(where, "has no matrix of a pinhole camera without skew", accepted)
    return Intrinsics(*_four([matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]]))


def _of_tree(tree: Any, where: str, depth: int = 0) -> Intrinsics:
    """Of a dictionary: fx, fy, cx, cy, or a matrix, one level down too."""
    if isinstance(tree, list) and depth < 3:
        return _of_numbers(numbers(np.ravel(_plain(tree, where)), (None,), where), where)
    if not isinstance(tree, dict) or depth > 2:
        raise InputError(where, "holds no intrinsics", "needs fx, fy, cx, cy, or a matrix K")
    found: Intrinsics | None = None
    if "fx" in tree and "fy" in tree:
        for names in _CENTERS:
            if all(name in tree for name in names):
                keys = ("fx", "fy", *names)
                found = Intrinsics(*_four([float(numbers(tree[key], (), f"{where}: {key}")) for key in keys]))
    for key in _MATRIX_KEYS if found is None else ():
        if key in tree:
            value = tree[key]
            value = value.get("data", value) if isinstance(value, dict) else value
            found = _of_tree(value, f"{where}: {key}", depth + 1)
            break
    if found is None:
        for key in _NESTED_KEYS:
            if isinstance(tree.get(key), dict):
                return _of_tree(tree[key], f"{where}: {key}", depth + 1)
        raise InputError(where, "holds no intrinsics", "needs fx, fy, cx, cy, or a matrix K")
    size = found.size
    for wide, high in (("width", "height"), ("image_width", "image_height"), ("w", "h")):
        if wide in tree and high in tree:
            size = _size(tree[wide], tree[high], where)
    return Intrinsics(found.fx, found.fy, found.cx, found.cy, size, lens=_lens(tree, where))


def _plain(tree: list, where: str) -> list:
    try:
        return np.asarray(tree, dtype=np.float64).tolist()
    except (ValueError, TypeError, OverflowError):
        raise InputError(where, "is no list of numbers", "needs a 3x3 matrix, or fx fy cx cy") from None


def _lens(tree: dict, where: str) -> Lens | None:
    """The lens of a dictionary; None where there is none, or OpenCV's of zeros."""
    for key in _LENSES:
        value, kind = tree.get(key), tree.get("distortion_model", tree.get("model", ""))
        if isinstance(value, dict):
            kind = value.get("model", kind)
            value = value.get("data", value.get("params"))
        if value is None or value == []:
            continue
        given = numbers(value, (None,), f"{where}: {key}")
        fisheye = any(part in str(kind).lower() for part in _FISHEYES)
        if not fisheye and len(given) > BrownLens.counts[-1] and not given[BrownLens.counts[-1] :].any():
            given = given[: BrownLens.counts[-1]]  # OpenCV pads its vectors with zeros
        return make_lens(FisheyeLens.name if fisheye else BrownLens.name, given.tolist(), f"{where}: {key}")
    return None


def _size(width: Any, height: Any, where: str) -> tuple[int, int]:
    wide, high = (float(numbers(value, (), f"{where}: size")) for value in (width, height))
    if not (2 <= wide <= 100_000 and 2 <= high <= 100_000 and wide == int(wide) and high == int(high)):
        raise InputError(f"{where}: size", f"{wide:g} x {high:g}", "whole numbers from 2 to 100000")
    return int(wide), int(high)


def _of_colmap(path: Path) -> Intrinsics:
    rows = [line.split() for line in read_text(path, "cameras.txt of COLMAP").splitlines()]
    rows = [row for row in rows if row and not row[0].startswith("#")]
    if len(rows) != 1:
        raise InputError(
            str(path), f"has {len(rows)} cameras", "needs one: keep the line of the camera of these pictures"
        )
    (row,) = rows
    names = COLMAP.get(row[1]) if len(row) > 4 else None
    if names is None or len(row) != 4 + len(names):
        raise InputError(
            str(path), f"{' '.join(row)[:60]!r}", f"needs ID MODEL WIDTH HEIGHT PARAMETERS of {', '.join(COLMAP)}"
        )
    try:
        values = dict(zip(names, map(float, row[4:]), strict=True))
        size = _size(float(row[2]), float(row[3]), str(path))
    except ValueError:
        raise InputError(str(path), f"{' '.join(row)[:60]!r}", "needs numbers behind the model") from None
    if not np.isfinite(list(values.values())).all():
        raise InputError(str(path), "is not finite", "needs numbers")
    fisheye = row[1].endswith("FISHEYE")
    given = [values.get(name, 0.0) for name in (_FISHEYE if fisheye else _BROWN)]
    lens = make_lens(FisheyeLens.name if fisheye else BrownLens.name, given, str(path))
    fx, fy = values.get("fx", values.get("f", 0.0)), values.get("fy", values.get("f", 0.0))
    return Intrinsics(fx, fy, values["cx"], values["cy"], size, True, lens)
