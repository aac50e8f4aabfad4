"""The world in files of a result's poses: ``world/camera/position`` and ``world/<body>/position``, and so on.

Beside ``<body>/position`` and ``rotation``, in the camera's frame, a file of a scene whose camera moves has the same in
the world, and the camera: ``position`` (frame, 3) [m], ``rotation`` (frame, 4) xyzw and, where it was estimated,
``covariance`` (frame, 6, 6).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from warpprior.io.array_files import read_arrays
from warpprior.io.result_folder import checked_poses_file
from warpprior.scene import Poses
from warpprior.world import CameraPath, World

WORLD = "world/"
CAMERA = f"{WORLD}camera/"


def world_arrays(world: World | None, poses: Mapping[str, Poses]) -> dict[str, np.ndarray]:
    """Arrays of the camera and the bodies in the world, by key; none where the camera stands."""
    if world is None or not world.moves or world.camera is None:
        return {}
    path = world.camera
    found = {f"{CAMERA}position": path.position, f"{CAMERA}rotation": path.rotation}
    if path.covariance is not None:
        found[f"{CAMERA}covariance"] = path.covariance
    for name, motion in poses.items():
        position, rotation = path.moved(motion.position, motion.rotation)
        found |= {f"{WORLD}{name}/position": position, f"{WORLD}{name}/rotation": rotation}
    return found


def load_result_camera(path: str | Path, frame_count: int) -> CameraPath | None:
    """Poses of the camera of a result folder or its pose file; None where they are not of so many frames, or none.

    Raises:
        InputError: the file is missing or damaged.
    """
    path = Path(path)
    arrays = read_arrays(checked_poses_file(path, []) if path.is_dir() else path)
    fields = ("position", "rotation", "covariance")
    found = [arrays[f"{CAMERA}{field}"] if f"{CAMERA}{field}" in arrays else None for field in fields]
    position, rotation, covariance = found
    if position is None or rotation is None or len(position) < frame_count:
        return None
    return CameraPath(position, rotation, covariance=covariance).frames(slice(0, frame_count))
