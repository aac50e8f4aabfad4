"""Joint coordinates: increments, their gradients, and limits."""

import numpy as np
import warp as wp

from warpprior.kernels.joints import advance_joints, bound_joints


def test_increments_add_to_joints_and_take_their_gradients(device):
    """Joints move by columns six and on; each gradient goes to its own column, none to the pose's."""
    random = np.random.default_rng(2)
    base, steps = random.normal(size=(4, 3)).astype(np.float32), random.normal(size=(4, 9)).astype(np.float32)
    joints = wp.array(base, dtype=wp.float32, device=device, requires_grad=True)
    increments = wp.array(steps, dtype=wp.float32, device=device, requires_grad=True)
    moved = wp.full((4, 3), np.nan, dtype=wp.float32, device=device, requires_grad=True)
    with wp.Tape() as tape:
        advance_joints(joints, increments, joints_out=moved)
    np.testing.assert_array_equal(moved.numpy(), base + steps[:, 6:])
    seed = random.normal(size=(4, 3)).astype(np.float32)
    tape.backward(grads={moved: wp.array(seed, dtype=wp.float32, device=device)})
    np.testing.assert_array_equal(increments.grad.numpy(), np.hstack([np.zeros((4, 6)), seed]))
    np.testing.assert_array_equal(joints.grad.numpy(), seed)


def test_joints_stay_within_their_limits(device):
    """Coordinates beyond a limit are put on it; those within, and those without limits, stay bit for bit."""
    lower = np.array([-1.0, -np.inf, 0.2], dtype=np.float32)
    upper = np.array([0.5, np.inf, 0.2], dtype=np.float32)
    values = np.array([[-3.0, -1e9, 0.0], [0.1, 1e9, 7.0], [2.0, 0.3, 0.2]], dtype=np.float32)
    joints = wp.array(values, dtype=wp.float32, device=device)
    bound_joints(
        wp.array(lower, dtype=wp.float32, device=device),
        wp.array(upper, dtype=wp.float32, device=device),
        joints_out=joints,
    )
    np.testing.assert_array_equal(joints.numpy(), np.clip(values, lower, upper))
