"""Rotations as users store them, brought to unit quaternions x, y, z, w, or to rotation vectors of joints."""

from __future__ import annotations

import numpy as np

from warpprior.support.errors import InputError
from warpprior.support.wording import frame_list

ROUNDING = 1e-5
MENDABLE_NORM = 0.1
MENDABLE_MATRIX = 0.02  # networks compute with 16 bits
MARK_MISSING = "mark a missing pose with NaN"


def read_rotations(stored: np.ndarray, name: str, where: str, notes: list[str]) -> np.ndarray:
    """Unit quaternions (frame, 4) xyzw from quaternions (frame, 4) or rotation matrices (frame, 3, 3).

    Frames with values that are not finite come out NaN, and with a note those that are all zero: no rotation is, so
    they mark a missing pose.  Quaternions within 10 % of unit length are normalised, and matrices within 0.02 of
    orthonormal projected, with a note beyond rounding.

    Raises:
        InputError: a norm or matrix further off, or a left-handed matrix.
    """
    if stored.ndim == 2:
        return _read_quaternions(stored, name, where, notes)
    from scipy.spatial.transform import Rotation

    matrices = _read_matrices(stored, where, notes)
    missing = np.isnan(matrices[:, 0, 0])
    rotation = Rotation.from_matrix(np.where(missing[:, None, None], np.eye(3), matrices)).as_quat()
    rotation[missing] = np.nan
    return rotation


def read_joint_matrices(stored: np.ndarray, where: str, notes: list[str]) -> np.ndarray:
    """Rotation vectors (frame, 3 * joint) [rad] from rotation matrices (frame, joint, 3, 3); NaN in missing frames.

    Raises:
        InputError: as :func:`read_rotations`.
    """
    from scipy.spatial.transform import Rotation

    count = stored.shape[1]
    matrices = _read_matrices(stored, where, notes)
    missing = np.isnan(matrices[..., 0, 0])
    filled = np.where(missing[..., None, None], np.eye(3), matrices).reshape(-1, 3, 3)
    vectors = Rotation.from_matrix(filled).as_rotvec().reshape(len(stored), 3 * count)
    vectors[missing.any(axis=1)] = np.nan
    return vectors


def _read_quaternions(stored: np.ndarray, name: str, where: str, notes: list[str]) -> np.ndarray:
    order = f"needs unit quaternions in the order x, y, z, w; {MARK_MISSING}"
    finite = np.all(np.isfinite(stored), axis=1)
    finite &= ~_note_zeros(np.all(stored == 0.0, axis=1), where, notes)
    rotation = np.where(finite[:, None], stored, np.nan)
    with np.errstate(over="ignore"):
        norm = np.linalg.norm(rotation, axis=1)
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
    """Rotation matrices (frame, ..., 3, 3), made orthonormal; a missing one is NaN throughout."""
    finite = np.all(np.isfinite(stored), axis=(-2, -1))
    zero = np.all(stored == 0.0, axis=(-2, -1))
    _note_zeros(zero.reshape(len(zero), -1).any(axis=1), where, notes)
    finite &= ~zero
    matrices = np.where(finite[..., None, None], stored, np.eye(3))
    with np.errstate(over="ignore", invalid="ignore"):
        error = np.abs(np.swapaxes(matrices, -1, -2) @ matrices - np.eye(3)).max(axis=(-2, -1))
    wrong = _frames(~(error <= MENDABLE_MATRIX))
    if len(wrong):
        accepted = f"needs orthonormal matrices (frame, 3, 3) without scale; {MARK_MISSING}"
        raise InputError(f"{where}, {frame_list(wrong)}", "is not a rotation matrix", accepted)
    mirrored = _frames(np.linalg.det(matrices) < 0)
    if len(mirrored):
        accepted = "needs rotations; is the model mirrored?"
        raise InputError(f"{where}, {frame_list(mirrored)}", "is left-handed (determinant -1)", accepted)
    rough = _frames(error > ROUNDING)
    if len(rough):
        notes.append(f"{where.rpartition(': ')[2]} was made orthonormal in {frame_list(rough)}")
        left, _, right = np.linalg.svd(matrices)
        matrices = left @ right
    return np.where(finite[..., None, None], matrices, np.nan)


def _note_zeros(zero: np.ndarray, where: str, notes: list[str]) -> np.ndarray:
    """Frames (frame,) bool of zeros, with a note: many data sets mark a missing pose so."""
    if zero.any():
        frames = frame_list(np.flatnonzero(zero))
        notes.append(f"{where.rpartition(': ')[2]} is all zeros in {frames}, which is no rotation; taken as missing")
    return zero


def _frames(wrong: np.ndarray) -> np.ndarray:
    """Frames in which anything (frame, ...) is wrong."""
    return np.flatnonzero(wrong.reshape(len(wrong), -1).any(axis=1))
