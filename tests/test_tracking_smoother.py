"""The smoother against one least squares over the whole sequence, on chains that are linear."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.reference.tracking import batch_estimate
from warpprior.tracking.belief import FORGOTTEN, Belief
from warpprior.tracking.settings import TrackSettings
from warpprior.tracking.smoother import Step, smooth_steps
from warpprior.tracking.update import Rows, Updater

LINEAR = np.r_[0:3, 6:13]  # columns of position, joint and anchors
COUNT, SIZE = 12, 10


class Chain:
    """A hand with one joint, two anchors, and what the filter does to them, kept for both ways of smoothing.

    Args:
        rng: draws everything.
    """

    def __init__(self, rng):
        self.rng, self.belief = rng, Belief([7], np.zeros((0, 3)), 2)
        mix = rng.normal(size=(SIZE, SIZE))
        self.belief.covariance[:] = 1e-3 * np.eye(13)
        self.belief.covariance[np.ix_(LINEAR, LINEAR)] = 1e-2 * (mix @ mix.T + np.eye(SIZE))
        self.belief.anchor_hand[:] = self.belief.anchor_object[:] = 0
        self.belief.anchor_point[:] = [4, 9]
        self.start, self.start_covariance = self.state(), self.belief.covariance[np.ix_(LINEAR, LINEAR)].copy()
        self.updater = Updater(TrackSettings(robust="none"))
        self.steps, self.transitions, self.controls, self.noises = [], [], [], []
        self.sensors, self.observed, self.variances = [], [], []

    def state(self, means=None):
        """The linear part of means (10,)."""
        means = self.belief.means() if means is None else means
        return np.concatenate([means["position"][0], means["joints"], means["anchors"].ravel()])

    def predict(self, transition, control, noise):
        """One step of the linear part; rotations stay as they are."""
        belief = self.belief
        after = transition @ self.state() + control
        belief.position[0], belief.joints[0][:] = after[:3], after[3:4]
        belief.anchors[:] = after[4:].reshape(2, 3)
        follows, growth = np.eye(13), 1e-6 * np.eye(13)
        follows[np.ix_(LINEAR, LINEAR)], growth[np.ix_(LINEAR, LINEAR)] = transition, noise
        belief.covariance[:] = follows @ belief.covariance @ follows.T + growth
        self.transitions.append(transition)
        self.controls.append(control)
        self.noises.append(noise)
        return follows

    def observe(self, follows, sensor, values, variance):
        """One update, and what is kept of the frame."""
        belief, rows = self.belief, Rows(13)
        predicted, covariance = belief.means(), belief.covariance.copy()
        if len(values):
            own = rows.add("toy", (0,), values - sensor @ self.state(), variance)
            own[:, LINEAR] = sensor
        self.updater(belief, rows)
        self.steps.append(Step(follows, predicted, covariance, belief.means(), belief.covariance.copy()))
        self.sensors.append(sensor)
        self.observed.append(values)
        self.variances.append(np.full(len(values), variance))

    def look(self, frame, follows):
        """Observe a few random directions; nothing in every third frame."""
        size = 0 if frame % 3 == 2 else 4
        sensor = self.rng.normal(size=(size, SIZE))
        self.observe(follows, sensor, sensor @ self.state() + 0.1 * self.rng.normal(size=size), 0.01)

    def batch(self):
        """States and covariances by one least squares."""
        return batch_estimate(
            self.start,
            self.start_covariance,
            self.transitions,
            self.controls,
            self.noises,
            self.sensors,
            self.observed,
            self.variances,
        )

    def compare(self):
        """Smoothed means and covariances against the batch's, to 1e-9."""
        smoothed = smooth_steps(self.belief, self.steps)
        assert len(smoothed) == len(self.steps)
        for (means, covariance), state, expected in zip(smoothed, *self.batch(), strict=True):
            np.testing.assert_allclose(self.state(means), state, atol=1e-9)
            np.testing.assert_allclose(covariance[np.ix_(LINEAR, LINEAR)], expected, atol=1e-9)


@pytest.fixture
def chain():
    """Nothing has happened yet."""
    return Chain(np.random.default_rng(11))


def random_step(rng):
    """Transition, control and noise that mix all columns."""
    mix = rng.normal(size=(SIZE, SIZE))
    transition = np.eye(SIZE) + 0.2 * rng.normal(size=(SIZE, SIZE))
    return transition, 0.1 * rng.normal(size=SIZE), 1e-3 * (mix @ mix.T + 0.1 * np.eye(SIZE))


def test_smoothing_equals_one_least_squares(chain):
    """Twelve frames, in a third of which nothing is seen; all columns depend on all others."""
    chain.look(0, np.eye(13))
    for frame in range(1, COUNT):
        chain.look(frame, chain.predict(*random_step(chain.rng)))
    chain.compare()


def test_the_newest_frame_stays_as_filtered_and_a_lag_sees_only_itself(chain):
    """Smoothing the last frames alone gives what smoothing all gives, for the same frames."""
    chain.look(0, np.eye(13))
    for frame in range(1, COUNT):
        chain.look(frame, chain.predict(*random_step(chain.rng)))
    whole, part = smooth_steps(chain.belief, chain.steps), smooth_steps(chain.belief, chain.steps[-4:])
    for (means, covariance), (again, spread) in zip(whole[-4:], part, strict=True):
        for name, values in means.items():
            np.testing.assert_array_equal(again[name], values)
        np.testing.assert_array_equal(covariance, spread)
    np.testing.assert_array_equal(whole[-1][1], chain.steps[-1].covariance)
    only = smooth_steps(chain.belief, chain.steps[-1:])
    np.testing.assert_array_equal(only[0][0]["position"], chain.belief.position)


def test_smoothing_leaves_its_input_as_it_was(chain):
    """Twice gives the same twice."""
    chain.look(0, np.eye(13))
    for frame in range(1, 5):
        chain.look(frame, chain.predict(*random_step(chain.rng)))
    one, two = (smooth_steps(chain.belief, chain.steps) for _ in range(2))
    for (means, covariance), (again, spread) in zip(one, two, strict=True):
        np.testing.assert_array_equal(means["anchors"], again["anchors"])
        np.testing.assert_array_equal(covariance, spread)


def test_anchors_may_begin_and_end_in_between(chain):
    """The second anchor ends after frame 3, and begins elsewhere on the hand after frame 7."""
    rng, belief = chain.rng, chain.belief
    own = slice(7, 10)  # of the second anchor among the linear columns
    chain.look(0, np.eye(13))
    for frame in range(1, COUNT):
        changed, fresh, place = np.eye(SIZE), np.zeros((SIZE, SIZE)), np.zeros(SIZE)
        if frame == 4:
            belief.anchor_hand[1] = belief.anchor_point[1] = belief.anchor_object[1] = -1
            changed[own], fresh[own, own] = 0.0, FORGOTTEN * np.eye(3)
            place[own] = belief.anchors[1]
        elif frame == 8:
            belief.anchor_hand[1] = belief.anchor_object[1] = 0
            belief.anchor_point[1] = 2
            changed[own], changed[own, :3], fresh[own, own] = 0.0, np.eye(3), 1e-6 * np.eye(3)
            place[own] = [0.03, -0.02, 0.01]  # of the point from the hand's origin
        mix = 0.1 * rng.normal(size=(SIZE, SIZE))
        if 4 <= frame < 8:
            mix[:, own] = mix[own] = 0.0  # nobody asks for a slot that is free
        transition = np.eye(SIZE) + mix
        noise = 1e-3 * np.eye(SIZE)
        control = 0.1 * rng.normal(size=SIZE) + transition @ place
        follows = chain.predict(transition @ changed, control, transition @ fresh @ transition.T + noise)
        sensor = rng.normal(size=(4, SIZE))
        if 4 <= frame < 8:
            sensor[:, own] = 0.0
        chain.observe(follows, sensor, sensor @ chain.state() + 0.1 * rng.normal(size=4), 0.01)
    chain.compare()


def test_turns_about_one_axis_are_linear():
    """Angles that add up are smoothed like numbers, beyond half a turn too."""
    rng, axis = np.random.default_rng(2), np.array([0.6, 0.0, -0.8])
    belief, updater = Belief([6], np.zeros((0, 3)), 0), Updater(TrackSettings(robust="none"))
    belief.covariance[:] = 0.04 * np.eye(6)
    angle, angles, seen, steps = 0.0, [], [], []
    speeds = rng.uniform(0.4, 0.8, COUNT)
    for frame in range(COUNT):
        if frame:
            belief.rotation[0] = (
                Rotation.from_rotvec(speeds[frame] * axis) * Rotation.from_quat(belief.rotation[0])
            ).as_quat()
            belief.covariance[:] += 0.01 * np.eye(6)
            angle += speeds[frame]
        predicted, covariance, rows = belief.means(), belief.covariance.copy(), Rows(6)
        residual = 0.2 * rng.normal()
        own = rows.add("toy", (0,), np.array([residual]), 0.02)
        own[0, 3:6] = axis
        change, _ = updater(belief, rows)
        seen.append(angle + residual)
        angle += change[3:6] @ axis
        angles.append(angle)
        steps.append(Step(np.eye(6), predicted, covariance, belief.means(), belief.covariance.copy()))
    one = np.eye(1)
    states, spread = batch_estimate(
        np.zeros(1),
        0.04 * one,
        [one] * (COUNT - 1),
        speeds[1:, None],
        [0.01 * one] * (COUNT - 1),
        [one] * COUNT,
        np.array(seen)[:, None],
        [[0.02]] * COUNT,
    )
    assert np.abs(states[:, 0] - angles).max() > 0.05 and states[-1, 0] > np.pi
    for (means, covariance), state, expected in zip(smooth_steps(belief, steps), states, spread, strict=True):
        off = Rotation.from_quat(means["rotation"][0]) * Rotation.from_rotvec(-state[0] * axis)
        assert off.magnitude() < 1e-9
        np.testing.assert_allclose(axis @ covariance[3:, 3:] @ axis, expected[0, 0], atol=1e-12)
