"""Turns that pictures cannot show: noise of the first guess is taken out of them, and contact holds them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.estimator_scenes import make_ball, make_block, make_motion, make_scene
from warpprior.refinement.run import refine
from warpprior.refinement.symmetry import half_turns, seen_angles, smooth_unseen_turns
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
    assert [len(half_turns(each)) for each in ("none", "x", "y", "z", "sphere")] == [3, 1, 1, 1, 0]


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
