"""Steps that are taken: shortened to what can be trusted, joints within their limits, shared unknowns moved on."""

import numpy as np
import warp as wp

from warpprior.kernels.steps import StepLimits, advance_shared, take_steps


def test_steps_are_shortened_and_joints_end_within_their_limits(device):
    """All unknowns of a frame by one factor; a joint stops where it may go no farther, to the bit."""
    random = np.random.default_rng(0)
    steps = random.normal(size=(5, 12)) * 10.0 ** random.uniform(-3.0, 0.5, (5, 1))
    joints = random.uniform(-0.5, 0.5, (5, 2)).astype(np.float32)
    longest = np.array([0.05, 0.05, 0.1, 0.2, 0.2, 0.2, 0.3, 0.3])
    lower, upper = np.array([-0.4, -np.inf], dtype=np.float32), np.array([0.4, 0.55], dtype=np.float32)
    limits = StepLimits()
    limits.first = 3
    limits.longest = wp.array(longest, dtype=wp.float64, device=device)
    limits.lower, limits.upper = (wp.array(each, dtype=wp.float32, device=device) for each in (lower, upper))
    found = wp.full((5, 8), np.nan, dtype=wp.float32, device=device)
    take_steps(
        wp.array(steps, dtype=wp.float64, device=device),
        limits,
        wp.array(joints, dtype=wp.float32, device=device),
        increments_out=found,
    )
    own = steps[:, 3:11]
    ratio = np.maximum(np.abs(own) / longest, 1.0).max(axis=1, keepdims=True)
    expected = (own / ratio).astype(np.float32)
    expected[:, 6:] = np.clip(joints + expected[:, 6:], lower, upper) - joints
    np.testing.assert_array_equal(found.numpy(), expected)
    assert (ratio == 1.0).any() and (ratio > 1.0).any()
    assert (expected[:, 6:] != (own / ratio).astype(np.float32)[:, 6:]).any()


def test_shared_values_move_on_in_both_precisions(device):
    """Those of all segments, by their own steps."""
    values = wp.array([[1.0, 2.0], [3.0, 4.0]], dtype=wp.float64, device=device)
    single = wp.full((2, 2), np.nan, dtype=wp.float32, device=device)
    advance_shared(
        wp.array([[0.1, 0.0], [-0.2, 1e-9]], dtype=wp.float64, device=device), values_out=values, single_out=single
    )
    expected = np.array([[1.1, 2.0], [2.8, 4.0 + 1e-9]])
    np.testing.assert_allclose(values.numpy(), expected, rtol=1e-15)
    np.testing.assert_array_equal(single.numpy(), values.numpy().astype(np.float32))
