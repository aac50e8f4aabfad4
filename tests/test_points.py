"""Points measured in space: the statistics of their noise, what is not measured, and what the scenes carry."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.small_scene import BOX_FACES, BOX_VERTICES
from warpprior import cli
from warpprior.bodies import posed_keypoints, read_hand, rigid_body
from warpprior.io import load_scene
from warpprior.scene import Camera, Poses, box_center
from warpprior.scenes import noise as noises
from warpprior.scenes import simulate
from warpprior.scenes.hand_scenes import hand_scene
from warpprior.support.errors import InputError

CAMERA = Camera(640, 480, 615.0, 615.0, 320.0, 240.0)
SMALL = Camera(160, 120, 153.75, 153.75, 80.0, 60.0)
QUICK = {"frame_count": 12, "camera": SMALL, "images": False, "mask_noise": "M0"}
FRAMES = 2000
EXACT = noises.point_noise("exact")


def motion(width, frames=FRAMES):
    """A body half a metre in front of the camera that turns."""
    turns = Rotation.from_rotvec(np.linspace([0.0, 0.0, 0.0], [0.3, 2.0, -1.0], frames))
    return Poses(np.tile([0.01, -0.02, 0.5], (frames, 1)), turns.as_quat(), np.zeros((frames, width)))


@pytest.fixture(scope="module")
def hand():
    """Our right hand."""
    return read_hand()


@pytest.fixture
def box():
    """A box whose middle is not its origin."""
    return rigid_body("box", np.add(BOX_VERTICES, [0.02, -0.01, 0.03]), BOX_FACES)


def measured(body, noise=None, seed=0, frames=FRAMES, camera=CAMERA):
    """Keypoints or centre of a moving body, and what is true (frame, point, 3)."""
    truth, random = motion(body.coordinate_count, frames), np.random.default_rng(seed)
    if body.keypoints is not None:
        return noises.measure_keypoints(body, truth, camera, random, noise), posed_keypoints(body, truth)
    middle = Rotation.from_quat(truth.rotation).apply(box_center(body)) + truth.position
    return noises.measure_center(body, truth, camera, random, noise)[:, None], middle[:, None]


@pytest.mark.parametrize(("which", "sigma"), [("hand", 0.004), ("box", 0.015)])
def test_errors_are_white_and_as_large_as_stated(request, which, sigma):
    """On every axis of every point: no bias, the stated sigma, nothing shared with the frame before or other axes."""
    found, true = measured(request.getfixturevalue(which))
    errors = (found[..., :3] - true).reshape(FRAMES, -1) / sigma
    bound = 4.5 / np.sqrt(FRAMES)  # of a mean of unit normal numbers, sure to 1e-5
    assert np.abs(errors.mean(axis=0)).max() < bound
    assert np.abs((errors**2).mean(axis=0) - 1.0).max() < bound * np.sqrt(2.0)
    assert np.abs((errors[1:] * errors[:-1]).mean(axis=0)).max() < bound
    shared = errors.T @ errors / FRAMES
    assert np.abs(shared - np.diag(np.diag(shared))).max() < bound
    assert np.abs((errors**4).mean() - 3.0) < 0.3


def test_exact_points_are_the_truth(hand, box):
    """Without noise nothing is added, and every point has full confidence."""
    points, true = measured(hand, EXACT, frames=20)
    np.testing.assert_allclose(points[..., :3], true, atol=1e-12)
    assert (points[..., 3] == 1.0).all()
    np.testing.assert_allclose(*measured(box, EXACT, frames=20), atol=1e-12)


@pytest.mark.parametrize("which", ["hand", "box"])
def test_outliers_are_far_in_all_directions(request, which):
    """As many as asked for, as far away as asked for, and not to one side; the others are where they were."""
    body, noise = request.getfixturevalue(which), replace(EXACT, outliers=0.05, outlier_distance=0.06)
    found, true = measured(body, noise)
    away = found[..., :3] - true
    distance = np.linalg.norm(away, axis=-1)
    stray = distance > 1e-6
    assert abs(stray.mean() - 0.05) < 4.5 * np.sqrt(0.05 * 0.95 / stray.size)
    np.testing.assert_allclose(distance[stray], 0.06, rtol=1e-6)
    assert np.abs(away[stray].mean(axis=0)).max() < 0.06 * 4.5 / np.sqrt(3.0 * stray.sum())


def test_lost_frames_say_nothing(hand, box):
    """The asked share of frames is lost as a whole, with NaN and no confidence; the rest is as without."""
    noise = replace(noises.Point3DNoise(), dropout=0.2)
    for body in (hand, box):
        (found, _), (whole, _) = measured(body, noise), measured(body)
        lost = np.isnan(found[..., :3]).all(axis=(1, 2))
        assert abs(lost.mean() - 0.2) < 4.5 * np.sqrt(0.16 / FRAMES)
        np.testing.assert_array_equal(found[~lost], whole[~lost])
        if body is hand:
            assert (found[lost, :, 3] == 0.0).all()


def test_what_is_outside_the_picture_is_not_measured(hand):
    """Whether a point is seen depends on where it truly is, so that what is measured has no bias."""
    narrow = replace(CAMERA, width=400)
    found, true = measured(hand, camera=narrow, frames=200)
    inside = narrow.fx * true[..., 0] / true[..., 2] + narrow.cx <= narrow.width
    assert 0.05 < inside.mean() < 0.95
    np.testing.assert_array_equal(found[..., 3] == 1.0, inside)
    np.testing.assert_array_equal(np.isfinite(found[..., :3]).all(axis=-1), inside)
    behind = replace(motion(hand.coordinate_count, 3), position=np.tile([0.0, 0.0, -0.5], (3, 1)))
    assert (noises.measure_keypoints(hand, behind, CAMERA, np.random.default_rng(0))[..., 3] == 0.0).all()


def test_white_first_guesses_of_hands(hand):
    """Position, rotation and joints are off by the stated sigmas, each frame anew; joints stay within their limits."""
    frames = 4000
    truth = replace(motion(45, frames), joints=np.tile(hand.pose_prior.mean, (frames, 1)))
    start = noises.disturb_hand(truth, hand, noises.hand_noise("white"), np.random.default_rng(1))
    turns = Rotation.from_quat(start.rotation) * Rotation.from_quat(truth.rotation).inv()
    bound = 4.5 / np.sqrt(frames)
    for found, sigma in ((start.position - truth.position, 0.006), (turns.as_rotvec(), 0.05)):
        errors = found / sigma
        assert np.abs(errors.mean(axis=0)).max() < bound
        assert np.abs((errors**2).mean(axis=0) - 1.0).max() < bound * np.sqrt(2.0)
        assert np.abs((errors[1:] * errors[:-1]).mean(axis=0)).max() < bound
    sigmas = noises.hand_noise("white").joint_sigmas(hand)
    assert sigmas.max() == 0.05 and (sigmas < 0.05).any()
    free = np.minimum(*np.abs([hand.lower, hand.upper] - truth.joints[0])) > 4.5 * sigmas
    assert free.sum() > 10
    errors = ((start.joints - truth.joints) / sigmas)[:, free]
    assert np.abs((errors**2).mean(axis=0) - 1.0).max() < bound * np.sqrt(2.0)
    assert np.abs((errors[1:] * errors[:-1]).mean(axis=0)).max() < bound


@pytest.fixture(scope="module")
def lift():
    """A mug lifted beside a can, some frames hidden."""
    return hand_scene("grasp_lift", object="mug", second_object="can", seed=1, occluded_frames=(4, 3), **QUICK)


def test_scenes_of_hands_carry_points(lift):
    """Keypoints of the hand, middles of both objects near the truth, nothing in hidden frames."""
    assert set(lift.keypoints3d) == {"hand"} and set(lift.centers) == {"mug", "can"}
    shown = np.ones(12, dtype=bool)
    shown[4:7] = False
    points = lift.keypoints3d["hand"]
    assert np.isnan(points[~shown, :, :3]).all() and (points[~shown, :, 3] == 0.0).all()
    assert (points[7:, :, 3] == 1.0).mean() > 0.9
    hand = lift.body("hand")
    errors = points[..., :3] - posed_keypoints(hand.body, hand.truth)
    assert 0.003 < np.nanstd(errors) < 0.005
    for name in ("mug", "can"):
        item = lift.body(name)
        middle = item.truth.position + Rotation.from_quat(item.truth.rotation).apply(box_center(item.body))
        assert np.isnan(lift.centers[name][~shown]).all()
        assert 0.005 < np.std((lift.centers[name] - middle)[shown]) < 0.03


def test_point_noise_leaves_the_rest_of_a_scene(lift):
    """A seed fixes the points; another noise of points changes nothing else."""
    options = {"object": "mug", "second_object": "can", "seed": 1, "occluded_frames": (4, 3), **QUICK}
    again, exact = hand_scene("grasp_lift", **options), hand_scene("grasp_lift", point_noise="exact", **options)
    np.testing.assert_array_equal(again.keypoints3d["hand"], lift.keypoints3d["hand"])
    np.testing.assert_array_equal(again.centers["can"], lift.centers["can"])
    assert not np.array_equal(exact.centers["mug"], lift.centers["mug"], equal_nan=True)
    np.testing.assert_array_equal(exact.keypoints2d["hand"], lift.keypoints2d["hand"])
    np.testing.assert_array_equal(exact.boxes["mug"], lift.boxes["mug"])
    np.testing.assert_array_equal(exact.labels, lift.labels)
    for name in ("hand", "mug", "can"):
        np.testing.assert_array_equal(exact.body(name).initial.position, lift.body(name).initial.position)
        np.testing.assert_array_equal(exact.body(name).initial.joints, lift.body(name).initial.joints)


def test_scenes_of_the_robot_carry_the_middle_of_the_object(box):
    """Of the object, which is estimated; the hand is known and has no keypoints."""
    scene = simulate("held_object", mesh=box, frame_count=4, images=False, mask_noise="M0", point_noise="exact")
    assert scene.keypoints3d == {} and set(scene.centers) == {"box"}
    truth = scene.body("box").truth
    middle = truth.position + Rotation.from_quat(truth.rotation).apply(box_center(scene.body("box").body))
    np.testing.assert_allclose(scene.centers["box"], middle, atol=1e-12)


def test_unknown_levels_are_refused():
    """The levels there are, are named."""
    with pytest.raises(InputError, match=r"point_noise: 'loud'; .*one of exact, sensor"):
        simulate("robot_lift", point_noise="loud")
    with pytest.raises(InputError, match=r"hand_noise: 'loud'; .*one of exact, network, white"):
        simulate("grasp_lift", hand_noise="loud")


def test_the_command_line_chooses_the_noise(tmp_path, capsys):
    """Exact middles reach the folder; a level that does not exist is bad input and leaves no folder."""
    command = ["simulate", "robot_lift", "--num-frames", "2", "--device", "cpu", "--quiet"]
    assert cli.main([*command, "--point-noise", "exact", "--output-dir", str(tmp_path / "exact")]) == 0
    scene = load_scene(tmp_path / "exact")
    item = scene.body("bottle")
    middle = item.truth.position + Rotation.from_quat(item.truth.rotation).apply(box_center(item.body))
    np.testing.assert_allclose(scene.centers["bottle"], middle, atol=1e-6)  # models on disk have nine digits
    assert cli.main([*command, "--point-noise", "loud", "--output-dir", str(tmp_path / "loud")]) == 2
    assert "point_noise: 'loud'" in capsys.readouterr().err and not (tmp_path / "loud").exists()
