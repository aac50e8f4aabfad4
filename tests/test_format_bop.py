"""Scenes of BOP data sets: millimetres, suffixes of sensors, what is not to be seen, and results."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from tests.format_files.bop import ITEM, crop_images, see_through, write_scene
from tests.format_files.lenses import LENSES
from tests.format_files.samples import FRAMES, object_of, simulated
from tests.format_files.v2d import cameras
from warpprior.bodies import posed_vertices
from warpprior.formats import guess_format, read, write
from warpprior.support.errors import InputError

NEAR = 1e-6
NAME = f"obj_{ITEM:06d}"


def test_a_scene_is_read_in_metres(tmp_path):
    """Object, camera, its poses, masks and depth; what has no mask is known, symmetry is that of models_info."""
    folder = write_scene(tmp_path / "set")
    assert guess_format(folder)[0].name == "bop"
    recording = read(folder)
    item, truth = recording.scene.body(NAME), object_of(simulated())
    assert np.abs(posed_vertices(item.body, item.initial) - posed_vertices(truth.body, truth.initial)).max() < NEAR
    camera = recording.scene.camera
    assert np.allclose([camera.fx, camera.cx, camera.cy], [150.0, 80.5, 60.25])
    assert np.abs(recording.world.camera.matrices() - cameras(True)).max() < NEAR
    assert np.array_equal(recording.scene.labels == item.label, simulated().labels == truth.label)
    assert item.symmetry == "z" and not item.known and recording.scene.body("obj_000003").known
    assert np.allclose(recording.scene.read_depth(2), 0.5002)


def test_what_is_not_to_be_seen_has_no_pose(tmp_path):
    """R and t of -1, as HOT3D has them: interpolated, never read."""
    scene = read(write_scene(tmp_path / "set", gone=(1, 4))).scene
    item, camera = scene.body(NAME).initial, scene.world.camera
    assert list(np.flatnonzero(item.imputed)) == [1, 4]
    truth = object_of(simulated()).initial
    assert np.abs(item.position - truth.position)[[0, 2, 3]].max() < NEAR
    held, _ = camera.moved(item.position, item.rotation)  # in the world, for the camera moves
    assert np.linalg.norm(held[4] - held[3]) < 1e-9


def test_every_name_may_have_the_suffix_of_a_sensor(tmp_path):
    """Which is asked for where it is not said."""
    folder = write_scene(tmp_path / "set", sensor="gray1")
    with pytest.raises(InputError, match="is not there, but of gray1; --sensor gray1"):
        read(folder)
    recording = read(folder, sensor="gray1")
    assert recording.scene.labels is not None and recording.scene.read_rgb(0) is not None


def test_results_are_written_as_the_toolkit_takes_them_and_read_again(tmp_path):
    """Seven fields, millimetres, one row for each image and object; imputed frames are left out."""
    folder = write_scene(tmp_path / "set", gone=(1,))
    recording = read(folder)
    item = recording.scene.body(NAME)
    moved = replace(item.initial, position=item.initial.position + 0.01)
    said = write(recording.with_poses({NAME: moved}), tmp_path / "out")
    assert said == ("warpprior_set-test.csv: 9 poses, without scores and times",)
    with open(tmp_path / "out/warpprior_set-test.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["scene_id", "im_id", "obj_id", "score", "R", "t", "time"]
    ours = [row for row in rows if row["obj_id"] == str(ITEM)]
    assert [row["im_id"] for row in ours] == ["0", "2", "3", "4"] and {row["scene_id"] for row in rows} == {"7"}
    assert {row["time"] for row in rows} == {"-1"} and all(len(row["R"].split()) == 9 for row in rows)
    shifts = np.array([[float(word) for word in row["t"].split()] for row in ours])
    assert np.abs(shifts - 1000.0 * moved.position[[0, 2, 3, 4]]).max() < 1e-5
    again = read(folder, results=tmp_path / "out/warpprior_set-test.csv").scene.body(NAME)
    assert np.abs(again.initial.position - moved.position)[[0, 2, 3, 4]].max() < NEAR
    assert (
        np.abs(again.truth.position[0] - item.initial.position[0]).max() < NEAR
        and np.isnan(again.truth.position[1]).all()
    )


def test_masks_alone_tell_the_size_of_the_pictures(tmp_path):
    """Their names end with the number of a row: the second row of every image has the same."""
    folder = write_scene(tmp_path / "set")
    for name in ("rgb", "depth"):
        shutil.rmtree(folder / name)
    recording = read(folder)
    assert (recording.scene.camera.width, recording.scene.camera.height) == (160, 120)
    label = recording.scene.body(NAME).label
    assert np.array_equal(recording.scene.labels == label, simulated().labels == object_of(simulated()).label)
    assert not any("guessed" in note and "size" in note for note in recording.notes)


def test_images_with_intrinsics_of_their_own_are_brought_to_one_camera(tmp_path):
    """Crops at five places: every pixel is back where the whole camera has it, the rest is not known."""
    folder, whole = write_scene(tmp_path / "set"), read(write_scene(tmp_path / "whole")).scene
    offsets = [(0, 0), (32, 24), (10, 5), (20, 12), (0, 24)]
    crop_images(folder, offsets)
    recording = read(folder)
    scene, truth = recording.scene, simulated()
    camera = scene.camera
    assert np.allclose([camera.fx, camera.fy, camera.cx, camera.cy, camera.width, camera.height],
                       [150.0, 151.0, 80.5, 60.25, 160, 120])  # fmt: skip
    label = scene.body(NAME).label
    for frame, (left, top) in enumerate(offsets):
        seen = np.zeros((120, 160), bool)
        seen[top : top + 96, left : left + 128] = True
        assert np.array_equal(scene.labels[frame] == label, seen & (truth.labels[frame] == object_of(truth).label))
        assert np.array_equal(scene.labels[frame], np.where(seen, whole.labels[frame], 255))
        assert np.array_equal(scene.read_rgb(frame)[seen], truth.read_rgb(frame)[seen])
        assert not scene.read_rgb(frame)[~seen].any() and not scene.read_depth(frame)[~seen].any()
    assert any("brought to one camera of 160 x 120 pixels" in note for note in recording.notes)


def test_scenes_of_hot3d_are_rectified(tmp_path):
    """``cam_model`` in the place of ``cam_K``: pictures, masks and depth of a fisheye lens."""
    folder = write_scene(tmp_path / "set")
    see_through(folder, LENSES["FISHEYE624"][1])
    recording = read(folder)
    scene, truth = recording.scene, simulated()
    label, sure = scene.body(NAME).label, scene.labels != 255
    assert sure.mean() > 0.9 and np.allclose(scene.camera.fx, 150.0)
    assert ((scene.labels == label) == (truth.labels == object_of(truth).label))[sure].mean() > 0.985
    assert any("rectified from FISHEYE624" in note for note in recording.notes)
    assert np.median(scene.read_depth(2)) == pytest.approx(0.5002)


def change(path, edit):
    """A tree of JSON, edited."""
    tree = json.loads(path.read_text())
    edit(tree)
    path.write_text(json.dumps(tree))


@pytest.mark.parametrize(
    ("file", "edit", "says"),
    [
        ("scene_camera.json", lambda tree: tree["2"]["cam_K"].__setitem__(2, 999.0), "times as much together"),
        ("scene_camera.json", lambda tree: tree["2"]["cam_K"].__setitem__(0, 1e9), "2: focal lengths 1e.09 and 151"),
        ("scene_camera.json", lambda tree: tree["2"].update(cam_model=1), "cam_model"),
        ("scene_camera.json", lambda tree: tree["2"].update(cam_R_w2c=[1.0] * 9), "cam_R_w2c: is no rotation"),
        (
            "scene_camera.json",
            lambda tree: tree["2"].update(cam_model={"projection_model_type": "X.DOUBLE", "projection_params": [1]}),
            "1 numbers of DOUBLE; FISHEYE624, or PINHOLE",
        ),
        ("scene_gt.json", lambda tree: tree["1"][1].pop("cam_R_m2c"), "cam_R_m2c: is missing"),
        ("scene_gt.json", lambda tree: tree["1"][1].update(obj_id="mug"), "obj_id: is mug; needs a number"),
        ("scene_gt.json", lambda tree: tree["1"][1].update(cam_R_m2c=[1.0]), "has shape"),
        ("scene_gt.json", lambda tree: tree["1"][1].update(obj_id=99), "holds no obj_000099.ply"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, file, edit, says):
    """Crops, other lenses, missing keys, models that are not there."""
    folder = write_scene(tmp_path / "set")
    change(folder / file, edit)
    with pytest.raises(InputError, match=says):
        read(folder, "bop")


def test_scenes_without_truth_need_results(tmp_path):
    """And images that are far apart are taken one by one."""
    folder = write_scene(tmp_path / "set")
    (folder / "scene_gt.json").unlink()
    with pytest.raises(InputError, match="--results FILE.csv"):
        read(folder)
    results = tmp_path / "r.csv"
    rows = [f"7,{image},{ITEM},0.5,1 0 0 0 1 0 0 0 1,0 0 {500 + image},0.1" for image in range(FRAMES)]
    results.write_text("\n".join(["scene_id,im_id,obj_id,score,R,t,time", *rows, f"7,0,{ITEM},1,1,1,1"]) + "\n")
    with pytest.raises(InputError, match="line 7: R"):
        read(folder, results=results)
    results.write_text("\n".join(["scene_id,im_id,obj_id,score,R,t,time", *rows]) + "\n")
    recording = read(folder, results=results)
    assert np.allclose(recording.scene.body(NAME).initial.position[:, 2], 0.5 + 0.001 * np.arange(FRAMES))
