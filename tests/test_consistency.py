"""Consistency: errors drawn from the covariance look drawn from it, and everything else does not."""

from dataclasses import replace

import numpy as np
import pytest
from result_samples import make_arm, make_arm_poses, make_scene
from scipy import stats
from scipy.spatial.transform import Rotation

from warpprior.metrics import evaluate
from warpprior.metrics.calibration import consistency, describe_squares, level_of, mean_band
from warpprior.scene import Poses
from warpprior.uncertainty import (
    POSITION_LIMIT,
    TURN_LIMIT,
    bounded_covariance,
    normalised_squares,
    point_covariance,
    pose_errors,
    standard_deviations,
)

FRAMES = 2000


@pytest.fixture
def rng():
    """The same draws in every run."""
    return np.random.default_rng(5)


@pytest.fixture
def covariance(rng):
    """Correlated uncertainty of a pose in every frame, about 8 mm and 0.06 rad (frame, 6, 6)."""
    sigma = np.array([4e-3, 5e-3, 15e-3, 0.08, 0.05, 0.03])
    mix = rng.normal(size=(FRAMES, 6, 12)) / np.sqrt(12.0)
    return sigma[:, None] * (mix @ mix.transpose(0, 2, 1)) * sigma


@pytest.fixture
def truth(rng):
    """A body that tumbles half a metre away."""
    position = [0.0, 0.0, 0.5] + 0.1 * rng.normal(size=(FRAMES, 3))
    return Poses(position, Rotation.random(FRAMES, random_state=2).as_quat(), np.zeros((FRAMES, 0)))


def drawn(truth, covariance, rng, factor=1.0):
    """Estimates with errors drawn from a covariance, which they state times ``factor``; and the errors."""
    errors = np.einsum("fij,fj->fi", np.linalg.cholesky(covariance), rng.normal(size=covariance.shape[:2]))
    rotation = (Rotation.from_rotvec(errors[:, 3:6]).inv() * Rotation.from_quat(truth.rotation)).as_quat()
    position, joints = truth.position - errors[:, :3], truth.joints - errors[:, 6:]
    return replace(truth, position=position, rotation=rotation, joints=joints, covariance=factor * covariance), errors


def test_errors_are_what_they_were_made_from(truth, covariance, rng):
    """Position, rotation about the camera's axes and joints come back; frames without truth are NaN throughout."""
    truth = replace(truth, joints=rng.normal(size=(FRAMES, 2)))
    wider = np.tile(np.diag([1e-3, 1e-3]), (FRAMES, 1, 1))
    wide = np.block([[covariance, np.zeros((FRAMES, 6, 2))], [np.zeros((FRAMES, 2, 6)), wider]])
    estimate, errors = drawn(truth, wide, rng)
    np.testing.assert_allclose(pose_errors(estimate, truth), errors, atol=1e-12)
    truth.position[3] = np.nan
    truth.rotation[4] = np.nan
    found = pose_errors(estimate, truth)
    assert np.isnan(found[3:5]).all() and np.isfinite(found[5:]).all()


def test_drawn_errors_are_consistent(truth, covariance, rng):
    """NEES is chi-squared with 6 degrees of freedom: mean, level, share in the band and Kolmogorov-Smirnov agree."""
    estimate, _ = drawn(truth, covariance, rng)
    rows, figures = consistency(estimate, truth)
    assert stats.kstest(rows["nees_level"], "uniform").pvalue > 0.01
    np.testing.assert_allclose(rows["nees_level"], stats.chi2(6).cdf(rows["nees"]), atol=1e-12)
    pose = figures["pose"]
    assert pose["frames"] == FRAMES and pose["dof"] == 6.0
    low, high = mean_band(6, FRAMES)
    assert low < 6.0 * pose["mean"] < high
    assert pose["inside"] == pytest.approx(0.95, abs=0.015)
    assert pose["inside"] + pose["above"] + pose["below"] == pytest.approx(1.0)
    # Three components, each within three sigmas with probability 0.9973.
    for name in ("position_sigmas", "rotation_sigmas"):
        assert np.mean(rows[name] <= 3.0) == pytest.approx(0.992, abs=0.008)


@pytest.mark.parametrize(("factor", "side"), [(0.25, "above"), (4.0, "below")])
def test_wrong_sureness_shows(truth, covariance, rng, factor, side):
    """Half or twice the true standard deviation leaves the band on the right side."""
    estimate, _ = drawn(truth, covariance, rng, factor)
    pose = consistency(estimate, truth)[1]["pose"]
    assert pose["mean"] == pytest.approx(1.0 / factor, rel=0.05)
    assert pose["inside"] < 0.6 and pose[side] > 0.35


def test_squares_are_those_of_the_inverse(covariance, rng):
    """Against solving with the matrix itself, also where centimetres and nanometres meet."""
    errors = rng.normal(size=(FRAMES, 6)) * [1e-2, 1e-2, 1e-2, 0.1, 0.1, 0.1]
    found, dof = normalised_squares(errors, covariance)
    wanted = np.einsum("fi,fi->f", errors, np.linalg.solve(covariance, errors[..., None])[..., 0])
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert (dof == 6).all()
    stiff = np.diag([1e-14, 1e-4, 1e-4, 1e-2, 1e-2, 1e-2])[None]
    found, _ = normalised_squares(np.array([[3e-7, 0.0, 0.0, 0.0, 0.0, 0.0]]), stiff)
    np.testing.assert_allclose(found, 9.0, rtol=1e-3)


def test_what_cannot_be_observed_does_not_count(truth, covariance, rng):
    """A huge oblique turn and a coordinate that is NaN each take a degree of freedom, and the rest stays consistent."""
    estimate, _ = drawn(truth, covariance, rng)
    axis = np.array([0.0, 0.0, 0.0, 0.6, 0.0, 0.8])
    huge = replace(estimate, covariance=covariance + 1e6 * np.outer(axis, axis))
    missing = covariance.copy()
    missing[:, 2] = missing[:, :, 2] = np.nan
    for motion in (huge, replace(estimate, covariance=missing)):
        rows, figures = consistency(motion, truth)
        assert figures["pose"]["dof"] == 5.0
        assert stats.kstest(rows["nees_level"], "uniform").pvalue > 0.01
    nothing = consistency(replace(estimate, covariance=np.full((FRAMES, 6, 6), np.nan)), truth)
    assert np.isnan(nothing[0]["nees"]).all() and nothing[1]["pose"] == {"frames": 0}


@pytest.mark.parametrize(("symmetry", "dof"), [("x", 5.0), ("z", 5.0), ("sphere", 3.0)])
def test_turns_that_cannot_be_seen_do_not_count(truth, covariance, rng, symmetry, dof):
    """Any turn within the symmetry leaves a consistent estimate consistent."""
    estimate, _ = drawn(truth, 0.05 * covariance, rng)
    if symmetry == "sphere":
        turns = Rotation.random(FRAMES, random_state=3)
    else:
        turns = Rotation.from_rotvec(np.outer(rng.uniform(-3, 3, FRAMES), np.eye(3)["xyz".index(symmetry)]))
    turned = replace(estimate, rotation=(Rotation.from_quat(estimate.rotation) * turns).as_quat())
    rows, figures = consistency(turned, truth, symmetry)
    assert figures["pose"]["dof"] == dof
    assert stats.kstest(rows["nees_level"], "uniform").pvalue > 0.01
    assert consistency(turned, truth)[1]["pose"]["mean"] > 10.0


def test_bands_are_those_of_scipy():
    """The band of a mean of draws, and levels of odd values."""
    for dof, count in ((6, 1), (3, 40), (5.5, 7)):
        wanted = stats.chi2(dof * count).ppf([0.025, 0.975]) / count
        np.testing.assert_allclose(mean_band(dof, count), wanted, rtol=1e-10)
    levels = level_of(np.array([0.0, np.inf, np.nan, 3.0]), np.array([6, 6, 6, 0]))
    np.testing.assert_array_equal(levels, [0.0, np.nan, np.nan, np.nan])
    assert describe_squares(np.array([np.nan]), np.array([6])) == {"frames": 0}


def test_bounds_touch_only_what_is_unbounded(covariance):
    """A sound covariance stays as it is; NaN and more than the limits become the limits, direction kept."""
    np.testing.assert_array_equal(bounded_covariance(covariance), covariance)
    odd = covariance[:4].copy()
    odd[0, 1] = odd[0, :, 1] = np.nan
    odd[1, 5, 5] = np.inf
    odd[2, 0, 4] = np.nan
    along = np.array([0.6, 0.8, 0.0, 0.0, 0.0, 0.0])
    odd[3] += 1e6 * np.outer(along, along)
    found = bounded_covariance(odd)
    assert np.isfinite(found).all() and np.linalg.eigvalsh(found).min() > 0.0
    assert found[0, 1, 1] == pytest.approx(POSITION_LIMIT**2) and found[1, 5, 5] == pytest.approx(TURN_LIMIT**2)
    np.testing.assert_allclose(found[0, 1, [0, 2, 3, 4, 5]], 0.0, atol=1e-12)
    assert found[2, 0, 0] == pytest.approx(POSITION_LIMIT**2) and found[2, 4, 4] == pytest.approx(TURN_LIMIT**2)
    assert along @ found[3] @ along == pytest.approx(POSITION_LIMIT**2)
    across = np.array([-0.8, 0.6, 0.0, 0.0, 0.0, 0.0])
    assert across @ found[3] @ across == pytest.approx(across @ covariance[3] @ across, rel=1e-3)
    assert standard_deviations(odd)[0, 1] == pytest.approx(POSITION_LIMIT)


def test_points_are_as_sure_as_draws_say(rng):
    """Covariance of points on a body and of what its joints move, against sampled poses."""
    count, sigma = 100_000, np.array([2e-3, 1e-3, 4e-3, 0.01, 0.02, 0.015, 0.01, 0.02])
    mix = rng.normal(size=(8, 8))
    covariance = sigma[:, None] * (mix @ mix.T / 8.0) * sigma
    arms = np.array([[0.02, -0.05, 0.1], [0.0, 0.0, 0.0]])
    slopes = 0.05 * rng.normal(size=(2, 3, 2))
    errors = rng.multivariate_normal(np.zeros(8), covariance, count)
    turns = Rotation.from_rotvec(errors[:, 3:6])
    found = point_covariance(covariance[None], arms[None], slopes[None])[0]
    rigid = point_covariance(covariance[None], arms[None])[0]
    for point, arm in enumerate(arms):
        places = errors[:, :3] + turns.apply(arm)
        np.testing.assert_allclose(rigid[point], np.cov(places.T), atol=0.03 * np.trace(rigid[point]))
        places += errors[:, 6:] @ slopes[point].T
        np.testing.assert_allclose(found[point], np.cov(places.T), atol=0.03 * np.trace(found[point]))


def test_metrics_say_how_consistent_a_result_is(rng):
    """Rows and figures where there is a covariance, truth or not; without one nothing is added."""
    arm = make_arm()
    scene = make_scene(5, arm=arm)
    size = 6 + arm.coordinate_count
    plain = {body.name: body.truth for body in scene.bodies}
    wide = np.tile(1e-6 * np.eye(size), (5, 1, 1))
    tracked = plain | {
        "box": drawn(plain["box"], np.tile(1e-5 * np.eye(6), (5, 1, 1)), rng)[0],
        "arm": drawn(make_arm_poses(arm), wide, rng)[0],
    }
    before, after = evaluate(scene, plain, device="cpu"), evaluate(scene, tracked, device="cpu")
    for name in ("box", "arm"):
        new = set(after["per_frame"][name]) - set(before["per_frame"][name])
        joints = {"joint_nees"} if name == "arm" else set()
        wanted = {"stated_position_mm", "stated_rotation_deg", "nees", "nees_level"}
        assert new == wanted | {"position_sigmas", "rotation_sigmas"} | joints
        assert after["summary"][name]["consistency"]["pose"]["frames"] == 5
        assert "consistency" not in before["summary"][name]
    assert after["summary"]["arm"]["consistency"]["joints"]["dof"] == arm.coordinate_count
    assert after["per_frame"]["box"]["stated_position_mm"][0] == pytest.approx(1e3 * np.sqrt(3e-5))
    assert set(after["summary"]["box"]["position_sigmas"]["below"]) == {"1", "2", "3"}
    blind = replace(scene, bodies=(replace(scene.bodies[0], truth=None), *scene.bodies[1:]))
    rows = evaluate(blind, tracked, device="cpu")["per_frame"]["box"]
    assert "stated_rotation_deg" in rows and "nees" not in rows
