"""What is missing, late, or wrong now and then: tracking goes on, and says how much less is known."""

from dataclasses import replace

import numpy as np
import pytest

from tests.track_samples import errors, make_scene, positions, run, sigmas
from warpprior.observations import Observation
from warpprior.tracking.prediction import HELD
from warpprior.tracking.recorded import observe_frame
from warpprior.tracking.run import Tracker, track
from warpprior.tracking.settings import TrackSettings

FRAMES = 60
GAP = slice(25, 45)


@pytest.fixture(scope="module")
def grips():
    """The gripper carries the block, three seeds."""
    return [make_scene(FRAMES, seed=seed) for seed in range(3)]


@pytest.fixture(scope="module")
def grip(grips):
    """One of them."""
    return grips[0]


@pytest.fixture(scope="module")
def estimates(grip):
    """What is believed of it."""
    return run(grip)


def spread(estimates, name="block"):
    """Sigma of the position of a body (frame,) [m]."""
    return np.sqrt([np.trace(estimate.covariance[name][:3, :3]) for estimate in estimates])


def told(scene, change):
    """Estimates where ``change(frame, observation)`` is told instead."""
    tracker = Tracker(scene, observe="keypoints3d,center", device="cpu")
    found = []
    for frame, time in enumerate(scene.times):
        found.append(tracker.step(change(frame, observe_frame(scene, frame, tracker.sensors)), time))
    return found


def inside(frame, gap=GAP):
    """Is a frame in the gap?"""
    return gap.start <= frame < gap.stop


def test_times_that_are_even_may_be_left_out(grip, estimates):
    """Timestamps of one every 1 / fps say the same as none, and it does not matter when they begin."""
    again = run(replace(grip, timestamps=1234.5 + np.arange(FRAMES) / grip.fps))
    np.testing.assert_allclose(positions(again), positions(estimates), atol=1e-6)
    np.testing.assert_allclose(spread(again), spread(estimates), rtol=1e-4)
    assert again[3].timestamp == 1234.5 + 3 / grip.fps


def test_frames_may_be_dropped(grips):
    """A third of the frames, at random: those that are left are tracked, at their own times."""
    for seed, scene in enumerate(grips):
        kept = np.sort(np.random.default_rng(seed).choice(FRAMES, 2 * FRAMES // 3, replace=False))
        bodies = tuple(replace(b, initial=b.initial.frames(kept), truth=b.truth.frames(kept)) for b in scene.bodies)
        points = {name: values[kept] for name, values in scene.keypoints3d.items()}
        centers = {name: values[kept] for name, values in scene.centers.items()}
        part = replace(scene, bodies=bodies, keypoints3d=points, centers=centers, timestamps=scene.times[kept])
        result = track(part, observe="keypoints3d,center", device="cpu")
        assert errors(result)[0].max() < 0.04
        assert np.median(errors(result)[0][20:]) < 0.012
        np.testing.assert_array_equal(result.history["timestamp"], scene.times[kept])


def test_a_pause_is_longer_than_a_frame(grip, estimates):
    """After a second without a word, all is as uncertain as the time was long."""
    tracker = Tracker(grip, observe="keypoints3d,center", device="cpu")
    for frame in range(30):
        before = tracker.step(observe_frame(grip, frame, tracker.sensors), grip.times[frame])
    short, long = (Tracker(grip, observe="keypoints3d,center", device="cpu") for _ in range(2))
    for later, pause in ((short, 1.0 / 30.0), (long, 1.0)):
        later.restore(tracker.save())
        later.step(Observation(), grip.times[29] + pause)
    sizes = [spread([found])[0] for found in (before,)]
    for later in (short, long):
        columns = later.belief.object(0)
        sizes.append(np.sqrt(np.trace(later.belief.covariance[columns, columns][:3, :3])))
    assert sizes[0] < sizes[1] < 0.3 * sizes[2]


def test_without_a_hand_pose_uncertainty_grows_and_is_undone(grip, estimates):
    """Five frames without the control: sigma of the hand grows in them and falls after."""
    gap = slice(30, 35)

    def change(frame, seen):
        return replace(seen, hands={}, keypoints3d={}) if inside(frame, gap) else seen

    found = told(grip, change)
    sigma = spread(found, "hand")
    assert (np.diff(sigma[29:35]) > 0.0).all() and sigma[34] > 3.0 * sigma[29]
    assert sigma[37] < 1.2 * spread(estimates, "hand")[37]
    off = np.linalg.norm(positions(found, "hand") - grip.body("hand").truth.position, axis=1)
    assert off[29] < 0.01 and off[38:].max() < 0.015
    away = np.linalg.norm(positions(found) - grip.body("block").truth.position, axis=1)
    assert away[40:].max() < 0.03


def test_keypoints_alone_carry_a_hand_without_poses(grip):
    """The control is missing for ten frames, its keypoints are seen: the hand is followed."""
    gap = slice(25, 35)
    found = told(grip, lambda frame, seen: replace(seen, hands={}) if inside(frame, gap) else seen)
    off = np.linalg.norm(positions(found, "hand") - grip.body("hand").truth.position, axis=1)
    assert off[gap].max() < 0.02


def test_when_nothing_is_seen_nothing_is_claimed(grip):
    """All missing for a third of a second while the block is carried: sigmas cover the errors, then it recovers."""
    gap = slice(30, 40)
    found = told(grip, lambda frame, seen: Observation() if inside(frame, gap) else seen)
    truth = grip.body("block").truth.position
    for estimate, place in list(zip(found, truth, strict=True))[gap]:
        off = estimate.position["block"] - place
        assert off @ np.linalg.solve(estimate.covariance["block"][:3, :3], off) < 16.3  # 99.9 %
    assert not found[35].innovations.keys() - {"contact"}
    assert np.linalg.norm(found[-1].position["block"] - truth[-1]) < 0.03


def test_nothing_but_the_start(grip):
    """No observation at all, ever: the first poses stay, and are believed less and less."""
    tracker = Tracker(grip, observe="keypoints3d,center", device="cpu")
    found = [tracker.step(Observation(), time) for time in grip.times]
    np.testing.assert_allclose(positions(found) - grip.body("block").initial.position[0], 0.0, atol=1e-9)
    assert (np.diff(spread(found)) > 0.0).all()
    assert all(np.isfinite(estimate.covariance["hand"]).all() for estimate in found)


def test_an_object_that_is_hidden_is_within_its_sigmas(grips):
    """Twenty frames without its centre while the hand carries it: the error stays in 3 sigmas, and ends small."""
    for scene in grips:
        centers = scene.centers["block"].copy()
        centers[GAP] = np.nan
        result = track(replace(scene, centers={"block": centers}), observe="keypoints3d,center", device="cpu")
        assert result.history["held/block"][GAP].all()
        found = np.abs(result.poses["block"].position - scene.body("block").truth.position)
        sigma = np.sqrt(np.diagonal(result.poses["block"].covariance, axis1=1, axis2=2)[:, :3])
        assert (found[GAP] < 3.0 * sigma[GAP]).mean() > 0.98
        size = np.linalg.norm(sigma, axis=1)
        assert size[44] > size[24] and size[50] < size[44]
        assert errors(result)[0][GAP].max() < 0.03 and errors(result)[0][-10:].max() < 0.02


def test_outliers_are_left_out(grips):
    """One keypoint in twenty 6 cm off: errors at most half as much again, and the gate is better than nothing."""
    settings = {robust: TrackSettings(robust=robust) for robust in ("gate", "huber", "none")}
    totals = dict.fromkeys(("clean", *settings), 0.0)
    for seed, scene in enumerate(grips):
        random = np.random.default_rng(seed)
        points = scene.keypoints3d["hand"].copy()
        wrong = random.random(points.shape[:2]) < 0.05
        directions = random.normal(size=(wrong.sum(), 3))
        points[wrong, :3] += 0.06 * directions / np.linalg.norm(directions, axis=1, keepdims=True)
        spoilt = replace(scene, keypoints3d={"hand": points})
        clean = track(scene, observe="keypoints3d,center", device="cpu")
        totals["clean"] += np.median(errors(clean, "hand")[0]) + np.median(errors(clean)[0])
        for robust, own in settings.items():
            result = track(spoilt, own, observe="keypoints3d,center", device="cpu")
            totals[robust] += np.median(errors(result, "hand")[0]) + np.median(errors(result)[0])
            rejected = result.history["rejected/keypoints3d"].sum()
            assert rejected >= 0.8 * wrong.sum() if robust == "gate" else rejected == 0
    print(totals)
    assert totals["gate"] <= 1.5 * totals["clean"] and totals["huber"] <= 1.5 * totals["clean"]
    assert totals["gate"] < totals["none"]


def test_a_single_frame_is_tracked(grip):
    """The first estimate is the start corrected by what is seen; nothing has moved yet."""
    result = track(grip.first_frames(1), observe="keypoints3d,center", device="cpu")
    assert len(result.history["frame"]) == 1
    before = np.linalg.norm(grip.body("block").initial.position[0] - grip.body("block").truth.position[0])
    assert errors(result)[0][0] < before + 0.01
    smoothed = track(grip.first_frames(1), observe="keypoints3d,center", smooth=True, device="cpu")
    np.testing.assert_array_equal(smoothed.poses["block"].position, result.poses["block"].position)


def test_in_contact_from_the_first_frame(grip):
    """A recording that begins while the hand already holds: contacts are there at once, and the object follows."""
    kept = np.arange(20, FRAMES)
    bodies = tuple(replace(b, initial=b.initial.frames(kept), truth=b.truth.frames(kept)) for b in grip.bodies)
    points, centers = grip.keypoints3d["hand"][kept], grip.centers["block"][kept]
    part = replace(grip, bodies=bodies, keypoints3d={"hand": points}, centers={"block": centers})
    found = run(part)
    assert found[0].contacts and found[1].modes["block"] == HELD
    result = track(part, observe="keypoints3d,center", device="cpu")
    assert errors(result)[0].max() < 0.04 and np.mean(sigmas(result)) < 8.0
