"""Normal equations of contact and smoothness: gradients, curvature and couplings against float64 twins."""

import numpy as np
import pytest
import warp as wp
from scipy.spatial.transform import Rotation

from tests.gradcheck import compare_gradients, finite_difference
from tests.reference.contact_fit import Contacts, Smoothness, advance_all, places_on
from warpprior.kernels.contact_fit import accumulate_contacts, accumulate_smoothness, sum_weights, weigh_contacts

RADIUS, MIDDLE = 0.04, np.array([0.02, -0.015, 0.01])
SLIP, PRESS = (1.0e6, 0.003, 0.0), (2.5e5, 0.001)
SEGMENTS = np.array([0, 0, 0, 1, 1, 2])


def motion(frames, seed=0, speed=0.02, turn=0.15):
    """Poses (frame, 7), exact in float32, that wander about half a metre in front of the camera."""
    random = np.random.default_rng(seed)
    position = [0.05, -0.03, 0.5] + speed * random.normal(size=(frames, 3))
    first = Rotation.from_rotvec(random.normal(size=3))
    turns = [first * Rotation.from_rotvec(turn * random.normal(size=3)) for _ in range(frames)]
    rotation = np.stack([r.as_quat() for r in turns])
    return np.hstack([position, rotation]).astype(np.float32).astype(float)


def samples_on_ball(places):
    """Gradient and value of the signed distance to a ball off the object's origin (frame, point, 4)."""
    distance = np.linalg.norm(places - MIDDLE, axis=-1, keepdims=True)
    return np.concatenate([(places - MIDDLE) / distance, distance - RADIUS], axis=-1)


def device_zeros(frames, device):
    """Normal equations to add to."""
    zeros = lambda *shape: wp.zeros(shape, dtype=wp.float64, device=device)  # noqa: E731
    return zeros(frames, 3, 6, 6), zeros(frames, 6), zeros(frames)


def dense(blocks):
    """Symmetric matrix of blocks [frame, lag, 6, 6]."""
    count = len(blocks)
    matrix = np.zeros((6 * count, 6 * count))
    for frame in range(count):
        for lag in range(min(3, frame + 1)):
            rows, columns = slice(6 * frame, 6 * frame + 6), slice(6 * (frame - lag), 6 * (frame - lag) + 6)
            matrix[rows, columns] = blocks[frame, lag]
            matrix[columns, rows] = blocks[frame, lag].T
    return matrix


def differentiate(residuals, shape, step=1e-5):
    """Jacobian of a residual vector by fourth-order central differences (residual, unknown)."""
    columns = []
    for unit in step * np.eye(int(np.prod(shape))):
        unit = unit.reshape(shape)
        near, far = residuals(unit) - residuals(-unit), residuals(2 * unit) - residuals(-2 * unit)
        columns.append((8.0 * near - far) / (12.0 * step))
    return np.stack(columns, axis=1)


def check_curvature(blocks, residuals, shape, tolerance):
    """The assembled Hessian equals J^T J of the twin, couples no more than it, and has no negative eigenvalue."""
    jacobian = differentiate(residuals, shape)
    expected, found = jacobian.T @ jacobian, dense(blocks)
    root = np.sqrt(np.diag(expected) + 1e-12 * expected.max())
    size = np.outer(root, root)
    np.testing.assert_allclose(found / size, expected / size, atol=tolerance)
    assert not found[expected == 0.0].any()
    scaled = found / size
    np.testing.assert_allclose(scaled, scaled.T, atol=1e-12)
    assert np.linalg.eigvalsh(scaled).min() > -1e-10


class ContactProblem:
    """Points around and in a ball that moves, with weights as given, and their normal equations."""

    def __init__(self, device, *, slip=SLIP, press=PRESS, count=40, poses=None, points=None, weights=None, lanes=1,
                 segments=SEGMENTS, depth=0.004, jitter=0.002):  # fmt: skip
        random = np.random.default_rng(1)
        frames = len(segments)
        self.poses = motion(frames) if poses is None else poses
        directions = random.normal(size=(count, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        places = MIDDLE + directions * (RADIUS + depth * random.normal(size=(count, 1)))
        places = places + jitter * random.normal(size=(frames, count, 3))
        if points is None:
            turns = Rotation.from_quat(self.poses[:, 3:]).as_matrix()
            points = np.einsum("fij,fpj->fpi", turns, places) + self.poses[:, None, :3]
        self.points = np.asarray(points)
        self.places = places_on(self.poses, self.points).astype(np.float32).astype(float)
        self.samples = samples_on_ball(self.places).astype(np.float32).astype(float)
        areas = random.uniform(0.5, 1.5, count)
        self.areas = areas / areas.sum()
        if weights is None:
            weights = self.areas / (1.0 + np.exp((self.samples[..., 3] - 0.004) / 0.002))
        self.weights = np.broadcast_to(weights, (frames, count)).astype(np.float32)
        make = lambda values, dtype: wp.array(np.asarray(values, dtype=np.float32), dtype=dtype, device=device)  # noqa: E731
        on_device = make(self.weights, wp.float32)
        sums = wp.full((frames, 2), np.nan, dtype=wp.float32, device=device)
        touch = wp.zeros(frames, dtype=wp.float32, device=device)
        sum_weights(on_device, sums_out=sums, touch_out=touch)
        np.testing.assert_array_equal(touch.numpy(), sums.numpy()[:, 1])
        hessian, gradient, cost = device_zeros(frames, device)
        accumulate_contacts(
            wp.array(self.poses.astype(np.float32), dtype=wp.transform, device=device),
            make(self.places, wp.vec3),
            make(self.samples, wp.vec4),
            on_device,
            sums,
            make(self.areas, wp.float32),
            wp.array(np.asarray(segments, dtype=np.int32), dtype=wp.int32, device=device),
            make(slip, wp.float32),
            make(press, wp.float32),
            lanes=lanes,
            hessian_out=hessian,
            gradient_out=gradient,
            cost_out=cost,
        )
        self.sums = sums.numpy()
        self.hessian, self.gradient, self.cost = hessian.numpy(), gradient.numpy(), cost.numpy()
        points = np.einsum("fij,fpj->fpi", Rotation.from_quat(self.poses[:, 3:]).as_matrix(), self.places)
        self.twin = Contacts(
            self.poses, points + self.poses[:, None, :3], self.samples, self.weights.astype(float), self.areas,
            np.asarray(segments), slip, press,
        )  # fmt: skip


CASES = {
    "slip": {"press": (0.0, 0.001)},
    "slip, normal half free": {"slip": (*SLIP[:2], 0.5), "press": (0.0, 0.001)},
    "slip, normal free": {"slip": (*SLIP[:2], 1.0), "press": (0.0, 0.001)},
    "small slip": {"press": (0.0, 0.001), "jitter": 1e-5, "slip": (1.0e6, 0.1, 0.0)},
    "penetration": {"slip": (0.0, 0.003, 0.0)},
    "deep penetration": {"slip": (0.0, 0.003, 0.0), "depth": 0.02},
    "both": {"slip": (*SLIP[:2], 0.5)},
}


@pytest.mark.parametrize("name", CASES)
def test_contact_gradient_and_curvature_match_the_twin(device, name):
    """Cost, gradient and Hessian over six frames in three sequences, one of them a single frame."""
    problem = ContactProblem(device, **CASES[name])
    cost = problem.twin.cost
    zero = np.zeros(problem.gradient.shape)
    np.testing.assert_allclose(problem.cost.sum(), cost(zero), rtol=1e-4)
    numeric = 0.5 * finite_difference(cost, zero, 1e-6)
    compare_gradients(problem.gradient, numeric, name=f"contact gradient {name}", worst=2e-3)
    check_curvature(problem.hessian, problem.twin.residuals, zero.shape, 1e-4)


def test_blocks_couple_frames_of_one_sequence_only(device):
    """Neighbours of a sequence are coupled; across borders and over two frames nothing is."""
    problem = ContactProblem(device)
    coupled = np.abs(problem.hessian[:, 1]).max(axis=(1, 2)) > 0.0
    np.testing.assert_array_equal(coupled, [False, True, True, False, True, False])
    assert not problem.hessian[:, 2].any()


def test_moving_the_world_changes_nothing(device):
    """Points and object carried together by any rigid motion, frame by frame, leave all costs as they are."""
    problem = ContactProblem(device)
    random = np.random.default_rng(9)
    turns = Rotation.from_rotvec(0.3 * random.normal(size=(6, 3)))
    shifts = 0.05 * random.normal(size=(6, 3))
    poses = np.hstack(
        [turns.apply(problem.poses[:, :3]) + shifts, (turns * Rotation.from_quat(problem.poses[:, 3:])).as_quat()]
    )
    points = np.stack([turns[k].apply(problem.points[k]) + shifts[k] for k in range(6)])
    moved = ContactProblem(device, poses=poses, points=points, weights=problem.weights)
    np.testing.assert_allclose(moved.cost, problem.cost, rtol=1e-3)


def test_many_lanes_add_up_to_the_same(device):
    """Sharing the points among seven threads changes no more than the order of sums."""
    one, many = ContactProblem(device), ContactProblem(device, lanes=7)
    np.testing.assert_allclose(many.cost, one.cost, rtol=1e-9)
    np.testing.assert_allclose(many.gradient, one.gradient, rtol=1e-9, atol=1e-9 * np.abs(one.gradient).max())
    np.testing.assert_allclose(many.hessian, one.hessian, rtol=1e-9, atol=1e-9 * np.abs(one.hessian).max())


@pytest.mark.parametrize("weight", [0.0, 1e-13])
def test_without_contacts_nothing_is_added(device, weight):
    """Points far outside with no weight, or as good as none: exact zeros, no NaN."""
    problem = ContactProblem(device, weights=weight, depth=0.0, jitter=0.0, press=(2.5e5, 0.02))
    for values in (problem.hessian, problem.gradient, problem.cost):
        np.testing.assert_array_equal(values, 0.0)


def test_exact_stick_costs_nothing_and_pulls_nothing(device):
    """Contacts at rest on the object have curvature, which holds them there, but neither cost nor gradient."""
    poses = np.tile(motion(1), (6, 1))
    problem = ContactProblem(device, poses=poses, jitter=0.0, press=(0.0, 0.001))
    np.testing.assert_array_equal(problem.cost, 0.0)
    np.testing.assert_array_equal(problem.gradient, 0.0)
    assert np.isfinite(problem.hessian).all() and problem.hessian[1, 0].any()


def test_sums_of_weights(device):
    """A frame's own weight, and the geometric mean shared with the frame before; the first frame shares none."""
    problem = ContactProblem(device)
    weights = problem.weights.astype(float)
    shared = np.sqrt(weights[1:] * weights[:-1]).sum(axis=1)
    np.testing.assert_allclose(problem.sums, np.column_stack([weights.sum(axis=1), [0.0, *shared]]), rtol=1e-5)


def test_weighing_looks_up_places_and_distances(device):
    """On a grid of an inclined plane places and distances are exact and weights a sigmoid's; NaN weighs nothing."""
    normal, offset = np.array([0.6, -0.48, 0.64]), -0.01
    ticks = np.linspace(-0.1, 0.1, 9)
    grid = np.stack(np.meshgrid(ticks, ticks, ticks, indexing="ij"), axis=-1) @ normal + offset
    poses = motion(2)
    random = np.random.default_rng(3)
    places = random.uniform(-0.09, 0.09, (2, 30, 3))
    points = np.einsum("fij,fpj->fpi", Rotation.from_quat(poses[:, 3:]).as_matrix(), places) + poses[:, None, :3]
    points[1, 4] = np.nan
    areas = np.full(30, 1.0 / 30.0)
    make = lambda values, dtype: wp.array(np.asarray(values, dtype=np.float32), dtype=dtype, device=device)  # noqa: E731
    found = [wp.full((2, 30), dtype(np.nan), dtype=dtype, device=device) for dtype in (wp.vec3, wp.vec4, wp.float32)]
    weigh_contacts(
        make(points, wp.vec3), make(areas, wp.float32), make(poses, wp.transform), make(grid, wp.float32),
        wp.vec3(-0.1, -0.1, -0.1), 40.0, make([0.003], wp.float32), make([0.001], wp.float32),
        places_out=found[0], samples_out=found[1], weights_out=found[2],
    )  # fmt: skip
    found_places, samples, weights = (array.numpy() for array in found)
    bad = np.zeros((2, 30), dtype=bool)
    bad[1, 4] = True
    distance = places @ normal + offset
    np.testing.assert_allclose(found_places[~bad], places[~bad], atol=1e-6)
    np.testing.assert_allclose(samples[~bad, 3], distance[~bad], atol=1e-6)
    np.testing.assert_allclose(samples[~bad, :3], np.tile(normal, (59, 1)), atol=1e-4)
    expected = 1.0 / 30.0 / (1.0 + np.exp(np.clip((distance - 0.003) / 0.001, -30.0, 30.0)))
    np.testing.assert_allclose(weights[~bad], expected[~bad], rtol=2e-3, atol=1e-12)
    assert np.isfinite(samples[bad]).all() and (weights[bad] < 1e-10).all()


STIFFNESS = {
    "acceleration": (1e4, 0.0, 0.0, 0.0),
    "angular acceleration": (0.0, 100.0, 0.0, 0.0),
    "velocity": (0.0, 0.0, 400.0, 0.0),
    "angular velocity": (0.0, 0.0, 0.0, 4.0),
    "all": (1e4, 100.0, 400.0, 4.0),
    "all, stiff": (1e7, 1e5, 1e6, 1e4),
}


def smoothness(poses, segments, stiffness, device, touch=None):
    """Hessian, gradient, cost of the smoothness kernel, and its twin; four stiffnesses mean no rest."""
    stiffness = [*stiffness, *[0.0] * (6 - len(stiffness))]
    touch = np.zeros(len(poses)) if touch is None else np.asarray(touch)
    hessian, gradient, cost = device_zeros(len(poses), device)
    accumulate_smoothness(
        wp.array(poses.astype(np.float32), dtype=wp.transform, device=device),
        wp.array(np.asarray(segments, dtype=np.int32), dtype=wp.int32, device=device),
        wp.array(np.asarray(stiffness, dtype=np.float32), dtype=wp.float32, device=device),
        wp.array(touch.astype(np.float32), dtype=wp.float32, device=device),
        wp.full(len(poses), 1.0, dtype=wp.float32, device=device),
        hessian_out=hessian,
        gradient_out=gradient,
        cost_out=cost,
    )
    twin = Smoothness(poses, np.asarray(segments), [float(np.float32(value)) for value in stiffness], touch)
    return hessian.numpy(), gradient.numpy(), cost.numpy(), twin


@pytest.mark.parametrize("name", STIFFNESS)
def test_smoothness_gradient_and_curvature_match_the_twin(device, name):
    """Wandering poses in sequences of four, two and one frames; the stiff case is far out where costs grow linearly."""
    segments = [0, 0, 0, 0, 5, 5, 6]
    poses = motion(7)
    hessian, gradient, cost, twin = smoothness(poses, segments, STIFFNESS[name], device)
    zero = np.zeros((7, 6))
    np.testing.assert_allclose(cost.sum(), twin.cost(zero), rtol=1e-4)
    numeric = 0.5 * finite_difference(twin.cost, zero, 1e-5)
    compare_gradients(gradient, numeric, name=f"smoothness gradient {name}", worst=1e-3)
    check_curvature(hessian, twin.residuals, zero.shape, 1e-3)


def test_rest_holds_what_nothing_touches(device):
    """Rest's gradient and curvature match the twin with some, much and no contact; with contact it lets go."""
    poses = motion(5, speed=0.002, turn=0.02)
    touch = np.array([0.0, 0.0, 0.001, 0.004, 0.3])
    hessian, gradient, cost, twin = smoothness(poses, [0] * 5, (0, 0, 0, 0, 1e6, 1e4), device, touch)
    zero = np.zeros((5, 6))
    np.testing.assert_allclose(cost.sum(), twin.cost(zero), rtol=1e-4)
    numeric = 0.5 * finite_difference(twin.cost, zero, 1e-6)
    compare_gradients(gradient, numeric, name="smoothness gradient rest", worst=1e-3)
    check_curvature(hessian, twin.residuals, zero.shape, 1e-3)
    assert cost[4] < 1e-3 * cost[1] and np.all(cost[1:4] > 0.0)


def test_turns_of_a_radian_between_frames_still_match(device):
    """Large turns between frames: the gradient is that of the logarithm, not of small angles."""
    hessian, gradient, _, twin = smoothness(motion(4, turn=0.7), [0] * 4, (0.0, 30.0, 0.0, 3.0), device)
    numeric = 0.5 * finite_difference(twin.cost, np.zeros((4, 6)), 1e-5)
    compare_gradients(gradient, numeric, name="smoothness gradient large turns", worst=1e-3)
    check_curvature(hessian, twin.residuals, (4, 6), 1e-3)


def test_constant_velocity_costs_no_acceleration(device):
    """Straight flight with a steady turn: no cost and no pull by accelerations, but by velocities."""
    times = np.arange(6.0)[:, None]
    turns = [
        Rotation.from_rotvec([0.2, 0.1, -0.3]) * Rotation.from_rotvec(t * np.array([0.05, -0.1, 0.02])) for t in times
    ]
    poses = np.hstack([[0.0, 0.1, 0.5] + times * [0.01, -0.004, 0.006], np.stack([r.as_quat() for r in turns])])
    _, gradient, cost, _ = smoothness(poses, [0] * 6, (1e4, 100.0, 0.0, 0.0), device)
    assert cost.max() < 1e-7
    assert np.abs(gradient).max() < 1e-3
    _, gradient, cost, _ = smoothness(poses, [0] * 6, (0.0, 0.0, 400.0, 4.0), device)
    assert (cost[1:] > 0.01).all() and cost[0] == 0.0


@pytest.mark.parametrize("segments", [[0], [0, 1], [0, 1, 2]])
def test_single_frames_add_nothing(device, segments):
    """Sequences of one frame have neither velocity nor acceleration."""
    for values in smoothness(motion(len(segments)), segments, STIFFNESS["all"], device)[:3]:
        np.testing.assert_array_equal(values, 0.0)


def test_two_frames_have_velocity_but_no_acceleration(device):
    """A sequence of two frames couples them by velocity alone."""
    poses = motion(2)
    for values in smoothness(poses, [0, 0], (1e4, 100.0, 0.0, 0.0), device)[:3]:
        np.testing.assert_array_equal(values, 0.0)
    hessian, gradient, cost, _ = smoothness(poses, [0, 0], (0.0, 0.0, 400.0, 4.0), device)
    assert cost[1] > 0.0 and gradient.any(axis=1).all() and hessian[1, 1].any()


def test_a_pose_behind_the_camera_is_left_out(device):
    """Frames at or behind the camera say nothing about their neighbours, and nothing is divided by their depth."""
    poses = motion(6)
    poses[5, 2] = -0.2
    for values in smoothness(poses, [0] * 6, STIFFNESS["all"], device)[:3]:
        assert np.isfinite(values).all()
        np.testing.assert_array_equal(values[5], 0.0)


def test_gauss_newton_on_smoothness_alone_straightens_a_motion(device):
    """A few full steps on accelerations end with one hundredth of the cost: the normal equations fit their cost."""
    poses = motion(5, speed=0.004, turn=0.05)
    stiffness = (1e4, 100.0, 4.0, 0.04)
    costs = []
    for _ in range(4):
        hessian, gradient, cost, _ = smoothness(poses, [0] * 5, stiffness, device)
        costs.append(cost.sum())
        step = np.linalg.solve(dense(hessian) + 1e-6 * np.eye(30), -gradient.ravel())
        poses = advance_all(poses, step.reshape(5, 6))
    assert costs[-1] < 0.01 * costs[0]
