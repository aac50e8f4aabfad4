"""A tracker's state can be kept and taken up again, and what it cannot use is refused in one line."""

from dataclasses import replace

import numpy as np
import pytest

from tests.track_samples import make_scene
from warpprior.observations import HandPose, Observation
from warpprior.support.errors import InputError
from warpprior.tracking.recorded import observe_frame
from warpprior.tracking.run import Tracker, track
from warpprior.tracking.settings import TrackSettings

SENSORS = "keypoints3d,center"
MIDWAY = 25


@pytest.fixture(scope="module")
def grip():
    """The gripper carries the block and throws it."""
    return make_scene(45, seed=1, release=30)


def make_tracker(scene, settings=None):
    """A new tracker."""
    return Tracker(scene, settings, observe=SENSORS, device="cpu")


def go_on(tracker, scene, frames):
    """Estimates of some frames."""
    return [tracker.step(observe_frame(scene, frame, tracker.sensors), scene.times[frame]) for frame in frames]


def same(one, two):
    """All numbers of two estimates are the same bits."""
    assert one.timestamp == two.timestamp and one.modes == two.modes and one.ranks == two.ranks
    for name in one.position:
        for field in ("position", "rotation", "covariance"):
            np.testing.assert_array_equal(getattr(one, field)[name], getattr(two, field)[name])
    for name, joints in one.joints.items():
        np.testing.assert_array_equal(joints, two.joints[name])
    assert len(one.contacts) == len(two.contacts)
    for first, second in zip(one.contacts, two.contacts, strict=True):
        assert first[:2] == second[:2]
        np.testing.assert_array_equal(first[2], second[2])
    assert one.innovations.keys() == two.innovations.keys()
    for name, told in one.innovations.items():
        np.testing.assert_array_equal(told.whitened, two.innovations[name].whitened)


@pytest.mark.parametrize("midway", [0, 1, 9, 12, 25, 33, 37])
def test_a_state_goes_on_with_the_same_bits(grip, tmp_path, midway):
    """Kept before, while and after the block is held and lost, through a file: the rest is the same in every bit."""
    whole, part = make_tracker(grip), make_tracker(grip)
    expected = go_on(whole, grip, range(grip.frame_count))[midway:]
    go_on(part, grip, range(midway))
    np.savez(tmp_path / "state.npz", **part.save())
    with np.load(tmp_path / "state.npz", allow_pickle=False) as kept:
        fresh = make_tracker(grip)
        go_on(fresh, grip, range(3))  # what it did before does not matter
        fresh.restore(dict(kept))
    found = go_on(fresh, grip, range(midway, grip.frame_count))
    for one, two in zip(expected, found, strict=True):
        same(one, two)


@pytest.mark.parametrize(
    "settings",
    [
        TrackSettings(adaptive=True, adaptive_window=8),
        TrackSettings(anchors=0),
        TrackSettings(robust="huber"),
        TrackSettings.paper_literal(),
    ],
    ids=["adaptive", "no anchors", "huber", "printed"],
)
def test_every_kind_of_filter_can_be_kept(grip, settings):
    """What was learnt of the sensors goes along."""
    whole, part, fresh = (make_tracker(grip, settings) for _ in range(3))
    expected = go_on(whole, grip, range(grip.frame_count))[MIDWAY:]
    go_on(part, grip, range(MIDWAY))
    fresh.restore(part.save())
    for one, two in zip(expected, go_on(fresh, grip, range(MIDWAY, grip.frame_count)), strict=True):
        same(one, two)


def test_a_state_is_a_copy(grip):
    """Going on does not change it, nor does restoring it twice."""
    tracker = make_tracker(grip)
    go_on(tracker, grip, range(MIDWAY))
    kept = tracker.save()
    before = {name: np.array(values) for name, values in kept.items()}
    first = go_on(tracker, grip, range(MIDWAY, MIDWAY + 5))
    for name, values in kept.items():
        np.testing.assert_array_equal(values, before[name])
    for _ in range(2):
        tracker.restore(kept)
        for one, two in zip(first, go_on(tracker, grip, range(MIDWAY, MIDWAY + 5)), strict=True):
            same(one, two)


def test_a_state_can_be_kept_while_nothing_has_happened(grip):
    """A new tracker's state is that of any other new one."""
    tracker = make_tracker(grip)
    kept = tracker.save()
    go_on(tracker, grip, range(10))
    tracker.restore(kept)
    assert tracker.timestamp is None
    for one, two in zip(go_on(make_tracker(grip), grip, range(6)), go_on(tracker, grip, range(6)), strict=True):
        same(one, two)


def test_states_of_other_trackers_are_refused(grip):
    """Other bodies, other numbers of anchors, or something else altogether."""
    alone = replace(grip, bodies=grip.bodies[1:], keypoints3d={})
    others = (
        Tracker(alone, observe="center", device="cpu").save(),
        make_tracker(grip, TrackSettings(anchors=6)).save(),
        {"belief": np.zeros(3)},
        {},
    )
    tracker = make_tracker(grip)
    go_on(tracker, grip, range(5))
    before = tracker.save()
    for kept in others:
        with pytest.raises(InputError, match="state of a tracker"):
            tracker.restore(kept)
    for name, values in tracker.save().items():
        np.testing.assert_array_equal(values, before[name])


def refused(call, *words):
    """The call raises one line with these words."""
    with pytest.raises(InputError) as caught:
        call()
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("time", [0.1, 0.0, -1.0, np.nan, np.inf])
def test_times_that_do_not_advance_are_refused(grip, time):
    """And the tracker goes on from where it was, as if it had never been asked."""
    tracker, other = make_tracker(grip), make_tracker(grip)
    for own in (tracker, other):
        own.step(observe_frame(grip, 0, own.sensors), 0.1)
    seen = observe_frame(grip, 1, tracker.sensors)
    refused(lambda: tracker.step(seen, time), "timestamp", "advance")
    same(tracker.step(seen, 0.2), other.step(seen, 0.2))


@pytest.mark.parametrize("time", [np.nan, np.inf])
def test_the_first_time_must_be_a_number(grip, time):
    """Nothing could ever come after it."""
    refused(lambda: make_tracker(grip).step(Observation(), time), "timestamp")


HAND = HandPose(np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]), np.zeros(2))


@pytest.mark.parametrize(
    ("observation", "words"),
    [
        (Observation(hands={"hand": replace(HAND, position=np.zeros(2))}), "position: shape (2,); shape (3,)"),
        (Observation(hands={"hand": replace(HAND, rotation=np.eye(3))}), "rotation: shape (3, 3)"),
        (Observation(hands={"hand": replace(HAND, rotation=np.array([0.0, 0.0, 0.0, 2.0]))}), "unit quaternion"),
        (Observation(hands={"hand": replace(HAND, joints=np.zeros(3))}), "joints: shape (3,); shape (2,)"),
        (Observation(keypoints3d={"hand": np.zeros((5, 4))}), "3D keypoints of 'hand'"),
        (Observation(centers={"block": np.zeros(2)}), "centre of 'block'"),
        (Observation(hands={"hnad": HAND}), "pose of 'hnad': no such body"),
        (Observation(labels=np.zeros((3, 3), np.uint8)), "label image"),
    ],
    ids=["position", "matrix", "length", "joints", "points", "center", "name", "labels"],
)
def test_wrong_shapes_are_refused_and_harm_nothing(grip, observation, words):
    """The next step is what it would have been without the wrong one."""
    tracker, other = make_tracker(grip), make_tracker(grip)
    for own in (tracker, other):
        go_on(own, grip, range(14))
    refused(lambda: tracker.step(observation, grip.times[14]), words)
    for one, two in zip(go_on(tracker, grip, range(14, 18)), go_on(other, grip, range(14, 18)), strict=True):
        same(one, two)


def test_a_hand_pose_that_is_not_finite_is_a_missing_one(grip):
    """NaN in a control says nothing."""
    tracker, other = make_tracker(grip), make_tracker(grip)
    for own in (tracker, other):
        go_on(own, grip, range(14))
    seen = observe_frame(grip, 14, tracker.sensors)
    broken = replace(seen, hands={"hand": replace(seen.hands["hand"], joints=np.array([np.nan, 0.0]))})
    same(tracker.step(broken, grip.times[14]), other.step(replace(seen, hands={}), grip.times[14]))


@pytest.mark.parametrize(
    ("observe", "words"),
    [
        ("keypoints4d", "no sensor 'keypoints4d'"),
        ("center,sonar", "no sensor 'sonar'"),
        (["center", ""], "no sensor ''"),
        ("mask", "has nothing"),
        ("object-center-2d", "'object-center-2d'"),
    ],
    ids=["unknown", "second", "empty", "no labels", "alias"],
)
def test_sensors_that_do_not_exist_are_refused(grip, observe, words):
    """By the name that was given; what there is, is listed."""
    refused(lambda: Tracker(grip, observe=observe, device="cpu"), "--observe", words)


def test_sensors_may_have_other_names(grip):
    """As the command line spells them, in any order, once each."""
    names = Tracker(grip, observe="object-center, keypoints-3d,center", device="cpu").sensors
    assert names == ("center", "keypoints3d")
    assert Tracker(grip, device="cpu").sensors == ("keypoints3d", "center")


def test_something_must_be_unknown(grip):
    """Nothing to track where all bodies are known."""
    known = replace(grip, bodies=tuple(replace(body, known=True) for body in grip.bodies))
    refused(lambda: Tracker(known, device="cpu"), "every body is known", "a body to track")


def test_smooth_and_lag_exclude_each_other(grip):
    """One of them."""
    refused(lambda: track(grip, smooth=True, lag=3, device="cpu"), "smooth and lag")
