"""Normal equations of smoothness and rest of a body's root: gradient, curvature, couplings against a float64 twin."""

import numpy as np
import pytest
import warp as wp
from scipy.spatial.transform import Rotation

from tests.fit_samples import Tally, check_equations
from tests.reference.motion_fit import Smoothness, advance_all
from warpprior.kernels.motion_fit import accumulate_smoothness

START, WIDTH = 2, 9  # the body's columns begin behind two of another, and one is left over behind them
SEGMENTS = [0, 0, 0, 0, 5, 5, 6]

STIFFNESS = {
    "acceleration": (1e4, 0.0, 0.0, 0.0, 0.0, 0.0),
    "angular acceleration": (0.0, 100.0, 0.0, 0.0, 0.0, 0.0),
    "velocity": (0.0, 0.0, 400.0, 0.0, 0.0, 0.0),
    "angular velocity": (0.0, 0.0, 0.0, 4.0, 0.0, 0.0),
    "rest": (0.0, 0.0, 0.0, 0.0, 1e4, 0.0),
    "rest of turns": (0.0, 0.0, 0.0, 0.0, 0.0, 1e2),
    "all": (1e4, 100.0, 400.0, 4.0, 1e4, 1e2),
    "all, stiff": (1e7, 1e5, 1e6, 1e4, 1e7, 1e5),
}


def motion(frames, seed=0, speed=0.02, turn=0.15):
    """Poses (frame, 7), exact in float32, that wander about half a metre in front of the camera."""
    random = np.random.default_rng(seed)
    position = [0.05, -0.03, 0.5] + speed * random.normal(size=(frames, 3))
    first = Rotation.from_rotvec(random.normal(size=3))
    turns = [first * Rotation.from_rotvec(turn * random.normal(size=3)) for _ in range(frames)]
    rotation = np.stack([r.as_quat() for r in turns])
    return np.hstack([position, rotation]).astype(np.float32).astype(float)


def smoothness(poses, segments, stiffness, device, *, touch=None, resting=1.0):
    """What the kernel adds up, and its twin."""
    frames = len(poses)
    touch = np.zeros(frames) if touch is None else np.asarray(touch)
    resting = np.broadcast_to(resting, frames)
    tally = Tally(frames, WIDTH, device)
    accumulate_smoothness(
        tally.constants(poses, wp.transform),
        tally.constants(segments, wp.int32),
        tally.constants(stiffness),
        tally.constants(touch),
        tally.constants(resting),
        start=START,
        **tally.outputs,
    )
    stiffness = [float(np.float32(value)) for value in stiffness]
    return tally, Smoothness(poses, np.asarray(segments), stiffness, touch, resting, START)


@pytest.mark.parametrize("name", STIFFNESS)
def test_gradient_and_curvature_match_the_twin(device, name):
    """Wandering poses in sequences of four, two and one frames; the stiff case is far out where costs grow linearly."""
    tally, twin = smoothness(motion(7), SEGMENTS, STIFFNESS[name], device)
    check_equations(tally, twin, f"smoothness {name}")


def test_rest_holds_what_nothing_touches(device):
    """Rest with some, much and no contact, and where the body seems to move: there and with contact it lets go."""
    touch, resting = np.array([0.0, 0.0, 0.001, 0.004, 0.3, 0.0]), np.array([1.0, 1.0, 1.0, 1.0, 1.0, 0.0])
    poses = motion(6, speed=0.002, turn=0.02)
    tally, twin = smoothness(poses, [0] * 6, (0, 0, 0, 0, 1e6, 1e4), device, touch=touch, resting=resting)
    cost = check_equations(tally, twin, "smoothness rest", step=1e-6)
    assert cost[4] < 1e-3 * cost[1] and np.all(cost[1:4] > 0.0) and cost[5] == 0.0


@pytest.mark.parametrize("turn", [0.7, 1.6])
def test_large_turns_between_frames(device, turn):
    """Turns of radians, up to nearly half a turn: the gradient is that of the logarithm, not of small angles."""
    poses = motion(4, turn=turn)
    between = Rotation.from_quat(poses[1:, 3:]) * Rotation.from_quat(poses[:-1, 3:]).inv()
    assert 1.0 < between.magnitude().max() < 3.1
    tally, twin = smoothness(poses, [0] * 4, (0.0, 30.0, 0.0, 3.0, 0.0, 2.0), device)
    check_equations(tally, twin, f"smoothness turns of {turn}")


def test_half_a_turn_between_frames_stays_finite(device):
    """At exactly half a turn two logarithms are right: whichever is taken, nothing is infinite."""
    turns = [Rotation.from_rotvec([k * np.pi, 0.0, 0.0]).as_quat() for k in (0, 1, 2)]
    poses = np.hstack([np.tile([0.0, 0.0, 0.5], (3, 1)), turns])
    tally, _ = smoothness(poses, [0] * 3, STIFFNESS["all"], device)
    matrix, gradient, cost = tally.read()
    assert np.isfinite(matrix).all() and np.isfinite(gradient).all() and cost[1] > 1.0


def test_exact_stillness_costs_nothing_and_pulls_nothing(device):
    """No rotation at all between frames, where logarithms are singular: curvature, which holds, but no pull."""
    tally, twin = smoothness(np.tile(motion(1), (4, 1)), [0] * 4, STIFFNESS["all"], device)
    matrix, gradient, cost = tally.read()
    np.testing.assert_allclose(gradient, 0.0, atol=1e-3)
    assert cost.max() < 1e-6
    check = twin.residuals(np.zeros((4, WIDTH)))
    assert np.abs(check).max() < 1e-6 and np.abs(matrix).max() > 1.0


def test_constant_velocity_costs_no_acceleration(device):
    """Straight flight with a steady turn: no cost and no pull by accelerations, but by velocities."""
    times = np.arange(6.0)[:, None]
    first = Rotation.from_rotvec([0.2, 0.1, -0.3])
    turns = [first * Rotation.from_rotvec(t * np.array([0.05, -0.1, 0.02])) for t in times]
    poses = np.hstack([[0.0, 0.1, 0.5] + times * [0.01, -0.004, 0.006], np.stack([r.as_quat() for r in turns])])
    tally, _ = smoothness(poses, [0] * 6, (1e4, 100.0, 0.0, 0.0, 0.0, 0.0), device)
    _, gradient, cost = tally.read()
    assert cost.max() < 1e-7
    assert np.abs(gradient).max() < 1e-3
    tally, _ = smoothness(poses, [0] * 6, (0.0, 0.0, 400.0, 4.0, 0.0, 0.0), device)
    cost = tally.cost.numpy()
    assert (cost[1:] > 0.01).all() and cost[0] == 0.0


@pytest.mark.parametrize("segments", [[0], [0, 1], [0, 1, 2]])
def test_single_frames_add_nothing(device, segments):
    """Sequences of one frame have neither velocity nor acceleration."""
    tally, _ = smoothness(motion(len(segments)), segments, STIFFNESS["all"], device)
    for values in tally.bits():
        np.testing.assert_array_equal(values, 0.0)


def test_two_frames_have_velocity_but_no_acceleration(device):
    """A sequence of two frames couples them by velocity alone."""
    poses = motion(2)
    tally, _ = smoothness(poses, [0, 0], (1e4, 100.0, 0.0, 0.0, 0.0, 0.0), device)
    for values in tally.bits():
        np.testing.assert_array_equal(values, 0.0)
    tally, twin = smoothness(poses, [0, 0], (0.0, 0.0, 400.0, 4.0, 0.0, 0.0), device)
    cost = check_equations(tally, twin, "smoothness two frames")
    assert cost[1] > 0.0 and tally.gradient.numpy()[:, 0].any(axis=1).all() and tally.hessian.numpy()[1, 1].any()


def test_a_pose_behind_the_camera_is_left_out(device):
    """Frames at or behind the camera say nothing about their neighbours, and nothing is divided by their depth."""
    poses = motion(6)
    poses[5, 2] = -0.2
    tally, _ = smoothness(poses, [0] * 6, STIFFNESS["all"], device)
    matrix, gradient, cost = tally.read()
    assert np.isfinite(matrix).all() and np.isfinite(gradient).all()
    assert cost[5] == 0.0 and not gradient[5].any() and not matrix[5 * WIDTH :].any()


def test_other_columns_are_not_written(device):
    """Only the root's six."""
    tally, _ = smoothness(motion(4), [0] * 4, STIFFNESS["all"], device)
    written = np.abs(tally.hessian.numpy()).max(axis=(0, 1))
    others = [0, 1, 8]
    assert not written[others].any() and not written[:, others].any() and written[2:8, 2:8].any()
    assert not tally.gradient.numpy()[..., others].any()


def test_adding_twice_adds_twice(device):
    """Outputs are added to, not overwritten."""
    poses = motion(4)
    tally, _ = smoothness(poses, [0] * 4, STIFFNESS["all"], device)
    once = tally.bits()
    accumulate_smoothness(
        tally.constants(poses, wp.transform),
        tally.constants([0] * 4, wp.int32),
        tally.constants(STIFFNESS["all"]),
        tally.constants(np.zeros(4)),
        tally.constants(np.ones(4)),
        start=START,
        **tally.outputs,
    )
    for first, both in zip(once, tally.bits(), strict=True):
        np.testing.assert_allclose(both, 2.0 * first, rtol=1e-12, atol=1e-12 * np.abs(first).max())


def test_gauss_newton_straightens_a_motion(device):
    """A few full steps on accelerations end with one hundredth of the cost: the normal equations fit their cost."""
    poses = motion(5, speed=0.004, turn=0.05)
    costs = []
    for _ in range(4):
        tally, _ = smoothness(poses, [0] * 5, (1e4, 100.0, 4.0, 0.04, 0.0, 0.0), device)
        matrix, gradient, cost = tally.read()
        costs.append(cost.sum())
        step = np.linalg.solve(matrix + 1e-6 * np.eye(len(matrix)), -gradient.ravel()).reshape(5, WIDTH)
        poses = advance_all(poses, step[:, START : START + 6])
    assert costs[-1] < 0.01 * costs[0]
