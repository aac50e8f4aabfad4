"""Files in the layouts of the pages of docs/sources: of a simulated hand that lifts a mug, small, and all in agreement."""

from __future__ import annotations

import pickle
import shutil
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from unittest.mock import patch

import numpy as np
from scipy.spatial.transform import Rotation

from tests.format_files import bop, clip, dexycb, ho3d, hot3d
from tests.format_files.samples import FRAMES, hand_item, write_png
from warpprior.bench.repair.bundle import write_run
from warpprior.bench.repair.clips import part_of
from warpprior.bench.repair.hand_model import WRIST, parameters_of, right_hand_arrays
from warpprior.io import save_scene
from warpprior.scene import Camera

WHOLE, FIRST = 48, 20  # frames of the whole motion, and the first that is taken
TOO_DEEP = 0.015  # [m]
DEPTH_UNIT = 0.00012498664727900177  # [m], of HO-3D


@lru_cache(maxsize=2)
def lifted(noise="none", thing="mug"):
    """A few frames of a lift, 160 x 120 pixels; rough poses where noise is asked for."""
    from warpprior.scenes import simulate
    from warpprior.scenes.noise import HandNoise, PoseNoise

    camera = Camera(160, 120, 150.0, 150.0, 80.0, 60.0)
    rough = {"pose_noise": PoseNoise(0.05, 0.03, 0.02), "hand_noise": HandNoise(0.05, 0.05, 0.003, 0.01)}
    exact = {"pose_noise": "exact", "hand_noise": "exact"}
    made = {"frame_count": WHOLE, "camera": camera, "mask_noise": "M0", "depth": True}
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
    """recordings/mug: pictures, masks of SAM 2, poses of FoundationPose, K and a mesh."""
    written(clip, clip.write_clip, root / "recordings/mug")


def many_clips(root: Path) -> None:
    """Three scene folders and one that is damaged."""
    scene = lifted("rough")
    for number in range(3):
        short = scene.first_frames(2 + number % 2)
        save_scene(replace(short, name=f"clip_{number}"), root / f"recordings/day1/clip_{number}")
    shutil.copytree(root / "recordings/day1/clip_0", root / "recordings/day2/clip_3")
    (root / "recordings/day2/clip_3/initial.npz").write_bytes(b"cut short")
