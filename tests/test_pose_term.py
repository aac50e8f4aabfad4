"""Joint coordinates: limits, likely poses and the first guess, for rows and energy, against a float64 twin."""

import numpy as np
import pytest

from tests.fit_samples import Tally, as_device, check_equations
from tests.reference.pose import JointCosts
from warpprior.kernels.pose import Likely, add_pose

START, WIDTH, COUNT = 7, 12, 4  # columns of the coordinates among others
FRAMES = 7
LOWER, UPPER = np.array([-0.5, -0.5, -1e9, 0.0]), np.array([0.5, 0.25, 1e9, 0.5])
STIFFNESS = {
    "limits": (400.0, 0.0, 0.0),
    "likely poses": (0.0, 2.0, 0.0),
    "first guess": (0.0, 0.0, 10.0),
    "all": (400.0, 2.0, 10.0),
}


def exact(values):
    """Float64 numbers that float32 holds, too."""
    return np.asarray(values, dtype=np.float32).astype(float)


def pose_costs(stiffness, device, *, joints=None, prior=True, tally=None, limits=(LOWER, UPPER)):
    """What the kernel adds up, and its twin: joints inside, beyond and on their limits."""
    random = np.random.default_rng(3)
    joints = exact(0.6 * random.normal(size=(FRAMES, COUNT)) if joints is None else joints)
    guess = exact(joints + 0.3 * random.normal(size=joints.shape))
    mean = exact(0.2 * random.normal(size=COUNT))
    half = random.normal(size=(2, COUNT))  # of rank two: some combinations are all alike
    precision = exact(half.T @ half)
    precision = 0.5 * (precision + precision.T)
    tally = Tally(len(joints), WIDTH, device) if tally is None else tally
    tally.add(
        add_pose,
        tally.constants(joints),
        tally.constants(limits[0]),
        tally.constants(limits[1]),
        as_device(mean if prior else np.zeros(0), float, device),
        tally.constants(precision if prior else np.zeros((1, 1))),
        tally.constants(guess),
        tally.one(Likely, **dict(zip(("limit", "prior", "guess"), stiffness, strict=True))),
        START,
    )
    given = (mean, precision) if prior else (None, None)
    return tally, JointCosts(joints, *limits, *given, guess, stiffness, START)


@pytest.mark.parametrize("name", STIFFNESS)
def test_gradient_and_curvature_match_the_twin(device, name):
    """Joints within their limits and beyond them."""
    tally, twin = pose_costs(STIFFNESS[name], device)
    check_equations(tally, twin, f"pose {name}")


def test_without_a_prior(device):
    """A body that no likely poses are known of: the rest is as ever."""
    tally, twin = pose_costs(STIFFNESS["all"], device, prior=False)
    check_equations(tally, twin, "pose without a prior")


def test_limits_do_not_act_within_or_on_them(device):
    """Exact zeros up to the limit itself; beyond it a pull back, in the one direction that leads inside."""
    inside = np.tile([0.0, 0.25, 100.0, 0.0], (3, 1))  # on the upper limit of one and the lower of another
    tally, _ = pose_costs(STIFFNESS["limits"], device, joints=inside)
    for values in tally.bits():
        np.testing.assert_array_equal(values, 0.0)
    beyond = np.tile([0.6, 0.3, 100.0, -0.1], (3, 1))
    tally, _ = pose_costs(STIFFNESS["limits"], device, joints=beyond)
    gradient = tally.system.gradient.numpy()[0, 0, START : START + COUNT]
    np.testing.assert_allclose(gradient, [40.0, 20.0, 0.0, -40.0], rtol=1e-4)


def test_joints_without_limits(nan_allowed, device):
    """Infinite limits never act: exact zeros, however far a joint is turned."""
    limits = (np.full(COUNT, -np.inf), np.full(COUNT, np.inf))
    joints = np.full((3, COUNT), 1e6)
    tally, _ = pose_costs(STIFFNESS["limits"], device, joints=joints, limits=limits)
    for values in tally.bits():
        np.testing.assert_array_equal(values, 0.0)


def test_frames_do_not_know_of_each_other(device):
    """Coordinates of a frame are coupled with each other, and with those of no other frame."""
    tally, _ = pose_costs(STIFFNESS["all"], device)
    assert tally.system.hessian.numpy()[:, 0].any(axis=(1, 2)).all() and not tally.system.hessian.numpy()[:, 1:].any()


def test_other_columns_are_not_written_and_outputs_are_added_to(device):
    """Only the coordinates' own; a second launch adds the same again."""
    tally, _ = pose_costs(STIFFNESS["all"], device)
    once = tally.bits()
    others = np.r_[0:START, START + COUNT : WIDTH]
    assert not once[0][:, :, others].any() and not once[0][..., others].any() and not once[1][..., others].any()
    pose_costs(STIFFNESS["all"], device, tally=tally)
    for first, both in zip(once, tally.bits(), strict=True):
        np.testing.assert_allclose(both, 2.0 * first, rtol=1e-12, atol=1e-12 * np.abs(first).max())
