"""Lenses: each against OpenCV or a plain loop, forwards and back, and what is seen through them in scene folders."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from tests.format_files import hot3d as hot3d_files
from tests.format_files.clip import matrix_of, write_clip
from tests.format_files.lenses import LENSES, bent_pictures, shown_by
from tests.format_files.samples import FRAMES, hand_item, object_of, simulated
from warpprior import load_scene, read
from warpprior.bodies import posed_keypoints
from warpprior.formats.parts.intrinsics import read_intrinsics
from warpprior.io import save_scene
from warpprior.io.lens import BrownLens, make_lens
from warpprior.io.rectify import Rectifier, check_fold
from warpprior.scene import IGNORE_LABEL, Camera
from warpprior.support.errors import InputError

CAMERA = Camera(640, 480, 400.0, 410.0, 322.0, 239.0)


def rays():
    """Rays over the whole picture of CAMERA, and its middle."""
    x, y = np.meshgrid(np.linspace(-0.8, 0.79, 12), np.linspace(-0.58, 0.585, 9))
    return np.concatenate([np.stack([x, y], axis=-1).reshape(-1, 2), [[0.0, 0.0]]])


@pytest.mark.parametrize("name", LENSES)
def test_what_a_lens_shows_is_undone(name):
    """By OpenCV's own projection, or one point at a time; back to a millionth of a pixel."""
    kind, given = LENSES[name]
    lens = make_lens(kind, given, "x")
    shown = lens.shown(rays())
    assert np.abs(shown - shown_by(kind, given, rays())).max() < 1e-12
    assert np.abs(lens.rays(shown) - rays()).max() < 1e-9


def test_a_fisheye_sees_to_the_side():
    """Rays at 80 degrees come back; those beyond 90 are of no pinhole camera, beyond a fold of none at all."""
    lens = make_lens("fisheye", LENSES["fisheye"][1], "x")
    far = np.array([[np.tan(np.radians(80.0)), 0.0], [0.0, -np.tan(np.radians(70.0))]])
    assert np.abs(lens.rays(lens.shown(far)) / np.where(far, far, 1.0) - (far != 0.0)).max() < 1e-6
    edge = lens.shown(np.array([[1e9, 0.0]]))
    assert np.isnan(lens.rays(1.05 * edge)).all()
    folding = make_lens("fisheye", (-0.3, 0.0, 0.0, 0.0), "x")  # turns back at 60 degrees
    assert folding.fold(10.0) == pytest.approx(np.tan(np.sqrt(1.0 / 0.9)), rel=0.02)
    assert np.isnan(folding.rays(np.array([[0.9, 0.0]]))).all()


def test_a_rational_lens_folds_where_its_slope_says():
    """Of eight numbers, as the differences of what it shows have it; within the picture it is refused."""
    lens = BrownLens((0.1, 0.0, 0.0, 0.0, 0.0, 0.6, 0.05, 0.0))
    radius = np.linspace(0.0, 4.0, 4001)
    steps = np.diff(lens.shown(np.stack([radius, 0.0 * radius], axis=-1))[:, 0])
    assert lens.fold(4.0) == pytest.approx(radius[np.argmax(steps < 0.0)], abs=0.02)
    check_fold(CAMERA, lens, CAMERA, "x")
    wide = Camera(640, 480, 200.0, 200.0, 320.0, 240.0)
    with pytest.raises(InputError, match=r"folds the image over at .* k4, k5, k6"):
        check_fold(wide, BrownLens((-0.6, 0.0, 0.0, 0.0, 0.0, 0.5, 0.0, 0.0)), wide, "x")


def test_numbers_of_lenses_are_counted():
    """Zeros are OpenCV's pinhole, but of a fisheye lens they are one whose angles are kept."""
    assert make_lens("opencv", [0.0] * 8, "x") is None and make_lens("opencv", [], "x") is None
    assert make_lens("fisheye", [0.0] * 4, "x").shown(np.array([1.0, 0.0]))[0] == pytest.approx(np.pi / 4)
    for kind, count in (("opencv", 6), ("fisheye", 5)):
        with pytest.raises(InputError, match=f"has {count} numbers"):
            make_lens(kind, [0.1] * count, "x")
    with pytest.raises(InputError, match="not finite"):
        make_lens("opencv", [np.nan] * 4, "x")


@pytest.mark.parametrize("name", LENSES)
def test_scene_folders_are_seen_through_any_lens(tmp_path, name):
    """Labels, colours, depth and keypoints that a lens shows elsewhere arrive where the pinhole camera sees them."""
    kind, given = LENSES[name]
    scene = simulated()
    hand = hand_item(scene)
    points = posed_keypoints(hand.body, hand.initial).astype(np.float64)
    save_scene(scene, tmp_path / "s")
    folder = tmp_path / "s"
    bent_pictures(folder / "labels", scene.camera, kind, given)
    bent_pictures(folder / "rgb", scene.camera, kind, given)
    shown = shown_by(kind, given, points[..., :2] / points[..., 2:])
    pixels = shown * [scene.camera.fx, scene.camera.fy] + [scene.camera.cx, scene.camera.cy]
    np.savez(folder / "found.npz", **{f"{hand.name}/keypoints2d": pixels})
    path, word = folder / "scene.toml", "" if kind == "opencv" else f'lens = "{kind}"\n'
    text = path.read_text().replace("[frames]", f"distortion = {list(given)}\n{word}[frames]", 1)
    path.write_text(text.replace('file = "keypoints.npz"', 'file = "found.npz"'))
    again = load_scene(folder)
    straight = points[..., :2] / points[..., 2:] * [scene.camera.fx, scene.camera.fy]
    found = again.keypoints2d[hand.name][..., :2] - [scene.camera.cx, scene.camera.cy]
    assert np.nanmax(np.abs(found - straight)) < 1e-5 and np.isfinite(found).mean() > 0.5
    sure = again.labels != IGNORE_LABEL
    assert sure.mean() > 0.8 and (again.labels == scene.labels)[sure].mean() > 0.98
    body = scene.labels > 0
    assert (again.labels == scene.labels)[body & sure].mean() > 0.93
    color, other = again.read_rgb(1).astype(float), scene.read_rgb(1).astype(float)
    assert np.abs(color - other)[sure[1]].mean() < 4.0


def colmap(model, *numbers):
    """A line of COLMAP's cameras.txt."""
    return f"1 {model} 160 120 150 151 80.5 60.25 {' '.join(map(str, numbers))}\n"


def tree_of(**more):
    """A file of intrinsics as JSON."""
    return json.dumps({"K": matrix_of(simulated().camera).tolist(), **more})


BROWN8, KB4, FISH = (LENSES[name][1] for name in ("opencv of 8", "fisheye", "FISHEYE624"))
INTRINSICS = {
    "ROS rational": ("i.json", tree_of(D=list(BROWN8), distortion_model="rational_polynomial"), "opencv", BROWN8),
    "ROS equidistant": ("i.json", tree_of(D=list(KB4), distortion_model="equidistant"), "fisheye", KB4),
    "video_to_data": (
        "i.json",
        tree_of(distortion={"model": "opencv_fisheye", "params": list(KB4)}),
        "fisheye",
        KB4,
    ),
    "OpenCV, 14 numbers": ("i.json", tree_of(dist=[*BROWN8, *[0.0] * 6]), "opencv", BROWN8),
    "FULL_OPENCV": ("cameras.txt", colmap("FULL_OPENCV", *BROWN8), "opencv", BROWN8),
    "OPENCV_FISHEYE": ("cameras.txt", colmap("OPENCV_FISHEYE", *KB4), "fisheye", KB4),
    "RAD_TAN_THIN_PRISM_FISHEYE": ("cameras.txt", colmap("RAD_TAN_THIN_PRISM_FISHEYE", *FISH), "fisheye", FISH),
    "RADIAL_FISHEYE": (
        "cameras.txt",
        "1 RADIAL_FISHEYE 160 120 150 80.5 60.25 0.1 -0.02\n",
        "fisheye",
        (0.1, -0.02, 0.0, 0.0),
    ),
}


@pytest.mark.parametrize("name", INTRINSICS)
def test_lenses_of_intrinsics(tmp_path, name):
    """ROS's names, OpenCV's padded vectors, COLMAP's models."""
    file, text, kind, numbers = INTRINSICS[name]
    (tmp_path / file).write_text(text)
    assert read_intrinsics(tmp_path / file).lens == make_lens(kind, numbers, "x")


def test_clips_are_seen_through_a_fisheye(tmp_path):
    """Masks, depth and keypoints in the picture, too."""
    kind, given = LENSES["fisheye"]
    scene = write_clip(tmp_path)
    camera, hand = scene.camera, hand_item(scene)
    (tmp_path / "cam_K.txt").unlink()
    lens = {"model": "opencv_fisheye", "params": list(given)}
    (tmp_path / "intrinsics.json").write_text(tree_of(distortion=lens))
    for folder in sorted({path.parent for path in tmp_path.rglob("*.png")}):
        bent_pictures(folder, camera, kind, given)
    points = posed_keypoints(hand.body, hand.initial).astype(np.float64)
    flat = points[..., :2] / points[..., 2:]
    bent = shown_by(kind, given, flat) * [camera.fx, camera.fy] + [camera.cx, camera.cy]
    np.save(tmp_path / "hand_right_keypoints.npy", bent)
    recording = read(tmp_path, "clip")
    found = recording.scene.keypoints2d["hand_right"][..., :2]
    assert np.nanmax(np.abs(found - flat * [camera.fx, camera.fy] - [camera.cx, camera.cy])) < 1e-5
    label, sure = recording.scene.body("mug").label, recording.scene.labels != IGNORE_LABEL
    mug = scene.labels == object_of(scene).label
    assert ((recording.scene.labels == label) == mug)[sure].mean() > 0.98


def test_several_cameras_become_one():
    """Pictures of a crop are put where the whole camera has them; what it does not show is not seen."""
    crop = Camera(320, 240, 400.0, 410.0, 322.0 - 100.0, 239.0 - 60.0)
    made = Rectifier(CAMERA, None, "x", crop)
    whole = np.random.default_rng(0).integers(0, 255, (480, 640), dtype=np.uint8)
    back = made.nearest(7)(np.ascontiguousarray(whole[60:300, 100:420]))
    unseen = np.ones((480, 640), bool)
    unseen[60:300, 100:420] = False
    assert np.array_equal(made.unseen(), unseen) and np.array_equal(back, np.where(unseen, 7, whole))
    assert np.allclose(made.points(np.array([5.0, 6.0])), [105.0, 66.0])


def test_hot3d_is_rectified_as_before():
    """The table of its lens is the one that a loop over pixels makes."""
    from warpprior.formats.parts.fisheye624 import fisheye624

    made = fisheye624(np.array(hot3d_files.LENS), hot3d_files.WIDTH, hot3d_files.HEIGHT, "x")
    y, x = np.mgrid[0 : hot3d_files.HEIGHT, 0 : hot3d_files.WIDTH] + 0.5
    camera = made.camera
    points = np.stack([(x - camera.cx) / camera.fx, (y - camera.cy) / camera.fy, np.ones_like(x)], axis=-1)
    pixels = hot3d_files.project(points.reshape(-1, 3)).astype(np.float32).reshape(*x.shape, 2)
    image = np.random.default_rng(0).integers(0, 255, (hot3d_files.HEIGHT, hot3d_files.WIDTH, 3), dtype=np.uint8)
    straight = cv2.remap(image, *cv2.split(pixels), cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    assert np.array_equal(made.linear(image), straight) and FRAMES == 5
