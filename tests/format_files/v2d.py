"""Result bundles as reconstruction/modules/v2d_common/result_bundle.py of video_to_data writes them.

Hands follow its rule: right-hand parameters for both; the left one is mirrored in x after it was posed, then scaled
about the mean of its vertices, then moved by ``cam_t``.
"""

import json

import numpy as np
from scipy.spatial.transform import Rotation

from tests.format_files.mano_hand import hand_motion, mano_vertices
from tests.format_files.samples import FRAMES, object_of, simulated, transforms, write_mano, write_obj, write_png

Z_UP = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])


def cameras(moves):
    """world_from_camera of a head that nods and steps aside, from the identity on."""
    poses = np.tile(np.eye(4), (FRAMES, 1, 1))
    if moves:
        steps = np.arange(FRAMES)
        poses[:, :3, :3] = Rotation.from_rotvec(np.outer(steps, [0.02, -0.01, 0.005])).as_matrix()
        poses[:, :3, 3] = np.outer(steps, [0.01, 0.0, 0.004])
    return poses


def hand_arrays(side, to_world, valid, scales):
    """The arrays of one hand, and what they were made of."""
    orient, shifts, joints, betas = hand_motion(FRAMES, seed=1 if side == "right" else 2)
    in_camera = np.tile(np.eye(4), (FRAMES, 1, 1))
    in_camera[:, :3, :3], in_camera[:, :3, 3] = Rotation.from_rotvec(orient).as_matrix(), shifts
    name = f"hand_{side}"
    arrays = {
        f"{name}_betas": betas,
        f"{name}_wrist_orient_in_camera": orient,
        f"{name}_wrist_trans_in_camera": shifts,
        f"{name}_wrist_to_camera_transform": in_camera,
        f"{name}_finger_pose": joints.reshape(FRAMES, 15, 3),
        f"{name}_scale": scales,
    }
    defaults = {"_scale": 1.0, "_transform": np.eye(4)}
    for key, values in arrays.items():
        if not key.endswith("_betas"):
            default = next((value for ending, value in defaults.items() if key.endswith(ending)), 0.0)
            values[~valid] = default
    arrays[f"{name}_wrist_to_world_transform"] = to_world @ in_camera
    return {key: values.astype(np.float32) for key, values in arrays.items()} | {f"{name}_is_valid": valid}


def hand_vertices(arrays, model, side, frame):
    """Vertices (778, 3) of a hand in the camera, by video_to_data's rule, from the arrays of the file."""
    name = f"hand_{side}"
    stored = {key: np.asarray(arrays[f"{name}_{key}"], dtype=np.float64) for key in ("betas", "finger_pose", "scale")}
    orient = np.asarray(arrays[f"{name}_wrist_orient_in_camera"][frame], dtype=np.float64)
    vertices, _ = mano_vertices(model, orient, stored["finger_pose"][frame], stored["betas"])
    if side == "left":
        vertices = vertices * [-1.0, 1.0, 1.0]
    middle = vertices.mean(axis=0)
    vertices = stored["scale"][frame] * (vertices - middle) + middle
    return vertices + np.asarray(arrays[f"{name}_wrist_trans_in_camera"][frame], dtype=np.float64)


def write_bundle(folder, *, moves=True, gravity=False, size=1.0, scale=1.0, missing=(), poison=False):
    """One bundle; its arrays.

    Args:
        folder: to make.
        moves: camera poses come from SLAM.
        gravity: aligned, z up.
        size: factor inside the 3x3 blocks of the object's poses, which its mesh is smaller by.
        scale: of both hands.
        missing: frames without object and left hand.
        poison: what stands in missing frames is not the default but nonsense.
    """
    scene = simulated()
    item = object_of(scene)
    to_world = cameras(moves)
    extra = {}
    if gravity:
        to_world = Z_UP @ to_world
        extra = {
            "gravity_alignment_transform": Z_UP.astype(np.float32),
            "gravity_in_world_before_alignment": np.array([0.0, 1.0, 0.0], np.float32),
            "gravity_target_world": np.array([0.0, 0.0, -1.0], np.float32),
            "gravity_alignment_applied": np.array(True),
        }
    valid = np.ones(FRAMES, dtype=bool)
    valid[list(missing)] = False
    in_camera = transforms(item.initial)
    in_camera[:, :3, :3] *= size
    in_camera[~valid] = np.eye(4)
    camera = scene.camera
    arrays = {
        "camera_to_world_transform": to_world.astype(np.float32),
        "camera_is_valid": np.ones(FRAMES, dtype=bool),
        "camera_intrinsics": np.array([camera.fx, camera.fy, camera.cx - 0.5, camera.cy - 0.5], np.float32),
        "object_to_camera_transform": in_camera.astype(np.float32),
        "object_to_world_transform": (to_world @ in_camera).astype(np.float32),
        "object_scale": np.float32(1.0),
        "object_is_valid": valid,
        **hand_arrays("left", to_world, valid, np.full(FRAMES, scale)),
        **hand_arrays("right", to_world, np.ones(FRAMES, dtype=bool), np.full(FRAMES, scale)),
        **extra,
    }
    if poison:
        for key, values in arrays.items():
            if (key.startswith(("hand_left", "object")) and values.ndim > 1) or key == "hand_left_scale":
                values[~valid] = np.nan if key.endswith("_transform") else 1e6
    folder.mkdir(parents=True)
    np.savez(folder / "result.npz", **arrays)
    write_obj(folder / "mesh.obj", item.body.vertices / size, item.body.faces, ["mtllib material.mtl", "usemtl m"])
    (folder / "material.mtl").write_text("newmtl m\nKd 0.6 0.5 0.4\n")
    described = {"schema_version": 1, "n_frames": FRAMES, "mesh": {"mesh": "mesh.obj"}, "keys": sorted(arrays)}
    (folder / "manifest.json").write_text(json.dumps(described, indent=2))
    return arrays


def write_run(
    folder, variants=("result", "result_slam", "result_gravity_aligned", "result_slam_gravity_aligned"), **how
):
    """A whole run: bundles, frames, masks; the arrays of each bundle, and the models of the hands."""
    scene, found = simulated(), {}
    out = folder / "outputs"
    for name in variants:
        found[name] = write_bundle(out / name, moves="slam" in name, gravity="gravity" in name, **how)
    labels = {1: object_of(scene).label}
    for frame in range(FRAMES):
        write_png(out / f"frames/{frame:06d}.png", scene.read_rgb(frame)[..., ::-1])
        for track in (1, 2, 3):
            mask = (scene.labels[frame] == labels[track]) if track in labels else hand_mask(scene, frame, track)
            write_png(out / f"masks/{track}/{frame:06d}.png", mask.astype(np.uint8) * 255)
    return found, write_mano(folder / "mano")["right"]


def hand_mask(scene, frame, track):
    """The simulated hand's pixels, its left half for one track and the rest for the other."""
    columns = np.arange(scene.camera.width)
    half = (columns < scene.camera.width // 2) == (track == 2)
    label = next(item.label for item in scene.bodies if not item.body.is_rigid)
    return (scene.labels[frame] == label) & half
