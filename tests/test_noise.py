"""Noise of first guesses and of detectors: sizes measured on the hand model, correlation, limits, what is hidden."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from warpprior.bodies.body import Keypoints, rigid_body
from warpprior.bodies.posing import posed_keypoints
from warpprior.bodies.readers.hand import read_hand
from warpprior.scene import IGNORE_LABEL, Camera, Poses
from warpprior.scenes.noise import (
    HAND_NOISE,
    MASK_NOISE,
    POSE_NOISE,
    BoxNoise,
    HandNoise,
    KeypointNoise,
    PictureNoise,
    PoseNoise,
    detect_boxes,
    detect_keypoints,
    disturb_hand,
    disturb_labels,
    disturb_poses,
    draw_gains,
    fingertip_discs,
    hand_noise,
    pose_noise,
    sensor_picture,
)
from warpprior.scenes.objects import box
from warpprior.scenes.observe import Actor, cast_actors
from warpprior.support.errors import InputError

CAMERA = Camera(320, 240, 307.5, 307.5, 160.0, 120.0)
FRAMES = 400


@pytest.fixture(scope="module")
def hand():
    """Our hand."""
    return read_hand()


@pytest.fixture(scope="module")
def truth(hand):
    """A half closed hand that stands still 60 cm away, its back to the camera."""
    joints = np.zeros((FRAMES, hand.coordinate_count))
    flexions = [i for i, name in enumerate(hand.coordinate_names) if name.endswith(".x")]
    joints[:, flexions] = np.clip(0.6, hand.lower[flexions], hand.upper[flexions])
    upright = Rotation.from_matrix(np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))
    facing = Rotation.from_rotvec([0.0, np.pi, 0.0]) * upright
    return Poses(np.tile([0.0, 0.09, 0.6], (FRAMES, 1)), np.tile(facing.as_quat(), (FRAMES, 1)), joints)


def procrustes_error(points, wanted):
    """Mean distance of points (n, 3) from wanted ones after the best rotation, translation and scale."""
    a, b = points - points.mean(axis=0), wanted - wanted.mean(axis=0)
    u, s, vt = np.linalg.svd(a.T @ b)
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    return np.linalg.norm((s * signs).sum() / (a**2).sum() * a @ (u * signs) @ vt - b, axis=1).mean()


def test_network_hand_noise_has_the_published_size(hand, truth):
    """Joints are about 12 mm off, 6.2 mm after Procrustes alignment, on average over hands open to closed."""
    absolute, aligned = [], []
    for seed, bend in enumerate((0.0, 0.5, 1.0, 1.5)):
        bent = replace(truth, joints=truth.joints * bend)
        exact = posed_keypoints(hand, bent).astype(float)
        rough = disturb_hand(bent, hand, HAND_NOISE["network"], np.random.default_rng(seed))
        points = posed_keypoints(hand, rough).astype(float)
        absolute.append(np.linalg.norm(points - exact, axis=2).mean())
        aligned += [procrustes_error(points[f], exact[f]) for f in range(0, FRAMES, 8)]
    assert 1e3 * np.mean(absolute) == pytest.approx(12.0, abs=0.7)
    assert 1e3 * np.mean(aligned) == pytest.approx(6.2, abs=0.4)


def test_hand_noise_keeps_limits_and_correlation(hand, truth):
    """Joints stay within their limits; errors of neighbouring frames are alike, and as large as asked."""
    noise = HandNoise(joints=0.3, rotation=0.05, lateral=0.002, depth=0.01)
    rough = disturb_hand(truth, hand, noise, np.random.default_rng(0))
    assert (rough.joints >= hand.lower - 1e-6).all() and (rough.joints <= hand.upper + 1e-6).all()
    assert (rough.joints != truth.joints).any(axis=0).all()
    ray = truth.position[0] / np.linalg.norm(truth.position[0])
    shift = rough.position - truth.position
    along = shift @ ray
    assert along.std() == pytest.approx(0.01, rel=0.25)
    across = shift - along[:, None] * ray
    assert np.sqrt((across**2).sum(axis=1).mean() / 2.0) == pytest.approx(0.002, rel=0.25)
    turns = (Rotation.from_quat(truth.rotation).inv() * Rotation.from_quat(rough.rotation)).as_rotvec()
    assert turns.std() == pytest.approx(0.05, rel=0.2)
    for values in (along, turns[:, 1]):
        assert np.corrcoef(values[1:], values[:-1])[0, 1] == pytest.approx(0.8, abs=0.1)


def test_hand_noise_can_be_steady_and_of_shape(hand, truth):
    """Steady errors are the same in all frames; errors of shape last the sequence; exact is exact."""
    steady = disturb_hand(truth, hand, HandNoise(joints=0.1, lateral=0.01, steady=1.0), np.random.default_rng(0))
    np.testing.assert_allclose(np.ptp(steady.joints - truth.joints, axis=0), 0.0, atol=1e-12)
    assert np.abs(steady.position - truth.position).max() > 1e-3
    shaped = disturb_hand(truth, hand, HandNoise(shape=0.5), np.random.default_rng(0))
    assert shaped.shape.shape == (hand.shape_count,) and 0.2 < shaped.shape.std() < 1.0
    exact = disturb_hand(truth, hand, hand_noise("exact"), np.random.default_rng(0))
    np.testing.assert_allclose(exact.position, truth.position)
    np.testing.assert_array_equal(exact.joints, truth.joints)
    np.testing.assert_array_equal(exact.shape, truth.shape)


@pytest.mark.parametrize("depth", [0.45, 0.6, 0.9])
def test_network_pose_noise_is_mostly_depth(depth):
    """Objects are some 26 cm off at any distance, nearly all along the ray; a few frames are turned over or lost."""
    count = 60
    still = Poses(np.tile([0.05, -0.03, depth], (count, 1)), np.tile([0, 0, 0, 1.0], (count, 1)), np.zeros((count, 0)))
    ray = still.position[0] / np.linalg.norm(still.position[0])
    errors, across, turns, lost = [], [], [], []
    for seed in range(60):
        rough = disturb_poses(still, pose_noise("network"), np.random.default_rng(seed))
        shift = rough.position - still.position
        errors.append(np.median(np.linalg.norm(shift, axis=1)))
        across.append(np.median(np.linalg.norm(shift - np.outer(shift @ ray, ray), axis=1)))
        turns.append(np.degrees(Rotation.from_quat(rough.rotation).magnitude()))
        lost.append((rough.position == [0.0, 0.0, 1.0]).all(axis=1))
    lost, turns = np.concatenate(lost), np.concatenate(turns)
    assert np.median(errors) == pytest.approx(0.26, abs=0.025)
    assert np.median(across) < 0.03
    assert lost.mean() == pytest.approx(0.08, abs=0.02)
    assert (turns > 120.0).mean() == pytest.approx(0.03, abs=0.015)
    # The length of three components of 15 degrees has its median at 23.
    assert np.median(turns[~lost]) == pytest.approx(23.0, abs=2.0)


def test_named_levels():
    """Levels go by name, or are given; others are refused with those there are."""
    assert pose_noise("rough") == PoseNoise() and pose_noise("network") == PoseNoise.network()
    assert hand_noise(HandNoise(joints=1.0)).joints == 1.0
    with pytest.raises(InputError, match="network"):
        pose_noise("M1")
    with pytest.raises(InputError, match="network"):
        hand_noise("good")
    still = Poses(np.tile([0.0, 0.0, 0.6], (5, 1)), np.tile([0, 0, 0, 1.0], (5, 1)), np.zeros((5, 0)))
    exact = disturb_poses(still, POSE_NOISE["exact"], np.random.default_rng(0))
    np.testing.assert_allclose(exact.position, still.position, atol=1e-12)
    np.testing.assert_allclose(exact.rotation, still.rotation, atol=1e-12)


@pytest.fixture(scope="module")
def hidden_hand(hand, truth):
    """Pictures of the hand with a board in front of its left half: pictures, and the hand's frames in them."""
    few = replace(truth.frames(slice(0, 6)), joints=np.zeros((6, hand.coordinate_count)))
    board = box("board", size=(0.2, 0.4, 0.004), spacing=0.05)
    at = Poses(np.tile([-0.1, 0.0, 0.45], (6, 1)), np.tile([0, 0, 0, 1.0], (6, 1)), np.zeros((6, 0)))
    return cast_actors(CAMERA, [Actor(hand, 1, few), Actor(board, 2, at)]), few


def test_keypoints_of_a_seen_hand(hand, truth):
    """Errors have the stated size in pixels, are alike in neighbouring frames, and leave confidence high."""
    found = detect_keypoints(hand, truth, CAMERA, np.random.default_rng(0))
    assert found.shape == (FRAMES, 21, 3)
    exact = posed_keypoints(hand, truth).astype(float)
    places = CAMERA.fx * exact[..., :2] / exact[..., 2:] + [CAMERA.cx, CAMERA.cy]
    errors = found[..., :2] - places
    assert errors.std() == pytest.approx(4.0, rel=0.05)
    assert np.corrcoef(errors[1:].ravel(), errors[:-1].ravel())[0, 1] == pytest.approx(0.5, abs=0.05)
    assert found[..., 2].min() > 0.6 and found[..., 2].max() <= 1.0


def test_hidden_keypoints_are_known_to_be_worse(hand, hidden_hand):
    """What another body hides has a low confidence and a larger error; what is in front of it does not."""
    pictures, few = hidden_hand
    noise = KeypointNoise(confidence_spread=0.0)
    found = detect_keypoints(hand, few, CAMERA, np.random.default_rng(0), noise, pictures=pictures, label=1)
    points = posed_keypoints(hand, few)
    behind = points[..., 0] / points[..., 2] < -0.02
    clear = points[..., 0] / points[..., 2] > 0.02
    assert behind.any() and clear.any()
    np.testing.assert_allclose(found[..., 2][behind], noise.confidence[1])
    assert np.median(found[..., 2][clear]) == pytest.approx(noise.confidence[0])
    places = CAMERA.fx * points[..., :2] / points[..., 2:] + [CAMERA.cx, CAMERA.cy]
    errors = np.abs(found[..., :2] - places).mean(axis=-1)
    assert errors[behind].mean() > 1.7 * errors[clear].mean()
    with pytest.raises(ValueError, match="label"):
        detect_keypoints(hand, few, CAMERA, np.random.default_rng(0), pictures=pictures)


def test_a_hand_hides_its_own_far_side(hand, truth):
    """Seen from the thumb's side, the little finger is behind the others; a hand seen flat hides next to nothing."""
    flat = replace(truth.frames(slice(0, 1)), joints=np.zeros((1, hand.coordinate_count)))
    edge = replace(
        flat, rotation=(Rotation.from_rotvec([0.0, np.pi / 2, 0.0]) * Rotation.from_quat(flat.rotation)).as_quat()
    )
    noise = KeypointNoise(confidence_spread=0.0)
    confidence = []
    for poses in (flat, edge):
        pictures = cast_actors(CAMERA, [Actor(hand, 1, poses)])
        found = detect_keypoints(hand, poses, CAMERA, np.random.default_rng(0), noise, pictures=pictures, label=1)
        confidence.append(found[0, :, 2])
    assert (confidence[0] > 0.9).mean() > 0.9
    assert (confidence[1] < 0.5).mean() > 0.25


def test_outliers_dropout_and_the_border(hand, truth):
    """Outliers are 6 cm away in the stated share, lost frames and keypoints outside the picture have no confidence."""
    noise = KeypointNoise(sigma=0.0, outliers=0.05, dropout=0.1)
    found = detect_keypoints(hand, truth, CAMERA, np.random.default_rng(0), noise)
    exact = posed_keypoints(hand, truth).astype(float)
    places = CAMERA.fx * exact[..., :2] / exact[..., 2:] + [CAMERA.cx, CAMERA.cy]
    away = np.linalg.norm(found[..., :2] - places, axis=-1) * exact[..., 2] / CAMERA.fx
    assert (away > 1e-6).mean() == pytest.approx(0.05, abs=0.01)
    np.testing.assert_allclose(away[away > 1e-6], 0.06, rtol=1e-4)
    lost = (found[..., 2] == 0.0).all(axis=1)
    assert lost.mean() == pytest.approx(0.1, abs=0.04)
    aside = replace(truth, position=truth.position + np.array([0.3, 0.0, 0.0]))
    found = detect_keypoints(hand, aside, CAMERA, np.random.default_rng(0))
    outside = found[..., 0] > CAMERA.width
    assert outside.any() and not outside.all()
    assert (found[..., 2][outside] == 0.0).all() and np.isfinite(found).all()
    behind = detect_keypoints(hand, replace(truth, position=-truth.position), CAMERA, np.random.default_rng(0))
    assert (behind[..., 2] == 0.0).all()


def test_bodies_without_keypoints_have_none():
    """A box has no keypoints to detect."""
    still = Poses(np.tile([0.0, 0.0, 0.6], (3, 1)), np.tile([0, 0, 0, 1.0], (3, 1)), np.zeros((3, 0)))
    assert detect_keypoints(box(), still, CAMERA, np.random.default_rng(0)).shape == (3, 0, 3)


def test_boxes_bound_what_is_seen():
    """Exact boxes run from the first pixel's near side to the last one's far side; noise has its size; NaN for none."""
    labels = np.zeros((300, 60, 80), dtype=np.uint8)
    labels[:, 10:40, 20:51] = 3
    labels[7] = 0
    exact = detect_boxes(labels, 3, np.random.default_rng(0), BoxNoise(sigma=0.0))
    np.testing.assert_array_equal(exact[0], [20.0, 10.0, 51.0, 40.0])
    assert np.isnan(exact[7]).all() and np.isfinite(exact[[6, 8]]).all()
    noisy = detect_boxes(labels, 3, np.random.default_rng(0), BoxNoise(dropout=0.1))
    seen = np.isfinite(noisy[:, 0])
    assert seen.mean() == pytest.approx(0.9, abs=0.05)
    errors = noisy[seen] - [20.0, 10.0, 51.0, 40.0]
    assert errors.std() == pytest.approx(3.0, rel=0.2)
    assert (noisy[seen][:, :2] < noisy[seen][:, 2:]).all()
    cut = detect_boxes(labels[:1, :40, :51], 3, np.random.default_rng(3), BoxNoise(sigma=30.0))
    assert (cut >= 0.0).all() and (cut <= [51.0, 40.0, 51.0, 40.0]).all()


def test_fingertips_of_the_hand_can_be_cut_off(hand, truth):
    """The discs lie on the ends of the five fingers, and cutting them takes the tips and nothing else."""
    flat = replace(truth.frames(slice(0, 1)), joints=np.zeros((1, hand.coordinate_count)))
    discs = fingertip_discs(hand, flat, CAMERA)
    assert discs.shape == (1, 5, 3)
    np.testing.assert_allclose(discs[..., 2], 1.3 * CAMERA.fx * 0.009 / 0.6, rtol=0.15)
    labels = cast_actors(CAMERA, [Actor(hand, 1, flat)]).labels
    noise = replace(MASK_NOISE["M0"], cut=1.0)
    cut = disturb_labels(labels, noise, np.random.default_rng(0), fingertips=discs)
    rows, columns = np.nonzero(labels[0])
    gone = cut[0, rows, columns] == 0
    near = np.hypot(columns[:, None] + 0.5 - discs[0, :, 0], rows[:, None] + 0.5 - discs[0, :, 1]) <= discs[0, :, 2]
    np.testing.assert_array_equal(gone, near.any(axis=1))
    assert near.any(axis=0).all()
    tips = posed_keypoints(hand, flat)[0, [4, 8, 12, 16, 20]]
    ends = CAMERA.fx * tips[:, :2] / tips[:, 2:] + [CAMERA.cx, CAMERA.cy]
    distance = np.hypot(columns[~gone][:, None] + 0.5 - ends[:, 0], rows[~gone][:, None] + 0.5 - ends[:, 1])
    assert distance.min() > 4.0


@pytest.mark.parametrize("level", MASK_NOISE)
def test_silent_pixels_stay_silent(level):
    """Don't-care pixels are the same before and after any noise, and no background opens beside them."""
    labels = np.zeros((4, 60, 80), dtype=np.uint8)
    labels[:, 10:50, 10:40] = 1
    labels[:, 10:50, 40:70] = IGNORE_LABEL
    labels[3] = IGNORE_LABEL
    noisy = disturb_labels(labels, MASK_NOISE[level], np.random.default_rng(2))
    np.testing.assert_array_equal(noisy == IGNORE_LABEL, labels == IGNORE_LABEL)
    if level in ("M0", "M1"):
        assert (noisy[:3, 16:44, 36:40] == 1).all()


def test_automatic_exposure():
    """Brightness wanders slowly by the stated amount, tint by less; without either the gains are one."""
    noise = PictureNoise.automatic()
    gains = draw_gains(4000, noise, np.random.default_rng(0))
    brightness = np.log(gains).mean(axis=1)
    assert brightness.std() == pytest.approx(noise.gain, rel=0.15)
    assert (np.log(gains) - brightness[:, None]).std() == pytest.approx(noise.tint * np.sqrt(2.0 / 3.0), rel=0.15)
    assert np.corrcoef(brightness[1:], brightness[:-1])[0, 1] == pytest.approx(0.9, abs=0.05)
    np.testing.assert_array_equal(draw_gains(3, PictureNoise(), np.random.default_rng(0)), np.ones((3, 3)))
    colors = np.full((20, 30, 3), 0.4, dtype=np.float32)
    plain, lit = (sensor_picture(colors, np.random.default_rng(0), gain=g) for g in (1.0, np.array([1.2, 1.0, 0.8])))
    np.testing.assert_allclose(lit.mean(axis=(0, 1)) / plain.mean(axis=(0, 1)), [1.2, 1.0, 0.8], atol=0.01)


def test_keypoints_may_be_any_vertices():
    """A rigid body whose corners are keypoints has them found at its corners."""
    corners = np.array([[0.0, 0.0, 0.0], [0.1, 0.0, 0.0], [0.0, 0.1, 0.0], [0.0, 0.0, 0.1]])
    wedge = rigid_body("wedge", corners, np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]]))
    ends = Keypoints(("a", "b"), np.zeros(2, np.int32), np.array([1, 2], np.int32))
    still = Poses(np.array([[0.0, 0.0, 0.5]]), np.array([[0, 0, 0, 1.0]]), np.zeros((1, 0)))
    noise = KeypointNoise(sigma=0.0)
    found = detect_keypoints(replace(wedge, keypoints=ends), still, CAMERA, np.random.default_rng(0), noise)
    np.testing.assert_allclose(found[0, :, :2], [[160.0 + 61.5, 120.0], [160.0, 120.0 + 61.5]], atol=1e-3)
