"""Unknowns that all frames share, end to end: shapes of hands and the focal length are found where something tells."""

from dataclasses import replace

import numpy as np
import pytest

from tests.estimator_scenes import change_terms, errors_of, make_grasp, make_motion, make_scene
from tests.test_bodies_together import CAMERA, SETTINGS, make_tongs_scene, seen_keypoints, shifted
from warpprior.bodies import posed_vertices, read_hand
from warpprior.io import load_result_poses, save_result
from warpprior.refinement.run import refine
from warpprior.render.images import render_depth
from warpprior.settings import RefineSettings
from warpprior.support.overrides import apply_overrides
from warpprior.system.motion import MotionState
from warpprior.system.observed import observe_picture
from warpprior.system.shared_unknowns import LARGEST_SHAPE, LARGEST_ZOOM, SHAPE_STEP, ZOOM_STEP, SharedUnknowns
from warpprior.system.unknown_settings import UnknownSettings

SIZE = np.array([1.5, *np.zeros(9)])


def make_hand_scene(shape, *, frames=2, depth=False):
    """A hand of a shape, bent, alone, 2 cm and up to 0.15 rad off; exact labels and keypoints, and depth if asked."""
    hand, joints = read_hand(), np.tile([0.3, 0.0, 0.0] * 15, (frames, 1))
    truth = make_motion((-0.09, 0.0, 0.5), (1.4, 0.3, 0.2), drift=(0.004, 0.002, 0.003), spin=(0.02, 0.05, 0.03),
                        frames=frames, joints=joints)  # fmt: skip
    truth = replace(truth, shape=np.asarray(shape, dtype=float))
    start = replace(shifted(truth, 0.02, joints=0.15, seed=1), shape=np.zeros(len(shape)))
    scene = make_scene((hand,), (truth,), (start,), camera=CAMERA)
    depths = render_depth(scene, {"hand": truth}) if depth else None
    read_depth = None if depths is None else lambda frame: depths[frame]
    return replace(scene, keypoints2d={"hand": seen_keypoints(hand, truth)}, read_depth=read_depth)


def estimating(**changes):
    """The tests' settings with other unknowns: ``estimating(shape=True)``."""
    changes = {f"estimate_{name}": value for name, value in changes.items()}
    return replace(SETTINGS, unknowns=replace(SETTINGS.unknowns, **changes))


@pytest.fixture(scope="module")
def large_hand():
    """A hand 1.5 standard deviations larger than the mean, which the camera measures."""
    return make_hand_scene(SIZE, depth=True)


def test_the_size_of_a_hand_is_found_where_depth_is_measured(device, large_hand):
    """Unasked, within 0.3 of 1.5, which brings the surface within 4 mm; without depth the shape stays, 4 cm off."""
    settings = change_terms(SETTINGS, depth={"weight": 1.0, "sigma_m": 0.002})
    settings = replace(settings, contact_points=256)
    found = refine(large_hand, settings, device=device)
    np.testing.assert_allclose(found.poses["hand"].shape[0], 1.5, atol=0.3)
    assert errors_of(found, "hand").max() < 4.0
    assert any("another shape than the first guess" in note for note in found.notes)
    fixed = refine(large_hand, SETTINGS, device=device)
    np.testing.assert_array_equal(fixed.poses["hand"].shape, np.zeros(10))
    assert errors_of(fixed, "hand").min() > 25.0


def test_results_keep_the_shape(device, large_hand, tmp_path):
    """In the pose file, and so in surfaces made from it."""
    result = refine(large_hand, change_terms(estimating(shape=True), depth={"weight": 1.0}), device=device)
    save_result(result, tmp_path, video=False, usd=False, report=False)
    read = load_result_poses(tmp_path, large_hand)["hand"]
    np.testing.assert_array_equal(read.shape, result.poses["hand"].shape)
    body = large_hand.body("hand").body
    np.testing.assert_allclose(posed_vertices(body, read), posed_vertices(body, result.poses["hand"]), atol=1e-6)


def test_proportions_are_seen_without_depth(device):
    """Long fingers on a hand of the mean size: masks and keypoints believed to a pixel find them."""
    shape = np.zeros(10)
    shape[1] = 2.0
    scene = make_hand_scene(shape)
    sharp = {"sigma_px": 0.5}
    settings = change_terms(estimating(shape=True), keypoints=sharp, contour=sharp)
    found = refine(scene, settings, device=device).poses["hand"].shape
    assert found[1] > 1.0
    assert np.abs(found[[0, *range(2, 10)]]).max() < 0.8


def test_only_what_is_asked_for_changes(device):
    """Without settings there are bias and shape; a misfit where the shape is not; a known hand keeps its shape."""
    scene = make_hand_scene(SIZE)
    other = make_tongs_scene().body("tongs")
    other = replace(other, label=2, initial=other.initial.frames(slice(0, 2)), truth=None)
    state = MotionState(replace(scene, bodies=(*scene.bodies, replace(other, known=False))), device, point_count=8)
    picture = observe_picture(state, 0.5)
    shape = tuple(f"hand shape {k}" for k in range(10))
    assert SharedUnknowns(state, picture, UnknownSettings()).names == ("bias", *shape)
    fixed = UnknownSettings(estimate_shape=False)
    assert SharedUnknowns(state, picture, fixed).names == ("bias", "hand misfit")
    settings = UnknownSettings(estimate_shape=True, estimate_focal=True, estimate_mask_bias=False)
    names = ("focal", *shape)
    assert SharedUnknowns(state, picture, settings).names == names
    known = replace(scene, bodies=(replace(scene.bodies[0], known=True),), keypoints2d={})
    known = replace(known, bodies=(*known.bodies, other))
    state = MotionState(known, device, point_count=8)
    assert SharedUnknowns(state, observe_picture(state, 0.5), settings).names == ("focal",)


def test_values_reach_the_motion_and_stay_within_bounds(device):
    """Focal length and shape follow; steps end where values would leave their range."""
    scene = make_hand_scene(SIZE)
    state = MotionState(scene, device, point_count=8)
    settings = UnknownSettings(estimate_shape=True, estimate_focal=True, estimate_mask_bias=False)
    shared = SharedUnknowns(state, observe_picture(state, 0.5), settings)
    np.testing.assert_array_equal(shared.prior.pull()[0], np.zeros(11))
    np.testing.assert_allclose(shared.bounds[1], [ZOOM_STEP, *[SHAPE_STEP] * 10])
    values = np.array([0.02, *np.linspace(-1.0, 1.0, 10)])
    shared.assign(values)
    state.pose()
    np.testing.assert_allclose(shared.prior.pull()[0], [0.02 / 0.05**2, *values[1:]])
    np.testing.assert_allclose([state.camera.fx, state.focal[0]], CAMERA.fx * np.exp(0.02), rtol=1e-6)
    poses = replace(scene.body("hand").initial, shape=values[1:])
    np.testing.assert_allclose(state.vertices.numpy(), posed_vertices(scene.body("hand").body, poses), atol=1e-6)
    np.testing.assert_allclose(state.read()["hand"].shape, values[1:], atol=1e-6)
    shared.assign([LARGEST_ZOOM, *[-LARGEST_SHAPE] * 10])
    low, high = shared.bounds
    np.testing.assert_allclose(high, [0.0, *[SHAPE_STEP] * 10], atol=1e-12)
    np.testing.assert_allclose(low, [-ZOOM_STEP, *[0.0] * 10], atol=1e-12)


def test_initial_shapes_come_back_bit_for_bit(device):
    """Nothing is lost on the device unless the shape was estimated."""
    shape = np.random.default_rng(0).normal(size=10)
    scene = make_hand_scene(shape)
    scene = scene.with_poses({"hand": replace(scene.body("hand").initial, shape=shape)})
    state = MotionState(scene, device, point_count=8)
    assert state.read()["hand"].shape is scene.body("hand").initial.shape
    assert state.camera is scene.camera


@pytest.fixture(scope="module")
def grasp():
    """A box in a clamp that is known."""
    return make_grasp()


@pytest.mark.parametrize("factor", [0.97, 1.03])
def test_a_known_body_tells_the_focal_length(device, grasp, factor):
    """3 % off in pictures of 96 pixels, it is found to 1 %; poses, note and camera say so."""
    camera = grasp.camera
    wrong = replace(grasp, camera=replace(camera, fx=camera.fx * factor, fy=camera.fy * factor))
    found = refine(wrong, estimating(focal=True), device=device)
    assert abs(found.scene.camera.fx / camera.fx - 1.0) < 0.01
    assert found.scene.camera.fy == pytest.approx(found.scene.camera.fx)
    assert any("focal length" in note for note in found.notes)
    assert errors_of(found, "box").max() < 2.0
    assert refine(wrong, SETTINGS, device=device).scene.camera == wrong.camera


def test_the_result_folder_says_the_refined_camera(device, grasp, tmp_path):
    """config.json holds the camera that poses and pictures are for."""
    import json

    result = refine(grasp, estimating(focal=True), device=device)
    save_result(result, tmp_path, video=False, usd=False, report=False)
    stored = json.loads((tmp_path / "config.json").read_text())["scene"]["camera"]
    assert stored == vars(result.scene.camera)


def test_without_anything_that_tells_the_run_warns(device):
    """A hand alone: perspective hardly tells the focal length."""
    settings = replace(estimating(focal=True), iterations=1)
    notes = refine(make_hand_scene(SIZE), settings, device=device).notes
    assert any("neither a known body nor depth" in note for note in notes)


def test_a_run_goes_on_with_what_frames_share(device, large_hand):
    """Interrupted after a stage, resumed: the same shape and focal length, bit for bit."""
    settings = change_terms(estimating(shape=True, focal=True), depth={"weight": 1.0})
    kept = []
    whole = refine(large_hand, settings, device=device, keep=kept.append)
    resumed = refine(large_hand, settings, device=device, resume_from=kept[1])
    np.testing.assert_array_equal(resumed.poses["hand"].shape, whole.poses["hand"].shape)
    np.testing.assert_array_equal(resumed.poses["hand"].position, whole.poses["hand"].position)
    assert resumed.scene.camera == whole.scene.camera


def test_settings_can_be_given_as_texts():
    """As `--set unknowns.estimate_shape=true` gives them."""
    settings = apply_overrides(RefineSettings(), ["unknowns.estimate_shape=true", "unknowns.estimate_focal=true"])
    assert settings.unknowns.estimate_shape and settings.unknowns.estimate_focal
    assert RefineSettings().unknowns.estimate_shape is None and not RefineSettings().unknowns.estimate_focal
