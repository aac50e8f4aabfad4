"""Rotations as users store them, brought to unit quaternions x, y, z, w."""

from __future__ import annotations

import numpy as np

from warpprior.io.wording import frame_list
from warpprior.support.errors import InputError

ROUNDING = 1e-5
MENDABLE_NORM = 0.1
MENDABLE_MATRIX = 1e-3


def read_rotations(stored: np.ndarray, name: str, where: str, notes: list[str]) -> np.ndarray:
    """Unit quaternions (frame, 4) xyzw from quaternions (frame, 4) or rotation matrices (frame, 3, 3).

    Frames with values that are not finite come out NaN.  Quaternions within 10 % of unit length are normalised, and
    matrices within 1e-3 of orthonormal projected, with a note beyond rounding.

    Raises:
        InputError: a zero quaternion, a norm or matrix further off, or a left-handed matrix.
    """
    return _read_quaternions(stored, name, where, notes) if stored.ndim == 2 else _read_matrices(stored, where, notes)


def _read_quaternions(stored: np.ndarray, name: str, where: str, notes: list[str]) -> np.ndarray:
    order = "needs unit quaternions in the order x, y, z, w"
    finite = np.all(np.isfinite(stored), axis=1)
    rotation = np.where(finite[:, None], stored, np.nan)
    with np.errstate(over="ignore"):
        norm = np.linalg.norm(rotation, axis=1)
    zero = finite & (norm < 1e-6)
    if zero.any():
        accepted = f"{order}; mark a missing pose with NaN"
        raise InputError(f"{where}, {frame_list(np.flatnonzero(zero))}", "is a zero quaternion", accepted)
    error = np.abs(norm - 1.0)
    wrong = finite & (error > MENDABLE_NORM)
    if wrong.any():
        frame = np.flatnonzero(wrong)[0]
        raise InputError(f"{where}, {frame_list(np.flatnonzero(wrong))}", f"has norm {norm[frame]:.4g}", order)
    rough = finite & (error > ROUNDING)
    if rough.any():
        notes.append(f"{name}/rotation was normalised in {frame_list(np.flatnonzero(rough))}")
    rotation /= norm[:, None]
    if finite.any() and np.all(np.abs(np.abs(rotation[finite]) - [1, 0, 0, 0]) < 1e-3):
        notes.append(f"{name}/rotation is half a turn about x in every frame: is it identity in the order w, x, y, z?")
    return rotation


def _read_matrices(stored: np.ndarray, where: str, notes: list[str]) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    finite = np.all(np.isfinite(stored), axis=(1, 2))
    matrices = np.where(finite[:, None, None], stored, np.eye(3))
    with np.errstate(over="ignore", invalid="ignore"):
        error = np.abs(matrices.transpose(0, 2, 1) @ matrices - np.eye(3)).max(axis=(1, 2))
    wrong = ~(error <= MENDABLE_MATRIX)
    if wrong.any():
        place = f"{where}, {frame_list(np.flatnonzero(wrong))}"
        raise InputError(place, "is not a rotation matrix", "needs orthonormal matrices (frame, 3, 3) without scale")
    mirrored = np.linalg.det(matrices) < 0
    if mirrored.any():
        place = f"{where}, {frame_list(np.flatnonzero(mirrored))}"
        raise InputError(place, "is left-handed (determinant -1)", "needs rotations; is the model mirrored?")
    rough = error > ROUNDING
    if rough.any():
        notes.append(f"{where.rpartition(': ')[2]} was made orthonormal in {frame_list(np.flatnonzero(rough))}")
        left, _, right = np.linalg.svd(matrices)
        matrices = left @ right
    rotation = Rotation.from_matrix(matrices).as_quat()
    rotation[~finite] = np.nan
    return rotation
