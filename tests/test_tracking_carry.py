"""Where contacts carry an object, and how that depends on each of them: against Kabsch's answer in float64."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.gradcheck import compare_gradients
from tests.reference.tracking import differentiate, kabsch_motion
from warpprior.tracking.object_transfer import PRIOR_ANGLE, PRIOR_SHIFT, ObjectTransfer

SIGMA = 0.007
WEIGHT, STRENGTH = SIGMA**2 / PRIOR_SHIFT**2, SIGMA**2 / (2.0 * PRIOR_ANGLE**2)
POSITION = np.array([0.1, -0.05, 0.6])
ROTATION = Rotation.from_rotvec([0.3, -1.2, 0.8])
SHIFT, TURN = np.array([0.01, -0.004, 0.008]), Rotation.from_rotvec([0.1, 0.15, -0.05])


def make_contacts(kind):
    """Contact points around the object, camera frame (contact, 3)."""
    random = np.random.default_rng(5)
    points = random.normal(scale=0.03, size=(7, 3))
    if kind == "coplanar":
        points[:, 2] = 0.02
    elif kind == "collinear":
        points = np.outer([-0.03, 0.0, 0.025, 0.05], [0.6, 0.0, 0.8]) + np.array([0.01, 0.0, 0.0])
    elif kind == "two":
        points = points[:2]
    elif kind == "one":
        points = points[:1]
    elif kind == "coincident":
        points = np.tile(points[:1], (3, 1))
    return POSITION + points


def carried(before):
    """The contacts after the object has moved, each a millimetre off."""
    off = 1e-3 * np.random.default_rng(8).normal(size=before.shape)
    return TURN.apply(before - POSITION) + POSITION + SHIFT + off


def told(position, rotation):
    """A pose after as an error of the pose before (6,)."""
    turn = Rotation.from_quat(rotation) * ROTATION.inv()
    return np.concatenate([position - POSITION, turn.as_rotvec()])


KINDS = ["many", "coplanar", "collinear", "two", "one", "coincident"]


@pytest.mark.parametrize("kind", KINDS)
def test_objects_go_with_their_contacts(device, kind):
    """Where Kabsch's answer with the same prior puts them, to a few micrometres."""
    before = make_contacts(kind)
    after = carried(before)
    prior = (after - before).mean(axis=0)
    found = told(*ObjectTransfer(12, SIGMA, device)(before, after, POSITION, ROTATION.as_quat(), prior))
    expected = kabsch_motion(before, after, POSITION, ROTATION, prior, WEIGHT, STRENGTH)
    np.testing.assert_allclose(found[:3], expected[:3], atol=3e-6)
    np.testing.assert_allclose(found[3:], expected[3:], atol=2e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_derivatives_by_contacts_match_finite_differences(device, kind):
    """Shift and rotation by every contact before and after, however little these determine."""
    before = make_contacts(kind)
    after = carried(before)
    prior = (after - before).mean(axis=0)
    carry = ObjectTransfer(12, SIGMA, device, differentiable=True)
    result = told(*carry(before, after, POSITION, ROTATION.as_quat(), prior))
    carry.differentiate()
    count = len(before)
    base = Rotation.from_rotvec(kabsch_motion(before, after, POSITION, ROTATION, prior, WEIGHT, STRENGTH)[3:])

    def answer(error):
        shifts = error.reshape(2, count, 3)
        motion = kabsch_motion(before + shifts[0], after + shifts[1], POSITION, ROTATION, prior, WEIGHT, STRENGTH)
        motion[3:] = (Rotation.from_rotvec(motion[3:]) * base.inv()).as_rotvec()
        return motion

    numeric = differentiate(answer, 6 * count, 1e-6).reshape(6, 2, count, 3)
    assert np.isfinite(result).all()
    for side, found in ((0, carry.by_before), (1, carry.by_after)):
        assert found.shape == (6, 12, 3) and not found[:, count:].any()
        for part, rows in (("shift", slice(0, 3)), ("turn", slice(3, 6))):
            name = f"ObjectTransfer {part} by contacts {('before', 'after')[side]}, {kind}"
            wanted = numeric[rows, side].copy()
            wanted[np.abs(wanted) < 1e-9] = 0.0
            compare_gradients(found[rows, :count], wanted, name=name, worst=2e-2, cosine=0.9999, bias=1e-3)


def test_noise_is_that_of_independent_contacts(device):
    """Covariance of the answer over many noisy contacts, against the one that is told."""
    before = make_contacts("many")
    after = carried(before)
    prior = (after - before).mean(axis=0)
    carry = ObjectTransfer(len(before), SIGMA, device, differentiable=True)
    carry(before, after, POSITION, ROTATION.as_quat(), prior)
    carry.differentiate()
    random = np.random.default_rng(1)
    drawn = []
    for _ in range(4000):
        noisy = after + SIGMA * random.normal(size=after.shape)
        drawn.append(kabsch_motion(before, noisy, POSITION, ROTATION, prior, WEIGHT, STRENGTH))
    expected = np.cov(np.array(drawn).T)
    scale = np.sqrt(np.diagonal(expected))
    np.testing.assert_allclose(carry.noise / np.outer(scale, scale), expected / np.outer(scale, scale), atol=0.08)


def test_far_contacts_keep_their_digits(device):
    """Ten metres away, where single precision has micrometres, nothing else changes."""
    before = make_contacts("many")
    after = carried(before)
    offset = np.array([3.0, -4.0, 9.0])
    prior = (after - before).mean(axis=0)
    carry = ObjectTransfer(12, SIGMA, device)
    near = told(*carry(before, after, POSITION, ROTATION.as_quat(), prior))
    place, turn = carry(before + offset, after + offset, POSITION + offset, ROTATION.as_quat(), prior)
    np.testing.assert_allclose(told(place - offset, turn), near, atol=1e-6)


def test_nothing_is_left_of_earlier_contacts(device):
    """Fewer contacts after more: as if there had never been others."""
    many, two = make_contacts("many"), make_contacts("two")
    carry, fresh = (ObjectTransfer(12, SIGMA, device, differentiable=True) for _ in range(2))
    prior = np.zeros(3)
    carry(many, carried(many), POSITION, ROTATION.as_quat(), prior)
    carry.differentiate()
    answers = [own(two, carried(two), POSITION, ROTATION.as_quat(), prior) for own in (carry, fresh)]
    np.testing.assert_array_equal(told(*answers[0]), told(*answers[1]))
    for own in (carry, fresh):
        own.differentiate()
    np.testing.assert_array_equal(carry.by_after, fresh.by_after)
    np.testing.assert_array_equal(carry.by_before, fresh.by_before)


def test_without_contacts_objects_follow_their_prior(device):
    """Shift and turn as expected."""
    carry = ObjectTransfer(12, SIGMA, device)
    nothing = np.zeros((0, 3))
    place, turn = carry(nothing, nothing, POSITION, ROTATION.as_quat(), SHIFT, TURN.as_quat())
    np.testing.assert_allclose(told(place, turn), np.concatenate([SHIFT, TURN.as_rotvec()]), atol=1e-6)


def test_as_printed_no_object_ever_shifts(device):
    """Its position and all derivatives of it stay; how it turns is the same."""
    before = make_contacts("many")
    after = carried(before)
    ours = ObjectTransfer(12, SIGMA, device, differentiable=True)
    printed = ObjectTransfer(12, SIGMA, device, differentiable=True, literal=True)
    answers = [carry(before, after, POSITION, ROTATION.as_quat(), np.zeros(3)) for carry in (ours, printed)]
    np.testing.assert_array_equal(answers[1][0], POSITION)
    np.testing.assert_array_equal(answers[1][1], answers[0][1])
    for carry in (ours, printed):
        carry.differentiate()
    for found in (printed.by_before, printed.by_after):
        assert not found[:3].any() and np.abs(found[3:, : len(before)]).max() > 1.0
    np.testing.assert_array_equal(printed.by_after[3:], ours.by_after[3:])
    assert not printed.noise[:3].any() and printed.noise[4, 4] > 0.0
