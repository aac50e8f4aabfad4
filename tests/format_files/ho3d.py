"""A sequence in the layout of HO-3D: OpenGL's camera, pickled annotations, depth in two colours."""

import pickle

import cv2
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

FLIP = np.diag([1.0, -1.0, -1.0])


def write_sequence(root, *, missing=(), hand_keys=("hand",), jpg=False, protocol=2, name="train/MC1"):
    """``root/train/MC1`` and models; its folder, and vertices (frame, 778, 3) of each hand in OpenCV's axes.

    Args:
        root: the data set.
        missing: frames without annotations: None, and a root alone for the hand.
        hand_keys: ``hand`` of HO-3D, or ``rightHand`` and ``leftHand`` of H2O-3D.
        jpg: colours as version 3 has them.
        protocol: of the pickles.
        name: split and sequence.
    """
    scene, item = simulated(), object_of(simulated())
    folder, models = root / name, write_mano(root / "mano")
    folder.joinpath("meta").mkdir(parents=True)
    matrices = transforms(item.initial)
    vertices = {key: np.full((FRAMES, 778, 3), np.nan) for key in hand_keys}
    for frame in range(FRAMES):
        turn, place = FLIP @ matrices[frame, :3, :3], FLIP @ matrices[frame, :3, 3]
        meta = {
            "objRot": Rotation.from_matrix(turn).as_rotvec().reshape(3, 1),
            "objTrans": place,
            "objName": "025_mug",
            "objLabel": 14,
            "camMat": matrix_of(scene.camera),
            "handVertContact": np.zeros(778, dtype=bool),
        }
        for number, key in enumerate(hand_keys):
            orient, shifts, joints, betas = hand_motion(FRAMES, seed=8 + number, place=(0.1 * number, 0.0, 0.0))
            model = models["left" if key == "leftHand" else "right"]
            seen, _ = mano_vertices(model, orient[frame], joints[frame], betas)
            shift = FLIP @ [0.05, 0.02, 0.6] - seen.mean(axis=0) + shifts[frame]
            meta[f"{key}Pose"], meta[f"{key}Trans"] = np.concatenate([orient[frame], joints[frame]]), shift
            meta["handBeta" if key == "hand" else f"{key}Beta"] = betas
            meta[f"{key}Joints3D"] = np.zeros((21, 3))
            if frame not in missing:
                vertices[key][frame] = (seen + shift) @ FLIP
        if frame in missing:
            meta.update(objRot=None, objTrans=None)
            for key in hand_keys:
                meta[f"{key}Pose"] = meta[f"{key}Trans"] = None
                meta[f"{key}Joints3D"] = np.zeros(3)
        (folder / f"meta/{frame:04d}.pkl").write_bytes(pickle.dumps(meta, protocol=protocol))
        color = np.ascontiguousarray(scene.read_rgb(frame)[..., ::-1])
        if jpg:
            folder.joinpath("rgb").mkdir(exist_ok=True)
            (folder / f"rgb/{frame:04d}.jpg").write_bytes(cv2.imencode(".jpg", color)[1].tobytes())
        else:
            write_png(folder / f"rgb/{frame:04d}.png", color)
        units = np.full((120, 160), round(0.6 / 0.00012498664727900177))
        depth = np.stack([np.zeros_like(units), units // 256, units % 256], axis=-1).astype(np.uint8)
        write_png(folder / f"depth/{frame:04d}.png", depth)
        seg = np.zeros((120, 160, 3), np.uint8)
        seg[scene.labels[frame] == item.label, 1] = 255
        seg[scene.labels[frame] == hand_item(scene).label, 0] = 255
        write_png(folder / f"seg/{frame:04d}.png", seg)
    (root / "models/025_mug").mkdir(parents=True, exist_ok=True)
    write_obj(root / "models/025_mug/textured_simple.obj", item.body.vertices, item.body.faces)
    return folder, vertices
