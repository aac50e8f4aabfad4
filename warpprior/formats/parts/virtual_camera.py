"""A camera for what was recorded without one: it stands and sees all of it, and its frame is what we estimate in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from warpprior.io.world import CameraPath
from warpprior.scene import Camera, Poses

if TYPE_CHECKING:
    from scipy.spatial.transform import Rotation

_WIDTH, _HEIGHT, _FOCAL = 640, 480, 600.0
_MARGIN, _NEAREST = 0.15, 0.6  # around all places, of the nearest stand [m]
_LOOKS = np.array([-1.0, 1.0, -0.6])  # from above, in a world whose third axis points up


def standing_camera(places: np.ndarray, frame_count: int) -> tuple[Camera, CameraPath]:
    """A camera and its poses in the world, which see all places.

    Args:
        places: (place, 3) [m], in a world whose z axis points up.
        frame_count: how many poses.
    """
    middle = 0.5 * (places.min(axis=0) + places.max(axis=0))
    reach = float(np.linalg.norm(places - middle, axis=1).max()) + _MARGIN
    forward = _LOOKS / np.linalg.norm(_LOOKS)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right = right / np.linalg.norm(right)
    axes = np.stack([right, np.cross(forward, right), forward], axis=1)
    stand = middle - max(_NEAREST, reach * (1.0 + 2.0 * _FOCAL / _HEIGHT)) * forward
    from scipy.spatial.transform import Rotation

    turn = Rotation.from_matrix(axes).as_quat()
    camera = Camera(_WIDTH, _HEIGHT, _FOCAL, _FOCAL, 0.5 * _WIDTH, 0.5 * _HEIGHT)
    return camera, CameraPath(np.tile(stand, (frame_count, 1)), np.tile(turn, (frame_count, 1)))


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
