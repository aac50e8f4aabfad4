"""A sequence in the layout of dex-ycb-toolkit: poses of the camera, all zeros for none, 45 PCA numbers of MANO."""

import shutil

import numpy as np

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

SERIAL, ITEM = "836212060125", 14
PLACE = np.array([[0.0, -1.0, 0.0, 0.1], [1.0, 0.0, 0.0, -0.2], [0.0, 0.0, 1.0, 0.9]])


def write_sequence(root, *, side="right", missing=()):
    """``root/subject/sequence`` with calibrations and models; its folder, the hand's vertices (frame, 778, 3).

    Args:
        root: the data set.
        side: of the hand.
        missing: frames in which poses are zeros.
    """
    scene, item = simulated(), object_of(simulated())
    sequence = root / "20200709-subject-01/20200709_141754"
    camera, folder = scene.camera, sequence / SERIAL
    model = write_mano(root / "mano", "right", "left")[side]
    orient, shifts, _, betas = hand_motion(FRAMES, seed=5)
    coefficients = np.random.default_rng(5).normal(scale=0.3, size=(FRAMES, 45))
    matrices, vertices = transforms(item.initial), np.full((FRAMES, 778, 3), np.nan)
    folder.mkdir(parents=True)
    for frame in range(FRAMES):
        seg = np.zeros((camera.height, camera.width), np.uint8)
        seg[scene.labels[frame] == item.label] = ITEM
        seg[scene.labels[frame] == hand_item(scene).label] = 255
        pose_y, pose_m = np.zeros((1, 3, 4), np.float32), np.zeros((1, 51), np.float32)
        if frame not in missing:
            pose_y[0] = matrices[frame, :3]
            pose_m[0] = np.concatenate([orient[frame], coefficients[frame], shifts[frame]])
            stored = pose_m[0].astype(np.float64)
            full = model["hands_mean"] + stored[3:48] @ model["hands_components"]
            vertices[frame], _ = mano_vertices(model, stored[:3], full, betas, stored[48:])
        more = {"joint_3d": np.zeros((1, 21, 3), np.float32), "joint_2d": np.full((1, 21, 2), -1, np.float32)}
        np.savez(folder / f"labels_{frame:06d}.npz", seg=seg, pose_y=pose_y, pose_m=pose_m, **more)
        write_png(folder / f"color_{frame:06d}.png", scene.read_rgb(frame)[..., ::-1])
        write_png(folder / f"aligned_depth_to_color_{frame:06d}.png", np.full((120, 160), 700, np.uint16))
    (sequence / "meta.yml").write_text(
        f"serials:\n- '{SERIAL}'\n- '839512060362'\nnum_frames: {FRAMES}\nycb_ids:\n- {ITEM}\nycb_grasp_ind: 0\n"
        f"mano_sides:\n- {side}\nmano_calib:\n- 20200709-subject-01_{side}\nextrinsics: '20200702_151821'\n"
    )
    calibration = root / "calibration"
    for name in ("intrinsics", f"mano_20200709-subject-01_{side}", "extrinsics_20200702_151821"):
        (calibration / name).mkdir(parents=True)
    matrix = matrix_of(camera)
    numbers = {"fx": matrix[0, 0], "fy": matrix[1, 1], "ppx": matrix[0, 2], "ppy": matrix[1, 2]}
    text = "".join(f"  {key}: {value!r}\n" for key, value in ((key, float(value)) for key, value in numbers.items()))
    (calibration / f"intrinsics/{SERIAL}_160x120.yml").write_text(f"color:\n{text}depth:\n  fx: 1.0\n")
    listed = "".join(f"- {float(value)!r}\n" for value in betas)
    (calibration / f"mano_20200709-subject-01_{side}/mano.yml").write_text(f"betas:\n{listed}")
    places = "".join(f"  - {float(value)!r}\n" for value in PLACE.ravel())
    text = f"extrinsics:\n  '{SERIAL}':\n{places}  apriltag:\n{places}master: '{SERIAL}'\n"
    (calibration / "extrinsics_20200702_151821/extrinsics.yml").write_text(text)
    (root / "models/025_mug").mkdir(parents=True)
    write_obj(root / "models/025_mug/textured_simple.obj", item.body.vertices, item.body.faces)
    return sequence, vertices


COUNTS = {f"{subject:02d}-{row:02d}": FRAMES + (subject + row) % 3 for subject in range(1, 11) for row in range(100)}


def write_whole(root):
    """DexYCB with all its sequences, of which one has more than its number of frames: subject 3's fifth."""
    sequence, _ = write_sequence(root)
    meta = (sequence / "meta.yml").read_text()
    for subject in range(1, 11):
        for row in range(100):
            folder = root / f"2020070{subject % 10}-subject-{subject:02d}/20200709_{row:06d}"
            folder.mkdir(parents=True, exist_ok=True)
            if row % 5 == 4:
                count = COUNTS[f"{subject:02d}-{row:02d}"] if (subject, row) != (3, 4) else FRAMES
                (folder / "meta.yml").write_text(meta.replace(f"num_frames: {FRAMES}", f"num_frames: {count}"))
    here = root / "20200703-subject-03/20200709_000004"
    shutil.rmtree(here)
    shutil.move(sequence, here)
    shutil.rmtree(sequence.parent)
    return here
