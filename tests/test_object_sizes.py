"""The size of an object, from a scene folder to a result: found where something tells it, left where nothing does."""

from dataclasses import replace

import numpy as np
import pytest
import warp as wp

import warpprior
from warpprior.bodies import read_mesh
from warpprior.cli.program import main
from warpprior.geometry.signed_distance import shared_field
from warpprior.io import results
from warpprior.scene import Camera
from warpprior.scenes import simulate
from warpprior.settings import RefineSettings
from warpprior.support.errors import InputError
from warpprior.system.motion import MotionState
from warpprior.system.observed import observe_picture
from warpprior.system.problem import Problem
from warpprior.terms.literal import LiteralSmoothness, touching_pairs, vertex_moments
from warpprior.terms.touch import moving_frames
from warpprior.tracking.tracker import Tracker

FACTOR = 1.6
SMALL = Camera(320, 240, 300.0, 300.0, 160.0, 120.0)


@pytest.fixture(scope="module")
def scene():
    """A hand that lifts a can whose mesh is too large, and lies as much too far away."""
    options = {"object": "can", "seed": 61, "frame_count": 12, "camera": SMALL, "images": False}
    return simulate("grasp_lift", mesh_scale=FACTOR, **options)


@pytest.fixture(scope="module")
def result(scene):
    """The scene, refined."""
    return warpprior.refine(scene, device="cpu", check_first=False)


def alone(scene):
    """The scene without the hand, and what was detected."""
    nothing = {"keypoints2d": {}, "keypoints3d": {}, "boxes": {}, "centers": {}}
    return replace(scene, bodies=(scene.body("can"),), **nothing)


def test_a_hand_tells_the_size(scene, result):
    """To a few per cent, with a sigma of that order; depth is right to that, and the note says what told it."""
    true, found = scene.body("can").truth, result.poses["can"]
    assert true.scale == pytest.approx(1.0 / FACTOR)
    assert found.scale == pytest.approx(true.scale, rel=0.04)
    depth = found.position[:, 2] / true.position[:, 2]
    assert np.median(depth) == pytest.approx(1.0, abs=0.04)
    unknown = result.shared["can size"]
    assert np.exp(unknown["value"]) == pytest.approx(found.scale, rel=1e-5)
    assert 0.0 < unknown["sigma"] < 0.05
    (note,) = [note for note in result.notes if "times the size of its mesh" in note]
    assert "beforehand" in note
    assert "touch (alone" in note


def test_sizes_said_on_import_are_found(tmp_path, scene):
    """From others' files, which say nothing of it, to a result: the mesh of a wrong size has the true one."""
    silent = tuple(replace(item, size=None, truth=None) for item in scene.bodies)
    warpprior.save_scene(replace(scene, bodies=silent), tmp_path / "theirs")
    words = ["--output-dir", str(tmp_path / "scene"), "--quiet", "--unknown-size", "can"]
    assert main(["import", "scene", str(tmp_path / "theirs"), *words]) == 0
    assert main(["refine", str(tmp_path / "scene"), "--output-dir", str(tmp_path / "result"), "--quiet"]) == 0
    found = results.load_result_poses(tmp_path / "result", warpprior.load_scene(tmp_path / "scene"))["can"]
    assert found.scale == pytest.approx(1.0 / FACTOR, rel=0.04)


def test_nothing_is_invented(scene):
    """Without anything that tells it the size stays what was given, as unsure as before, and so does its depth."""
    given = alone(scene)
    found = warpprior.refine(given, device="cpu", check_first=False)
    assert found.poses["can"].scale == pytest.approx(1.0, abs=1e-3)
    assert found.shared["can size"]["sigma"] == pytest.approx(0.5, rel=1e-3)
    assert any("its size cannot be told" in note for note in found.notes)
    depth = np.sqrt(found.poses["can"].covariance[:, 2, 2]) / found.poses["can"].position[:, 2]
    assert (depth > 0.4).all()


def test_a_run_goes_on_to_the_same_bits(scene):
    """What was learnt of the size is kept between parts."""
    kept, short = [], replace(scene.first_frames(6))
    settings = RefineSettings(iterations=3)
    first = warpprior.refine(short, settings, device="cpu", keep=kept.append, check_first=False)
    again = warpprior.refine(short, settings, device="cpu", resume_from=kept[2], check_first=False)
    assert again.poses["can"].scale == first.poses["can"].scale != 1.0
    np.testing.assert_array_equal(again.poses["can"].position, first.poses["can"].position)


def test_scene_folders_keep_it(tmp_path, scene):
    """What a scene folder says of the size comes back, and is refused where it makes no sense."""
    warpprior.save_scene(scene, tmp_path / "scene")
    assert warpprior.load_scene(tmp_path / "scene").body("can").size == scene.body("can").size
    text = (tmp_path / "scene" / "scene.toml").read_text()
    for change, said in (
        (('scale = "estimate"', "scale = 2.0"), "accepted: known, estimate"),
        (("scale_sigma = 0.5", "scale_sigma = 0"), "scale_sigma"),
        (('scale = "estimate"', 'scale = "estimate"\nknown = true'), "a body that is known"),
    ):
        (tmp_path / "scene" / "scene.toml").write_text(text.replace(*change))
        with pytest.raises(InputError, match=said):
            warpprior.load_scene(tmp_path / "scene")


def test_results_have_the_mesh_in_its_size(tmp_path, scene, result):
    """The mesh is written in the size that was found, beside poses that are for the one that was given."""
    folder = tmp_path / "result"
    results.save_result(result, folder, video=False, usd=False, report=False)
    given, found = scene.body("can").body, read_mesh(folder / "mesh_can.obj", "can")
    np.testing.assert_allclose(
        np.ptp(found.vertices, axis=0), result.poses["can"].scale * np.ptp(given.vertices, axis=0)
    )
    loaded = results.load_result_poses(folder, scene)
    assert loaded["can"].scale == result.poses["can"].scale
    known = replace(result, scene=replace(scene, bodies=tuple(replace(body, size=None) for body in scene.bodies)))
    results.save_result(known, folder, video=False, usd=False, report=False)
    assert not (folder / "mesh_can.obj").exists()


def test_writers_say_what_becomes_of_it(tmp_path, scene, result):
    """A format with a mesh has it in that size, and says so."""
    recording = warpprior.Recording(scene).with_poses(result.poses)
    said = warpprior.formats.write(recording, tmp_path / "out", "foundationpose")
    assert any("times as large as its mesh, and its mesh is written in that size" in sentence for sentence in said)
    mesh = read_mesh(tmp_path / "out" / "can" / "mesh" / "can.obj", "can")
    extent = np.ptp(scene.body("can").body.vertices, axis=0)
    np.testing.assert_allclose(np.ptp(mesh.vertices, axis=0), result.poses["can"].scale * extent, rtol=1e-5)


def test_the_tracker_takes_it_as_given(scene):
    """It says so, and tracks."""
    found = warpprior.track(scene.first_frames(3), device="cpu", check_first=False)
    assert any("its size is not estimated here" in warning for warning in found.scene.warnings)
    assert found.poses["can"].scale == 1.0
    with pytest.warns(UserWarning, match="can: its size is not estimated here, and 1 times"):
        Tracker(scene, device="cpu")


def test_the_paper_takes_sizes_as_they_are(scene):
    """Surfaces and moments of its terms are those of the size that was found before, not of the one that was given."""
    motion = MotionState(scene, "cpu", point_count=64)
    motion.assign_size("can", wp.array(np.log([0.5]).astype(np.float32), dtype=wp.float32, device="cpu"))
    problem = Problem(motion, observe_picture(motion, 0.5, calibrate=False))
    can = scene.body("can")
    (field,) = [field for _, other, field in touching_pairs(problem) if other.name == "can"]
    given = shared_field(can.body, "cpu", scale=can.initial.scale)
    assert field is shared_field(can.body, "cpu", scale=0.5 * can.initial.scale) and field is not given
    (bound,) = [one for one in LiteralSmoothness().bind(problem) if one.body.name == "can"]
    _, covariance = vertex_moments(can.body, 0.5 * can.initial.scale)
    np.testing.assert_allclose(np.array(bound._covariance).reshape(3, 3), covariance, rtol=1e-5)


@pytest.mark.parametrize("name", ["hand", "can"])
def test_sizes_of_what_bends_or_is_known_are_refused(scene, name):
    """One factor is for rigid bodies that are estimated."""
    changed = replace(scene.body(name), size=warpprior.SizePrior(), known=name == "can")
    bodies = tuple(changed if body.name == name else body for body in scene.bodies)
    with pytest.raises(InputError, match="a rigid body that is estimated"):
        replace(scene, bodies=bodies)


def test_depth_is_compared_where_a_size_is_to_be_found():
    """A depth camera tells the size of an object alone."""
    options = {"object": "box", "seed": 62, "frame_count": 6, "camera": SMALL, "images": False, "depth": True}
    scene = simulate("grasp_lift", mesh_scale=0.7, mesh_scale_depth="right", **options)
    nothing = {"keypoints2d": {}, "keypoints3d": {}, "boxes": {}, "centers": {}}
    found = warpprior.refine(
        replace(scene, bodies=(scene.body("box"),), **nothing), device="cpu", check_first=False
    ).poses["box"]
    assert found.scale * 0.7 == pytest.approx(1.0, abs=0.03)


def test_what_moves_is_seen_in_the_world():
    """Before a camera that sways the same frames of a can move as before one that stands."""
    options = {"object": "can", "seed": 61, "frame_count": 16, "camera": SMALL, "images": False, "mesh_scale": FACTOR}
    found = []
    for motion in (None, "head"):
        given = simulate("grasp_lift", camera_motion=motion, **options)
        state = MotionState(given.with_poses({"can": given.body("can").truth}), "cpu")
        found.append(moving_frames(state, given.body("can"), 0.1))
    assert found[0].any() and not found[0].all()
    np.testing.assert_array_equal(found[1], found[0])
