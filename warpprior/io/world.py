"""The world that a scene was recorded in: poses of a moving camera, and which way things fall.

A file of camera poses has ``position`` (frame, 3) [m], ``rotation`` (frame, 4) xyzw and, where some were interpolated,
``valid`` (frame,): world_from_camera of each frame, OpenCV camera.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from warpprior.io.array_files import read_arrays, write_arrays
from warpprior.io.rotations import read_rotations
from warpprior.support.errors import InputError

STILL_M, STILL_RAD = 1e-4, 1e-4  # a camera that moves less in all is taken to stand


@dataclass(frozen=True, eq=False)  # arrays have no one answer to ==
class CameraPath:
    """Poses of the camera, world_from_camera.

    Attributes:
        position: (frame, 3) [m].
        rotation: unit quaternions (frame, 4), xyzw.
        valid: frames whose poses were given, not interpolated (frame,) bool; None: all.
    """

    position: np.ndarray
    rotation: np.ndarray
    valid: np.ndarray | None = None

    @property
    def frame_count(self) -> int:
        return len(self.position)

    def frames(self, selection) -> CameraPath:
        """The same at the selected frames (slice or index array)."""
        valid = None if self.valid is None else self.valid[selection]
        return CameraPath(self.position[selection], self.rotation[selection], valid)

    def matrices(self) -> np.ndarray:
        """World_from_camera (frame, 4, 4) float64."""
        from scipy.spatial.transform import Rotation

        matrices = np.tile(np.eye(4), (self.frame_count, 1, 1))
        matrices[:, :3, :3] = Rotation.from_quat(self.rotation).as_matrix()
        matrices[:, :3, 3] = self.position
        return matrices

    def travel(self) -> tuple[float, float]:
        """How far the camera gets from where it begins [m], and how far it turns [rad]."""
        away = np.linalg.norm(self.position - self.position[0], axis=1).max()
        cosine = np.abs(self.rotation @ self.rotation[0]).min()
        return float(away), float(2.0 * np.arccos(min(cosine, 1.0)))

    @property
    def moves(self) -> bool:
        away, turned = self.travel()
        return away > STILL_M or turned > STILL_RAD


@dataclass(frozen=True, eq=False)
class World:
    """Where the camera was, and the direction of gravity.

    Attributes:
        camera: its poses in the world; None: it stands, and its frame is the world.
        gravity: unit vector (3,) in the world along which things fall; None where it is not known.
    """

    camera: CameraPath | None = None
    gravity: np.ndarray | None = None

    def first_frames(self, count: int) -> World:
        """The same, cut to its first frames."""
        return self if self.camera is None else replace(self, camera=self.camera.frames(slice(0, count)))


def save_camera_path(path: Path, camera: CameraPath) -> None:
    """Write camera poses."""
    arrays = {"position": camera.position, "rotation": camera.rotation}
    if camera.valid is not None and not camera.valid.all():
        arrays["valid"] = camera.valid
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
    return CameraPath(found["position"], rotation, valid)
