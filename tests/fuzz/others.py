"""Whole files and folders of others' formats, for what is changed in them."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import numpy as np

from tests.format_files import bop, clip, dexycb, ho3d, network_hands, v2d
from tests.format_files.lenses import LENSES
from tests.format_files.samples import (
    FRAMES,
    hand_item,
    object_of,
    transforms,
    write_mano,
    write_png,
)

SERIAL = dexycb.SERIAL
HOCAP_SERIAL = "105322251564"
DEXYCB = "data/20200709-subject-01/20200709_141754"


def write_bop(folder: Path) -> None:
    """A data set of one scene, and results of it."""
    scene = bop.write_scene(folder / "set")
    rows = [f"7,{image},{bop.ITEM},0.5,1 0 0 0 1 0 0 0 1,0 0 {500 + image},0.1" for image in range(FRAMES)]
    (scene / "r.csv").write_text("\n".join(["scene_id,im_id,obj_id,score,R,t,time", *rows, ""]))


def write_bop_lens(folder: Path) -> None:
    """A data set of one scene whose images have HOT3D's camera, and one of its own."""
    scene = bop.write_scene(folder / "set")
    bop.see_through(scene, LENSES["FISHEYE624"][1])
    views = json.loads((scene / "scene_camera.json").read_text())
    views["1"]["cam_K"] = [150.0, 0.0, 82.0, 0.0, 151.0, 59.75, 0.0, 0.0, 1.0]
    del views["1"]["cam_model"]
    (scene / "scene_camera.json").write_text(json.dumps(views))


def write_dexycb(folder: Path) -> None:
    """A data set of one sequence."""
    dexycb.write_sequence(folder / "data")


def write_arctic(folder: Path) -> None:
    """A data set of one sequence."""
    from tests.format_files import arctic

    arctic.write_sequence(folder)


def write_contactpose(folder: Path) -> None:
    """A data set of one grasp."""
    from tests.format_files import contactpose

    contactpose.write_grasp(folder)


def write_taco(folder: Path) -> None:
    """A data set of one sequence."""
    from tests.format_files import taco

    taco.write_sequence(folder)
    place = folder / "Hand_Poses" / taco.TRIPLET / taco.NAME
    shutil.copyfile(place / "left_hand.pkl", place / "right_hand.pkl")


def write_hocap(folder: Path) -> None:
    """A data set of one sequence."""
    from tests.format_files import hocap

    hocap.write_sequence(folder)


def write_dexycb_results(folder: Path) -> None:
    """The whole data set, and results of one of its cameras."""
    from warpprior.formats import read, write

    sequence = dexycb.write_whole(folder)
    write(read(sequence, "dexycb", mano=folder / "mano"), folder / "out")
    for path in (folder / "out").iterdir():
        path.rename(sequence / path.name)


def write_lerobot(folder: Path) -> None:
    """A data set of LeRobot v3 with an episode, and a mapping."""
    from tests.test_format_lerobot import strangers_set

    strangers_set(folder / "set", ("wxyz", "rows6"))


def write_ho3d(folder: Path) -> None:
    """A data set of one sequence."""
    ho3d.write_sequence(folder / "data")


def write_ho3d_predictions(folder: Path) -> None:
    """A data set of one sequence, and predictions of three of its frames."""
    sequence, vertices = ho3d.write_sequence(folder / "data", missing=(0, 1))
    places = np.round(vertices["hand"][2:] @ ho3d.FLIP, 4)
    (folder / "data/train.txt").write_text("".join(f"MC1/{frame:04d}\n" for frame in range(2, FRAMES)))
    (sequence / "pred.json").write_text(json.dumps([places[:, ::37][:, :21].tolist(), places.tolist()]))


def write_motion(folder: Path) -> None:
    """A motion_v1 file at a plain path, with its mesh."""
    from tests.format_files import motion_v1

    motion_v1.write_motion(folder)
    (path,) = folder.rglob("*.parquet")
    path.rename(folder / "motion.parquet")


def write_sharpa(folder: Path) -> None:
    """A file of the older form, with its mesh and models."""
    from tests.format_files import mano_sharpa

    mano_sharpa.write_sharpa(folder, sides=("right",))


def write_hot3d(folder: Path) -> None:
    """A recording of HOT3D and a clip."""
    from tests.format_files import hot3d

    hot3d.write_recording(folder / "P1")
    hot3d.write_clip(folder / "clip-000001.tar")


def write_hand_tables(folder: Path) -> None:
    """Landmarks of MediaPipe and of Aria."""
    from tests.format_files import hand_tables

    hand_tables.write_aria(folder, missing=(1,))
    hand_tables.write_mediapipe(folder / "hands.json")


def write_network_hands(folder: Path) -> None:
    """Hands of HaMeR as JSON, a pickle and an array of objects, a run of Dyn-HaMR, a folder of HaWoR, models."""
    models = write_mano(folder / "mano")
    hands = [network_hands.seen(models, side) for side in ("left", "right")]
    frames = [[network_hands.hamer_record(hand) for hand in pair] for pair in zip(*hands, strict=True)][:2]
    (folder / "hands.json").write_text(json.dumps(network_hands.plain({"frames": frames})))
    (folder / "hands.pkl").write_bytes(pickle.dumps(frames, protocol=4))
    np.save(folder / "hands.npy", np.array(frames[0][0], dtype=object), allow_pickle=True)
    network_hands.write_dynhamr(folder / "run", models, missing=(1,))
    network_hands.write_hawor(folder / "video", models, filled=(2,))


def write_xr_hands(folder: Path) -> None:
    """Recordings of hand joints as JSON and arrays."""
    from tests.format_files import xr_hands

    folder.mkdir(parents=True, exist_ok=True)
    xr_hands.write_openxr(folder / "hands.json", "by number", missing=(2,))
    xr_hands.write_openxr(folder / "hands.npz", "npz", missing=(2,))


def write_egodex(folder: Path) -> None:
    """An episode without a video."""
    from tests.format_files import xr_hands

    xr_hands.write_egodex(folder / "7.hdf5", video=False)


def write_v2d(folder: Path) -> None:
    """A bundle with masks, intrinsics and a calibration, without frames."""
    v2d.write_bundle(folder / "result", missing=(1,))
    write_mano(folder / "mano", "right")
    for frame in range(FRAMES):
        image = np.zeros((120, 160), np.uint8)
        image[40:80, 60:90] = 255
        write_png(folder / f"masks/1/{frame:06d}.png", image)
    (folder / "intrinsics_stable.json").write_text(json.dumps({"fx": 150.0, "width": 160, "height": 120}))
    (folder / "geocalib").mkdir()
    sample = {"frame_index": 0, "gravity": {"vector_camera": [0.0, -0.8, 0.6]}}
    (folder / "geocalib/calibration.json").write_text(json.dumps({"samples": [sample, sample]}))


def write_clips(
    folder: Path,
    *,
    masks: str = "",
    object_poses: str = "",
    intrinsics: str = "",
    hand_keypoints: str = "",
    rgb: str = "",
) -> None:
    """Loose outputs, with one of them in another form where a file is named."""
    import cv2

    from warpprior.bodies import posed_keypoints

    scene = clip.write_clip(folder)
    item, hand = object_of(scene), hand_item(scene)
    if rgb:
        shutil.rmtree(folder / "rgb")
        writer = cv2.VideoWriter(str(folder / rgb), cv2.VideoWriter_fourcc(*"mp4v"), 25.0, (160, 120))
        for frame in range(FRAMES):
            writer.write(np.ascontiguousarray(scene.read_rgb(frame)[..., ::-1]))
        writer.release()
    if not (masks or object_poses or intrinsics or hand_keypoints or rgb):
        np.save(folder / "hand_right_keypoints.npy", posed_keypoints(hand.body, hand.initial))
    if hand_keypoints:
        (folder / hand_keypoints).write_text(json.dumps(posed_keypoints(hand.body, hand.initial).tolist()))
    if masks:
        shutil.rmtree(folder / "masks")
        mug = clip.masks_of(scene)["mug"]
        if masks.endswith("json"):
            packed = [{"size": [120, 160], "counts": clip.packed(clip.runs_of(mask))} for mask in mug]
            frames = {f"{frame:06d}": mask for frame, mask in enumerate(packed)}
            (folder / masks).write_text(json.dumps({number: {"1": mask} for number, mask in frames.items()}))
        elif masks.endswith("npz"):
            np.savez(folder / masks, **{"1": mug})
        else:
            np.save(folder / masks, mug.astype(np.uint8))
    if object_poses:
        shutil.rmtree(folder / "ob_in_cam")
        matrices = transforms(item.initial)
        writers = {".txt": clip.write_tum, ".json": clip.write_json_poses, ".npy": np.save}
        writers[Path(object_poses).suffix](folder / object_poses, matrices)
    if intrinsics:
        (folder / "cam_K.txt").unlink()
        camera = scene.camera
        matrix = clip.matrix_of(camera).ravel().tolist()
        size = {"width": camera.width, "height": camera.height}
        texts = {
            ".json": json.dumps({"K": matrix, **size, "dist": [0.01, 0, 0, 0, 0]}),
            ".yaml": f"image_width: 160\nimage_height: 120\ncamera_matrix:\n  rows: 3\n  data: {matrix}\n",
            ".txt": f"1 PINHOLE 160 120 {camera.fx} {camera.fy} {camera.cx} {camera.cy}\n",
        }
        (folder / intrinsics).write_text(texts[Path(intrinsics).suffix])
