"""Files of a moving camera's poses.

A file of camera poses has ``position`` (frame, 3) [m], ``rotation`` (frame, 4) xyzw and, where some were interpolated,
``valid`` (frame,): world_from_camera of each frame, OpenCV camera; of a result, ``covariance`` (frame, 6, 6), too.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from warpprior.io.array_files import read_arrays, write_arrays
from warpprior.io.rotations import read_rotations
from warpprior.support.errors import InputError
from warpprior.world import CameraNoise, CameraPath, World

__all__ = ["CameraNoise", "CameraPath", "World", "load_camera_path", "save_camera_path"]


def save_camera_path(path: Path, camera: CameraPath) -> None:
    """Write camera poses."""
    arrays = {"position": camera.position, "rotation": camera.rotation}
    if camera.valid is not None and not camera.valid.all():
        arrays["valid"] = camera.valid
    if camera.covariance is not None:
        arrays["covariance"] = camera.covariance
    write_arrays(path, arrays)


def load_camera_path(path: Path, frame_count: int, notes: list[str]) -> CameraPath:
    """Read camera poses.

    Args:
        path: an ``.npz`` file.
        frame_count: frames that it must have.
        notes: warnings are appended.

    Raises:
        InputError: the file is damaged, of another length, or not finite.
    """
    arrays = read_arrays(path, frame_count=frame_count)
    found = {}
    for key, width in (("position", 3), ("rotation", 4)):
        if key not in arrays:
            raise InputError(f"{path}: {key}", "is missing", "needs position (frame, 3) and rotation (frame, 4)")
        values = arrays[key]
        good = values.shape == (frame_count, width) and values.dtype.kind in "fiu"
        if not good or not np.isfinite(values).all():
            accepted = f"needs finite numbers ({frame_count}, {width})"
            raise InputError(f"{path}: {key}", f"{values.dtype} of shape {values.shape}", accepted)
        found[key] = values.astype(np.float64)
    rotation = read_rotations(found["rotation"], "camera", f"{path}: rotation", notes)
    if np.isnan(rotation).any():
        raise InputError(f"{path}: rotation", "has quaternions of zeros", "needs a rotation in every frame")
    valid = arrays.get("valid")
    if valid is not None and (valid.shape != (frame_count,) or valid.dtype.kind != "b"):
        raise InputError(f"{path}: valid", f"{valid.dtype} of shape {valid.shape}", f"needs bool ({frame_count},)")
    covariance = arrays.get("covariance")
    if covariance is not None and (covariance.shape != (frame_count, 6, 6) or covariance.dtype.kind != "f"):
        found = f"{covariance.dtype} of shape {covariance.shape}"
        raise InputError(f"{path}: covariance", found, f"needs numbers ({frame_count}, 6, 6)")
    return CameraPath(found["position"], rotation, valid, covariance)
