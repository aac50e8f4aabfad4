"""Places and poses of a world in the frame of a camera, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from warpprior.io.world import CameraPath
from warpprior.scene import Poses

if TYPE_CHECKING:
    from scipy.spatial.transform import Rotation


def into_camera(path: CameraPath, position: np.ndarray, rotation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions (frame, ..., 3) and quaternions (frame, ..., 4) xyzw of the world in the camera's frame."""
    from scipy.spatial.transform import Rotation

    return points_into_camera(path, position), _turned(Rotation.from_quat(path.rotation).inv(), rotation)


def into_world(path: CameraPath, position: np.ndarray, rotation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions (frame, ..., 3) and quaternions (frame, ..., 4) xyzw of the camera's frame in the world."""
    from scipy.spatial.transform import Rotation

    return points_into_world(path, position), _turned(Rotation.from_quat(path.rotation), rotation)


def points_into_camera(path: CameraPath, points: np.ndarray) -> np.ndarray:
    """Points (frame, ..., 3) of the world in the camera's frame."""
    from scipy.spatial.transform import Rotation

    turns = Rotation.from_quat(path.rotation).inv().as_matrix()
    return np.einsum("fab,f...b->f...a", turns, points - _spread(path.position, points))


def points_into_world(path: CameraPath, points: np.ndarray) -> np.ndarray:
    """Points (frame, ..., 3) of the camera's frame in the world."""
    from scipy.spatial.transform import Rotation

    turns = Rotation.from_quat(path.rotation).as_matrix()
    return np.einsum("fab,f...b->f...a", turns, points) + _spread(path.position, points)


def _spread(shift: np.ndarray, points: np.ndarray) -> np.ndarray:
    return shift.reshape(len(shift), *(1,) * (points.ndim - 2), 3)


def _turned(turn: Rotation, rotation: np.ndarray) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    copies = int(np.prod(rotation.shape[1:-1], dtype=int))
    every = Rotation.from_quat(np.repeat(turn.as_quat(), copies, axis=0))
    return (every * Rotation.from_quat(rotation.reshape(-1, 4))).as_quat().reshape(rotation.shape)


def still(frame_count: int) -> CameraPath:
    """A camera that stands where the world begins."""
    poses = Poses.identity(frame_count)
    return CameraPath(poses.position, poses.rotation)
