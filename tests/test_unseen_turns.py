"""Symmetric bodies: what contact makes of the turn that does not show, and what is judged modulo the symmetry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from estimator_scenes import disturb, make_ball, make_motion, make_scene
from scipy.spatial.transform import Rotation

from warpprior import refine
from warpprior.metrics import evaluate
from warpprior.refinement.hypotheses import cheapest_path
from warpprior.refinement.unseen_turns import lean_the_other_way, smooth_turns
from warpprior.scenes import simulate

AXIS = np.array([0.0, 0.0, 1.0])
FRAMES = 16


def wobbling(random):
    """Rotations of a hand that turns about everything (FRAMES,)."""
    return Rotation.from_rotvec(np.cumsum(random.normal(0.05, 0.03, (FRAMES, 3)), axis=0))


def within(symmetry, random):
    """Turns that do not show, any of them, another one in each frame."""
    if symmetry == "sphere":
        return Rotation.from_rotvec(0.3 * random.normal(size=(FRAMES, 3)))
    return Rotation.from_rotvec(random.normal(0.0, 0.3, (FRAMES, 1)) * np.eye(3)["xyz".index(symmetry)])


@pytest.mark.parametrize("symmetry", ["x", "y", "z", "sphere"])
def test_what_is_held_turns_with_what_holds_it(symmetry):
    """Noise within the symmetry does not survive as spin, and what shows stays as it was."""
    random = np.random.default_rng(3)
    hand = wobbling(random)
    given = hand * within(symmetry, random)
    motions = hand[1:] * hand[:-1].inv()
    carried = (motions * given[:-1]).as_quat()
    found = Rotation.from_quat(smooth_turns(given.as_quat(), carried, np.full(FRAMES - 1, 50.0), symmetry))
    held = hand.inv() * found  # as the hand sees it
    spin = np.degrees((held[:-1].inv() * held[1:]).magnitude())
    before = np.degrees(((hand.inv() * given)[:-1].inv() * (hand.inv() * given)[1:]).magnitude())
    assert np.median(before) > 10.0
    assert spin.max() < 0.5
    if symmetry != "sphere":
        axis = np.eye(3)["xyz".index(symmetry)]
        np.testing.assert_allclose(found.apply(axis), given.apply(axis), atol=1e-9)


def test_sequences_do_not_share_turns():
    """Between frames that have nothing to do with each other no turn is averaged."""
    given = Rotation.from_rotvec(np.outer([0.1, 0.1, 1.2, 1.2], AXIS)).as_quat()
    found = smooth_turns(given, given[:-1], np.array([50.0, 0.0, 50.0]), "z")
    np.testing.assert_allclose(
        (Rotation.from_quat(found).inv() * Rotation.from_quat(given)).magnitude(), 0.0, atol=1e-7
    )


def test_leaning_the_other_way_mirrors_the_axis():
    """Across the line of sight, and twice is not at all."""
    random = np.random.default_rng(5)
    poses = np.hstack([random.normal(size=(20, 3)), Rotation.random(20, random_state=6).as_quat()])
    sight = poses[:, :3] / np.linalg.norm(poses[:, :3], axis=1, keepdims=True)
    axis = Rotation.from_quat(poses[:, 3:]).apply(AXIS)
    found = lean_the_other_way(poses, "z")
    mirrored = axis - 2.0 * np.sum(axis * sight, axis=1, keepdims=True) * sight
    np.testing.assert_allclose(Rotation.from_quat(found[:, 3:]).apply(AXIS), mirrored, atol=1e-9)
    again = Rotation.from_quat(lean_the_other_way(found, "z")[:, 3:])
    np.testing.assert_allclose((again.inv() * Rotation.from_quat(poses[:, 3:])).magnitude(), 0.0, atol=1e-7)


def test_noise_about_the_axis_does_not_hide_a_flip():
    """One frame in eight upside down: the path rights it however the others are turned about the axis."""
    random = np.random.default_rng(7)
    spun = Rotation.from_rotvec(np.outer(random.uniform(-3.0, 3.0, 8), AXIS))
    flip = Rotation.from_rotvec([np.pi, 0.0, 0.0])
    own = Rotation.concatenate([turn * flip if frame == 4 else turn for frame, turn in enumerate(spun)])
    poses = [np.hstack([np.tile([0.0, 0.0, 0.5], (8, 1)), turns.as_quat()]) for turns in (own, own * flip)]
    given, joined = [(each, np.ones(8)) for each in poses], np.ones(7, dtype=bool)
    path = cheapest_path(given, joined, own.as_quat(), symmetry="z")
    up = Rotation.from_quat(path[:, 3:]).apply(AXIS)[:, 2]
    np.testing.assert_allclose(up, 1.0, atol=1e-9)


def test_a_ball_does_not_spin_by_the_noise_of_its_guess(device):
    """Its place is found as well as before; how it turns, nothing says: hardly at all."""
    truth = make_motion((0.0, 0.0, 0.4), drift=(0.004, 0.002, 0.003))
    start = disturb(truth)
    noise = Rotation.from_rotvec(0.4 * np.random.default_rng(8).normal(size=(truth.frame_count, 3)))
    start = replace(start, rotation=(Rotation.from_quat(start.rotation) * noise).as_quat())
    scene = make_scene((make_ball(),), (truth,), (start,), symmetry={"ball": "sphere"})
    poses = refine(scene, device=device).poses["ball"]
    assert 1e3 * np.linalg.norm(poses.position - truth.position, axis=1).max() < 1.5

    def spin(rotation):
        turns = Rotation.from_quat(rotation)
        return np.degrees((turns[:-1].inv() * turns[1:]).magnitude())

    assert spin(poses.rotation).max() < 0.3 * np.median(spin(start.rotation))


@pytest.mark.parametrize(("thing", "seed"), [("can", 101), ("bowl", 102)])
def test_saying_the_symmetry_helps(thing, seed):
    """Held bodies of revolution stay upright and do not spin in the grasp; without the line they are no better."""
    scene = simulate("grasp_lift", object=thing, seed=seed, frame_count=12, device="cpu")
    unsaid = replace(scene, bodies=tuple(replace(b, symmetry="none") if b.name == thing else b for b in scene.bodies))
    found = {}
    for name, given in (("said", scene), ("unsaid", unsaid)):
        rows = evaluate(scene, refine(given, device="cpu").poses, device="cpu")["per_frame"][thing]
        found[name] = {key: np.array(values, dtype=float) for key, values in rows.items()}
    assert np.nanmax(found["said"]["rotation_deg"]) < 5.0
    assert np.nanmedian(found["said"]["slip_mm"]) < 0.3
    assert np.nanmax(found["said"]["add_mm"]) < 1.2 * np.nanmax(found["unsaid"]["add_mm"]) + 0.5
