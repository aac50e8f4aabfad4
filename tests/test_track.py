"""Tracking end to end: it follows what hands hold, says how sure it is, and is smoothed."""

from dataclasses import replace

import numpy as np
import pytest

from tests.track_samples import errors, make_scene, sigmas
from warpprior.tracking.run import track
from warpprior.tracking.settings import TrackSettings

SENSORS = "keypoints3d,center"
SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def grips():
    """The gripper carries the block, with noise as the filter supposes."""
    return [make_scene(60, seed=seed) for seed in SEEDS]


@pytest.fixture(scope="module")
def results(grips):
    """All of them tracked, by the hand and the object."""
    return [track(scene, observe=SENSORS, device="cpu") for scene in grips]


def test_errors_are_small_and_as_large_as_said(results):
    """A block in a gripper, 60 frames, three seeds: position, rotation, and their place among the stated sigmas."""
    place = np.median([errors(result)[0][30:] for result in results])
    turn = np.median([errors(result)[1][30:] for result in results])
    square = np.mean([sigmas(result)[20:] for result in results])
    print(1e3 * place, np.degrees(turn), square)
    assert place < 0.008 and turn < np.radians(15.0)
    assert max(errors(result)[0].max() for result in results) < 0.03
    assert 1.0 < square < 6.0  # 3 on average, were the seeds many


def test_the_hand_is_better_known_than_its_control(grips, results):
    """Its keypoints correct it, and it says how far."""
    for scene, result in zip(grips, results, strict=True):
        start = replace(result, poses={"hand": scene.body("hand").initial})
        before, after = (
            np.median(np.linalg.norm(found.poses["hand"].position - scene.body("hand").truth.position, axis=1))
            for found in (start, result)
        )
        assert after < 0.5 * before
    squares = np.mean([sigmas(result, "hand")[5:] for result in results])
    assert 1.5 < squares < 5.0


def test_equations_as_printed_are_worse(grips, results):
    """In every seed, for what is held."""
    for scene, result in zip(grips, results, strict=True):
        printed = track(scene, TrackSettings.paper_literal(), observe=SENSORS, device="cpu")
        assert np.median(errors(printed)[0][30:]) > 1.3 * np.median(errors(result)[0][30:])


def test_from_frame_to_frame_it_follows_too(grips):
    """Without anchors, motion and its noise are carried from frame to frame: it stays, though less well."""
    scene = grips[0]
    result = track(scene, TrackSettings(anchors=0), observe=SENSORS, device="cpu")
    assert errors(result)[0].max() < 0.04
    assert result.history["contacts/block"][-1] > 3 and result.history["rank/block"][-1] == 6
    assert np.isfinite(result.poses["block"].covariance).all()


def test_by_the_hand_alone_the_object_stays_in_it(grips):
    """Nothing is seen of the object: it moves with the hand, and its sigma grows, but the truth stays within it."""
    result = track(grips[1], observe="keypoints3d", device="cpu")
    held = result.history["held/block"]
    first = int(np.argmax(held))
    assert held[first:].all()
    assert errors(result)[0][-1] < 0.06
    assert (sigmas(result)[first:] < 3.0**2 + 5.0).all()


def test_results_are_whole(grips, results):
    """Poses of all frames, symmetric positive covariances, one row of history per frame, and what it all was."""
    scene, result = grips[0], results[0]
    assert set(result.poses) == {"hand", "block"} and result.complete
    assert result.poses["hand"].covariance.shape == (60, 8, 8)
    assert result.poses["block"].covariance.shape == (60, 6, 6)
    for poses in result.poses.values():
        np.testing.assert_allclose(poses.covariance, np.swapaxes(poses.covariance, 1, 2), atol=1e-12)
        assert (np.linalg.eigvalsh(poses.covariance) > 0.0).all()
        np.testing.assert_allclose(np.linalg.norm(poses.rotation, axis=1), 1.0, atol=1e-9)
    np.testing.assert_array_equal(result.history["frame"], np.arange(60))
    np.testing.assert_array_equal(result.history["timestamp"], scene.times)
    for column, values in result.history.items():
        assert len(values) == 60, column
    assert set(result.history["dof/center"]) <= {0, 3} and result.history["nis/center"][0] >= 0.0
    assert any("held in frames" in note for note in result.notes)
    assert result.settings["keypoint3d_m"] == 0.004


def test_smoothing_helps(grips, results):
    """Less error than the filter had, nowhere a larger covariance, and the last frame as it was."""
    for scene, result in zip(grips[:2], results[:2], strict=True):
        smoothed = track(scene, observe=SENSORS, smooth=True, device="cpu")
        assert np.median(errors(smoothed)[0]) < np.median(errors(result)[0])
        assert np.median(errors(smoothed)[1]) < 1.1 * np.median(errors(result)[1])
        sizes = [np.linalg.det(found.poses["block"].covariance[:, :3, :3]) for found in (smoothed, result)]
        assert (sizes[0] <= sizes[1] * (1.0 + 1e-6)).all()
        np.testing.assert_allclose(smoothed.poses["block"].position[-1], result.poses["block"].position[-1], atol=1e-12)


def test_a_lag_is_between_filter_and_smoother(grips, results):
    """The longest lag is the smoother, none is the filter."""
    scene = grips[0]
    whole, late, none = (
        track(scene, observe=SENSORS, smooth=True, device="cpu"),
        track(scene, observe=SENSORS, lag=59, device="cpu"),
        track(scene, observe=SENSORS, lag=0, device="cpu"),
    )
    np.testing.assert_allclose(late.poses["block"].position, whole.poses["block"].position, atol=1e-12)
    np.testing.assert_array_equal(none.poses["block"].position, results[0].poses["block"].position)
    some = track(scene, observe=SENSORS, lag=5, device="cpu")
    sizes = [np.trace(found.poses["block"].covariance, axis1=1, axis2=2)[:50].mean() for found in (whole, some, none)]
    assert sizes[0] < sizes[1] < sizes[2]
