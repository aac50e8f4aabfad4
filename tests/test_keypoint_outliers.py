"""Keypoints that contradict each other, the label and the first guess; and poses from keypoints alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from warpprior.bodies import read_hand
from warpprior.bodies.keypoint_fit import Detected, FramePoses, KeypointModel, Pinhole, fit_keypoints
from warpprior.bodies.posing import posed_keypoints
from warpprior.io import load_scene, save_scene
from warpprior.refinement.evidence import judge_evidence
from warpprior.refinement.keypoint_outliers import find_keypoint_outliers
from warpprior.refinement.run import refine
from warpprior.scene import Camera, Poses, Scene, SceneBody
from warpprior.scenes import simulate
from warpprior.support.errors import InputError

FRAMES = 8
FEW = 0.04  # of the points: the detector has outliers of its own
MANO = [0, 5, 6, 7, 9, 10, 11, 17, 18, 19, 13, 14, 15, 1, 2, 3, 4, 8, 12, 16, 20]


@pytest.fixture(scope="module")
def held():
    """A hand, a mug and labels, eight frames."""
    return simulate("grasp_lift", object="mug", seed=612, frame_count=FRAMES)


def with_points(scene, change):
    """The scene with other keypoints: a function of a copy of them."""
    return replace(scene, keypoints2d={"hand": change(scene.keypoints2d["hand"].copy())})


def with_hand(scene, **changes):
    """The scene with another hand."""
    bodies = tuple(replace(body, **changes) if body.name == "hand" else body for body in scene.bodies)
    return replace(scene, bodies=bodies)


def mirrored(scene, frames):
    """Keypoints of the mirrored picture in these frames."""

    def change(points):
        points[frames, :, 0] = scene.camera.width - 1 - points[frames, :, 0]
        return points

    return with_points(scene, change)


def judge(scene):
    """What is wrong with the hand's keypoints."""
    return find_keypoint_outliers(scene, scene.body("hand"))


@pytest.mark.parametrize("labels", [True, False])
@pytest.mark.parametrize("frames", [(2, 5), tuple(range(FRAMES))])
def test_mirrored_sets_are_left_out_by_name(held, frames, labels):
    """In some frames and in all; the note says that they are mirrored, and the result would list them."""
    scene = mirrored(held if labels else replace(held, labels=None), list(frames))
    evidence = judge_evidence(scene)
    assert evidence.left_out["hand"]["keypoints2d"] == frames
    assert np.all(evidence.scene.keypoints2d["hand"][list(frames), :, 2] == 0.0)
    assert any("mirrored left to right" in note and f"of {len(frames)} frames" in note for note in evidence.notes)


def test_another_order_is_named(held):
    """The order of MANO fits no pose, and would agree with the first guess; it is not put right silently."""
    found = judge(with_points(held, lambda points: points[:, MANO]))
    assert found.frames == tuple(range(FRAMES))
    assert "order of MANO" in found.notes[0]


def test_exchanged_axes_are_left_out(held):
    """u for v."""
    assert judge(with_points(held, lambda points: points[..., [1, 0, 2]])).frames == tuple(range(FRAMES))


def test_gross_outliers_go_one_by_one(held):
    """A fifth of the points anywhere: those that are far off go, hardly another, and no frame as a whole."""
    random = np.random.default_rng(1)
    stray = random.random((FRAMES, 21)) < 0.2
    shift = random.uniform(150.0, 250.0, (stray.sum(), 1)) * np.array([[1.0, -1.0]])

    def change(points):
        points[stray, :2] += shift
        points[stray, 2] = 1.0
        return points

    found = judge(with_points(held, change))
    assert found.frames == ()
    assert (found.points & stray).sum() >= 0.95 * stray.sum()
    assert (found.points & ~stray).sum() <= 2


@pytest.mark.parametrize("missing", [False, True])
def test_a_finger_found_on_another_is_left_out(held, missing):
    """The index finger's points are copies of the middle finger's; one that is missing, as NaN, does not hide it."""

    def change(points):
        points[:, 5:9] = points[:, 9:13]
        if missing:
            points[:, 6] = (np.nan, np.nan, 0.0)
        return points

    found = judge(with_points(held, change))
    assert found.frames == ()
    assert found.points[:, [5, 7, 8]].mean() > 0.9
    assert found.points[:, 13:].mean() < FEW
    assert "its middle" in found.notes[0]


@pytest.mark.parametrize("turn", [(0.0, 0.0, 0.0), (0.0, np.pi, 0.0), (1.5, 0.0, 0.0)])
def test_good_keypoints_stay_whatever_the_first_guess(held, turn):
    """A first guess 26 cm off, and turned by much."""
    initial = held.body("hand").initial
    rotation = (Rotation.from_rotvec(turn) * Rotation.from_quat(initial.rotation)).as_quat()
    position = initial.position + np.array([0.2, 0.1, 0.15])
    found = judge(with_hand(held, initial=replace(initial, position=position, rotation=rotation)))
    assert found.frames == ()
    assert found.points.mean() < FEW


def test_good_keypoints_stay_where_the_label_is_wrong(held):
    """A label elsewhere is outvoted by the first guess and the keypoints."""
    found = judge(replace(held, labels=np.roll(held.labels, 250, axis=2)))
    assert found.frames == ()


def test_derivatives_of_the_fit_lead_back(held):
    """Exact points are met from a pose that is off in everything, to a tenth of a pixel."""
    hand, camera = held.body("hand"), held.camera
    lens = Pinhole(np.array([camera.fx, camera.fy]), np.array([camera.cx, camera.cy]))
    points = lens.project(posed_keypoints(hand.body, hand.truth).astype(float))
    sets = Detected(points, np.ones(points.shape[:2]), 0.05, lens)
    start = FramePoses(hand.initial.position * 1.1, hand.initial.rotation, hand.initial.joints)
    model = KeypointModel(hand.body)
    poses, _ = fit_keypoints(model, sets, start)
    misses = np.linalg.norm(lens.project(model.places(poses)) - points, axis=2)
    assert np.median(misses) < 0.1


@pytest.mark.parametrize("given", ["keypoints2d", "keypoints3d"])
def test_no_start_is_needed(held, given):
    """A hand without initial poses, refined with 2D or fitted to 3D keypoints; a frame without any is carried."""
    points = {"keypoints2d": held.keypoints2d["hand"].copy(), "keypoints3d": held.keypoints3d["hand"].copy()}[given]
    points[3] = np.nan
    fields = {"keypoints2d": {}, "keypoints3d": {}, given: {"hand": points}}
    scene = with_hand(replace(held, **fields), initial=None)
    hand = scene.body("hand")
    assert any("hand has no initial poses" in note and "7 of 8" in note for note in scene.warnings)
    assert np.flatnonzero(hand.initial.imputed).tolist() == [3]
    truth = posed_keypoints(hand.body, hand.truth)
    result = refine(scene, device="cpu") if given == "keypoints2d" else None
    found = posed_keypoints(hand.body, hand.initial if result is None else result.poses["hand"])
    errors = np.linalg.norm((found - found[:, :1]) - (truth - truth[:, :1]), axis=2).mean(axis=1)
    assert np.median(errors) < (0.008 if result is None else 0.006)


def test_a_scene_without_initial_poses_is_read(tmp_path):
    """Neither [poses] nor a key of the body; written and read again it has them."""
    hand = read_hand("right")
    camera = Camera(320, 240, 300.0, 300.0, 160.0, 120.0)
    joints = np.tile(hand.pose_prior.mean, (2, 1))
    truth = Poses(np.tile([0.0, 0.0, 0.5], (2, 1)), np.tile([0.6, 0.0, 0.0, 0.8], (2, 1)), joints)
    points = posed_keypoints(hand, truth)
    seen = points[..., :2] / points[..., 2:] * 300.0 + [160.0, 120.0]
    found = np.concatenate([seen, np.ones((2, 21, 1))], axis=2)
    scene = Scene("hand", camera, 30.0, (SceneBody(hand, 1, False, truth),), keypoints2d={"hand": found})
    folder = save_scene(scene, tmp_path / "scene")
    toml = folder / "scene.toml"
    toml.write_text(toml.read_text().replace('[poses]\ninitial = "initial.npz"\n', ""))
    read = load_scene(folder)
    assert any("hand has no initial poses" in note for note in read.warnings)
    there = posed_keypoints(read.body("hand").body, read.body("hand").initial)
    assert np.linalg.norm(there - points, axis=2).max() < 0.02
    again = load_scene(save_scene(read, tmp_path / "again"))
    assert np.allclose(again.body("hand").initial.joints, read.body("hand").initial.joints)


def test_without_poses_or_keypoints_it_is_said(held):
    """Neither hand nor object can be started from nothing."""
    with pytest.raises(InputError, match="2D or 3D keypoints"):
        with_hand(replace(held, keypoints2d={}, keypoints3d={}), initial=None)
    bodies = tuple(replace(body, initial=None) if body.name == "mug" else body for body in held.bodies)
    with pytest.raises(InputError, match="mug.*initial poses"):
        replace(held, bodies=bodies)


@pytest.mark.parametrize("factor", [20.3, 40.0])
def test_a_hand_many_times_too_far_is_fetched(held, factor):
    """The depth of hand networks belongs to another focal length; the start mends it and says so."""
    initial = held.body("hand").initial
    near = refine(held, device="cpu")
    result = refine(with_hand(held, initial=replace(initial, position=factor * initial.position)), device="cpu")
    off = np.linalg.norm(result.poses["hand"].position - near.poses["hand"].position, axis=1)
    assert np.median(off) < 0.005
    assert any("times nearer than the first guess in every frame" in note for note in result.notes)
