"""A grasp in the layout of ContactPose: poses by quaternions w first, pictures turned after they were taken."""

import json

import numpy as np
from scipy.spatial.transform import Rotation

from tests.format_files.bop import write_ply
from tests.format_files.mano_hand import hand_motion, mano_vertices
from tests.format_files.samples import FRAMES, object_of, simulated, write_mano, write_png
from warpprior.bodies.hand_parts import KEYPOINT_NAMES

K = {"fx": 900.0, "fy": 910.0, "cx": 470.0, "cy": 260.0}
SIZES = {"kinect2_left": (540, 960), "kinect2_middle": (960, 540)}


def pose(turn, place):
    """A pose as its files have it."""
    x, y, z, w = Rotation.from_rotvec(turn).as_quat()
    return {"translation": list(map(float, place)), "rotation": [w, x, y, z]}


def matrix(tree):
    """Its 4x4 matrix."""
    w, x, y, z = tree["rotation"]
    result = np.eye(4)
    result[:3, :3], result[:3, 3] = Rotation.from_quat([x, y, z, w]).as_matrix(), tree["translation"]
    return result


def affine(name):
    """What its pictures went through, as its code composes it: a transpose and flips."""
    left_right, upside = np.array([[-1, 0, 540], [0, 1, 0], [0, 0, 1]]), np.array([[1, 0, 0], [0, -1, 540], [0, 0, 1]])
    if name == "kinect2_left":
        return left_right @ np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1]])
    return np.array([[-1, 0, 960], [0, 1, 0], [0, 0, 1]]) @ upside


def write_grasp(root, *, moving=True):
    """``root/full28_use/mug``; its folder, and points in pixels (frame, point, 2) by camera and body.

    Args:
        root: the data set.
        moving: the left hand moves against the object.
    """
    item, models = object_of(simulated()), write_mano(root / "mano")
    folder = root / "full28_use/mug"
    folder.mkdir(parents=True)
    write_ply(folder / "mug.ply", item.body.vertices, item.body.faces)
    cameras = {
        "kinect2_left": {"valid": True, "K": K, "wTc": pose([0.1, 0.2, 1.3], [0.05, 0.0, -0.9])},
        "kinect2_middle": {"valid": True, "K": K, "wTc": pose([0.0, 0.1, 3.1], [0.0, 0.1, -0.8])},
        "kinect2_right": {"valid": False},
    }
    frames = [
        {
            "hTo": [pose([0.0, 0.02 * f, 0.1], [0.01 * f, 0.0, 0.02]), pose([0, 0, 0], [0, 0, 0])],
            "oTw": pose([0.2 + 0.03 * f, 0.1, 0.0], [0.02, 0.01 * f, 0.05]),
            "object_pose_optimized": True,
        }
        for f in range(FRAMES)
    ]
    hands, fits, points = [], [], {"mug": item.body.vertices.astype(np.float64)}
    for seed, side in enumerate(("left", "right")):
        orient, _, _, betas = hand_motion(1, seed=30 + seed)
        components = np.random.default_rng(seed).normal(scale=0.3, size=15)
        full = models[side]["hands_mean"] + components @ models[side]["hands_components"][:15]
        mtc = pose([0.3, -0.2, 0.4 + seed], [0.05, 0.02, -0.1])
        vertices, _ = mano_vertices(models[side], orient[0], full, betas)
        inverse = np.linalg.inv(matrix(mtc))
        points[f"hand_{side}"] = vertices @ inverse[:3, :3].T + inverse[:3, 3]
        stored = np.concatenate([orient[0], components]).tolist()
        fits.append({"valid": True, "pose": stored, "betas": betas.tolist(), "mTc": mtc})
        joints = np.random.default_rng(seed).normal(scale=0.05, size=(len(KEYPOINT_NAMES), 3))
        hands.append({"valid": True, "moving": moving and side == "left", "joints": joints.tolist()})
    (folder / "annotations.json").write_text(json.dumps({"frames": frames, "cameras": cameras, "hands": hands}))
    (folder / "mano_fits_15.json").write_text(json.dumps(fits))
    seen = {}
    for name, (width, height) in SIZES.items():
        k = np.array([[K["fx"], 0.0, K["cx"]], [0.0, K["fy"], K["cy"]], [0.0, 0.0, 1.0]])
        for body, places in points.items():
            found = []
            for frame in frames:
                camera_from_object = np.linalg.inv(matrix(frame["oTw"]) @ matrix(cameras[name]["wTc"]))
                root_pose = np.linalg.inv(matrix(frame["hTo"][0])) if moving and body == "hand_left" else np.eye(4)
                whole = camera_from_object @ root_pose
                pixels = (affine(name) @ k @ (places @ whole[:3, :3].T + whole[:3, 3]).T).T
                found.append(pixels[:, :2] / pixels[:, 2:])
            seen[name, body] = np.stack(found)
        for frame in range(FRAMES):
            write_png(
                folder / f"images_full/{name}/color/frame{frame:03d}.png", np.full((height, width, 3), frame, np.uint8)
            )
            write_png(
                folder / f"images_full/{name}/depth/frame{frame:03d}.png", np.full((height, width), 800, np.uint16)
            )
    return folder, seen
