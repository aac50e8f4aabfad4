"""What the tracker is asked for in vain: each ends in one clear line, and what can be made sense of does not."""

from dataclasses import replace

import numpy as np
import pytest

import warpprior
from tests.track_samples import make_scene
from warpprior.observations import HandPose, Observation
from warpprior.support.errors import InputError, RunError
from warpprior.support.overrides import apply_overrides
from warpprior.tracking.recorded import observe_frame
from warpprior.tracking.run import Tracker, track
from warpprior.tracking.settings import DIVIDED, TrackSettings


@pytest.fixture(scope="module")
def grip():
    """The gripper and the block, a few frames."""
    return make_scene(4)


@pytest.fixture
def tracker(grip):
    """It has seen the first frame."""
    tracker = Tracker(grip, observe="keypoints3d,center", device="cpu")
    tracker.step(observe_frame(grip, 0, tracker.sensors), 0.0)
    return tracker


@pytest.mark.parametrize("name", DIVIDED)
def test_what_is_divided_by_is_not_zero(name):
    """From Python and from the command line, where a traceback was all one got; nor is it absurdly large."""
    for value in (0.0, 1e-7, 2e6):
        with pytest.raises(InputError, match=name):
            TrackSettings(**{name: value})
    with pytest.raises(InputError, match=name):
        apply_overrides(TrackSettings(), [f"{name}=0"])


@pytest.mark.parametrize("value", [1e-6, 1e6])
def test_the_ends_of_what_is_accepted_can_be_tracked_with(value):
    """All noise that sensors have, and all doubt of first poses, as small and as large as may be said."""
    settings = TrackSettings(**dict.fromkeys(DIVIDED, value))
    result = track(make_scene(12), settings, device="cpu")
    assert result.complete and np.isfinite(result.poses["block"].position).all()
    assert np.isfinite(result.poses["block"].covariance).all()


def test_covariances_that_break_down_are_told_in_words(grip):
    """A hand a thousand million times less sure than its keypoints leaves nothing of double precision."""
    settings = TrackSettings().with_noise(lateral_m=1e9, depth_m=1e9, rotation_rad=1e9, joint_rad=1e9)
    with pytest.raises(RunError, match="nearer to the defaults"):
        track(grip, settings, device="cpu")


@pytest.mark.parametrize("lag", [-1, -5, 1.5, "2"])
def test_a_lag_is_a_number_of_frames(grip, lag):
    """Less than none kept a list that lacked frames."""
    with pytest.raises(InputError, match="lag"):
        Tracker(grip, device="cpu", lag=lag)
    with pytest.raises(InputError, match="lag"):
        track(grip, device="cpu", lag=lag)


@pytest.mark.parametrize(
    ("sensors", "words"),
    [("", "no sensor ''"), ("foo", "no sensor 'foo'"), ("center,", "no sensor ''"), ("auto,center", "or auto alone")],
)
def test_sensors_that_are_not_there_are_named(grip, sensors, words):
    """And what there is."""
    with pytest.raises(InputError, match=words):
        Tracker(grip, observe=sensors, device="cpu")


@pytest.mark.parametrize("time", [0.0, -1.0, 1e-7, np.nan, np.inf, 33_333_333.0])
def test_times_advance_in_seconds(grip, tracker, time):
    """The last one is a thirtieth of a second in nanoseconds.  What was refused leaves the tracker as it was."""
    before = tracker.save()
    with pytest.raises(InputError, match="timestamp"):
        tracker.step(observe_frame(grip, 1, tracker.sensors), time)
    after = tracker.save()
    assert before.keys() == after.keys()
    for name in before:
        np.testing.assert_array_equal(before[name], after[name], err_msg=name)


STRAIGHT = [0.0, 0.0, 0.0, 1.0]
SIZE = (make_scene(2).camera.height, make_scene(2).camera.width)
UNUSABLE = {
    "a hand far away": ({"hands": {"hand": HandPose([0.0, 0.0, 1e30], STRAIGHT, [0.0, 0.0])}}, "at most 1000"),
    "joints out of all proportion": (
        {"hands": {"hand": HandPose([0.0, 0.0, 0.5], STRAIGHT, [1e9, 0.0])}},
        "at most 1000",
    ),
    "no pose": ({"hands": {"hand": None}}, "leave out"),
    "a pose of words": ({"hands": {"hand": HandPose(["a", "b", "c"], STRAIGHT, [0.0, 0.0])}}, "real numbers"),
    "another length": ({"hands": {"hand": HandPose([0.0, 0.0, 0.5], STRAIGHT, [0.0])}}, "shape"),
    "keypoints of words": ({"keypoints3d": {"hand": np.full((8, 4), "a")}}, "real numbers"),
    "keypoints of different lengths": ({"keypoints3d": {"hand": [[0.0, 0.0], [1.0]]}}, "different lengths"),
    "complex keypoints": ({"keypoints3d": {"hand": np.zeros((8, 4), complex)}}, "real numbers"),
    "labels between two": ({"labels": np.full(SIZE, 0.5)}, "label image: 0.5 at row 0"),
    "labels of more than a byte": ({"labels": np.full(SIZE, 300)}, "label image: 300 at row 0"),
    "labels that are no numbers": ({"labels": np.full(SIZE, np.nan)}, "label image: nan at row 0"),
    "labels of another size": ({"labels": np.zeros((3, 3), np.uint8)}, "shape"),
}


@pytest.mark.parametrize("time", ["soon", None, [0.0, 1.0]])
def test_times_are_numbers(grip, tracker, time):
    """Or are named."""
    with pytest.raises(InputError, match="timestamp: .*; seconds, a number"):
        tracker.step(observe_frame(grip, 1, tracker.sensors), time)


def test_an_observation_is_one(tracker):
    """Not what might become one."""
    with pytest.raises(InputError, match="observation: a dict; a warpprior.Observation"):
        tracker.step({"hands": {}}, 0.03)


@pytest.mark.parametrize("use", [warpprior.refine, warpprior.track, warpprior.Tracker, warpprior.terms.Loss])
def test_the_name_of_a_folder_is_no_scene(use):
    """And it is said how it becomes one."""
    with pytest.raises(InputError, match=r"scene: 'recordings/mug'; a warpprior.Scene, as warpprior.load_scene"):
        use("recordings/mug")


@pytest.mark.parametrize("name", UNUSABLE)
def test_observations_that_cannot_be_used_are_refused(tracker, name):
    """In a sentence that says which and why."""
    parts, words = UNUSABLE[name]
    with pytest.raises(InputError, match=words):
        tracker.step(Observation(**parts), 0.03)


def test_lists_are_as_good_as_arrays(grip, tracker):
    """Of poses and of what sensors say."""
    seen = observe_frame(grip, 1, tracker.sensors)
    kept = tracker.save()
    from_arrays = tracker.step(seen, 0.03)
    tracker.restore(kept)
    hands = {
        name: HandPose(p.position.tolist(), p.rotation.tolist(), p.joints.tolist()) for name, p in seen.hands.items()
    }
    points = {name: values.tolist() for name, values in seen.keypoints3d.items()}
    centers = {name: values.tolist() for name, values in seen.centers.items()}
    from_lists = tracker.step(Observation(hands=hands, keypoints3d=points, centers=centers), 0.03)
    np.testing.assert_array_equal(from_lists.position["block"], from_arrays.position["block"])
    np.testing.assert_array_equal(from_lists.covariance["hand"], from_arrays.covariance["hand"])


BROKEN = {
    "an array is missing": lambda kept: {name: kept[name] for name in kept if name != "motion/modes"},
    "no arrays": lambda kept: [kept],
    "positions are not finite": lambda kept: kept | {"belief/position": np.full((2, 3), np.nan)},
    "positions are words": lambda kept: kept | {"belief/position": np.full((2, 3), "x")},
    "rotations are zero": lambda kept: kept | {"belief/rotation": np.zeros((2, 4))},
    "covariances are negative": lambda kept: kept | {"belief/covariance": -kept["belief/covariance"]},
    "covariances are not symmetric": lambda kept: (
        kept | {"belief/covariance": kept["belief/covariance"] + np.eye(50, k=3)}
    ),
    "velocities surer than sure": lambda kept: kept | {"twists/spread": -kept["twists/spread"]},
    "no velocities": lambda kept: {name: kept[name] for name in kept if name != "twists/rates"},
    "modes of another version": lambda kept: kept | {"motion/modes": np.array(["asleep"])},
    "contacts of no hand": lambda kept: kept | {"belief/anchor_hand": np.full(12, 7)},
    "contacts of no point": lambda kept: kept | {"belief/anchor_point": np.full(12, 3)},
    "objects that are not there": lambda kept: kept | {"contacts/touched": np.array([4])},
    "a control of another hand": lambda kept: kept | {"motion/control/0": np.zeros(40)},
    "a hand too many": lambda kept: kept | {"motion/control/1": np.zeros(9)},
    "noise below zero": lambda kept: kept | {"updater/scale/center": np.array(-1.0)},
    "noise of another shape": lambda kept: kept | {"updater/window/center": np.zeros(3)},
    "misses that are no number": lambda kept: kept | {"misses/center/0": np.array(np.nan)},
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_states_are_refused_and_harm_nothing(tracker, name):
    """Some were taken and broke the next step, or made all of it NaN."""
    before = tracker.save()
    with pytest.raises(InputError, match="state of a tracker"):
        tracker.restore(BROKEN[name](tracker.save()))
    for key, values in tracker.save().items():
        np.testing.assert_array_equal(values, before[key])


def test_an_open_file_is_a_state(grip, tracker, tmp_path):
    """As numpy.load returns it."""
    np.savez(tmp_path / "state.npz", **tracker.save())
    other = Tracker(grip, observe="keypoints3d,center", device="cpu")
    with np.load(tmp_path / "state.npz", allow_pickle=False) as kept:
        other.restore(kept)
    seen = observe_frame(grip, 1, tracker.sensors)
    one, two = tracker.step(seen, 0.03), other.step(seen, 0.03)
    np.testing.assert_array_equal(one.covariance["block"], two.covariance["block"])


@pytest.mark.parametrize(("off", "noted"), [(0.0, False), (1.0, True)])
def test_a_sensor_that_is_hardly_ever_believed_is_noted(off, noted):
    """Centres of another thing, a metre beside the block from the second frame on."""
    scene = make_scene(14)
    centers = scene.centers["block"].copy()
    centers[1:, 0] += off * np.arange(1, 14)
    result = track(replace(scene, centers={"block": centers}), observe="keypoints3d,center", device="cpu")
    assert any("center: nothing it said was believed" in note for note in result.notes) == noted
    assert not any("keypoints3d" in note for note in result.notes)
