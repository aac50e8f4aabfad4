"""Whole files and folders of others' formats, for what is changed in them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

from tests.format_files import clip, v2d
from tests.format_files.samples import (
    FRAMES,
    hand_item,
    object_of,
    transforms,
    write_mano,
    write_png,
)


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


def write_clips(folder: Path, *, masks: str = "", object_poses: str = "", intrinsics: str = "") -> None:
    """Loose outputs, with one of them in another form where a file is named."""
    from warpprior.bodies import posed_keypoints

    scene = clip.write_clip(folder)
    item, hand = object_of(scene), hand_item(scene)
    if not (masks or object_poses or intrinsics):
        np.save(folder / "hand_right_keypoints.npy", posed_keypoints(hand.body, hand.initial))
    if masks:
        shutil.rmtree(folder / "masks")
        mug = clip.masks_of(scene)["mug"]
        if masks.endswith("json"):
            frames = {
                f"{k:06d}": {"size": [120, 160], "counts": clip.packed(clip.runs_of(m))} for k, m in enumerate(mug)
            }
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
