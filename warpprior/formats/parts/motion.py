"""Poses as others store them, with gaps, brought to :class:`warpprior.Poses` and back."""

from __future__ import annotations

import numpy as np

from warpprior.io.gaps import fill_gaps, fill_rotation_gaps
from warpprior.io.rotations import read_rotations
from warpprior.io.world import CameraPath
from warpprior.scene import Poses, SceneBody
from warpprior.support.errors import InputError
from warpprior.support.wording import frame_list

SCALE_SPREAD = 1e-3  # of a scale that is to be one number
MIRROR = np.array([1.0, -1.0, -1.0])  # of rotation vectors, where x is mirrored


def complete(values: np.ndarray) -> np.ndarray:
    """Frames (frame,) bool in which all is finite."""
    return np.asarray(np.isfinite(values).all(axis=tuple(range(1, values.ndim))), dtype=bool)


def filled(
    where: object,
    name: str,
    position: np.ndarray,
    rotation: np.ndarray,
    valid: np.ndarray,
    notes: list[str],
    *,
    joints: np.ndarray | None = None,
    shape: np.ndarray | None = None,
    scale: float = 1.0,
) -> Poses:
    """Poses without gaps: frames that are not valid, or not finite, are interpolated, flagged and noted.

    What stands in frames that are not valid is never read.

    Args:
        where: file or folder of the poses, for errors.
        name: of the body, for the note.
        position: (frame, 3) [m].
        rotation: unit quaternions (frame, 4) xyzw.
        valid: (frame,) bool.
        notes: a sentence is appended where there are gaps.
        joints: (frame, coordinate), shape: (shape,), scale: as of :class:`warpprior.Poses`.

    Raises:
        InputError: no frame is valid.
    """
    count = len(position)
    joints = np.zeros((count, 0)) if joints is None else joints
    together = np.concatenate([position, rotation, joints], axis=1)
    odd = valid & ~complete(together)
    usable = valid & ~odd
    if not usable.any():
        raise InputError(f"{where}: {name}", "has a pose in no frame", "needs one frame at least")
    if odd.any():
        notes.append(f"{name} has a pose that is not finite in {frame_list(np.flatnonzero(odd))}")
    if not usable.all():
        position, rotation = _without_gaps(position, rotation, usable)
        joints = fill_gaps(np.where(usable[:, None], joints, 0.0), usable)
        notes.append(f"{name} has no pose in {frame_list(np.flatnonzero(~usable))}; it was interpolated there")
    imputed = None if usable.all() else ~usable
    return Poses(position, rotation, joints, np.zeros(0) if shape is None else shape, scale, imputed=imputed)


def spread(where: object, name: str, given: Poses, frames: np.ndarray, count: int, notes: list[str]) -> Poses:
    """Poses of some ``frames`` as those of ``count``; the others are filled as by :func:`filled`."""
    valid, values = np.zeros(count, dtype=bool), {}
    valid[frames] = True
    for key in ("position", "rotation", "joints"):
        stored = getattr(given, key)
        values[key] = np.full((count, stored.shape[1]), np.nan)
        values[key][frames] = stored
    return filled(where, name, valid=valid, notes=notes, shape=given.shape, **values)


def _without_gaps(position: np.ndarray, rotation: np.ndarray, usable: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    position = fill_gaps(np.where(usable[:, None], position, 0.0), usable)
    return position, fill_rotation_gaps(np.where(usable[:, None], rotation, [0.0, 0.0, 0.0, 1.0]), usable)


def split_transforms(
    matrices: np.ndarray, valid: np.ndarray, where: str, notes: list[str]
) -> tuple[np.ndarray, np.ndarray, float]:
    """Positions (frame, 3), quaternions (frame, 4) and the scale of transforms (frame, 4, 4) or (frame, 3, 4).

    A uniform scale inside the matrices has to be the same in all valid frames.

    Args:
        matrices: may hold anything where they are not valid.
        valid: (frame,) bool.
        where: names them in errors.
        notes: a sentence is appended where there is a scale.

    Raises:
        InputError: no rotations, mirrored ones, or a scale that varies or is not uniform.
    """
    good = valid & complete(matrices)
    position = np.full((len(matrices), 3), np.nan)
    if not good.any():
        return position, np.full((len(matrices), 4), np.nan), 1.0
    blocks = matrices[good, :3, :3].astype(np.float64)
    if matrices.shape[1] == 4:
        low = matrices[good, 3]
        if np.abs(low - [0.0, 0.0, 0.0, 1.0]).max() > 1e-4:
            raise InputError(
                where, "has a last row that is not 0 0 0 1", "needs transforms, the translation in column 4"
            )
    scales = np.cbrt(np.linalg.det(blocks))
    scale = float(np.median(scales))
    if not scale > 1e-6:
        accepted = "needs rotations: is it transposed, mirrored or empty?"
        raise InputError(where, f"has 3x3 blocks of determinant {scale**3:.3g} (median)", accepted)
    spread = float(np.abs(scales / scale - 1.0).max())
    if spread > SCALE_SPREAD:
        frames = np.flatnonzero(good)[np.abs(scales / scale - 1.0) > SCALE_SPREAD]
        found = f"the size in its 3x3 blocks varies by {100 * spread:.2g} %, in {frame_list(frames)}"
        raise InputError(where, found, "needs one size of the object, or rotations")
    if abs(scale - 1.0) > 1e-5:
        notes.append(f"{where}: its 3x3 blocks hold a size factor of {scale:.6g}; it was put into the mesh")
    else:
        scale = 1.0
    position[good] = matrices[good, :3, 3]
    turns = np.full((len(matrices), 3, 3), np.nan)
    turns[good] = blocks / scales[:, None, None]
    return position, read_rotations(turns, where, where, notes), scale


def transforms_of(position: np.ndarray, rotation: np.ndarray, scale: float = 1.0) -> np.ndarray:
    """Transforms (frame, 4, 4) float64 of positions and quaternions xyzw, with a uniform scale in the 3x3 blocks."""
    matrices = CameraPath(position, rotation).matrices()
    matrices[:, :3, :3] *= scale
    return matrices


def camera_path(matrices: np.ndarray, valid: np.ndarray, where: str, notes: list[str]) -> CameraPath | None:
    """Poses of a camera, world_from_camera, without gaps; None where no frame has one.

    Raises:
        InputError: no rigid transforms.
    """
    position, rotation, scale = split_transforms(matrices, valid, where, [])
    if scale != 1.0:
        raise InputError(where, f"has a size factor of {scale:.6g}", "needs rigid poses of the camera")
    usable = complete(position)
    if not usable.any():
        return None
    if not usable.all():
        notes.append(f"the camera has no pose in {frame_list(np.flatnonzero(~usable))}; it was interpolated there")
        position, rotation = _without_gaps(position, rotation, usable)
    return CameraPath(position, rotation, None if usable.all() else usable)


def note_camera(path: CameraPath | None, notes: list[str]) -> None:
    """Say that a camera moves, and how far."""
    if path is None or not path.moves:
        return
    away, turned = path.travel()
    said = f"the camera moves by up to {100 * away:.3g} cm and {np.degrees(turned):.3g} degrees"
    notes.append(f"{said}; its poses are known, and what compares frames does so in the world")


def one_scale(name: str, scales: np.ndarray, notes: list[str]) -> float:
    """One size factor of factors per frame: their median, with a note where they vary."""
    scale = float(np.median(scales))
    spread = float(np.ptp(scales)) / scale
    if spread > SCALE_SPREAD:
        notes.append(
            f"{name} varies in size by {100 * spread:.2g} %; the median, {scale:.4g}, was taken for all frames"
        )
    return scale if abs(scale - 1.0) > 1e-6 else 1.0


def with_truth(item: SceneBody) -> SceneBody:
    """A body whose initial poses are its true ones, too, but for frames that were filled."""
    from dataclasses import replace

    poses = item.initial
    if poses.imputed is None:
        return replace(item, truth=poses)
    gone = poses.imputed[:, None]
    nothing = {key: np.where(gone, np.nan, getattr(poses, key)) for key in ("position", "rotation", "joints")}
    return replace(item, truth=replace(poses, **nothing, imputed=None))
