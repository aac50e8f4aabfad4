"""Files in the layouts of the pages of docs/sources, of a simulated hand that lifts something: small, in agreement."""

from __future__ import annotations

import pickle
import shutil
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from unittest.mock import patch

import numpy as np
from scipy.spatial.transform import Rotation

from tests.format_files import bop, clip, dexycb, ho3d, hot3d, network_hands
from tests.format_files.mano_hand import mano_vertices
from tests.format_files.samples import FRAMES, hand_item, transforms, write_png
from warpprior.bench.repair.bundle import write_run
from warpprior.bench.repair.clips import part_of
from warpprior.bench.repair.hand_model import WRIST, parameters_of, right_hand_arrays
from warpprior.io import save_scene
from warpprior.scene import Camera

WHOLE, FIRST = 48, 20  # frames of the whole motion, and the first that is taken
HAMER_FOCAL = 5000.0 / 256.0 * 160.0  # [px], of the lens that the network supposes
CAMERA = Camera(160, 120, 150.0, 150.0, 80.0, 60.0)
TOO_DEEP = 0.015  # [m]
DEPTH_UNIT = 0.00012498664727900177  # [m], of HO-3D


@lru_cache(maxsize=2)
def lifted(noise="none", thing="mug"):
    """A few frames of a lift, 160 x 120 pixels; rough poses where noise is asked for."""
    from warpprior.scenes import simulate
    from warpprior.scenes.noise import HandNoise, PoseNoise

    rough = {"pose_noise": PoseNoise(0.05, 0.03, 0.02), "hand_noise": HandNoise(0.05, 0.05, 0.003, 0.01)}
    exact = {"pose_noise": "exact", "hand_noise": "exact"}
    made = {"frame_count": WHOLE, "camera": CAMERA, "mask_noise": "M0", "depth": True}
    whole = simulate("grasp_lift", object=thing, seed=5, **made, **(exact if noise == "none" else rough))
    return part_of(whole, FIRST, FRAMES)


def millimetres(frame):
    """The depth image of a frame, 16-bit."""
    return np.round(1e3 * np.nan_to_num(lifted().read_depth(frame))).astype(np.uint16)


@lru_cache(maxsize=1)
def mano():
    """A made-up model in MANO's layout: our own hand."""
    return right_hand_arrays()


def write_models(folder: Path, *_sides) -> dict:
    """The folder of MANO's models; their arrays by side."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "MANO_RIGHT.npz", **mano())
    return {"right": mano()}


def hand_numbers(*_, **__):
    """What the true hand is in MANO's terms, in the order in which the writers take it."""
    item = hand_item(lifted())
    found = parameters_of(item.body, item.initial)
    return found.orient, found.transl, found.joints, found.shape


def written(module, write, *words, **changes):
    """What a writer of tests/format_files writes, of the lift in place of its own scene."""
    names = {"simulated": lifted, "hand_motion": hand_numbers, "write_mano": write_models}
    with patch.multiple(module, **{name: made for name, made in names.items() if hasattr(module, name)}):
        return write(*words, **changes)


def video_to_data(root: Path) -> None:
    """runs/can, a run of video_to_data whose hand is too deep in the can, and models/."""
    scene = lifted("rough", "can")
    poses = {item.name: item.initial for item in scene.bodies}
    hand = hand_item(scene).name
    away = poses["can"].position - poses[hand].position
    deeper = poses[hand].position + TOO_DEEP * away / np.linalg.norm(away, axis=1)[:, None]
    write_run(scene, poses | {hand: replace(poses[hand], position=deeper)}, root / "runs/can")
    write_models(root / "models")


def dexycb_set(root: Path) -> None:
    """DexYCB/20200709-subject-01/20200709_141754 and what the set has beside it."""
    folder, _ = written(dexycb, dexycb.write_sequence, root / "DexYCB")
    orient, shifts, joints, _ = hand_numbers()
    shares = (joints - mano()["hands_mean"]) @ mano()["hands_components"].T
    for frame in range(FRAMES):
        path = folder / f"{dexycb.SERIAL}/labels_{frame:06d}.npz"
        with np.load(path) as stored:
            arrays = dict(stored)
        arrays["pose_m"] = np.concatenate([orient[frame], shares[frame], shifts[frame]])[None].astype(np.float32)
        np.savez(path, **arrays)
        write_png(folder / f"{dexycb.SERIAL}/aligned_depth_to_color_{frame:06d}.png", millimetres(frame))
    shutil.move(root / "DexYCB/mano", root / "models")


def ho3d_set(root: Path) -> None:
    """HO-3D/train/MC1 and models/."""
    folder, _ = written(ho3d, ho3d.write_sequence, root / "HO-3D")
    orient, shifts, joints, _ = hand_numbers()
    for frame in range(FRAMES):
        path = folder / f"meta/{frame:04d}.pkl"
        meta = pickle.loads(path.read_bytes())
        turn = Rotation.from_matrix(ho3d.FLIP) * Rotation.from_rotvec(orient[frame])
        meta["handPose"] = np.concatenate([turn.as_rotvec(), joints[frame]])
        meta["handTrans"] = ho3d.FLIP @ (shifts[frame] + WRIST) - WRIST
        path.write_bytes(pickle.dumps(meta, protocol=2))
        units = np.round(1e-3 * millimetres(frame) / DEPTH_UNIT).astype(int)
        depth = np.stack([np.zeros_like(units), units // 256, units % 256], axis=-1).astype(np.uint8)
        write_png(folder / f"depth/{frame:04d}.png", depth)
    shutil.move(root / "HO-3D/mano", root / "models")


def bop_and_hot3d(root: Path) -> None:
    """ycbv/test/000007 in BOP's layout, and a clip of HOT3D."""
    folder = written(bop, bop.write_scene, root / "ycbv")
    for frame in range(FRAMES):
        write_png(folder / f"depth/{frame:06d}.png", 10 * millimetres(frame))  # depth_scale is 0.1
    hot3d.write_clip(root / "HOT3D/clip-001849.tar")


def loose_files(root: Path) -> None:
    """recordings/mug: pictures, masks of SAM 2, hands of HaMeR, poses of FoundationPose, K and a mesh."""
    folder, scene = root / "recordings/mug", lifted()
    written(clip, clip.write_clip, folder)
    shutil.rmtree(folder / "masks")
    for frame in range(FRAMES):
        for name, label in (("mug", scene.body("mug").label), ("hand_right", hand_item(scene).label)):
            mask = 255 * (scene.labels[frame] == label).astype(np.uint8)
            write_png(folder / f"masks/{name}/{frame:06d}.png", mask)
    rough = lifted("rough").body("mug").initial
    clip.write_text_poses(folder / "ob_in_cam", transforms(rough))
    (folder / "hamer").mkdir()
    orient, shifts, joints, betas = hand_numbers()
    for frame in range(FRAMES):
        vertices, places = mano_vertices(mano(), orient[frame], joints[frame], betas)
        hand = {"orient": orient[frame], "joints": joints[frame], "betas": betas, "cam_t": shifts[frame]}
        hand |= {"keypoints": network_hands.keypoints_of(vertices, places), "side": "right"}
        seen = network_hands.by_long_lens(hand, HAMER_FOCAL)
        record = network_hands.hamer_record(seen, focal=HAMER_FOCAL)
        np.save(folder / f"hamer/{frame:06d}_0.npy", np.array(record, dtype=object), allow_pickle=True)
    write_models(root / "models")


def moving_camera(root: Path) -> None:
    """recordings/kitchen, a scene folder filmed from a head, whose poses are in a trajectory by themselves, too."""
    from warpprior.scenes import simulate

    made = {"camera": CAMERA, "mask_noise": "M0", "camera_motion": "head", "camera_noise": "headset"}
    scene = simulate("grasp_lift", object="mug", seed=5, frame_count=6, **made)
    save_scene(replace(scene, name="kitchen"), root / "recordings/kitchen")


def mesh_without_size(root: Path) -> None:
    """recordings/mug, a scene folder whose mesh is 1.3 times too large."""
    from warpprior.scenes import simulate

    scene = simulate("grasp_lift", object="mug", seed=5, frame_count=6, camera=CAMERA, mask_noise="M0", mesh_scale=1.3)
    save_scene(replace(scene, name="mug"), root / "recordings/mug")


def many_clips(root: Path) -> None:
    """Three scene folders and one that is damaged."""
    scene = lifted("rough")
    for number in range(3):
        short = scene.first_frames(2 + number % 2)
        save_scene(replace(short, name=f"clip_{number}"), root / f"recordings/day1/clip_{number}")
    shutil.copytree(root / "recordings/day1/clip_0", root / "recordings/day2/clip_3")
    (root / "recordings/day2/clip_3/initial.npz").write_bytes(b"cut short")
