"""A sequence in the layout of TACO: world poses, meshes in centimetres, hands as tensors of torch in pickles."""

import json

import numpy as np

from tests.format_files.clip import matrix_of
from tests.format_files.mano_hand import hand_motion, mano_vertices
from tests.format_files.samples import FRAMES, object_of, simulated, transforms, write_mano, write_obj
from tests.format_files.torch_pickles import Tensor, dumps
from tests.format_files.v2d import cameras

TRIPLET, NAME = "(stir, spoon, bowl)", "20231105_019"
STANDS = np.array([[0.0, -1.0, 0.0, 0.1], [1.0, 0.0, 0.0, -0.2], [0.0, 0.0, 1.0, 0.9], [0.0, 0.0, 0.0, 1.0]])


def write_sequence(root, *, ego=True, allocentric=True, missing=()):
    """``root/Object_Poses/TRIPLET/NAME`` and what belongs to it; its folder and what is in the world.

    Args:
        root: the data set.
        ego, allocentric: write parameters of these cameras.
        missing: frames in which the worn camera has no pose.

    Returns:
        folder, vertices (frame, vertex, 3) of both hands by side, and of tool and target.
    """
    item, models = object_of(simulated()), write_mano(root / "mano")
    world = {}
    place = {kind: root / kind / TRIPLET / NAME for kind in ("Object_Poses", "Hand_Poses")}
    for folder in place.values():
        folder.mkdir(parents=True)
    (root / "Object_Models").mkdir()
    for role, key, shift in (("tool", "032", 0.0), ("target", "108", 0.3)):
        write_obj(root / f"Object_Models/{key}_cm.obj", 100.0 * item.body.vertices, item.body.faces)
        poses = cameras(True) @ transforms(item.initial)
        poses[:, :3, 3] += shift
        np.save(place["Object_Poses"] / f"{role}_{key}.npy", poses)
        vertices = np.round(100.0 * item.body.vertices.astype(np.float64), 7) / 100.0
        world[role] = np.einsum("fab,vb->fva", poses[:, :3, :3], vertices) + poses[:, None, :3, 3]
    for seed, side in enumerate(("right", "left")):
        orient, wrist, joints, betas = hand_motion(FRAMES, seed=40 + seed, place=(0.1 * seed, 0.0, 0.6))
        frames, found = {}, []
        for frame in range(FRAMES):
            pose = np.concatenate([orient[frame], joints[frame]]).astype(np.float32)
            shift = wrist[frame].astype(np.float32)
            frames[f"{frame + 1:05d}"] = {
                "hand_pose": Tensor(pose, parameter=side == "left"),
                "hand_trans": Tensor(shift, ahead=3),
            }
            pose, betas32 = pose.astype(np.float64), betas.astype(np.float32).astype(np.float64)
            vertices, posed = mano_vertices(models[side], pose[:3], pose[3:], betas32)
            found.append(vertices - posed[0] + shift.astype(np.float64))
        (place["Hand_Poses"] / f"{side}_hand.pkl").write_bytes(dumps(dict(reversed(frames.items()))))
        shape = {"hand_shape": Tensor(betas.astype(np.float32)[None])}
        (place["Hand_Poses"] / f"{side}_hand_shape.pkl").write_bytes(dumps(shape))
        world[side] = np.stack(found)
    if ego:
        folder = root / "Egocentric_Camera_Parameters" / TRIPLET / NAME
        folder.mkdir(parents=True)
        np.savetxt(folder / "egocentric_intrinsic.txt", matrix_of(simulated().camera) * [[10.0], [10.0], [1.0]])
        poses = np.linalg.inv(cameras(True))
        poses[list(missing)] = 0.0
        np.save(folder / "egocentric_frame_extrinsic.npy", poses)
    if allocentric:
        folder = root / "Allocentric_Camera_Parameters" / TRIPLET / NAME
        folder.mkdir(parents=True)
        pose = np.linalg.inv(STANDS)
        one = {
            "imgSize": [160, 120],
            "K": matrix_of(simulated().camera).ravel().tolist(),
            "R": pose[:3, :3].ravel().tolist(),
            "T": pose[:3, 3].tolist(),
        }
        (folder / "calibration.json").write_text(json.dumps({"22139908": one, "22070938": one}))
    (root / "v1_overall_data_train_test_split.txt").write_text(f"20231019_072,test_1\n{NAME},test_3\n")
    return place["Object_Poses"], world
