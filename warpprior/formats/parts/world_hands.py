"""Hands in a world, with the camera's way through it, as Dyn-HaMR and HaWoR leave them: brought into the camera."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from warpprior.formats.parts.mano_hands import find_mano
from warpprior.formats.parts.motion import MIRROR, filled
from warpprior.formats.parts.virtual_camera import into_camera, still
from warpprior.io.world import CameraPath
from warpprior.scene import SceneBody

_SHAPE = 0.05


@dataclass(frozen=True, eq=False)
class HandTrack:
    """One hand by its MANO parameters, in the world or in the camera.

    Attributes:
        orient: rotation vectors (frame, 3), joints (frame, 45), about the flat hand.
        transl: (frame, 3) [m], what MANO adds after the turn about the wrist joint.
        shapes: (frame, 10).
        valid: frames (frame,) bool in which there is a hand.
        guessed: frames (frame,) bool whose poses were filled in by the program.
        index: which row of the file's arrays it is.
        of_right: the parameters of a left hand are of a right one, which is mirrored with all that it is put to.
    """

    orient: np.ndarray
    joints: np.ndarray
    transl: np.ndarray
    shapes: np.ndarray
    valid: np.ndarray
    guessed: np.ndarray
    of_right: bool = False
    index: int = 0


@dataclass(frozen=True, eq=False)
class WorldHands:
    """What a program left of a clip.

    Attributes:
        where: its file or folder.
        count: frames.
        tracks: by side.
        camera: its poses in the world, or None.
        in_world: hands are in the world, not in the camera.
        intrinsics: fx, fy, cx, cy [px], the first pixel's centre at (0, 0), or None.
        size: of the pictures, or None.
        pictures: folder of the pictures, or None.
        first: number of the first picture.
        begin: which of the pictures the first frame is, counted from 0.
        notes: what was taken how.
    """

    where: Path
    count: int
    tracks: Mapping[str, HandTrack]
    camera: CameraPath | None = None
    intrinsics: tuple[float, float, float, float] | None = None
    size: tuple[int, int] | None = None
    pictures: Path | None = None
    first: int = 0
    begin: int = 0
    notes: list[str] = field(default_factory=list)
    in_world: bool = True

    def bodies(self, mano: Path | None, notes: list[str], *, alone: bool = False) -> list[SceneBody]:
        """Hands of MANO in the camera's frame, their labels still to be given.

        Raises:
            InputError: a model is not there, or no hand is valid in any frame.
        """
        return [self._body(side, track, mano, alone, notes) for side, track in self.tracks.items() if track.valid.any()]

    def _body(self, side: str, track: HandTrack, mano: Path | None, alone: bool, notes: list[str]) -> SceneBody:
        from scipy.spatial.transform import Rotation

        mirrored = side == "left" and track.of_right
        corrected = side == "left" and not mirrored
        hand = find_mano(mano, side, mirrored=mirrored, correct_left_shape=corrected, alone=alone)
        flip, turn_flip = (np.array([-1.0, 1.0, 1.0]), MIRROR) if mirrored else (np.ones(3), np.ones(3))
        shape = np.median(track.shapes[track.valid], axis=0)
        if (spread := float(np.abs(track.shapes[track.valid] - shape).max())) > _SHAPE:
            notes.append(f"hand_{side}: its shape varies by {spread:.2g} between frames; the median was taken")
        plain = np.where(track.valid[:, None], track.orient, 0.0) * turn_flip
        roots = np.array([hand.root(one) for one in np.where(track.valid[:, None], track.shapes, shape)])
        wrist = np.where(track.valid[:, None], track.transl, 0.0) * flip + roots
        path = self.camera if self.in_world and self.camera is not None else still(self.count)
        position, rotation = into_camera(path, wrist, Rotation.from_rotvec(plain).as_quat())
        joints = (track.joints.reshape(-1, 15, 3) * turn_flip).reshape(-1, 45)
        poses = filled(self.where, f"hand_{side}", position, rotation, track.valid, notes, joints=joints, shape=shape)
        return hand.scene_body(f"hand_{side}", 1, flagged(poses, track.guessed & track.valid))


def flagged(poses, guessed: np.ndarray):
    """Poses with more frames flagged as guessed."""
    from dataclasses import replace

    if not guessed.any():
        return poses
    return replace(poses, imputed=guessed if poses.imputed is None else poses.imputed | guessed)
