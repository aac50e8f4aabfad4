"""Joints of a hand as OpenXR has them, and its palm as retargeters have it, from 21 keypoints."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from warpprior.bodies.hand_parts import FINGERS, KEYPOINT_NAMES
from warpprior.bodies.posing import posed_keypoints
from warpprior.formats.parts.virtual_camera import points_into_world
from warpprior.io.world import CameraPath
from warpprior.scene import SceneBody
from warpprior.support.errors import InputError

OPENXR = (
    *("palm", "wrist", "thumb_metacarpal", "thumb_proximal", "thumb_distal", "thumb_tip"),
    *(f"{finger}_{part}" for finger in ("index", "middle", "ring", "little") for part in (
        "metacarpal", "proximal", "intermediate", "distal", "tip")),
)  # fmt: skip
METACARPAL = 0.25  # where that joint is between wrist and knuckle: 21 keypoints do not show it
_ROW = {name: index for index, name in enumerate(KEYPOINT_NAMES)}


def world_keypoints(item: SceneBody, path: CameraPath) -> np.ndarray:
    """21 keypoints (frame, 21, 3) [m] of a hand in the world.

    Raises:
        InputError: the body has not these keypoints.
    """
    keypoints = item.body.keypoints
    if keypoints is None or tuple(keypoints.names) != KEYPOINT_NAMES:
        raise InputError(f"body {item.name!r}", "has not the 21 keypoints of a hand", "needs a hand, of any kind")
    return points_into_world(path, posed_keypoints(item.body, item.initial).astype(np.float64))


def back_of_hand(keypoints: np.ndarray, side: str) -> np.ndarray:
    """Unit vectors (frame, 3) out of the back of a hand, of keypoints (frame, 21, 3)."""
    wrist, index, pinky = (keypoints[:, _ROW[name]] for name in ("wrist", "index1", "pinky1"))
    out = np.cross(pinky - wrist, index - wrist) * (1.0 if side == "right" else -1.0)
    return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12)


def openxr_joints(keypoints: np.ndarray, side: str) -> np.ndarray:
    """Poses (frame, 26, 7), xyzw, of XR_EXT_hand_tracking from keypoints (frame, 21, 3).

    z points along the bone away from the tip, y out of the back of the hand, for both hands alike.  Metacarpal joints
    of fingers lie a quarter of the way from wrist to knuckle, the palm in the middle of the middle finger's bone.
    """
    wrist, back = keypoints[:, 0], back_of_hand(keypoints, side)
    places, along = [wrist], [keypoints[:, _ROW["middle1"]] - wrist]
    for finger in FINGERS:
        own = [keypoints[:, _ROW[f"{finger}{part}"]] for part in ("1", "2", "3", "_tip")]
        if finger != "thumb":
            own = [wrist + METACARPAL * (own[0] - wrist), *own]
        places += own
        bones = [after - before for before, after in pairwise(own)]
        along += [*bones, bones[-1]]  # the tip is turned as the bone before it
    palm = 0.5 * (places[OPENXR.index("middle_metacarpal") - 1] + places[OPENXR.index("middle_proximal") - 1])
    bone = along[OPENXR.index("middle_metacarpal") - 1]
    position = np.stack([palm, *places], axis=1)
    turns = _turns(-np.stack([bone, *along], axis=1), back[:, None])
    return np.concatenate([position, turns], axis=2)


def palm_frames(keypoints: np.ndarray, side: str) -> np.ndarray:
    """Poses (frame, 7), wxyz, at the wrist: z to the middle knuckle, y from ring to index; left: x and y negated."""
    wrist = keypoints[:, 0]
    middle, index, ring = (keypoints[:, _ROW[f"{finger}1"]] for finger in ("middle", "index", "ring"))
    sign = 1.0 if side == "right" else -1.0
    turns = _turns((middle - wrist)[:, None], sign * (index - ring)[:, None])[:, 0]
    return np.concatenate([wrist, turns[:, [3, 0, 1, 2]]], axis=1)


def _turns(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Quaternions (frame, n, 4), xyzw, of frames with this z axis and y as near as may be to the one given."""
    from scipy.spatial.transform import Rotation

    z = z / np.maximum(np.linalg.norm(z, axis=-1, keepdims=True), 1e-12)
    x = np.cross(np.broadcast_to(y, z.shape), z)
    x = x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)
    matrices = np.stack([x, np.cross(z, x), z], axis=-1)
    return Rotation.from_matrix(matrices.reshape(-1, 3, 3)).as_quat().reshape(*z.shape[:-1], 4)
