"""Smoothness, consistency and rest of roots and joints, by frames' true times: rows and energy against twins."""

import numpy as np
import pytest
import warp as wp
from scipy.spatial.transform import Rotation

from tests.fit_samples import Tally, check_equations
from tests.reference.motion_terms import Consistency, JointMotion, Rest, Smoothness, Sum, advance_all
from warpprior.kernels.consistency import add_joint_consistency, add_root_consistency
from warpprior.kernels.differences import Stiffness
from warpprior.kernels.rest import add_rest
from warpprior.kernels.smoothness import add_joint_smoothness, add_root_smoothness

START, WIDTH = 2, 9  # the body's columns begin behind two of another, and one is left over behind them
SEGMENTS = [0, 0, 0, 0, 5, 5, 6]
PACES = [1.0, 0.5, 1.25, 0.1, 1.0, 2.0, 0.7]  # of frames that come late, early, and after a gap of ten

# Of acceleration, velocity and rest, each of positions and rotations.
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


def exact(values):
    """Float64 numbers that float32 holds, too."""
    return np.asarray(values, dtype=np.float32).astype(float)


def motion_terms(poses, segments, stiffness, device, *, paces=None, touch=None, resting=1.0, tally=None):
    """What the kernels add up, and their twin."""
    frames = len(poses)
    touch = np.zeros(frames) if touch is None else np.asarray(touch)
    resting = np.broadcast_to(resting, frames)
    paces = exact(np.ones(frames) if paces is None else paces)
    stiffness = exact(stiffness).reshape(3, 2)
    tally = Tally(frames, WIDTH, device) if tally is None else tally
    smooth, consistent, still = (tally.alike(Stiffness, position=p, rotation=r, joints=1e9) for p, r in stiffness)
    given = tally.constants(poses, wp.transform), tally.constants(segments, wp.int32), tally.constants(paces)
    tally.add(add_root_smoothness, *given, smooth, START)
    tally.add(add_root_consistency, *given, consistent, START)
    tally.add(add_rest, *given, tally.constants(touch), tally.constants(resting), still, START)
    given = poses, segments, paces
    return tally, Sum(
        Smoothness(*given, stiffness[0], START),
        Consistency(*given, stiffness[1], START),
        Rest(*given, stiffness[2], START, touch=touch, resting=resting),
    )


@pytest.mark.parametrize("paces", [None, PACES], ids=["even times", "uneven times"])
@pytest.mark.parametrize("name", STIFFNESS)
def test_gradient_and_curvature_match_the_twin(device, name, paces):
    """Wandering poses in sequences of four, two and one frames; the stiff case is far out where costs grow linearly."""
    tally, twin = motion_terms(motion(7), SEGMENTS, STIFFNESS[name], device, paces=paces)
    check_equations(tally, twin, f"motion {name}, paces {paces is not None}")


@pytest.mark.parametrize("paces", [None, PACES[:6]], ids=["even times", "uneven times"])
def test_rest_holds_what_nothing_touches(device, paces):
    """Rest with some, much and no contact, and where the body seems to move: there and with contact it lets go."""
    touch, resting = np.array([0.0, 0.0, 0.001, 0.004, 0.3, 0.0]), np.array([1.0, 1.0, 1.0, 1.0, 1.0, 0.0])
    poses = motion(6, speed=0.002, turn=0.02)
    stiffness = (0, 0, 0, 0, 1e6, 1e4)
    tally, twin = motion_terms(poses, [0] * 6, stiffness, device, paces=paces, touch=touch, resting=resting)
    cost = check_equations(tally, twin, "rest", step=1e-6)
    assert cost[4] < 1e-3 * cost[1] and np.all(cost[1:4] > 0.0) and cost[5] == 0.0


@pytest.mark.parametrize("paces", [None, PACES[:4]], ids=["even times", "uneven times"])
@pytest.mark.parametrize("turn", [0.7, 1.6])
def test_large_turns_between_frames(device, turn, paces):
    """Turns of radians, up to nearly half a turn: the gradient is that of the logarithm, not of small angles."""
    poses = motion(4, turn=turn)
    between = Rotation.from_quat(poses[1:, 3:]) * Rotation.from_quat(poses[:-1, 3:]).inv()
    assert 1.0 < between.magnitude().max() < 3.1
    tally, twin = motion_terms(poses, [0] * 4, (0.0, 30.0, 0.0, 3.0, 0.0, 2.0), device, paces=paces)
    check_equations(tally, twin, f"motion turns of {turn}")


def test_half_a_turn_between_frames_stays_finite(device):
    """At exactly half a turn two logarithms are right: whichever is taken, nothing is infinite."""
    turns = [Rotation.from_rotvec([k * np.pi, 0.0, 0.0]).as_quat() for k in (0, 1, 2)]
    poses = np.hstack([np.tile([0.0, 0.0, 0.5], (3, 1)), turns])
    tally, _ = motion_terms(poses, [0] * 3, STIFFNESS["all"], device)
    matrix, gradient, cost = tally.read()
    assert np.isfinite(matrix).all() and np.isfinite(gradient).all() and cost[1] > 1.0
    assert np.isfinite(tally.energy_gradient(np.ones(3))).all()


def test_exact_stillness_costs_nothing_and_pulls_nothing(device):
    """No rotation at all between frames, where logarithms are singular: curvature, which holds, but no pull."""
    tally, twin = motion_terms(np.tile(motion(1), (4, 1)), [0] * 4, STIFFNESS["all"], device)
    matrix, gradient, cost = tally.read()
    np.testing.assert_allclose(gradient, 0.0, atol=1e-3)
    assert cost.max() < 1e-6
    check = twin.residuals(np.zeros((4, WIDTH)))
    assert np.abs(check).max() < 1e-6 and np.abs(matrix).max() > 1.0
    np.testing.assert_allclose(tally.energy_gradient(np.ones(4)), 0.0, atol=2e-3)


@pytest.mark.parametrize("times", [np.arange(6.0), np.cumsum([0.0, 1.0, 1.5, 10.0, 2.0, 1.0])], ids=["even", "uneven"])
def test_constant_velocity_costs_no_acceleration(device, times):
    """Straight flight with a steady turn, whenever frames were taken: no acceleration, and velocities are all alike."""
    first = Rotation.from_rotvec([0.2, 0.1, -0.3])
    turns = [first * Rotation.from_rotvec(t * np.array([0.05, -0.1, 0.02])) for t in times]
    position = [0.0, 0.1, 0.5] + times[:, None] * [0.01, -0.004, 0.006]
    poses, paces = np.hstack([position, np.stack([r.as_quat() for r in turns])]), [1.0, *(1.0 / np.diff(times))]
    tally, _ = motion_terms(poses, [0] * 6, (1e4, 100.0, 0.0, 0.0, 0.0, 0.0), device, paces=paces)
    _, gradient, cost = tally.read()
    assert cost.max() < 1e-7
    assert np.abs(gradient).max() < 1e-3
    tally, _ = motion_terms(poses, [0] * 6, (0.0, 0.0, 400.0, 4.0, 0.0, 0.0), device, paces=paces)
    cost = tally.cost.numpy()
    assert (cost[1:] > 0.01).all() and cost[0] == 0.0
    np.testing.assert_allclose(cost[1:], cost[1], rtol=1e-3)


@pytest.mark.parametrize("segments", [[0], [0, 1], [0, 1, 2]])
def test_single_frames_add_nothing(device, segments):
    """Sequences of one frame have neither velocity nor acceleration."""
    tally, _ = motion_terms(motion(len(segments)), segments, STIFFNESS["all"], device)
    for values in tally.bits():
        np.testing.assert_array_equal(values, 0.0)
    assert not tally.energy_gradient(np.ones(len(segments))).any()


def test_two_frames_have_velocity_but_no_acceleration(device):
    """A sequence of two frames couples them by velocity alone."""
    poses = motion(2)
    tally, _ = motion_terms(poses, [0, 0], (1e4, 100.0, 0.0, 0.0, 0.0, 0.0), device)
    for values in tally.bits():
        np.testing.assert_array_equal(values, 0.0)
    tally, twin = motion_terms(poses, [0, 0], (0.0, 0.0, 400.0, 4.0, 0.0, 0.0), device)
    cost = check_equations(tally, twin, "consistency of two frames")
    system = tally.system
    assert cost[1] > 0.0 and system.gradient.numpy()[:, 0].any(axis=1).all() and system.hessian.numpy()[1, 1].any()


def test_a_pose_behind_the_camera_is_left_out(device):
    """Frames at or behind the camera say nothing about their neighbours, and nothing is divided by their depth."""
    poses = motion(6)
    poses[5, 2] = -0.2
    tally, _ = motion_terms(poses, [0] * 6, STIFFNESS["all"], device)
    matrix, gradient, cost = tally.read()
    assert np.isfinite(matrix).all() and np.isfinite(gradient).all()
    assert cost[5] == 0.0 and not gradient[5].any() and not matrix[5 * WIDTH :].any()
    energy = tally.energy_gradient(np.ones(6))
    assert np.isfinite(energy).all() and not energy[5].any()


def test_other_columns_are_not_written(device):
    """Only the root's six."""
    tally, _ = motion_terms(motion(4), [0] * 4, STIFFNESS["all"], device)
    written = np.abs(tally.system.hessian.numpy()).max(axis=(0, 1))
    others = [0, 1, 8]
    assert not written[others].any() and not written[:, others].any() and written[2:8, 2:8].any()
    assert not tally.system.gradient.numpy()[..., others].any()
    assert not tally.energy_gradient(np.ones(4))[:, others].any()


def test_adding_twice_adds_twice(device):
    """Outputs are added to, not overwritten."""
    poses = motion(4)
    tally, _ = motion_terms(poses, [0] * 4, STIFFNESS["all"], device)
    once = tally.bits()
    motion_terms(poses, [0] * 4, STIFFNESS["all"], device, tally=tally)
    for first, both in zip(once, tally.bits(), strict=True):
        np.testing.assert_allclose(both, 2.0 * first, rtol=1e-12, atol=1e-12 * np.abs(first).max())


@pytest.mark.parametrize("paces", [None, PACES[:5]], ids=["even times", "uneven times"])
def test_gauss_newton_straightens_a_motion(device, paces):
    """A few full steps on accelerations end with one hundredth of the cost: the normal equations fit their cost."""
    poses = motion(5, speed=0.004, turn=0.05)
    costs = []
    for _ in range(4):
        tally, _ = motion_terms(poses, [0] * 5, (1e4, 100.0, 4.0, 0.04, 0.0, 0.0), device, paces=paces)
        matrix, gradient, cost = tally.read()
        costs.append(cost.sum())
        step = np.linalg.solve(matrix + 1e-6 * np.eye(len(matrix)), -gradient.ravel()).reshape(5, WIDTH)
        poses = advance_all(poses, step[:, START : START + 6])
    assert costs[-1] < 0.01 * costs[0]


COUNT, JOINT_START, JOINT_WIDTH = 4, 7, 12  # columns of joint coordinates among others
JOINT_STIFFNESS = {
    "acceleration": (50.0, 0.0),
    "jumps": (1e5, 0.0),
    "velocity": (0.0, 20.0),
    "both": (50.0, 20.0),
}


def joint_terms(stiffness, device, *, joints=None, segments=SEGMENTS, paces=None, tally=None):
    """What the kernels add up for joint coordinates, and their twin."""
    frames = len(segments)
    joints = exact(0.6 * np.random.default_rng(3).normal(size=(frames, COUNT)) if joints is None else joints)
    paces = exact(np.ones(frames) if paces is None else paces)
    tally = Tally(frames, JOINT_WIDTH, device) if tally is None else tally
    given = tally.constants(joints), tally.constants(segments, wp.int32), tally.constants(paces)
    for kernel, value in zip((add_joint_smoothness, add_joint_consistency), stiffness, strict=True):
        tally.add(kernel, *given, tally.alike(Stiffness, position=1e9, rotation=1e9, joints=value), JOINT_START)
    return tally, JointMotion(joints, segments, paces, exact(stiffness), JOINT_START)


@pytest.mark.parametrize("paces", [None, PACES], ids=["even times", "uneven times"])
@pytest.mark.parametrize("name", JOINT_STIFFNESS)
def test_joint_gradient_and_curvature_match_the_twin(device, name, paces):
    """Coordinates in sequences of four, two and one frames."""
    tally, twin = joint_terms(JOINT_STIFFNESS[name], device, paces=paces)
    check_equations(tally, twin, f"joint motion {name}, paces {paces is not None}")


@pytest.mark.parametrize("times", [np.arange(5.0), np.array([0.0, 1.0, 1.5, 11.5, 12.0])], ids=["even", "uneven"])
def test_steady_bending_costs_no_acceleration(device, times):
    """Joints that move on at the same speed neither cost nor are pulled."""
    joints = exact([0.1, 0.2, -0.3, 0.4]) + times[:, None] * exact([0.25, -0.125, 0.5, 0.0])
    paces = [1.0, *(1.0 / np.diff(times))]
    tally, _ = joint_terms(JOINT_STIFFNESS["acceleration"], device, joints=joints, segments=[0] * 5, paces=paces)
    assert tally.cost.numpy().max() < 1e-9
    assert np.abs(tally.system.gradient.numpy()).max() < 1e-4
    assert tally.system.hessian.numpy().any()


def test_one_frame_has_no_neighbours(device):
    """Neither velocity nor acceleration, at the start and at the end of the frames."""
    tally, _ = joint_terms(JOINT_STIFFNESS["both"], device, segments=[0])
    for values in tally.bits():
        np.testing.assert_array_equal(values, 0.0)
    tally, _ = joint_terms(JOINT_STIFFNESS["both"], device, segments=[0, 0, 1])
    assert not tally.system.hessian.numpy()[2].any() and not tally.system.gradient.numpy()[2].any()


def test_jumps_cost_in_proportion(device):
    """A joint that jumps twice as far costs twice as much, not four times, and is pulled no harder."""
    found = []
    for jump in (2.0, 4.0):
        joints = np.zeros((3, COUNT))
        joints[2, 0] = jump
        tally, _ = joint_terms((1e4, 0.0), device, joints=joints, segments=[0] * 3)
        found.append((tally.cost.numpy().sum(), tally.system.gradient.numpy()[2, 0, JOINT_START]))
    assert found[1][0] == pytest.approx(2.0 * found[0][0], rel=0.05)
    assert found[1][1] == pytest.approx(found[0][1], rel=0.01)


def test_other_columns_than_the_joints_are_not_written_and_outputs_are_added_to(device):
    """Only the coordinates' own; a second launch adds the same again."""
    tally, _ = joint_terms(JOINT_STIFFNESS["both"], device)
    once = tally.bits()
    others = np.r_[0:JOINT_START, JOINT_START + COUNT : JOINT_WIDTH]
    assert not once[0][:, :, others].any() and not once[0][..., others].any() and not once[1][..., others].any()
    joint_terms(JOINT_STIFFNESS["both"], device, tally=tally)
    for first, both in zip(once, tally.bits(), strict=True):
        np.testing.assert_allclose(both, 2.0 * first, rtol=1e-12, atol=1e-12 * np.abs(first).max())
