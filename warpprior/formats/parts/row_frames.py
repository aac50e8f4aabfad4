"""Frames of video_to_data's parquet files, moved along with the links of a body."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from warpprior.bodies.posing import link_transforms
from warpprior.formats.parts.frame_names import keypoint_rows
from warpprior.formats.parts.virtual_camera import into_camera, into_world
from warpprior.io.world import CameraPath
from warpprior.scene import SceneBody


class LinkMotion:
    """How the links of a body moved from where a file has them.

    Args:
        before, after: the body as the file has it, and in new poses.
        path: of the camera.
    """

    def __init__(self, before: SceneBody, after: SceneBody, path: CameraPath):
        self.after, self.path = after, path
        self._names, self._keypoints = before.body.link_names, before.body.keypoints
        self._before, self._after = (
            link_transforms(one.body, one.initial).astype(np.float64) for one in (before, after)
        )

    def frames(self, poses: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """Frames moved along with the links of their names, or that their names mean, or that they are nearest to.

        Args:
            poses: (frame, k, 7) in the world, position [m] and quaternion xyzw.
            names: of the frames.

        Returns:
            (frame, k, 7), quaternions wxyz, with the signs that they had.
        """
        from scipy.spatial.transform import Rotation

        position, rotation = into_camera(self.path, poses[..., :3], poses[..., 3:])
        places, turns = np.empty_like(position), np.empty_like(rotation)
        for row, name in enumerate(names):
            link = self._link(row, name, names, position[:, row])
            old, new = (Rotation.from_quat(one[:, link, 3:]) for one in (self._before, self._after))
            moved = new * old.inv()
            places[:, row] = self._after[:, link, :3] + moved.apply(position[:, row] - self._before[:, link, :3])
            turns[:, row] = (moved * Rotation.from_quat(rotation[:, row])).as_quat()
        places, turns = into_world(self.path, places, turns)
        turns = np.where(np.sum(turns * poses[..., 3:], axis=-1, keepdims=True) < 0.0, -turns, turns)
        return np.concatenate([places, turns[..., [3, 0, 1, 2]]], axis=2)

    def root(self, poses: np.ndarray) -> np.ndarray:
        """Poses (frame, 7) of the root, quaternions wxyz, with the signs of those before, xyzw."""
        place, turn = into_world(self.path, self.after.initial.position, self.after.initial.rotation)
        turn = np.where(np.sum(turn * poses[:, 3:], axis=1, keepdims=True) < 0.0, -turn, turn)
        return np.concatenate([place, turn[:, [3, 0, 1, 2]]], axis=1)

    def _link(self, row: int, name: str, names: Sequence[str], places: np.ndarray) -> int:
        if name in self._names:
            return self._names.index(name)
        ours = {theirs: key for key, theirs in keypoint_rows(list(names)).items()}
        if row in ours and self._keypoints is not None:
            return int(self._keypoints.links[ours[row]])
        away = np.linalg.norm(self._before[..., :3] - places[:, None], axis=2).mean(axis=0)
        return int(np.argmin(away))
