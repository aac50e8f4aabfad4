"""Turns that pictures cannot show: noise of the first guess is taken out of them, and contact holds them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.estimator_scenes import make_ball, make_block, make_motion, make_scene
from warpprior.metrics import evaluate
from warpprior.refinement.run import refine
from warpprior.refinement.symmetry import lean_the_other_way, other_looks, seen_angles, smooth_unseen_turns
from warpprior.scenes import simulate
from warpprior.settings import RefineSettings

FRAMES = 12
TIMES = np.arange(FRAMES) / 30.0


@pytest.fixture
def turning():
    """Rotations that turn about an oblique axis by 2 degrees a frame."""
    return Rotation.from_rotvec(np.radians(2.0) * np.arange(FRAMES)[:, None] * [0.6, 0.0, 0.8] + [0.3, 0.2, 0.1])


@pytest.mark.parametrize("letter", "xyz")
def test_noise_about_the_axis_is_taken_out(turning, letter):
    """What is seen stays to the digit; the unseen turn no longer jumps."""
    axis = np.eye(3)["xyz".index(letter)]
    noise = np.random.default_rng(0).normal(0.0, 0.5, FRAMES)
    given = (turning * Rotation.from_rotvec(noise[:, None] * axis)).as_quat()
    smooth = smooth_unseen_turns(given, letter, TIMES)
    np.testing.assert_allclose(seen_angles(smooth, given, letter), 0.0, atol=1e-6)
    steps = Rotation.from_quat(smooth[:-1]).inv() * Rotation.from_quat(smooth[1:])
    assert np.degrees(np.abs(steps.as_rotvec() @ axis)).max() < 2.0
    assert smooth_unseen_turns(given, "none", TIMES) is given


def test_a_flip_in_one_frame_leaves_the_others_alone(turning):
    """Frames that are upside down are so afterwards, too, and drag no other frame along."""
    given = turning.as_quat()
    flipped = given.copy()
    flipped[5] = (turning[5] * Rotation.from_rotvec([np.pi, 0.0, 0.0])).as_quat()
    smooth = smooth_unseen_turns(flipped, "z", TIMES)
    np.testing.assert_allclose(seen_angles(smooth, flipped, "z"), 0.0, atol=1e-6)
    others = np.arange(FRAMES) != 5
    assert np.degrees((Rotation.from_quat(smooth[others]).inv() * turning[others]).magnitude()).max() < 30.0


def test_angles_that_looks_tell(turning):
    """Between axes for a body of revolution, none for a ball, all for others; arrays broadcast."""
    given = turning.as_quat()
    about = (turning * Rotation.from_rotvec([0.0, 0.0, 1.0])).as_quat()
    across = (turning * Rotation.from_rotvec([0.7, 0.0, 0.0])).as_quat()
    both = np.stack([about, across])
    expected = np.repeat([[0.0], [0.7]], FRAMES, axis=1)
    np.testing.assert_allclose(seen_angles(both, given, "z"), expected, atol=1e-6)
    np.testing.assert_allclose(seen_angles(both, -given, "none"), np.repeat([[1.0], [0.7]], FRAMES, axis=1), atol=1e-6)
    assert not seen_angles(both, given, "sphere").any()
    poses = np.hstack([np.tile([0.0, 0.1, 0.5], (FRAMES, 1)), given])
    assert [len(other_looks(poses, each)) for each in ("none", "x", "y", "z", "sphere")] == [3, 3, 3, 3, 0]


@pytest.mark.parametrize("letter", "xyz")
def test_leaning_the_other_way_mirrors_the_axis(letter):
    """Across the line of sight; twice is not at all, and an axis along the sight, or in the picture, is no trouble."""
    poses = np.hstack([np.random.default_rng(5).normal(size=(20, 3)), Rotation.random(20, random_state=6).as_quat()])
    upright = [
        [0.0, 0.0, 0.5, 0.0, 0.0, 0.0, 1.0],
        [0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0],
        [0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 1.0],
    ]
    poses = np.vstack([poses, upright])
    axis = Rotation.from_quat(poses[:, 3:]).apply(np.eye(3)["xyz".index(letter)])
    sight = poses[:, :3] / np.linalg.norm(poses[:, :3], axis=1, keepdims=True)
    mirrored = axis - 2.0 * np.sum(axis * sight, axis=1, keepdims=True) * sight
    found = lean_the_other_way(poses, letter)
    turned = Rotation.from_quat(found[:, 3:]).apply(np.eye(3)["xyz".index(letter)])
    lies_along = np.abs(np.sum(axis * sight, axis=1)) > 1.0 - 1e-9
    np.testing.assert_allclose(turned[~lies_along], mirrored[~lies_along], atol=1e-9)
    np.testing.assert_allclose(turned[lies_along], axis[lies_along], atol=1e-9)
    again = Rotation.from_quat(lean_the_other_way(found, letter)[:, 3:])
    np.testing.assert_allclose((again.inv() * Rotation.from_quat(poses[:, 3:])).magnitude(), 0.0, atol=1e-7)


def test_a_bowl_leans_as_it_does(device):
    """First guesses that lean to the wrong side, which silhouettes hardly tell, do not keep a frame there."""
    scene = simulate("grasp_lift", object="bowl", seed=102, frame_count=12, device="cpu")
    unsaid = replace(scene, bodies=tuple(replace(body, symmetry="none") for body in scene.bodies))
    rows = {}
    for name, given in (("said", scene), ("unsaid", unsaid)):
        found = evaluate(scene, refine(given, device=device).poses, device="cpu")["per_frame"]["bowl"]
        rows[name] = {key: np.array(values, dtype=float) for key, values in found.items()}
    assert rows["said"]["rotation_deg"].max() < 5.0
    assert rows["said"]["add_mm"].max() < rows["unsaid"]["add_mm"].max() + 0.5
    assert np.nanmedian(rows["said"]["slip_mm"]) < 0.3


def test_a_held_ball_turns_with_what_holds_it(device):
    """Two known jaws turn by 3 degrees a frame about z: the ball between them, unseen, turns with them."""
    jaw, ball = make_block("jaws", (0.04, 0.012, 0.012)), make_ball(radii=(0.02, 0.02, 0.035))
    spin = np.radians(3.0)
    truth = make_motion((0.0, 0.0, 0.4), (0.0, 0.0, 0.0), spin=(0.0, 0.0, spin), frames=8)
    turned = Rotation.from_quat(truth.rotation)
    beside = replace(truth, position=truth.position + turned.apply([0.0, 0.0325, 0.0]))
    noise = Rotation.from_rotvec(np.random.default_rng(1).normal(0.0, 0.3, (8, 1)) * [0.0, 0.0, 1.0])
    start = replace(truth, rotation=(turned * noise).as_quat())
    scene = make_scene((jaw, ball), (beside, truth), (beside, start), known=("jaws",), symmetry={"ball": "z"})
    poses = refine(scene, RefineSettings(contact_points=400), device=device).poses["ball"]
    found = Rotation.from_quat(poses.rotation)
    steps = np.degrees((found[:-1].inv() * found[1:]).as_rotvec())[:, 2]
    assert np.abs(np.median(steps) - 3.0) < 1.0
