"""Poses of one thing as trackers save them: folders of 4x4 text or JSON, arrays, JSON, TUM and KITTI trajectories."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from warpprior.formats.parts.motion import complete, transforms_of
from warpprior.formats.parts.pictures import numbered
from warpprior.formats.parts.stored_type import in_type_of
from warpprior.formats.parts.text_files import check_reach, entry, numbers, read_json, read_number_rows
from warpprior.formats.parts.timeline import Timeline
from warpprior.io.scene_file import FRAME_LIMIT
from warpprior.support.errors import InputError
from warpprior.support.npz import read_npy

MILLIMETRES = 10.0  # translations above are taken for millimetres
_FLAT = {12: (3, 4), 16: (4, 4)}


@dataclass(frozen=True, eq=False)
class PoseTrack:
    """Poses as a file or folder has them.

    Attributes:
        path: the file or folder.
        matrices: (row, 4, 4) float64, NaN where there is none.
        numbers: of the rows, as the files have them; None: one row after the other.
        times: of a trajectory (row,) [s], or None.
        save: writes other matrices (row, 4, 4), in metres, in the same way to a path; rows of NaN as they were.
    """

    path: Path
    matrices: np.ndarray
    numbers: tuple[int, ...] | None
    save: Callable[[Path, np.ndarray], None]
    times: np.ndarray | None = None

    def by_frame(self, timeline: Timeline, notes: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Matrices (frame, 4, 4), which frames have one (frame,) bool."""
        frames = self.frames(timeline, notes)
        whole = np.full((timeline.count, 4, 4), np.nan)
        rows = np.flatnonzero(frames >= 0)
        whole[frames[rows]] = self.matrices[rows]
        return whole, complete(whole)

    def frames(self, timeline: Timeline, notes: list[str]) -> np.ndarray:
        """The frame of each row (row,), -1 where it has none."""
        if self.numbers is None:
            return timeline.rows(len(self.matrices), str(self.path), notes)
        found = timeline.by_frame({number: row for row, number in enumerate(self.numbers)}, str(self.path), notes)
        frames = np.full(len(self.numbers), -1)
        for frame, row in found.items():
            frames[row] = frame
        return frames


def read_pose_track(path: Path, notes: list[str]) -> PoseTrack:
    """Poses of a file or folder.

    Args:
        path: a folder of numbered ``.txt`` or ``.json``, a ``.npy``, ``.json`` or ``.txt`` file.
        notes: what was changed is appended.

    Raises:
        InputError: it holds no poses.
    """
    track = _read(path)
    stored = track.matrices.copy()
    if len(track.matrices) > FRAME_LIMIT:
        raise InputError(str(path), f"has {len(track.matrices)} poses", f"at most {FRAME_LIMIT}")
    there = complete(track.matrices)
    empty = there & (np.abs(track.matrices[:, :3, :3]).max(axis=(1, 2), initial=0.0) == 0.0)
    track.matrices[empty] = np.nan
    there &= ~empty
    if not there.any():
        raise InputError(str(path), "has a pose in no frame", "needs one at least")
    far = float(np.median(np.linalg.norm(track.matrices[there, :3, 3], axis=1)))
    unit = 0.001 if far > MILLIMETRES else 1.0
    if unit != 1.0:
        notes.append(f"{path.name}: translations of {far:.4g} (median) are taken for millimetres")
        track.matrices[:, :3, 3] *= unit
    save = track.save

    def save_as_stored(target: Path, matrices: np.ndarray) -> None:
        new = matrices.copy()
        new[:, :3, 3] /= unit
        gone = ~complete(new)
        new[gone] = stored[gone]
        save(target, new)

    return PoseTrack(path, track.matrices, track.numbers, save_as_stored, track.times)


def _read(path: Path) -> PoseTrack:
    if path.is_dir():
        return _read_folder(path)
    kind = {".npy": _read_array, ".json": _read_json, ".txt": _read_rows}.get(path.suffix.lower())
    if kind is None:
        raise InputError(str(path), f"{path.suffix or 'no'} files hold no poses", "needs .txt, .json or .npy")
    return kind(path)


def _read_folder(folder: Path) -> PoseTrack:
    texts = numbered(folder, (".txt",))
    files = texts or numbered(folder, (".json",))
    if not files:
        raise InputError(str(folder), "holds no numbered .txt or .json", "needs a file for each frame")
    trees: dict[int, Any] = {}
    matrices = []
    for number, path in files.items():
        if texts:
            matrices.append(_square(np.ravel(_flat(read_number_rows(path, "a 4x4 matrix"))), str(path)))
        else:
            trees[number] = read_json(path, "a pose", limit=1 << 20)
            matrices.append(_of_tree(trees[number], str(path)))

    def save(target: Path, new: np.ndarray) -> None:
        target.mkdir(parents=True, exist_ok=True)
        for (number, path), matrix in zip(files.items(), new, strict=True):
            if texts:
                np.savetxt(target / path.name, matrix)
            else:
                (target / path.name).write_text(json.dumps(_into_tree(trees[number], matrix)))

    return PoseTrack(folder, np.stack(matrices), tuple(files), save)


def _read_array(path: Path) -> PoseTrack:
    stored = read_npy(path, "an array of poses", "needs (frame, 4, 4), as numpy.save writes it")
    if stored.ndim == 2 and stored.shape[1] == 7:
        found = "has rows of 7 numbers, whose order (quaternion first or last, w first or last) it does not say"
        raise InputError(str(path), found, "give matrices (frame, 4, 4)")
    good = stored.ndim == 3 and stored.shape[1:] in ((4, 4), (3, 4)) and stored.dtype.kind in "fiu"
    if not good:
        raise InputError(str(path), f"{stored.dtype} of shape {stored.shape}", "needs numbers (frame, 4, 4)")
    check_reach(stored, str(path))

    def save(target: Path, new: np.ndarray) -> None:
        np.save(target, in_type_of(stored, new[:, : stored.shape[1]], str(path)), allow_pickle=False)

    return PoseTrack(path, _with_last_row(stored.astype(np.float64)), None, save)


def _read_json(path: Path) -> PoseTrack:
    tree = read_json(path, "poses")
    entries = list(tree.values()) if isinstance(tree, dict) else tree
    if not isinstance(entries, list) or not entries:
        raise InputError(str(path), "is no list or dictionary of poses", "needs a pose for each frame")
    found = None
    if isinstance(tree, dict):
        digits = [key[len(key.rstrip("0123456789")) :] for key in tree]
        if not all(1 <= len(text) <= 18 for text in digits) or len(set(map(int, digits))) < len(digits):
            raise InputError(str(path), f"has keys such as {str(next(iter(tree)))[:30]!r}", "needs numbers of frames")
        found = tuple(map(int, digits))
    nothing = np.full((4, 4), np.nan)
    matrices = [nothing if one is None else _of_tree(one, f"{path}: {row}") for row, one in enumerate(entries)]

    def save(target: Path, new: np.ndarray) -> None:
        made = [None if old is None else _into_tree(old, one) for old, one in zip(entries, new, strict=True)]
        target.write_text(json.dumps(dict(zip(tree, made, strict=True)) if isinstance(tree, dict) else made))

    return PoseTrack(path, np.stack(matrices), found, save)


def _read_rows(path: Path) -> PoseTrack:
    rows = read_number_rows(path, "poses")
    widths = {len(row) for row in rows}
    if len(rows) == 4 and widths == {4}:
        raise InputError(str(path), "is one pose", "needs a pose for each frame: give the folder of such files")
    if widths == {8}:
        return _of_tum(path, np.array(rows))
    if len(widths) != 1 or not widths <= set(_FLAT):
        found = f"has rows of {', '.join(map(str, sorted(widths)[:4])) or 'no'} numbers"
        raise InputError(str(path), found, "needs 8 (TUM: t x y z qx qy qz qw), 12 or 16 (row by row)")
    (width,) = widths
    matrices = _with_last_row(np.array(rows).reshape(-1, *_FLAT[width]))

    def save(target: Path, new: np.ndarray) -> None:
        np.savetxt(target, new[:, : _FLAT[width][0]].reshape(len(new), -1))

    return PoseTrack(path, matrices, None, save)


def _of_tum(path: Path, rows: np.ndarray) -> PoseTrack:
    """A trajectory: seconds, position, quaternion x, y, z, w."""
    from scipy.spatial.transform import Rotation

    turned = complete(rows) & (np.abs(rows[:, 4:]).max(axis=1, initial=0.0) > 0.0)
    lengths = np.linalg.norm(rows[turned, 4:], axis=1)
    if turned.any() and np.abs(lengths - 1.0).max() > 0.01:
        raise InputError(str(path), "has quaternions that are not of unit length", "needs t x y z qx qy qz qw")
    matrices = np.full((len(rows), 4, 4), np.nan)
    if turned.any():
        matrices[turned] = transforms_of(rows[turned, 1:4], rows[turned, 4:])

    def save(target: Path, new: np.ndarray) -> None:
        lines = []
        for time, matrix in zip(rows[:, 0], new, strict=True):
            numbers = [*matrix[:3, 3], *Rotation.from_matrix(matrix[:3, :3]).as_quat()]
            lines.append(" ".join([repr(float(time)), *(f"{value:.17g}" for value in numbers)]))
        target.write_text("\n".join([*lines, ""]))

    return PoseTrack(path, matrices, None, save, rows[:, 0])


def _flat(rows: list[list[float]]) -> list[float]:
    return [value for row in rows for value in row]


def _square(values: np.ndarray, where: str) -> np.ndarray:
    if len(values) not in _FLAT:
        raise InputError(where, f"has {len(values)} numbers", "needs a 4x4 matrix")
    return _with_last_row(values.reshape(1, *_FLAT[len(values)]))[0]


def _with_last_row(matrices: np.ndarray) -> np.ndarray:
    whole = np.tile(np.eye(4), (len(matrices), 1, 1))
    whole[:, : matrices.shape[1]] = matrices
    return whole


def _of_tree(tree: Any, where: str) -> np.ndarray:
    """A matrix, as nested or flat lists, or rotation (w, x, y, z, or 3x3) and translation by name."""
    if isinstance(tree, dict):
        from scipy.spatial.transform import Rotation

        turn = entry(tree, "rotation", where)
        matrix = np.eye(4)
        matrix[:3, 3] = numbers(entry(tree, "translation", where), (3,), f"{where}: translation")
        if isinstance(turn, list) and len(turn) == 4:
            w, x, y, z = numbers(turn, (4,), f"{where}: rotation")
            if abs(np.linalg.norm([w, x, y, z]) - 1.0) > 0.01:
                raise InputError(f"{where}: rotation", "is not of unit length", "needs w, x, y, z, or 3x3")
            matrix[:3, :3] = Rotation.from_quat([x, y, z, w]).as_matrix()
        else:
            matrix[:3, :3] = numbers(turn, (3, 3), f"{where}: rotation")
        if "scale" in tree:
            scale = tree["scale"] if isinstance(tree["scale"], list) else [tree["scale"]] * 3
            matrix[:3, :3] = matrix[:3, :3] * numbers(scale, (3,), f"{where}: scale")
        return matrix
    flat = isinstance(tree, list) and tree and not isinstance(tree[0], list)
    values = numbers(tree, (None,) if flat else (None, 4), where, finite=False)
    return _square(values.ravel(), where)


def _into_tree(old: Any, matrix: np.ndarray) -> Any:
    """A pose in the form of another one."""
    if isinstance(old, dict):
        from scipy.spatial.transform import Rotation

        size = float(np.cbrt(np.linalg.det(matrix[:3, :3])))
        x, y, z, w = (float(value) for value in Rotation.from_matrix(matrix[:3, :3] / size).as_quat())
        turn = [w, x, y, z] if len(old["rotation"]) == 4 else (matrix[:3, :3] / size).tolist()
        return {**old, "rotation": turn, "translation": matrix[:3, 3].tolist()}
    rows = matrix[: len(np.ravel(old)) // 4]
    return rows.ravel().tolist() if not isinstance(old[0], list) else rows.tolist()
