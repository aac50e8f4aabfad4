"""A camera for what was recorded without one: it stands and sees all of it, and its frame is what we estimate in."""

from __future__ import annotations

import numpy as np

from warpprior.io.world import CameraPath
from warpprior.scene import Camera

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
