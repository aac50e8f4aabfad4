"""The belief and its manifold: rotations at their limits, errors on the left, and anchors that come and go."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.reference.rotations import right_jacobian
from tests.reference.tracking import differentiate
from warpprior.tracking.belief import FORGOTTEN, Belief
from warpprior.tracking.manifold import difference, exp, hat, left_jacobian, log, matrix, multiply

ANGLES = [0.0, 1e-9, 1e-6, 9.9e-5, 1.1e-4, 0.3, 1.5, 3.0, np.pi - 1e-6]


@pytest.fixture
def axis():
    """A direction that is no axis of the camera."""
    return np.array([0.48, -0.6, 0.64])


@pytest.fixture
def belief():
    """A hand with two joints, a rigid hand, two objects and three anchors, of which two are used."""
    random = np.random.default_rng(3)
    belief = Belief([8, 6], random.normal(scale=0.03, size=(2, 3)), 3)
    belief.position[:] = random.normal(size=(4, 3))
    belief.rotation[:] = Rotation.random(4, random_state=3).as_quat()
    belief.joints[0][:] = random.normal(size=2)
    belief.anchors[:] = random.normal(size=(3, 3))
    belief.anchor_hand[:], belief.anchor_point[:], belief.anchor_object[:] = [0, -1, 1], [5, -1, 7], [1, -1, 0]
    mix = random.normal(size=(belief.width, belief.width))
    belief.covariance[:] = 1e-3 * (mix @ mix.T)
    return belief


@pytest.mark.parametrize("angle", ANGLES)
def test_exp_log_and_matrix_agree_with_scipy(axis, angle):
    """To 1e-14 at zero, beside it, and beside half a turn."""
    turn = Rotation.from_rotvec(angle * axis)
    np.testing.assert_allclose(matrix(exp(angle * axis)), turn.as_matrix(), atol=1e-14)
    np.testing.assert_allclose(matrix(turn.as_quat()), turn.as_matrix(), atol=1e-14)
    np.testing.assert_allclose(log(exp(angle * axis)), angle * axis, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(log(-exp(angle * axis)), angle * axis, rtol=1e-9, atol=1e-15)


def test_more_than_half_a_turn_is_told_the_short_way(axis):
    """Rotation vectors are at most pi long."""
    np.testing.assert_allclose(log(exp((2.0 * np.pi - 0.5) * axis)), -0.5 * axis, atol=1e-14)
    assert np.linalg.norm(log(exp((np.pi + 1e-6) * axis))) <= np.pi


@pytest.mark.parametrize("angle", ANGLES)
def test_left_jacobian_agrees_with_a_matrix_exponential(axis, angle):
    """It is the right one of the opposite turn; the switch to its series is smooth."""
    np.testing.assert_allclose(left_jacobian(angle * axis), right_jacobian(-angle * axis), atol=3e-9)


def test_products_and_differences_compose(axis):
    """Turning by the difference leads from one rotation to the other; products stay of unit length."""
    one, two = (Rotation.random(random_state=seed) for seed in (0, 1))
    np.testing.assert_allclose(matrix(multiply(one.as_quat(), two.as_quat())), (one * two).as_matrix(), atol=1e-14)
    told = difference(one.as_quat(), two.as_quat())
    np.testing.assert_allclose(matrix(multiply(exp(told), two.as_quat())), one.as_matrix(), atol=1e-14)
    np.testing.assert_allclose(hat(axis) @ one.as_rotvec(), np.cross(axis, one.as_rotvec()), atol=1e-16)
    drifting = one.as_quat() * (1.0 + 1e-4)
    assert abs(np.linalg.norm(multiply(drifting, two.as_quat())) - 1.0) < 1e-15


def test_columns_follow_each_other(belief):
    """Hands with their joints, objects, anchors; nothing overlaps and nothing is left out."""
    columns = [*belief.bodies, *(belief.anchor(slot) for slot in range(3))]
    taken = np.concatenate([np.arange(own.start, own.stop) for own in columns])
    np.testing.assert_array_equal(taken, np.arange(belief.width))
    assert belief.hand(1) == slice(8, 14) and belief.object(0) == slice(14, 20) and belief.width == 35
    np.testing.assert_array_equal(belief.held_by(1), [0])


def test_moving_adds_an_error_on_the_left(belief):
    """Position and joints are added to, rotations turned along the camera's axes, anchors shifted."""
    change = np.random.default_rng(0).normal(scale=0.4, size=belief.width)
    before, joints = belief.means(), belief.joints[0].copy()
    belief.move(change)
    for body, columns in enumerate(belief.bodies):
        own = change[columns]
        np.testing.assert_allclose(belief.position[body], before["position"][body] + own[:3], atol=1e-15)
        turned = Rotation.from_rotvec(own[3:6]) * Rotation.from_quat(before["rotation"][body])
        np.testing.assert_allclose(matrix(belief.rotation[body]), turned.as_matrix(), atol=1e-14)
    np.testing.assert_allclose(belief.joints[0], joints + change[6:8], atol=1e-15)
    np.testing.assert_allclose(belief.anchors, before["anchors"] + change[26:].reshape(3, 3), atol=1e-15)


def test_reset_tells_the_covariance_about_the_new_mean(belief):
    """Errors about the old mean, told about the new one, have the covariance after a reset, to first order."""
    change = np.random.default_rng(1).normal(scale=0.5, size=belief.width)

    def about_the_new_mean(error):
        told = error.copy()
        for columns in belief.bodies:
            turn = slice(columns.start + 3, columns.start + 6)
            off = Rotation.from_rotvec(change[turn] + error[turn]) * Rotation.from_rotvec(change[turn]).inv()
            told[turn] = off.as_rotvec()
        return told

    jacobian = differentiate(about_the_new_mean, belief.width, 1e-4)
    expected = jacobian @ belief.covariance @ jacobian.T
    belief.reset(change)
    np.testing.assert_allclose(belief.covariance, expected, atol=1e-11)


def test_errors_of_an_origin_follow_from_those_of_the_middle(belief):
    """Where the origin is, and how it moves with an error of the middle, by finite differences."""
    index, place = 1, 3
    kept = belief.means()

    def origin(error):
        belief.assign(kept, belief.covariance)
        change = np.zeros(belief.width)
        change[belief.object(index)] = error
        belief.move(change)
        return np.concatenate([belief.origin(index), difference(belief.rotation[place], kept["rotation"][place])])

    expected = kept["position"][place] - Rotation.from_quat(kept["rotation"][place]).apply(belief.middles[index])
    np.testing.assert_allclose(origin(np.zeros(6))[:3], expected, atol=1e-15)
    np.testing.assert_allclose(belief.to_origin(index), differentiate(origin, 6, 1e-4), atol=1e-11)


def test_a_freed_anchor_is_forgotten(belief):
    """Its variance is that of nothing known, it is tied to nothing, and everything else stays."""
    before = belief.covariance.copy()
    belief.anchor_misses[2] = 4
    belief.free(2)
    own, others = belief.anchor(2), np.r_[: belief.anchor(2).start]
    np.testing.assert_array_equal(belief.covariance[own, own], FORGOTTEN * np.eye(3))
    assert not belief.covariance[own, others].any() and not belief.covariance[others, own].any()
    np.testing.assert_array_equal(belief.covariance[np.ix_(others, others)], before[np.ix_(others, others)])
    assert (belief.anchor_hand[2], belief.anchor_point[2], belief.anchor_object[2]) == (-1, -1, -1)
    assert belief.anchor_misses[2] == 0 and list(belief.held_by(1)) == [0] and not len(belief.held_by(0))


def test_what_is_kept_can_be_taken_back(belief):
    """Means are copies, and bring every number back."""
    kept, covariance = belief.means(), belief.covariance.copy()
    belief.move(np.ones(belief.width))
    belief.free(0)
    belief.assign(kept, covariance)
    again = belief.means()
    assert again.keys() == kept.keys()
    for name, values in kept.items():
        np.testing.assert_array_equal(again[name], values)
    np.testing.assert_array_equal(belief.covariance, covariance)


def test_without_memory_there_are_no_columns_for_contacts():
    """They are only listed; moving and freeing leave the covariance alone."""
    belief = Belief([6], np.zeros((1, 3)), 4, remembers=False)
    assert belief.width == 12 and belief.anchors.shape == (4, 3)
    belief.anchor_hand[1] = belief.anchor_object[1] = 0
    belief.move(np.full(12, 0.1))
    belief.free(1)
    np.testing.assert_array_equal(belief.covariance, FORGOTTEN * np.eye(12))
    assert not belief.anchors.any() and not len(belief.held_by(0))


def test_symmetrising_leaves_the_mean_of_both_halves(belief):
    """What rounding left on one side only is shared."""
    belief.covariance[0, 5] += 2e-6
    wanted = 0.5 * (belief.covariance + belief.covariance.T)
    belief.symmetrise()
    np.testing.assert_allclose(belief.covariance, wanted, rtol=1e-15)
    np.testing.assert_array_equal(belief.covariance, belief.covariance.T)
