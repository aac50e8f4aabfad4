"""A clip as a run of NVIDIA video_to_data, as its code writes it: ``outputs/result``, frames and masks beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bench.repair.hand_model import parameters_of
from warpprior.io.images import import_cv2
from warpprior.scene import Poses, Scene

OBJECT, LEFT, RIGHT = 1, 2, 3  # its numbers of masks
_MIRROR = np.array([1.0, -1.0, -1.0])  # of rotation vectors, in x


def write_run(scene: Scene, poses: dict[str, Poses], folder: Path) -> None:
    """Write a whole run, with these poses in it."""
    out = folder / "outputs"
    (out / "result").mkdir(parents=True)
    count, camera = scene.frame_count, scene.camera
    to_world, seen = np.tile(np.eye(4), (count, 1, 1)), np.ones(count, dtype=bool)
    arrays = {
        "camera_to_world_transform": to_world,
        "camera_is_valid": seen,
        "camera_intrinsics": np.array([camera.fx, camera.fy, camera.cx - 0.5, camera.cy - 0.5]),
        "object_scale": np.array(1.0),
    }
    masks = {}
    for side in ("left", "right"):
        arrays |= _hand(side, None, count)
    for item in scene.bodies:
        if item.body.is_rigid:
            placed = _matrices(Rotation.from_quat(poses[item.name].rotation), poses[item.name].position)
            arrays |= {"object_to_camera_transform": placed, "object_to_world_transform": placed}
            arrays["object_is_valid"] = seen
            masks[OBJECT] = item.label
            _write_mesh(out / "result/mesh.obj", item.body)
        else:
            side = "left" if item.body.side == "left" else "right"
            arrays |= _hand(side, parameters_of(item.body, poses[item.name]), count)
            masks[LEFT if side == "left" else RIGHT] = item.label
    single = {key: values.astype(np.float32) if values.dtype.kind == "f" else values for key, values in arrays.items()}
    np.savez(out / "result/result.npz", **single)
    said = {"schema_version": 1, "n_frames": count, "mesh": {"mesh": "mesh.obj"}, "keys": sorted(arrays)}
    (out / "result/manifest.json").write_text(json.dumps(said, indent=2), encoding="utf-8")
    _write_pictures(scene, masks, out)


def _hand(side: str, hand, count: int) -> dict[str, np.ndarray]:
    """The arrays of one hand: of the left one, those of the right hand that is its mirror image."""
    flip = _MIRROR if side == "left" else np.ones(3)
    orient, joints = np.zeros((count, 3)), np.zeros((count, 15, 3))
    shifts, shape = np.zeros((count, 3)), np.zeros(10)
    if hand is not None:
        orient, joints = hand.orient * flip, hand.joints.reshape(count, 15, 3) * flip
        shifts, shape = hand.transl, hand.shape
    placed = _matrices(Rotation.from_rotvec(orient), shifts)
    values = {
        "betas": shape,
        "wrist_orient_in_camera": orient,
        "wrist_trans_in_camera": shifts,
        "wrist_to_camera_transform": placed,
        "wrist_to_world_transform": placed,
        "finger_pose": joints,
        "scale": np.ones(count),
        "is_valid": np.full(count, hand is not None),
    }
    return {f"hand_{side}_{key}": value for key, value in values.items()}


def _matrices(rotation: Rotation, position: np.ndarray) -> np.ndarray:
    found = np.tile(np.eye(4), (len(position), 1, 1))
    found[:, :3, :3], found[:, :3, 3] = rotation.as_matrix(), position
    return found


def _write_mesh(path: Path, body) -> None:
    rows = body.vertices if body.colors is None else np.concatenate([body.vertices, body.colors], axis=1)
    lines = ["v " + " ".join(f"{value:.7g}" for value in row) for row in rows]
    lines += ["f {} {} {}".format(*(face + 1)) for face in body.faces]
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")


def _write_pictures(scene: Scene, masks: dict[int, int], out: Path) -> None:
    assert scene.read_rgb is not None and scene.labels is not None, "simulated clips have pictures and labels"
    cv2 = import_cv2()
    for frame in range(scene.frame_count):
        pictures = {f"masks/{track}": 255 * (scene.labels[frame] == label) for track, label in masks.items()}
        pictures["frames"] = scene.read_rgb(frame)
        for name, picture in pictures.items():
            path = out / name / f"{frame:06d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            bgr: Any = np.asarray(picture, dtype=np.uint8)
            path.write_bytes(cv2.imencode(".png", bgr[..., ::-1] if name == "frames" else bgr)[1].tobytes())
