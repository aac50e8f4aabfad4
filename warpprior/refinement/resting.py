"""What rests while the camera moves: neighbours' poses as another frame's camera would see them."""

from __future__ import annotations

from typing import Any

import numpy as np

from warpprior.geometry.transfer import Transfer
from warpprior.world import CameraPath


def in_world(camera: CameraPath, poses: np.ndarray) -> np.ndarray:
    """Poses (frame, 7) of the camera's frames in the world."""
    return np.concatenate(camera.moved(poses[:, :3], poses[:, 3:]), axis=1)


def carry_at_rest(
    camera: CameraPath, poses: np.ndarray, source: slice, target: slice, transfer: Transfer | None = None
) -> np.ndarray:
    """Poses (pair, 7) of the frames ``source`` as the cameras of ``target`` see them, if they rest in the world.

    ``transfer`` then expects bodies to go that way where no contact says otherwise.
    """
    place, turned = camera.frames(source).moved(poses[:, :3], poses[:, 3:])
    place, turned = camera.frames(target).seen(place, turned)
    if transfer is not None:
        none = np.zeros((len(poses), 3)), np.tile([0.0, 0.0, 0.0, 1.0], (len(poses), 1))
        _, turn = camera.frames(target).seen(*camera.frames(source).moved(*none))
        expected: Any = np.concatenate([place - poses[:, :3], turn], axis=1).astype(np.float32)
        transfer.prior_motions.assign(expected)
    return np.concatenate([place, turned], axis=1)
