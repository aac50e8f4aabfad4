"""Hands as HaMeR, WiLoR-mini, Dyn-HaMR and HaWoR leave them, by an independent MANO and each program's own rules."""

import io
import json
import pickle
import struct
import sys
import types

import numpy as np
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from tests.format_files.mano_hand import hand_motion, mano_vertices
from tests.format_files.samples import FRAMES

WIDTH, HEIGHT, FOCAL = 160, 120, 150.0
FLIP = np.array([-1.0, 1.0, 1.0])
TIPS = (744, 320, 443, 554, 671)  # smplx's, thumb to little finger
ORDER = [0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20]


def matrices(vectors):
    return Rotation.from_rotvec(np.reshape(vectors, (-1, 3))).as_matrix()


def keypoints_of(vertices, joints):
    """21 in the order of OpenPose."""
    return np.concatenate([joints, vertices[list(TIPS)]])[ORDER]


def seen(models, side, *, seed=None):
    """Parameters of a right hand by frame, and what a left one is the mirror image of; true vertices and keypoints.

    Returns:
        a dictionary for each frame: ``orient``, ``joints``, ``betas``, ``cam_t``, ``vertices`` in the camera, and
        ``keypoints`` about the hand's own origin, as the network has them before it mirrors them.
    """
    orient, shifts, joints, betas = hand_motion(FRAMES, seed=seed or (4 if side == "right" else 5))
    found = []
    for frame in range(FRAMES):
        vertices, places = mano_vertices(models["right"], orient[frame], joints[frame], betas)
        flip = np.ones(3) if side == "right" else FLIP
        found.append({
            "orient": orient[frame], "joints": joints[frame], "betas": betas, "cam_t": shifts[frame],
            "vertices": vertices * flip + shifts[frame], "keypoints": keypoints_of(vertices, places), "side": side,
        })  # fmt: skip
    return found


def hamer_record(hand, *, keypoints=True, focal=FOCAL):
    """As HaMeR's model and its demo have it."""
    record = {
        "pred_mano_params": {
            "global_orient": matrices(hand["orient"]).astype(np.float64),
            "hand_pose": matrices(hand["joints"]),
            "betas": hand["betas"],
        },
        "pred_cam_t_full": hand["cam_t"],
        "scaled_focal_length": focal,
        "img_size": np.array([float(WIDTH), float(HEIGHT)]),
        "is_right": int(hand["side"] == "right"),
    }
    return record | ({"pred_keypoints_3d": hand["keypoints"]} if keypoints else {})


def wilor_mini_record(hand):
    """As WiLoR-mini's pipeline returns it: of left hands, rotation vectors and keypoints are mirrored."""
    left = hand["side"] == "left"
    turn, flip = (np.array([1.0, -1.0, -1.0]), FLIP) if left else (np.ones(3), np.ones(3))
    return {
        "hand_bbox": [1.0, 2.0, 3.0, 4.0],
        "is_right": float(not left),
        "wilor_preds": {
            "global_orient": (hand["orient"] * turn).reshape(1, 1, 3),
            "hand_pose": (hand["joints"].reshape(15, 3) * turn)[None],
            "betas": hand["betas"][None],
            "pred_keypoints_3d": (hand["keypoints"] * flip)[None],
            "pred_cam_t_full": hand["cam_t"][None],
            "scaled_focal_length": FOCAL,
        },
    }


def plain(value):
    """For JSON."""
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def by_long_lens(hand, focal, pixels=None):
    """The same hand as a network sees it through its own lens: where its keypoints are at the same pixels."""
    flip = np.ones(3) if hand["side"] == "right" else FLIP
    places = hand["keypoints"] * flip
    true = places + hand["cam_t"]
    pixels = FOCAL * true[:, :2] / true[:, 2:] if pixels is None else pixels
    start = np.append(hand["cam_t"][:2], hand["cam_t"][2] * focal / FOCAL)

    def miss(shift):
        moved = places + shift
        return (focal * moved[:, :2] / moved[:, 2:] - pixels).ravel()

    return hand | {"cam_t": least_squares(miss, start, x_scale=np.abs(start) + 0.01, xtol=1e-14, ftol=1e-14).x}


def camera_way(count=FRAMES):
    """world_from_camera of a head that moves."""
    poses = np.tile(np.eye(4), (count, 1, 1))
    steps = np.arange(count)
    poses[:, :3, :3] = matrices(np.outer(steps, [0.05, -0.03, 0.02]) + np.array([0.4, 0.1, -0.2]))
    poses[:, :3, 3] = np.outer(steps, [0.02, 0.01, -0.01]) + np.array([1.0, -0.5, 0.3])
    return poses


def write_dynhamr(run, models, *, missing=(), first=0):
    """A run of two tracks, the left hand second; true vertices in the camera by side."""
    way = np.linalg.inv(camera_way())
    arrays = {key: [] for key in ("trans", "root_orient", "pose_body", "betas", "is_right")}
    truth = {}
    for side in ("right", "left"):
        orient, shifts, joints, betas = hand_motion(FRAMES, seed=7 if side == "right" else 8, place=(0.9, -0.4, 0.9))
        flip = np.ones(3) if side == "right" else FLIP
        shifts = shifts * flip
        world = np.array([mano_vertices(models["right"], o, j, betas, t)[0] * flip
                          for o, j, t in zip(orient, joints, shifts, strict=True)])  # fmt: skip
        truth[side] = np.einsum("fab,fvb->fva", way[:, :3, :3], world) + way[:, None, :3, 3]
        values = (shifts, orient, joints, betas, np.full(FRAMES, float(side == "right")))
        for key, value in zip(arrays, values, strict=True):
            arrays[key].append(value)
    found = {key: np.stack(values).astype(np.float32) for key, values in arrays.items()}
    found["cam_R"] = np.tile(way[None, :, :3, :3], (2, 1, 1, 1)).astype(np.float32)
    found["cam_t"] = np.tile(way[None, :, :3, 3], (2, 1, 1)).astype(np.float32)
    found["intrins"] = np.array([FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2], np.float32)
    found["world_scale"] = np.ones((1, 1), np.float32)
    (run / "smooth_fit").mkdir(parents=True)
    np.savez(run / "smooth_fit" / "clip_000040_world_results.npz", **{**found, "trans": found["trans"] + 1.0})
    np.savez(run / "smooth_fit" / "clip_000060_world_results.npz", **found)
    masks = {track: [frame not in missing or track != "1" for frame in range(FRAMES)] for track in ("0", "1")}
    tracks = {track: {"index": int(track), "vis_mask": mask} for track, mask in masks.items()}
    meta = {"seq_interval": [first, first + FRAMES], "data_interval": [first, first + FRAMES]}
    (run / "track_info.json").write_text(json.dumps({"tracks": tracks, "meta": meta}))
    (run / "cameras.json").write_text(
        json.dumps({"rotation": [[1.0] * 9] * FRAMES, "translation": [[0.0] * 3] * FRAMES})
    )
    return truth


def write_hawor(folder, models, *, filled=(), pictures=None, world=True):
    """A folder of one video: the left hand not seen but filled in at some frames; true vertices in the camera."""
    way, scale = camera_way(), 0.37
    left = {**models["left"], "shapedirs": models["left"]["shapedirs"] * FLIP[:, None]}
    rows, truth = [], {}
    for row, side in enumerate(("left", "right")):
        model = left if side == "left" else models["right"]
        orient, shifts, joints, betas = hand_motion(FRAMES, seed=9 + row, place=(0.02, 0.03, 0.5))
        shifts[list(filled)] += 0.002  # the network fills gaps otherwise than by straight lines
        posed = [mano_vertices(model, o, j, betas, t) for o, j, t in zip(orient, joints, shifts, strict=True)]
        truth[side] = np.array([vertices for vertices, _ in posed])
        wrist = np.array([places[0] for _, places in posed])
        moved = np.einsum("fab,fb->fa", way[:, :3, :3], wrist) + way[:, :3, 3]
        turned = Rotation.from_matrix(way[:, :3, :3]) * Rotation.from_rotvec(orient)
        rows.append((moved - (wrist - shifts), turned.as_rotvec(), joints, np.tile(betas, (FRAMES, 1))))
        there = [frame for frame in range(FRAMES) if side == "right" or frame not in filled]
        for chunk in np.split(there, np.flatnonzero(np.diff(there) > 1) + 1):
            place = folder / "cam_space" / str(row)
            place.mkdir(parents=True, exist_ok=True)
            part = {
                "init_root_orient": matrices(orient[chunk])[None],
                "init_hand_pose": matrices(joints[chunk]).reshape(1, -1, 15, 3, 3),
                "init_trans": shifts[chunk][None],
                "init_betas": np.tile(betas, (1, len(chunk), 1)),
            }
            (place / f"{chunk[0]}_{chunk[-1]}.json").write_text(json.dumps(plain(part)))
    if world:
        tensors = [np.stack([row[part] for row in rows]).astype(np.float32) for part in range(4)]
        (folder / "world_space_res.pth").write_bytes(joblib_bytes([*tensors, np.ones((2, FRAMES), bool)]))
    (folder / "SLAM").mkdir()
    turns = Rotation.from_matrix(way[:, :3, :3]).as_quat()
    np.savez(
        folder / f"SLAM/hawor_slam_w_scale_0_{FRAMES}.npz",
        tstamp=np.arange(FRAMES), disps=np.zeros((1, 2, 2)), traj=np.column_stack([way[:, :3, 3] / scale, turns]),
        img_focal=FOCAL, img_center=np.array([WIDTH / 2, HEIGHT / 2]), scale=scale,
    )  # fmt: skip
    (folder / "est_focal.txt").write_text("333.0")
    (folder / f"tracks_0_{FRAMES}").mkdir()
    np.save(folder / f"tracks_0_{FRAMES}" / "model_masks.npy", np.zeros((FRAMES, HEIGHT, WIDTH), bool))
    for frame, image in enumerate(pictures or ()):
        from tests.format_files.samples import write_png

        write_png(folder / f"extracted_images/{frame:04d}.png", image)
    return truth


def joblib_bytes(values):
    """A list as ``joblib.dump`` writes it: float32 as tensors of PyTorch, other arrays behind their wrapper."""
    with _modules() as made:
        stream = io.BytesIO()

        class Pickler(pickle._Pickler):
            def save(self, value, save_persistent_id=True):
                if isinstance(value, np.ndarray) and value.dtype == np.float32:
                    value = made["tensor"](value)
                if isinstance(value, np.ndarray):
                    wrapper = made["wrapper"]()
                    wrapper.__dict__.update(subclass=np.ndarray, shape=value.shape, order="C", dtype=value.dtype,
                                            allow_mmap=True, numpy_array_alignment_bytes=16)  # fmt: skip
                    super().save(wrapper, save_persistent_id)
                    padding = 16 - (stream.tell() + 1) % 16
                    stream.write(bytes([padding]) + b"\xff" * padding + value.tobytes())
                    return
                super().save(value, save_persistent_id)

        Pickler(stream, protocol=3).dump(values)
        return stream.getvalue()


def torch_storage(values):
    """The bytes of a storage as ``torch.save`` wrote it before it wrote archives; its modules have to be there."""

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            return value if isinstance(value, tuple) and value and value[0] == "storage" else None

    stream = io.BytesIO()
    for part in (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}):
        pickle.dump(part, stream, 2)
    kind = sys.modules["torch"].FloatStorage
    Pickler(stream, 2).dump(("storage", kind, "4711", "cpu", values.size, None))
    pickle.dump(["4711"], stream, 2)
    return stream.getvalue() + struct.pack("<q", values.size) + values.astype("<f4").tobytes()


class _modules:
    """Names that pickles of joblib and PyTorch mention, as long as one is written."""

    def __enter__(self):
        from collections import OrderedDict

        names = ("torch", "torch._utils", "torch.storage", "joblib", "joblib.numpy_pickle")
        self.before = {name: sys.modules.get(name) for name in names}
        modules = {name: types.ModuleType(name) for name in names}

        def function(module, name):
            found = types.FunctionType((lambda *_: None).__code__, {}, name)
            found.__module__, found.__qualname__ = module, name
            setattr(modules[module], name, found)
            return found

        rebuild, load = function("torch._utils", "_rebuild_tensor_v2"), function("torch.storage", "_load_from_bytes")

        class Storage:
            def __init__(self, values):
                self.values = values

            def __reduce__(self):
                return load, (torch_storage(self.values),)

        class Tensor:
            def __init__(self, values):
                self.values = values

            def __reduce__(self):
                steps = tuple(step // 4 for step in np.ascontiguousarray(self.values).strides)
                flat = np.ascontiguousarray(self.values).ravel()
                return rebuild, (Storage(flat), 0, self.values.shape, steps, False, OrderedDict())

        kind, wrapper = type("FloatStorage", (), {"__module__": "torch"}), type("NumpyArrayWrapper", (), {})
        wrapper.__module__ = "joblib.numpy_pickle"
        modules["torch"].FloatStorage, modules["joblib.numpy_pickle"].NumpyArrayWrapper = kind, wrapper
        sys.modules.update(modules)
        return {"tensor": Tensor, "wrapper": wrapper}

    def __exit__(self, *_):
        for name, module in self.before.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module
