"""The catalogue of bad scenes: what the user gets for each, a refusal or a warning, and never a silent number.

What single files are refused for, value by value, is in the tests of their readers and in ``test_bad_inputs.py``.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.fuzz.seeds import write_whole_scene
from tests.small_scene import (
    FRAMES,
    HEIGHT,
    WIDTH,
    edit_text,
    label_image,
    pose_arrays,
    write_image,
)
from warpprior.io import load_scene
from warpprior.support.errors import InputError


def change_arrays(folder: Path, name: str, **changes) -> None:
    """Set arrays of an ``.npz`` file; ``box__position`` stands for ``box/position``."""
    with np.load(folder / name) as stored:
        arrays = dict(stored)
    arrays |= {key.replace("__", "/"): np.asarray(value) for key, value in changes.items()}
    np.savez(folder / name, **arrays)


def at_frames(key: str, frames, value) -> np.ndarray:
    """An array of the poses with another value at some frames."""
    array = pose_arrays()[key].astype(float)
    array[frames] = value
    return array


def depth_times(folder: Path, factor: float) -> None:
    """Depth images in another unit."""
    for frame in range(FRAMES):
        image = np.full((HEIGHT, WIDTH), round(500 * factor), np.uint16)
        write_image(folder / f"depth/{frame:06d}.png", image)


def shorten(folder: Path, count: int) -> None:
    """The scene cut to its first frames."""
    edit_text(folder, "count = 3", f"count = {count}")
    for name in ("initial.npz", "truth.npz", "timestamps.npz", "keypoints.npz"):
        with np.load(folder / name) as stored:
            arrays = {key: value if key.endswith("names") else value[:count] for key, value in stored.items()}
        np.savez(folder / name, **arrays)
    for frame in range(count, FRAMES):
        for channel in ("rgb", "labels", "depth"):
            (folder / f"{channel}/{frame:06d}.png").unlink()


def labels_of(folder: Path, frame: int, image: np.ndarray, suffix: str = ".png") -> None:
    """Another label image."""
    write_image(folder / f"labels/{frame:06d}{suffix}", image)


def jpeg_labels(folder: Path) -> None:
    """Label images as JPEG, whose values are not those that were saved."""
    shutil.rmtree(folder / "labels")
    edit_text(folder, "labels/{:06d}.png", "labels/{:06d}.jpg")
    for frame in range(FRAMES):
        labels_of(folder, frame, 100 * label_image(frame), ".jpg")


def full_mask(folder: Path) -> None:
    """A body that fills a picture."""
    labels_of(folder, 1, np.full((HEIGHT, WIDTH), 2, np.uint8))


def mask_at_the_border(folder: Path) -> None:
    """A body that leaves the picture."""
    image = label_image(1)
    image[10:20, -4:] = 2
    labels_of(folder, 1, image)


def without_box(folder: Path) -> None:
    """A frame that does not show the box."""
    image = label_image(1)
    image[image == 2] = 0
    labels_of(folder, 1, image)


def swapped_labels(folder: Path) -> None:
    """The labels of both bodies exchanged."""
    for frame in range(FRAMES):
        image = label_image(frame)
        image[2:6, 2:9] = 3
        labels_of(folder, frame, np.array([0, 2, 1, 3], np.uint8)[image])


def mirrored_box(folder: Path) -> None:
    """Faces seen from outside in the wrong direction."""
    lines = (folder / "box.obj").read_text().splitlines()
    turned = [" ".join([w[0], *w[:0:-1]]) if (w := line.split())[0] == "f" else line for line in lines]
    (folder / "box.obj").write_text("\n".join(turned))


def add_lines(text: str):
    """A change that adds lines to the mesh."""
    return lambda folder: (folder / "box.obj").write_text((folder / "box.obj").read_text() + text)


def replace_mesh(text: str):
    """A change that puts another text in place of the mesh."""
    return lambda folder: (folder / "box.obj").write_text(text)


def text(old: str, new: str):
    """A change of ``scene.toml``."""
    return lambda folder: edit_text(folder, old, new)


def poses(**changes):
    """A change of the initial poses."""
    return lambda folder: change_arrays(folder, "initial.npz", **changes)


def times(*values):
    """Other timestamps."""
    return lambda folder: change_arrays(folder, "timestamps.npz", timestamps=np.array(values))


MIRRORED = np.tile(np.diag([1.0, 1.0, -1.0]), (FRAMES, 1, 1))
NEARLY = np.tile(np.eye(3) + 3e-4 * np.eye(3, k=1), (FRAMES, 1, 1))
REFUSED, WARNED, FINE = "refused", "warned", "fine"
# What is changed in the whole small scene, what becomes of it, and words of the message or of the warning.
ROWS = {
    "1 a pose is missing in one frame": (poses(box__position=at_frames("box/position", 1, np.nan)), WARNED, "interpol"),
    "2 in all frames": (poses(box__position=np.full((3, 3), np.nan)), REFUSED, "no frame has a finite pose"),
    "3 matrices nearly orthonormal": (poses(box__rotation=NEARLY), WARNED, "rotation"),
    "4 left-handed matrices": (poses(box__rotation=MIRRORED), REFUSED, "left-handed"),
    "5 quaternions not of unit length": (
        poses(box__rotation=1.01 * pose_arrays()["box/rotation"]),
        WARNED,
        "normalised",
    ),
    "7 degrees": (poses(arm__joints=np.full((3, 2), 45.0)), REFUSED, "degrees"),
    "8 mask empty in one frame": (without_box, WARNED, "box is not visible in frame 1"),
    "10 mask full": (full_mask, WARNED, "box fills the whole image in frame 1"),
    "11 mask of another size": (lambda f: labels_of(f, 1, label_image(1)[:24, :32]), REFUSED, "never resized"),
    "12 JPEG masks": (jpeg_labels, REFUSED, "labels/000000.jpg"),
    "14 labels exchanged": (swapped_labels, WARNED, "look exchanged"),
    "15 mask at the border": (mask_at_the_border, WARNED, "box touches the image border in frame 1"),
    "17 a label image is missing": (lambda f: (f / "labels/000001.png").unlink(), WARNED, "labels: frame 1 missing"),
    "17 a picture is missing": (lambda f: (f / "rgb/000001.png").unlink(), WARNED, "rgb: frame 1 missing"),
    "18 a file is empty": (lambda f: (f / "keypoints.npz").write_bytes(b""), REFUSED, "keypoints.npz: is empty"),
    "20 depth of 8 bits": (lambda f: write_image(f / "depth/000001.png", label_image(1)), REFUSED, "16-bit grey PNG"),
    "20 depth in another unit": (lambda f: depth_times(f, 0.01), REFUSED, "depth_scale: puts arm at 0.005 m"),
    "20 depth of metres in tenths": (
        lambda f: depth_times(f, 10.0),
        REFUSED,
        "puts arm at 5 m, where its pose has it at 0.54 m",
    ),
    "23 no frames": (text("count = 3", "count = 0"), REFUSED, "[frames], count"),
    "24 one frame": (lambda f: shorten(f, 1), FINE, ""),
    "24 two frames": (lambda f: shorten(f, 2), FINE, ""),
    "25 times that go back": (times(0.0, 0.2, 0.1), REFUSED, "timestamps"),
    "25 times that stand still": (times(0.0, 0.1, 0.1), REFUSED, "timestamps"),
    "26 times in milliseconds": (times(0.0, 100.0, 200.0), REFUSED, "divide milliseconds by 1000"),
    "27 streams of other lengths": (poses(box__rotation=np.zeros((4, 4))), REFUSED, "has 4 frames"),
    "28 no focal length": (text("fx = 60.0", "fx = 0.0"), REFUSED, "greater than zero"),
    "29 principal point outside": (text("cx = 32.0", "cx = -10.0"), WARNED, "principal point is outside the image"),
    "30 intrinsics of ten times the size": (text("cx = 32.0", "cx = 320.0"), REFUSED, "another resolution"),
    "30 intrinsics of twice the size": (
        lambda f: (edit_text(f, "cx = 32.0", "cx = 64.0"), edit_text(f, "cy = 24.0", "cy = 48.0")),
        *(WARNED, "another resolution? Then divide fx, fy, cx and cy by 2"),
    ),
    "31 another lens model": (text("cy = 24.0", 'cy = 24.0\nmodel = "fisheye"'), REFUSED, "'model'"),
    "32 OpenGL axes": (poses(box__position=[1, 1, -1] * pose_arrays()["box/position"]), REFUSED, "OpenGL"),
    "33 behind the camera in one frame": (
        poses(box__position=at_frames("box/position", 1, [0.0, 0.0, -0.5])),
        *(WARNED, "box is behind the camera in frame 1"),
    ),
    "41 an open mesh": (
        lambda f: (f / "box.obj").write_text("\n".join((f / "box.obj").read_text().splitlines()[:-2])),
        *(WARNED, "box.obj: "),
    ),
    "42 inverted faces": (mirrored_box, WARNED, "box.obj: "),
    "44 a face twice": (add_lines("f 1 2 4\n"), WARNED, "box.obj: "),
    "45 a face without area": (add_lines("f 1 1 2\n"), WARNED, "box.obj: "),
    "46 no faces": (replace_mesh("v 0 0 0\nv 1 0 0\n"), REFUSED, "box.obj"),
    "47 a face names no vertex": (add_lines("f 1 2 99\n"), REFUSED, "index 99"),
    "48 a vertex is not finite": (add_lines("v nan 0 0\nf 1 2 9\n"), REFUSED, "box.obj"),
    "49 a face with vertex 0": (add_lines("f 0 1 2\n"), REFUSED, "index 0"),
    "51 faces of four corners": (add_lines("f 1 2 4 3\n"), WARNED, "box.obj: "),
    "55 a mesh in millimetres": (text("label = 2", "label = 2\nmesh_scale = 1000"), REFUSED, "mesh_scale"),
    "63 arrays of objects": (
        lambda f: np.savez(f / "timestamps.npz", timestamps=np.array([None, {}, 1], dtype=object)),
        *(REFUSED, "timestamps.npz"),
    ),
    "70 a joint beyond its limit": (poses(arm__joints=np.full((3, 2), 0.21)), WARNED, "reach"),
    "71 a key that is none": (text("fps = 10.0", "fps = 10.0\nlabel = 1"), REFUSED, "did you mean 'labels'"),
    "92 two bodies of one label": (text("label = 2", "label = 1"), REFUSED, "used twice"),
}


@pytest.mark.parametrize("row", ROWS)
def test_what_the_user_gets(tmp_path, row):
    """Refused in one line, taken with a warning, or fine; nothing but the change is answered."""
    change, outcome, words = ROWS[row]
    folder = write_whole_scene(tmp_path / "scene")
    usual = set(load_scene(folder).warnings)
    change(folder)
    if outcome == REFUSED:
        with pytest.raises(InputError) as refused:
            load_scene(folder)
        assert words in str(refused.value) and len(str(refused.value)) <= 300
        return
    scene = load_scene(folder)
    new = [warning for warning in scene.warnings if warning not in usual]
    assert all(np.isfinite(body.initial.position).all() for body in scene.bodies)
    assert not new if outcome == FINE else any(words in warning for warning in new), scene.warnings
