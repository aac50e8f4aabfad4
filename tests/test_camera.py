"""Projection and pose increments: values and gradients against float64 twins, at zero, far out and near the camera."""

import numpy as np
import pytest
import warp as wp

from tests.gradcheck import compare_gradients, finite_difference
from tests.reference import camera as reference
from warpprior.kernels.camera import advance_poses, project_points

FOCAL, CENTER = np.array([615.0, 600.0]), np.array([320.5, 239.0])
POSE = np.array([0.12, -0.08, 0.7, *(np.array([0.2, -0.4, 0.1, 0.8]) / np.sqrt(0.85))])
INCREMENTS = {
    "zero": [0.0] * 6,
    "tiny": [1e-6, -1e-6, 1e-6, 1e-6, -1e-6, 1e-6],
    "ordinary": [0.02, -0.01, 0.05, 0.1, -0.2, 0.05],
    "only a turn": [0.0, 0.0, 0.0, 0.6, 0.0, 0.0],
    "large": [-0.3, 0.4, 1.0, 1.5, -2.0, 0.7],
    "half a turn": [0.0, 0.0, -1.0, np.pi, 0.0, 0.0],
}
POSES = {
    "ordinary": POSE,
    "far": np.concatenate([[1.0, 2.0, 8.0], POSE[3:]]),
    "near plane": np.concatenate([[0.01, -0.02, 0.03], POSE[3:]]),
    "behind": np.concatenate([[0.01, -0.02, -0.5], POSE[3:]]),
}


def advance(poses, increments, device):
    """Poses after the increments, with the arrays and the tape that made them."""
    base = wp.array(np.asarray(poses, dtype=np.float32), dtype=wp.transform, device=device)
    steps = wp.array(np.asarray(increments, dtype=np.float32), dtype=wp.float32, device=device, requires_grad=True)
    moved = wp.empty(len(poses), dtype=wp.transform, device=device, requires_grad=True)
    moved.assign(np.full((len(poses), 7), np.nan, dtype=np.float32))
    with wp.Tape() as tape:
        advance_poses(base, steps, poses_out=moved)
    return moved, steps, tape


@pytest.mark.parametrize("place", POSES)
@pytest.mark.parametrize("name", INCREMENTS)
def test_advanced_poses_and_their_gradients_match_the_twin(device, place, name):
    """A carried point's weighted coordinates: value and all six derivatives, where the pose may be clamped too."""
    pose = POSES[place].astype(np.float32).astype(float)
    increment = np.array(INCREMENTS[name], dtype=np.float32).astype(float)
    moved, steps, tape = advance([pose], [increment], device)
    found = moved.numpy()[0].astype(float)
    expected = reference.advance_pose(pose, increment)
    expected[3:] *= np.sign(expected[3:] @ found[3:])
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-6)
    # The loss is linear in the pose as it is stored; the twin's quaternion is kept on the same side.
    weights = np.array([1.3, -0.7, 0.4, 0.5, -0.9, 0.8, 0.3])

    def cost(step):
        result = reference.advance_pose(pose, step)
        result[3:] *= np.sign(result[3:] @ expected[3:])
        return weights @ result

    tape.backward(grads={moved: wp.array(weights[None].astype(np.float32), dtype=wp.transform, device=device)})
    compare_gradients(
        steps.grad.numpy()[0],
        finite_difference(cost, increment, 1e-5),
        name=f"advance_poses {place}, {name}",
        worst=1e-4,
    )


def test_increments_of_joints_are_left_alone(device):
    """Columns beyond the sixth do not move the pose and get no gradient."""
    moved, steps, tape = advance([POSE], [[0.01] * 6 + [3.0, -2.0]], device)
    np.testing.assert_allclose(moved.numpy()[0, :3], reference.advance_pose(POSE, [0.01] * 6)[:3], rtol=1e-6)
    tape.backward(grads={moved: wp.array(np.ones((1, 7), dtype=np.float32), dtype=wp.transform, device=device)})
    np.testing.assert_array_equal(steps.grad.numpy()[0, 6:], 0.0)


def test_rotations_stay_unit_over_thousands_of_folded_steps(device):
    """Two thousand increments folded one after another leave the quaternion's length within 1e-4 of one."""
    random = np.random.default_rng(0)
    poses = wp.array(POSE[None].astype(np.float32), dtype=wp.transform, device=device)
    moved = wp.empty_like(poses)
    steps = wp.zeros((1, 6), dtype=wp.float32, device=device)
    for _ in range(2000):
        steps.assign((0.02 * random.normal(size=(1, 6)) * [0, 0, 0, 1, 1, 1]).astype(np.float32))
        advance_poses(poses, steps, poses_out=moved)
        wp.copy(poses, moved)
    assert abs(np.linalg.norm(poses.numpy()[0, 3:].astype(float)) - 1.0) < 1e-4
    np.testing.assert_allclose(poses.numpy()[0, :3], POSE[:3], rtol=1e-4)


def test_a_step_and_its_opposite_cancel(device):
    """Bearing, depth and a turn undone one by one give the pose back."""
    moved, _, _ = advance([POSE], [[0.1, -0.05, 0.3, 0.4, 0.0, 0.0]], device)
    back, _, _ = advance(moved.numpy(), [[-0.1, 0.05, -0.3, -0.4, 0.0, 0.0]], device)
    np.testing.assert_allclose(back.numpy()[0], POSE, atol=1e-6)


POINTS = {
    "ordinary": [[0.1, -0.05, 0.6], [0.0, 0.0, 0.4], [-0.3, 0.2, 2.0]],
    "just beyond the near plane": [[0.01, 0.01, 0.0501], [0.0, 0.02, 0.051], [-0.01, 0.0, 0.06]],
    "nearer than the near plane": [[0.01, 0.01, 0.03], [0.0, 0.02, 0.0], [-0.01, 0.0, -0.4]],
}


@pytest.mark.parametrize("name", POINTS)
def test_projection_and_its_gradient_match_the_twin(device, name):
    """u, v and depth, and their derivatives by the points; nearer than the near plane nothing divides by zero."""
    points = np.array(POINTS[name], dtype=np.float32).astype(float)
    given = wp.array(points[None].astype(np.float32), dtype=wp.vec3, device=device, requires_grad=True)
    screen = wp.full((1, 3), wp.vec3(np.nan), dtype=wp.vec3, device=device, requires_grad=True)
    with wp.Tape() as tape:
        project_points(given, wp.vec2(*FOCAL), wp.vec2(*CENTER), screen_out=screen)
    np.testing.assert_allclose(screen.numpy()[0], reference.project(points, FOCAL, CENTER), rtol=1e-6, atol=1e-4)
    weights = np.array([[1.0, -0.5, 20.0], [0.3, 0.8, -10.0], [-0.7, 0.2, 5.0]])
    tape.backward(grads={screen: wp.array(weights[None].astype(np.float32), dtype=wp.vec3, device=device)})
    numeric = finite_difference(lambda p: (weights * reference.project(p, FOCAL, CENTER)).sum(), points, 1e-6)
    compare_gradients(given.grad.numpy()[0], numeric, name=f"project_points {name}", worst=1e-4)


def test_projection_writes_only_the_points_asked_for(device):
    """``first`` and ``count`` choose a range; the rest of the output is not touched."""
    points = np.random.default_rng(1).uniform([-0.2, -0.2, 0.4], [0.2, 0.2, 0.8], (2, 6, 3))
    given = wp.array(points.astype(np.float32), dtype=wp.vec3, device=device)
    screen = wp.full((2, 6), wp.vec3(-7.0), dtype=wp.vec3, device=device)
    project_points(given, wp.vec2(*FOCAL), wp.vec2(*CENTER), first=2, count=3, screen_out=screen)
    found = screen.numpy()
    for frame in range(2):
        np.testing.assert_allclose(
            found[frame, 2:5], reference.project(points[frame, 2:5], FOCAL, CENTER), rtol=1e-5, atol=1e-4
        )
    np.testing.assert_array_equal(found[:, [0, 1, 5]], -7.0)
