"""Errors of points, alignment, areas under curves and F-scores against SciPy and all pairs."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.reference import metrics as reference
from warpprior.metrics.points import area_under_curve, f_scores, point_errors
from warpprior.metrics.procrustes import procrustes


@pytest.fixture
def hands():
    """Random true points of 21 joints in 30 frames [m], and estimates a centimetre off, turned and resized."""
    random = np.random.default_rng(5)
    truth = random.normal(scale=0.05, size=(30, 21, 3)) + random.normal([0, 0, 0.6], 0.1, (30, 1, 3))
    turned = np.stack([r.apply(p) for r, p in zip(Rotation.random(30, random), truth, strict=True)])
    return 1.2 * turned + random.normal(scale=0.01, size=truth.shape), truth


def test_alignment_equals_scipy(hands):
    """Rotation, scale and place by two other solutions, without and with mirror images."""
    for reflect, other in ((False, reference.align_proper), (True, reference.align_any)):
        found = procrustes(*hands, reflect=reflect)
        expected = np.stack([other(points, target) for points, target in zip(*hands, strict=True)])
        np.testing.assert_allclose(found, expected, atol=1e-9)


def test_no_similarity_is_closer(hands):
    """Small changes of the result by any turn, size or shift make the distance larger."""
    aligned = procrustes(*hands)
    least = np.sum((aligned - hands[1]) ** 2, axis=(1, 2))
    center = aligned.mean(1, keepdims=True)
    random = np.random.default_rng(1)
    for _ in range(20):
        turn = Rotation.from_rotvec(random.normal(scale=1e-3, size=3)).as_matrix()
        scale, shift = 1.0 + 1e-3 * random.normal(), 1e-4 * random.normal(size=3)
        other = scale * (aligned - center) @ turn.T + center + shift
        assert (np.sum((other - hands[1]) ** 2, axis=(1, 2)) > least).all()


def test_a_mirrored_hand_has_an_error_unless_reflections_are_allowed(hands):
    """A left hand for a right one: nothing is left of it after a mirror image, most of it after a similarity."""
    _, truth = hands
    twin_zeros = truth * [1.0, -1.0, 1.0]
    np.testing.assert_allclose(procrustes(twin_zeros, truth, reflect=True), truth, atol=1e-12)
    errors = np.linalg.norm(procrustes(twin_zeros, truth) - truth, axis=2)
    assert errors.mean() > 0.02


def test_a_flat_hand_is_aligned_without_a_mirror_image():
    """Points in a plane leave the sign of the third axis open; the result is exact and no mirror image."""
    random = np.random.default_rng(2)
    flat = random.normal(size=(4, 21, 3)) * [1.0, 1.0, 0.0]
    turned = np.stack([r.apply(p) for r, p in zip(Rotation.random(4, random), flat, strict=True)])
    np.testing.assert_allclose(procrustes(flat, turned), turned, atol=1e-12)


def test_points_in_one_place_go_to_the_centre(hands):
    """An estimate without extent gives no NaN."""
    one = np.ones_like(hands[1])
    expected = np.broadcast_to(hands[1].mean(1, keepdims=True), one.shape)
    np.testing.assert_allclose(procrustes(one, hands[1]), expected, atol=1e-12)


def test_errors_of_each_kind_are_mean_distances(hands):
    """Absolute, root-relative and aligned errors, point by point, in mm."""
    points, truth = hands
    errors = point_errors(points, truth, (points[:, 0], truth[:, 0]))
    np.testing.assert_allclose(errors["absolute"], 1e3 * np.sqrt(((points - truth) ** 2).sum(2)), atol=1e-9)
    relative = (points - points[:, :1]) - (truth - truth[:, :1])
    np.testing.assert_allclose(errors["root"], 1e3 * np.sqrt((relative**2).sum(2)), atol=1e-9)
    np.testing.assert_allclose(errors["root"][:, 0], 0.0, atol=1e-9)
    aligned = np.stack([reference.align_proper(p, t) for p, t in zip(points, truth, strict=True)])
    np.testing.assert_allclose(errors["pa"], 1e3 * np.linalg.norm(aligned - truth, axis=2), atol=1e-6)
    assert (errors["pa_mirror"] ** 2).sum() <= (errors["pa"] ** 2).sum() + 1e-6


def test_area_under_the_curve_equals_trapezia():
    """The area over all points is the mean of the areas of each point, by a loop over thresholds."""
    errors = np.abs(np.random.default_rng(3).normal(scale=30.0, size=(40, 21)))
    assert area_under_curve(errors) == pytest.approx(reference.area_under_curve(errors), abs=1e-12)
    assert area_under_curve(np.zeros((3, 2))) == 1.0
    assert area_under_curve(np.array([50.1, np.nan])) == 0.0
    assert np.isnan(area_under_curve(np.full(3, np.nan)))


def test_area_under_the_curve_is_the_error_told_again():
    """It is one less the mean error bounded by 50 mm, over 50 mm: two names of one number."""
    errors = np.abs(np.random.default_rng(4).normal(scale=12.0, size=20000))
    expected = 1.0 - np.minimum(errors, 50.0).mean() / 50.0
    assert area_under_curve(errors) == pytest.approx(expected, abs=1e-4)


def test_f_scores_equal_all_pairs(hands):
    """Harmonic means of precision and recall; 0 where nothing is near; unequal counts of points are fine."""
    _, truth = hands
    random = np.random.default_rng(6)
    points = truth[:, :15] + random.normal(scale=0.006, size=truth[:, :15].shape)
    points[3] += 1.0
    scores = f_scores(points, truth)
    assert set(scores) == {5.0, 15.0}
    for limit, values in scores.items():
        expected = [reference.f_score(p, t, 1e-3 * limit) for p, t in zip(points, truth, strict=True)]
        np.testing.assert_allclose(values, expected, atol=1e-12)
        assert values[3] == 0.0 and np.delete(values, 3).mean() > 0.05
