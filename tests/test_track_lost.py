"""Objects that hands let go of, that move when they should not, and sensors that are wrong for a while."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.track_samples import HALF, errors, make_block, make_scene, run
from warpprior.scene import SceneBody
from warpprior.tracking.prediction import FLIES, HELD, LOST, RESTS, TOUCHED
from warpprior.tracking.run import track
from warpprior.tracking.settings import TrackSettings


def place_errors(estimates, scene, name="block"):
    """Errors of position (frame,) [m]."""
    truth = scene.body(name).truth.position
    return np.array([np.linalg.norm(e.position[name] - t) for e, t in zip(estimates, truth, strict=True)])


def shifted(scene, name, shift, frames):
    """The scene with a body, and where it is seen, moved for good from some frames on."""
    item = scene.body(name)
    move = np.zeros((scene.frame_count, 3))
    move[frames] = shift
    truth = replace(item.truth, position=item.truth.position + move)
    bodies = tuple(replace(b, truth=truth) if b is item else b for b in scene.bodies)
    return replace(scene, bodies=bodies, centers=scene.centers | {name: scene.centers[name] + move})


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_what_is_thrown_flies_and_is_followed(seed):
    """Contacts end, the object is found where it is seen, and followed while it falls."""
    scene = make_scene(46, seed=seed, release=22)
    estimates = run(scene)
    modes = [estimate.modes["block"] for estimate in estimates]
    assert HELD in modes[:22] and FLIES in modes[26:] and HELD not in modes[36:]
    assert not any(estimate.contacts for estimate in estimates[36:])
    off = place_errors(estimates, scene)
    print(np.round(1e3 * off[30:]))
    assert np.linalg.norm(np.ptp(scene.body("block").truth.position[36:], axis=0)) > 0.5
    assert off[36:].max() < 0.08 and np.median(off[36:]) < 0.04


def test_what_nobody_touched_is_found_again():
    """An object that jumps 15 cm away, far from the hand, is not waited for until the end."""
    scene = make_scene(30, seed=3)
    item = scene.body("hand")
    away = replace(item.initial, position=item.initial.position + np.array([0.0, 0.0, 0.5]))
    bodies = tuple(replace(b, initial=away, truth=away) if b is item else b for b in scene.bodies)
    still = replace(scene, bodies=bodies, keypoints3d={}).first_frames(14)
    jumped = shifted(still, "block", [0.15, 0.0, 0.0], slice(4, None))
    estimates = run(jumped, sensors="center")
    modes = [estimate.modes["block"] for estimate in estimates]
    off = place_errors(estimates, jumped)
    assert modes[:4] == [RESTS] * 4 and LOST in modes
    assert off[5] > 0.1 and off[-1] < 0.03
    sigma = [np.sqrt(estimate.covariance["block"][0, 0]) for estimate in estimates]
    assert max(sigma) > 0.04 > sigma[-1]


def test_a_few_wrong_centres_do_no_harm():
    """Fewer than it takes to doubt: the object stays in the hand, and its estimate nearly where it was."""
    scene = make_scene(40, seed=1)
    wrong = scene.centers["block"].copy()
    patience = TrackSettings().patience
    wrong[25 : 25 + patience - 1] += [0.2, 0.0, 0.0]
    clean = run(scene)
    spoilt = run(replace(scene, centers={"block": wrong}))
    assert all(estimate.modes["block"] == HELD for estimate in spoilt[20:])
    away = [np.linalg.norm(a.position["block"] - b.position["block"]) for a, b in zip(clean, spoilt, strict=True)]
    assert 0.0 < max(away) < 0.01


def test_doubt_is_about_one_body_only():
    """Of two objects, the one that is seen elsewhere becomes uncertain; the other is as if alone."""
    scene = make_scene(30, seed=2)
    twin = scene.body("block")
    far = replace(
        twin.truth, position=np.tile([0.0, 0.2, 0.8], (30, 1)), rotation=np.tile(twin.truth.rotation[:1], (30, 1))
    )
    other = SceneBody(make_block("other", HALF), 3, False, far, far)
    centers = scene.centers | {"other": far.position + 0.01}
    both = replace(scene, bodies=(*scene.bodies, other), centers=centers)
    jumped = shifted(both, "other", [0.2, 0.0, 0.0], slice(20, None))
    alone = run(both)
    told = run(jumped)
    for one, two in zip(alone, told, strict=True):
        np.testing.assert_allclose(one.position["block"], two.position["block"], atol=1e-6)
        np.testing.assert_allclose(one.covariance["block"], two.covariance["block"], atol=1e-9)
    sigma = [np.sqrt(estimate.covariance["other"][0, 0]) for estimate in told]
    assert max(sigma[20:]) > 5.0 * sigma[19]
    assert place_errors(told, jumped, "other")[-1] < 0.03


def test_a_hand_whose_points_are_all_elsewhere_is_found():
    """A control that is 20 cm off for good: all keypoints are rejected at first, then they win, again and again."""
    scene = make_scene(30, seed=4)
    item = scene.body("hand")
    wrong = replace(item.initial, position=item.initial.position + np.array([0.0, 0.2, 0.0]))
    bodies = tuple(replace(b, initial=wrong) if b is item else b for b in scene.bodies)
    estimates = run(replace(scene, bodies=bodies))
    off = place_errors(estimates, scene, "hand")
    assert off[2] > 0.15 and estimates[3].innovations["keypoints3d"].rejected == 8
    assert off.min() < 0.02
    assert np.median(off[10:]) < 0.15


def test_modes_of_what_is_held_and_let_go():
    """Rests, then touched, then held by a robot; once that has opened its jaws and gone, it rests again."""
    scene = make_scene(40, seed=0, known=True)
    item, block = scene.body("hand"), scene.body("block")
    still = {name: np.repeat(getattr(block.truth, name)[:1], 40, axis=0) for name in ("position", "rotation")}
    truth = replace(block.truth, **still)
    grip = item.truth
    back = np.clip(np.arange(40) - 22, 0, 10)[:, None] * Rotation.from_quat(grip.rotation[0]).apply([0.0, 0.0, -0.02])
    joints = grip.joints.copy()
    joints[:, 0] = 0.0
    joints[17:, 1] = np.minimum(0.01 * (np.arange(40)[17:] - 16), 0.045)
    frozen = replace(
        grip,
        position=np.where(np.arange(40)[:, None] < 10, grip.position, grip.position[10]) + back,
        rotation=np.repeat(grip.rotation[:1], 40, axis=0),
        joints=joints,
    )
    bodies = (replace(item, initial=frozen, truth=frozen), replace(block, truth=truth))
    centers = {"block": truth.position + 0.005 * np.random.default_rng(0).normal(size=(40, 3))}
    estimates = run(replace(scene, bodies=bodies, keypoints3d={}, centers=centers), sensors="center")
    order = list(dict.fromkeys(estimate.modes["block"] for estimate in estimates))
    print(order)
    assert order[:3] == [RESTS, TOUCHED, HELD] and estimates[-1].modes["block"] in (RESTS, TOUCHED)
    assert not estimates[-1].contacts
    assert np.linalg.norm(estimates[-1].position["block"] - truth.position[-1]) < 0.02


def test_without_a_hand_objects_move_by_themselves():
    """They are followed at half a metre per second by their centres alone, and the result says so."""
    scene = make_scene(40, seed=1)
    alone = replace(scene, bodies=(scene.body("block"),), keypoints3d={})
    result = track(alone, observe="center", device="cpu")
    assert errors(result)[0].max() < 0.05
    assert "block: moves in frames 0 to 39." in result.notes
