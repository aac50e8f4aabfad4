"""A live tracker: no stored data, predictions, velocities, contacts, and measurements that come late."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import warpprior
from tests.track_samples import FPS, make_gripper, make_scene
from warpprior.bodies import posed_vertices
from warpprior.support.errors import InputError
from warpprior.tracking.hand_contacts import Contact
from warpprior.tracking.recorded import observe_frame
from warpprior.tracking.run import Tracker, track
from warpprior.tracking.settings import TrackSettings

SENSORS = ("keypoints3d", "center")
FRAMES = 45
HELD = 20  # the block is carried from here on


@pytest.fixture(scope="module")
def grip():
    """The gripper carries the block."""
    return make_scene(FRAMES, seed=1)


def live(scene, **options):
    """A tracker that knows the camera and the bodies, and nothing that was observed."""
    bodies = [replace(body, truth=None, initial=body.initial.frames(slice(0, 1))) for body in scene.bodies]
    return Tracker(scene.camera, bodies, observe=SENSORS, device="cpu", **options)


def seen(scene, frame):
    """What is observed in a frame."""
    return observe_frame(scene, frame, SENSORS)


def same(one, two):
    """All numbers of two estimates are the same bits."""
    assert one.timestamp == two.timestamp and one.modes == two.modes
    for field in ("position", "rotation", "joints", "covariance", "twist", "twist_covariance"):
        for name, values in getattr(one, field).items():
            np.testing.assert_array_equal(values, getattr(two, field)[name], err_msg=f"{field} of {name}")
    assert len(one.contacts) == len(two.contacts)
    for first, second in zip(one.contacts, two.contacts, strict=True):
        assert (first.hand, first.object, first.link, first.slip_m) == (
            second.hand,
            second.object,
            second.link,
            second.slip_m,
        )
        np.testing.assert_array_equal(first.point, second.point)
        np.testing.assert_array_equal(first.normal, second.normal)


def test_a_live_tracker_needs_no_stored_data(grip):
    """Camera and bodies alone give what the recorded scene gives, to the bit."""
    recorded = Tracker(grip, observe=SENSORS, device="cpu")
    own = live(grip)
    assert own.sensors == SENSORS and own.scene.frame_count == 1
    for frame in range(15):
        one, two = (tracker.step(seen(grip, frame), grip.times[frame]) for tracker in (recorded, own))
        same(one, two)


def test_bodies_may_be_a_model_and_a_first_pose(grip):
    """Without a scene's arrays; labels are given where there are none."""
    hand, block = grip.bodies
    bodies = [
        warpprior.TrackedBody(hand.body, label=5),
        warpprior.TrackedBody(block.body, block.initial.position[0], block.initial.rotation[0]),
    ]
    own, other = warpprior.Tracker(grip.camera, bodies, observe=SENSORS, device="cpu"), live(grip)
    assert [body.label for body in own.scene.bodies] == [5, 1]
    for frame in range(12):
        same(own.step(seen(grip, frame), grip.times[frame]), other.step(seen(grip, frame), grip.times[frame]))


def test_a_live_hand_may_be_a_surface(grip):
    """Given by its vertices in every observation, of which the model needs one frame only."""
    hand, block = grip.bodies
    vertices = posed_vertices(hand.body, hand.truth, "cpu")
    surface = warpprior.animated_body("hand", vertices[:1], hand.body.faces)
    bodies = [warpprior.TrackedBody(surface), replace(block, truth=None)]
    tracker = Tracker(grip.camera, bodies, observe="center", device="cpu")
    for frame in range(FRAMES):
        pose = warpprior.HandPose(vertices=vertices[frame])
        centers = {"block": grip.centers["block"][frame]}
        estimate = tracker.step(warpprior.Observation(hands={"hand": pose}, centers=centers), grip.times[frame])
    assert estimate.modes["block"] == "held"
    assert np.linalg.norm(estimate.position["block"] - block.truth.position[-1]) < 0.02


def test_noise_of_a_live_tracker_is_said_once(grip):
    """By channel; a setting stands in for it."""
    assert live(grip, noise={"centers": 0.003}).settings.center_m == 0.003
    assert live(grip, noise={"centers": 0.003}, settings=TrackSettings(center_m=0.02)).settings.center_m == 0.02
    noisy = replace(grip, noise={"keypoints3d": 0.009})
    assert Tracker(noisy, observe=SENSORS, device="cpu").settings.keypoint3d_m == 0.009
    assert track(noisy, observe=SENSORS, device="cpu").settings["keypoint3d_m"] == 0.009
    with pytest.raises(InputError, match="noise: of 'center'; of keypoints2d"):
        live(grip, noise={"center": 0.003})


def test_an_object_without_a_first_position_is_refused(grip):
    """It would begin inside the camera."""
    block = warpprior.TrackedBody(grip.body("block").body)
    with pytest.raises(warpprior.InputError, match="body 'block': an object at the camera's centre; position="):
        warpprior.Tracker(grip.camera, [block], observe=["mask"], device="cpu")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda grip: Tracker(grip.camera, grip.bodies, device="cpu"), "no data to choose by; name what will be obs"),
        (lambda grip: Tracker(replace(grip, keypoints3d={}, centers={}), device="cpu"), "some of keypoints3d, finger"),
        (lambda grip: Tracker(grip.camera, device="cpu"), "a camera without bodies"),
        (lambda grip: Tracker(grip, grip.bodies, device="cpu"), "a scene, and bodies or noise beside it"),
        (lambda grip: Tracker(grip.camera, [make_gripper()], observe=(), device="cpu"), "a Body; TrackedBody or Scene"),
        (lambda grip: Tracker(grip.camera, grip.bodies[1:], observe="joints", device="cpu"), "for none of the bodies"),
        (lambda grip: Tracker(grip, observe="keypoints", device="cpu"), "keypoints3d for those in space, keypoints2d"),
        (lambda grip: Tracker(grip, device="cpu", late_s=-0.1), "late_s: -0.1; seconds from 0 to 10"),
    ],
    ids=["auto", "auto of no data", "no bodies", "both", "a body", "joints", "keypoints", "late_s"],
)
def test_what_cannot_be_tracked_is_refused(grip, call, words):
    """In one line that says what would be accepted."""
    with pytest.raises(InputError) as caught:
        call(grip)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_nothing_may_be_observed_if_that_is_said(grip):
    """An empty list is a choice."""
    assert Tracker(grip.camera, grip.bodies, observe=(), device="cpu").sensors == ()


def test_old_names_of_sensors_are_taken_with_a_warning(grip):
    """And say the new one."""
    with pytest.warns(UserWarning, match="--observe object-center is called center"):
        assert Tracker(grip, observe="object-center", device="cpu").sensors == ("center",)
    with pytest.warns(DeprecationWarning, match="hands"):
        assert len(live(grip).actuators) == 1


def walk(tracker, scene, frames):
    """Estimates of some frames."""
    return [tracker.step(seen(scene, frame), scene.times[frame]) for frame in frames]


def test_sensors_may_be_faster_than_the_control():
    """Centres that come between two poses of the hand do not make its errors begin anew: sigmas cover them.

    Otherwise the mean is 10.
    """
    squares = []
    for seed in range(4):
        scene, random = make_scene(FRAMES, seed=seed), np.random.default_rng(seed)
        truth, tracker = scene.body("block").truth.position, live(scene)
        for frame in range(FRAMES - 1):
            known = replace(seen(scene, frame), centers={})
            estimate = tracker.step(known if frame % 3 == 0 else replace(known, keypoints3d={}), scene.times[frame])
            between = 0.5 * (truth[frame] + truth[frame + 1]) + 0.015 * random.normal(size=3)
            tracker.step(warpprior.Observation(centers={"block": between}), scene.times[frame] + 0.5 / FPS)
            if frame >= HELD:
                hand = scene.body("hand").truth
                turn = Rotation.from_quat(hand.rotation[frame]) * Rotation.from_quat(estimate.rotation["hand"]).inv()
                off = np.concatenate([hand.position[frame] - estimate.position["hand"], turn.as_rotvec()])
                squares.append(off @ np.linalg.solve(estimate.covariance["hand"][:6, :6], off))
    assert np.mean(squares) < 7.5  # 6 if all is well


def test_a_prediction_changes_nothing(grip):
    """Asked or not, the tracker goes on with the same bits; at the newest time it says what is believed."""
    asked, other = live(grip), live(grip)
    for frame in range(HELD):
        estimate = walk(asked, grip, [frame])[0]
        same(asked.predict(estimate.timestamp), estimate)
        asked.predict(estimate.timestamp + 0.05)
        same(estimate, walk(other, grip, [frame])[0])


def test_a_prediction_is_nearer_than_the_last_estimate(grip):
    """Two frames ahead, of hand and block, while the block is carried; and its sigmas cover its errors."""
    misses, stale, squares = [], [], []
    for seed in range(3):
        scene = make_scene(FRAMES, seed=seed)
        tracker = live(scene)
        for frame in range(FRAMES - 2):
            estimate = walk(tracker, scene, [frame])[0]
            if frame < HELD:
                continue
            ahead = tracker.predict(scene.times[frame + 2])
            assert ahead.timestamp == scene.times[frame + 2]
            truth = scene.body("block").truth.position[frame + 2]
            off = ahead.position["block"] - truth
            misses.append(np.linalg.norm(off))
            stale.append(np.linalg.norm(estimate.position["block"] - truth))
            squares.append(off @ np.linalg.solve(ahead.covariance["block"][:3, :3], off))
    assert np.median(misses) < 0.6 * np.median(stale)
    assert 1.0 < np.mean(squares) < 6.0  # 3 if all is well


def test_predictions_grow_less_sure(grip):
    """The farther ahead, the more; contacts go with their object."""
    tracker = live(grip)
    estimate = walk(tracker, grip, range(30))[-1]
    sizes = [np.trace(tracker.predict(grip.times[29] + t).covariance["block"]) for t in (0.0, 0.02, 0.1, 0.5)]
    assert (np.diff(sizes) > 0.0).all()
    ahead = tracker.predict(grip.times[29] + 0.1)
    turn = Rotation.from_quat(ahead.rotation["block"]) * Rotation.from_quat(estimate.rotation["block"]).inv()
    for now, then in zip(estimate.contacts, ahead.contacts, strict=True):
        wanted = turn.apply(now.point - estimate.position["block"]) + ahead.position["block"]
        np.testing.assert_allclose(then.point, wanted, atol=1e-9)
        np.testing.assert_allclose(then.normal, turn.apply(now.normal), atol=1e-9)


@pytest.mark.parametrize("time", [-0.01, np.nan, np.inf, 1e9])
def test_predictions_lie_ahead(grip, time):
    """And need something that was observed."""
    tracker = live(grip)
    with pytest.raises(InputError, match="nothing was observed yet"):
        tracker.predict(0.0)
    walk(tracker, grip, range(2))
    with pytest.raises(InputError, match="predict"):
        tracker.predict(grip.times[1] + time)


def test_velocities_are_those_of_the_motion(grip):
    """Of the block's origin and rotation, camera axes, within their sigmas, while it is carried."""
    squares = []
    for seed in range(3):
        scene = make_scene(FRAMES, seed=seed, middle=(0.01, -0.02, 0.015))
        truth = scene.body("block").truth
        turns = Rotation.from_quat(truth.rotation)
        for frame, estimate in enumerate(walk(live(scene), scene, range(FRAMES - 1))):
            if frame < HELD:
                continue
            speed = (truth.position[frame + 1] - truth.position[frame - 1]) * FPS / 2.0
            spin = (turns[frame + 1] * turns[frame - 1].inv()).as_rotvec() * FPS / 2.0
            off = estimate.twist["block"] - np.concatenate([speed, spin])
            squares.append(off @ np.linalg.solve(estimate.twist_covariance["block"], off))
            assert estimate.twist["hand"].shape == (8,) and estimate.twist_covariance["hand"].shape == (8, 8)
    assert 1.0 < np.mean(squares) < 12.0  # 6 if all is well


def test_contacts_say_where_and_with_what(grip):
    """On the jaws, on the block's surface, with the normal outward; nothing has slid far."""
    estimate = walk(live(grip), grip, range(30))[-1]
    assert len(estimate.contacts) >= 4
    turn, sideways = Rotation.from_quat(estimate.rotation["block"]), 0
    for contact in estimate.contacts:
        assert isinstance(contact, Contact) and contact[:2] == ("hand", "block")
        assert contact.link in ("left", "right")
        local = turn.inv().apply(contact.point - estimate.position["block"])
        outward = turn.inv().apply(contact.normal)
        assert abs(np.linalg.norm(contact.normal) - 1.0) < 1e-6
        assert (contact.link == "right") == (local[0] > 0.0)
        sideways += outward[0] * np.sign(local[0]) > 0.9
        assert 0.0 <= contact.slip_m < 0.02
    assert sideways >= len(estimate.contacts) - 1  # one may be round the edge


@pytest.mark.parametrize("late", [(5,), (21, 22), (24,), (8, 9, 25)])
@pytest.mark.parametrize("lag", [0, 3])
def test_a_late_measurement_counts_as_if_in_time(grip, late, lag):
    """Each comes three frames late; from then on all is as in order, in every bit, smoothed frames too."""
    ordered, mixed = live(grip, lag=lag), live(grip, lag=lag)
    expected = dict(zip(range(30), walk(ordered, grip, range(30)), strict=True))
    waiting = []
    for frame in range(30):
        if frame in late:
            waiting.append(frame)
            continue
        found = walk(mixed, grip, [frame])[0]
        for old in [old for old in waiting if frame >= old + 3]:
            waiting.remove(old)
            found = walk(mixed, grip, [old])[0]
        if not waiting:
            same(found, expected[frame])
    assert not waiting
    for one, two in zip(ordered.smoothed(), mixed.smoothed(), strict=True):
        same(one, two)


def test_buffers_of_a_live_system_may_be_reused(grip):
    """What was observed is kept as a copy."""
    plain, reused = live(grip), live(grip)
    buffer, middle = np.zeros((8, 4)), np.zeros(3)
    for frame in (*range(10), 11, 12, 10):
        known = seen(grip, frame)
        buffer[:], middle[:] = known.keypoints3d["hand"], known.centers["block"]
        shared = replace(known, keypoints3d={"hand": buffer}, centers={"block": middle})
        same(plain.step(known, grip.times[frame]), reused.step(shared, grip.times[frame]))
        buffer[:], middle[:] = np.nan, np.nan


@pytest.mark.parametrize(
    ("time", "words"),
    [
        (0.0, "0.0 is 0.466667 s before the last one"),
        (9.0 / FPS, "of which there is an observation already"),
        (14.0 / FPS, "goes into one observation"),
    ],
    ids=["old", "twice", "newest"],
)
def test_what_is_too_late_is_refused_with_the_numbers(grip, time, words):
    """And leaves the tracker as it was."""
    tracker = live(grip)
    walk(tracker, grip, range(15))
    before = tracker.save()
    with pytest.raises(InputError) as caught:
        tracker.step(seen(grip, 3), time)
    assert words in str(caught.value) and "0.2 s late (late_s)" in str(caught.value)
    for name, values in tracker.save().items():
        np.testing.assert_array_equal(values, before[name], err_msg=name)


def test_nothing_comes_before_the_first_observation(grip):
    """Nor is a recorded scene merged unless that is asked for."""
    tracker = live(grip)
    tracker.step(seen(grip, 3), grip.times[3])
    with pytest.raises(InputError, match="before the first one"):
        tracker.step(seen(grip, 2), grip.times[2])
    recorded = Tracker(grip, observe=SENSORS, device="cpu")
    walk(recorded, grip, range(3))
    with pytest.raises(InputError, match="at most 0 s late"):
        recorded.step(seen(grip, 1), grip.times[1] + 0.001)


def test_a_state_remembers_velocities(grip):
    """Restored, the twist goes on; what could come late is forgotten."""
    whole, fresh = live(grip), live(grip)
    last = walk(whole, grip, range(25))[-1]
    fresh.restore(whole.save())
    same(fresh.predict(last.timestamp), last)
    same(fresh.predict(last.timestamp + 0.1), whole.predict(last.timestamp + 0.1))
    same(*(walk(tracker, grip, [26])[0] for tracker in (whole, fresh)))
    same(fresh.predict(1.0), whole.predict(1.0))
    whole.step(seen(grip, 25), grip.times[25] - 0.01)
    with pytest.raises(InputError, match="timestamp"):
        fresh.step(seen(grip, 24), grip.times[24])
