"""A sequence in the layout of HO-Cap's newer toolkit: YAML, poses object by object, labels with joints and masks."""

import numpy as np
from scipy.spatial.transform import Rotation

from tests.format_files.clip import matrix_of
from tests.format_files.mano_hand import hand_motion, mano_vertices
from tests.format_files.samples import (
    FRAMES,
    hand_item,
    object_of,
    simulated,
    transforms,
    write_mano,
    write_obj,
    write_png,
)
from tests.format_files.v2d import cameras

SERIAL, WORN = "105322251564", "hololens_kv5h72"
TIPS = (745, 317, 444, 556, 673)
ORDER = (0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20)
TAG = np.array([[0.0, 0.0, 1.0, 0.2], [1.0, 0.0, 0.0, 0.1], [0.0, 1.0, 0.0, 0.3], [0.0, 0.0, 0.0, 1.0]])
CAMERA = np.array([[0.0, -1.0, 0.0, 0.1], [1.0, 0.0, 0.0, -0.2], [0.0, 0.0, 1.0, 0.9], [0.0, 0.0, 0.0, 1.0]])


def rows(matrices):
    """Quaternion x, y, z, w and place of transforms."""
    return np.concatenate([Rotation.from_matrix(matrices[..., :3, :3]).as_quat(), matrices[..., :3, 3]], axis=-1)


def listed(values):
    """A YAML list in a line."""
    return "[" + ", ".join(repr(float(value)) for value in np.ravel(values)) + "]"


def write_sequence(root, *, mean=True, missing=(), labels=True):
    """``root/subject_1/20231025_165502``; its folder, and what is in the camera: of hands by side, of the object.

    Args:
        root: the data set.
        mean: MANO's mean pose is added to the components.
        missing: frames in which the right hand and the object have no pose.
        labels: write label files.
    """
    scene, item, models = simulated(), object_of(simulated()), write_mano(root / "mano")
    folder = root / "subject_1/20231025_165502"
    camera_in_world = np.linalg.inv(TAG) @ CAMERA
    placed = camera_in_world @ transforms(item.initial)
    poses_o = np.stack([rows(placed), np.full((FRAMES, 7), -1.0)])
    poses_m, seen = np.full((2, FRAMES, 51), -1.0, np.float32), {}
    joints = np.full((FRAMES, 2, 21, 3), -1.0, np.float32)
    betas = hand_motion(1, seed=50)[3]
    for slot, side in enumerate(("right", "left")):
        orient, shift, _, _ = hand_motion(FRAMES, seed=51 + slot, place=(0.1 * slot, 0.0, 0.3))
        components = np.random.default_rng(slot).normal(scale=0.3, size=(FRAMES, 45))
        seen[side] = np.full((FRAMES, 778, 3), np.nan)
        for frame in range(FRAMES):
            if frame in missing and side == "right":
                continue
            stored = np.concatenate([orient[frame], components[frame], shift[frame]]).astype(np.float32)
            poses_m[slot, frame] = stored
            numbers = stored.astype(np.float64)
            full = numbers[3:48] @ models[side]["hands_components"] + mean * models[side]["hands_mean"]
            world, posed = mano_vertices(models[side], numbers[:3], full, betas, numbers[48:])
            inverse = np.linalg.inv(camera_in_world)
            seen[side][frame] = world @ inverse[:3, :3].T + inverse[:3, 3]
            points = np.concatenate([posed @ inverse[:3, :3].T + inverse[:3, 3], seen[side][frame][list(TIPS)]])
            joints[frame, slot] = points[list(ORDER)]
    poses_o[0, list(missing)] = -1.0
    folder.mkdir(parents=True)
    np.save(folder / "poses_o.npy", poses_o.astype(np.float64))
    np.save(folder / "poses_m.npy", poses_m)
    np.save(folder / "poses_pv.npy", rows(cameras(True)))
    for frame in range(FRAMES):
        mask = np.zeros((120, 160), np.uint8)
        mask[scene.labels[frame] == item.label] = 1
        mask[scene.labels[frame] == hand_item(scene).label] = 5
        if labels:
            (folder / SERIAL).mkdir(exist_ok=True)
            names = np.array(["G01_1", "RIGHT_HAND"])
            np.savez(folder / SERIAL / f"label_{frame:06d}.npz", seg_mask=mask, hand_joints_3d=joints[frame],
                     obj_class_inds=np.array([0, 64]), obj_class_names=names)  # fmt: skip
        for serial in (SERIAL, WORN):
            write_png(folder / serial / f"color_{frame:06d}.png", scene.read_rgb(frame)[..., ::-1])
        write_png(folder / SERIAL / f"depth_{frame:06d}.png", np.full((120, 160), 700, np.uint16))
    (folder / "meta.yaml").write_text(
        f"num_frames: {FRAMES}\nobject_ids: [G01_1, G01_2]\nmano_sides: [right, left]\ntask_id: 1\n"
        f"subject_id: subject_1\nextrinsics: extrinsics_20231014.yaml\n"
        f"realsense: {{serials: ['{SERIAL}', '043422252387'], width: 160, height: 120}}\n"
        f"hololens: {{serial: {WORN}, pv_width: 160, pv_height: 120}}\n"
    )
    calibration = root / "calibration"
    for name in ("intrinsics", "extrinsics", "mano"):
        (calibration / name).mkdir(parents=True)
    k = matrix_of(scene.camera)
    text = f"color:\n  fx: {k[0, 0]}\n  fy: {k[1, 1]}\n  ppx: {k[0, 2]}\n  ppy: {k[1, 2]}\n"
    for serial in (SERIAL, WORN):
        (calibration / f"intrinsics/{serial}.yaml").write_text(text)
    (calibration / "extrinsics/extrinsics_20231014.yaml").write_text(
        f"rs_master: '{SERIAL}'\nextrinsics:\n  '{SERIAL}': {listed(CAMERA[:3])}\n  tag_0: {listed(TAG[:3])}\n"
        f"  tag_1: {listed(TAG[:3])}\n"
    )
    (calibration / "mano/subject_1.yaml").write_text(f"betas: {listed(betas)}\n")
    for name in ("G01_1", "G01_2"):
        (root / f"models/{name}").mkdir(parents=True)
        write_obj(root / f"models/{name}/textured_mesh.obj", item.body.vertices, item.body.faces)
    return folder, seen
