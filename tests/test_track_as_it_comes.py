"""Live observations as detectors and networks give them: without confidences, with marks for what was not found."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from tests.track_samples import CAMERA, make_block, make_scene
from warpprior.bodies import posed_keypoints
from warpprior.observations import HandPose, Observation
from warpprior.support.errors import InputError
from warpprior.tracking.live import TrackedBody
from warpprior.tracking.recorded import observe_frame
from warpprior.tracking.run import Tracker

DT = 1.0 / 30.0


@pytest.fixture(scope="module")
def grip():
    """The gripper and the block, with the gripper's keypoints in the picture."""
    scene = make_scene(4)
    hand = scene.body("hand")
    points = posed_keypoints(hand.body, hand.truth).astype(float)
    u = points[..., 0] / points[..., 2] * CAMERA.fx + CAMERA.cx
    v = points[..., 1] / points[..., 2] * CAMERA.fy + CAMERA.cy
    return replace(scene, keypoints2d={"hand": np.stack([u, v, np.ones_like(u)], axis=-1)})


def after(scene, change, sensor="keypoints2d"):
    """The state after three frames whose observations were changed by a function of frame and observation."""
    tracker = Tracker(scene, observe=sensor, device="cpu")
    for frame in range(3):
        tracker.step(change(frame, observe_frame(scene, frame, tracker.sensors)), DT * frame)
    return tracker.save()


def same(one, other):
    """Two states are the same to the last bit."""
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def with_points(frame, seen, channel="keypoints2d"):
    """The observation with other keypoints in the second frame."""
    return lambda at, observation: replace(observation, **{channel: {"hand": seen}}) if at == frame else observation


def test_keypoints_without_confidence_count_as_sure(grip):
    """(keypoint, 2) is the same as a confidence of 1."""
    plain = after(grip, lambda frame, observation: observation)
    same(plain, after(grip, lambda frame, o: replace(o, keypoints2d={"hand": o.keypoints2d["hand"][:, :2]})))


@pytest.mark.parametrize("marker", [(-1.0, -1.0), (0.0, 0.0), (80.0, 60.0)])
def test_a_frame_in_which_nothing_was_found_says_nothing(grip, marker):
    """All points at one place are as good as none."""
    count = grip.body("hand").body.keypoint_count
    none = after(grip, with_points(1, np.full((count, 3), np.nan)))
    same(none, after(grip, with_points(1, np.tile([*marker, 1.0], (count, 1)))))
    assert not np.array_equal(none["belief/position"], after(grip, lambda _, o: o)["belief/position"])


def test_points_in_space_at_one_place_say_nothing(grip):
    """Neither do those of a depth camera."""
    count = grip.body("hand").body.keypoint_count
    none = after(grip, with_points(1, np.full((count, 4), np.nan), "keypoints3d"), "keypoints3d")
    same(none, after(grip, with_points(1, np.full((count, 3), 0.5), "keypoints3d"), "keypoints3d"))


def test_a_hand_of_zeros_is_a_missing_one(grip):
    """As one of NaN is."""

    def lost(value):
        pose = HandPose(np.full(3, value), np.full(4, value), np.full(2, value))
        return lambda frame, observation: replace(observation, hands={"hand": pose}) if frame == 1 else observation

    same(after(grip, lost(np.nan)), after(grip, lost(0.0)))


def test_times_of_32_bits_are_named(grip):
    """A Unix time in single precision stands still for two minutes."""
    tracker = Tracker(grip, observe="center", device="cpu")
    tracker.step(Observation(), float(np.float32(1.7e9)))
    with pytest.raises(InputError, match="times that advance.*; this one looks like 32 bits, give 64"):
        tracker.step(Observation(), float(np.float32(1.7e9 + 0.033)))


def live(label):
    """A tracker of one block by its label images."""
    body = TrackedBody(make_block(), position=(0.0, 0.0, 0.5), label=label)
    return Tracker(CAMERA, [body], observe=["mask"], device="cpu")


def test_black_and_white_masks_are_told_of(grip):
    """255 is don't-care: a warning says what to give; a label image proper is taken without a word."""
    mask = np.zeros((CAMERA.height, CAMERA.width), np.uint8)
    mask[40:80, 60:100] = 255
    with pytest.warns(UserWarning, match=r"no values but 0 and 255.* if that is box, give mask // 255 \* 3"):
        live(3).step(Observation(labels=mask), 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        live(3).step(Observation(labels=mask // 255 * np.uint8(3)), 0.0)
        live(1).step(Observation(labels=mask > 0), 0.0)


def test_a_mask_of_true_and_false_must_be_of_the_only_label(grip):
    """True is 1, which is another body's label or nobody's."""
    mask = np.zeros((CAMERA.height, CAMERA.width), bool)
    with pytest.raises(InputError, match="label image: true and false, which would be label 1; a picture with 3 where"):
        live(3).step(Observation(labels=mask), 0.0)
    with pytest.raises(InputError, match="where hand is, . where block is"):
        Tracker(grip, observe="center", device="cpu").step(Observation(labels=mask), 0.0)
