"""Normal equations of contact: gradient, curvature and couplings of both bodies against a float64 twin."""

from dataclasses import replace

import numpy as np
import pytest
import warp as wp
from scipy.spatial.transform import Rotation

from tests.body_samples import make_rigid_body, make_tree_body
from tests.fit_samples import Sample, Spread, check_equations, fold, wander
from tests.reference.contact_fit import Contacts, places_on
from warpprior.kernels.contact_fit import accumulate_contacts, sum_weights, weigh_contacts
from warpprior.kernels.rows import PointBody

SLIP, PRESS = (4.0e4, 0.03, 0.0), (2.5e5, 0.001)
SEGMENTS = np.array([0, 0, 0, 1, 1, 2])
TREE = make_tree_body(vertices=24, influences=2, pose_blend=False)
BLOCK, STONE = (replace(make_rigid_body(24, seed=k), name=name) for k, name in enumerate(("block", "stone")))
# Who touches whom, and who is known: joints and a rigid body, both sought; either known; two rigid bodies.
PAIRS = {
    "both move": (TREE, BLOCK, ()),
    "touching is known": (TREE, BLOCK, (TREE.name,)),
    "touched is known": (TREE, BLOCK, (BLOCK.name,)),
    "two rigid bodies": (STONE, BLOCK, ()),
}


class Pair:
    """Two bodies in contact: the sample, what the kernels are told of the contact, and its twin."""

    def __init__(
        self, device, kind="both move", *, segments=SEGMENTS, count=12, depth=0.004, still=False, bend=1.0, shapes=()
    ):
        self.touching, self.touched, known = PAIRS[kind]
        frames, self.segments = len(segments), np.asarray(segments)
        bodies = [self.touching, self.touched]
        motions = [wander(body, 1 if still else frames, seed=k, bend=bend) for k, body in enumerate(bodies)]
        if still:
            motions = [motion.frames(np.zeros(frames, dtype=int)) for motion in motions]
        self.sample = Sample(
            bodies, motions, device, known=known, shapes=shapes, segments=segments, points=count, lanes=14
        )
        state, twin = self.sample.state, self.sample.twin
        random = np.random.default_rng(1)
        faces, barycentrics = state.point_places(self.touching.name)
        self.corners, self.barycentrics = self.touching.faces[faces.numpy()], barycentrics.numpy().astype(float)
        normals = random.normal(size=(frames, count, 3))
        normals /= np.linalg.norm(normals, axis=2, keepdims=True)
        distances = depth * random.normal(size=(frames, count, 1))
        self.samples = np.concatenate([normals, distances], axis=2).astype(np.float32).astype(float)
        areas = random.uniform(0.5, 1.5, count)
        self.areas = (areas / areas.sum()).astype(np.float32).astype(float)
        weights = self.areas / (1.0 + np.exp((distances[..., 0] - 0.004) / 0.002))
        self.weights = weights.astype(np.float32).astype(float)
        row = np.zeros(self.sample.width)
        points = np.einsum(
            "fpcx,pc->fpx",
            np.stack([twin.vertices(self.touching.name, frame, row) for frame in range(frames)])[:, self.corners],
            self.barycentrics,
        )
        poses = [twin.pose(self.touched.name, frame, row) for frame in range(frames)]
        self.places = np.stack([places_on(pose, own) for pose, own in zip(poses, points, strict=True)])

    def add(self, *, slip=SLIP, press=PRESS, lanes=1, weights=None):
        """Launch the accumulation; returns the sums of weights and what touches."""
        sample, state = self.sample, self.sample.state
        weights = self.weights if weights is None else np.broadcast_to(weights, self.weights.shape)
        on_device = sample.constants(weights)
        sums = wp.full((sample.frames, 2), 1e9, dtype=wp.float32, device=sample.device)
        touch = wp.full(sample.frames, 0.25, dtype=wp.float32, device=sample.device)
        sum_weights(on_device, sums_out=sums, touch_out=touch)
        body = PointBody()
        body.start = sample.equations.starts.get(self.touching.name, -1)
        first = 0 if body.start < 0 else state.first_vertex(self.touching.name)
        body.corners = sample.constants(self.corners + first, wp.vec3i)
        body.barycentrics = sample.constants(self.barycentrics, wp.vec3)
        accumulate_contacts(
            state.points[self.touching.name],
            body,
            state.states[self.touching.name].poses,
            sample.equations.starts.get(self.touched.name, -1),
            state.states[self.touched.name].poses,
            sample.constants(self.places, wp.vec3),
            sample.constants(self.samples, wp.vec4),
            on_device,
            sums,
            sample.constants(self.areas),
            state.segments,
            sample.constants(slip),
            sample.constants(press),
            sample.surfaces.chains,
            sample.equations.rows,
            lanes=lanes,
            **sample.outputs,
        )
        return sums.numpy().copy(), touch.numpy().copy()

    def twin(self, slip=SLIP, press=PRESS):
        """The float64 twin of :meth:`add`."""
        return Contacts(
            self.sample.twin, self.touching.name, self.touched.name, self.corners, self.barycentrics, self.samples,
            self.weights, self.areas, self.segments, slip, press,
        )  # fmt: skip


@pytest.fixture(scope="module")
def pairs():
    """Pairs of bodies, made once for each kind and device: their twins remember what they have computed."""
    made = {}

    def pair(kind, device):
        if (kind, device) not in made:
            made[kind, device] = Pair(device, kind)
        found = made[kind, device]
        found.sample.clear()
        return found

    return pair


CASES = {
    "slip": {"press": (0.0, 0.001)},
    "slip, normal half free": {"slip": (*SLIP[:2], 0.5), "press": (0.0, 0.001)},
    "slip, normal free": {"slip": (*SLIP[:2], 1.0), "press": (0.0, 0.001)},
    "small slip": {"press": (0.0, 0.001), "slip": (1.0e4, 10.0, 0.0)},
    "penetration": {"slip": (0.0, 0.03, 0.0)},
    "both": {"slip": (*SLIP[:2], 0.5)},
}


@pytest.mark.parametrize("name", CASES)
def test_gradient_and_curvature_match_the_twin(device, pairs, name):
    """A body of all joint types on a rigid one, both sought: six frames in three sequences, one of a single frame."""
    pair = pairs("both move", device)
    pair.add(**CASES[name])
    check_equations(pair.sample, pair.twin(**CASES[name]), f"contact {name}")


@pytest.mark.parametrize("kind", [kind for kind in PAIRS if kind != "both move"])
def test_either_body_may_be_known(device, pairs, kind):
    """The columns of what is sought only; of the rest, what is known stays out of it."""
    pair = pairs(kind, device)
    pair.add(**CASES["both"])
    check_equations(pair.sample, pair.twin(**CASES["both"]), f"contact {kind}")


def test_deep_penetration_pushes_no_harder(device):
    """Points two centimetres and more inside are pushed as hard as at two, for the far side may be nearer."""
    pair = Pair(device, "two rigid bodies", segments=[0], depth=0.03)
    pair.add(slip=(0.0, 0.03, 0.0))
    assert (pair.samples[..., 3] < -0.021).any() and (pair.samples[..., 3] < -0.001).sum() > 3
    check_equations(pair.sample, pair.twin(slip=(0.0, 0.03, 0.0)), "contact deep penetration")


@pytest.mark.parametrize("bend", ["zero", "pi"])
def test_hard_joint_angles(device, bend):
    """Joints at zero and at half a turn."""
    pair = Pair(device, segments=[0, 0], bend=bend)
    pair.add(**CASES["both"])
    check_equations(pair.sample, pair.twin(**CASES["both"]), f"contact joints at {bend}")


def test_blocks_couple_frames_of_one_sequence_only(device, pairs):
    """Neighbours of a sequence are coupled; across borders and over two frames nothing is."""
    pair = pairs("both move", device)
    pair.add()
    coupled = np.abs(pair.sample.hessian.numpy()[:, 1]).max(axis=(1, 2)) > 0.0
    np.testing.assert_array_equal(coupled, [False, True, True, False, True, False])
    assert not pair.sample.hessian.numpy()[:, 2].any()
    for block in (3, 1):
        np.testing.assert_array_equal(pair.sample.hessian.numpy()[:, block].any(axis=(1, 2)), coupled)


def test_what_moves_both_bodies_alike_is_not_felt(device):
    """Two rigid bodies turned together, frame by frame, about one place: the normal matrix does not see it."""
    pair = Pair(device, "two rigid bodies")
    pair.add()
    matrix, gradient, _ = pair.sample.read()
    state, width = pair.sample.state, pair.sample.width
    together = []
    for frame in range(6):
        for motion in np.eye(6):  # camera-frame translations and turns about the camera
            row = np.zeros((6, width))
            for name in ("stone", "block"):
                pose = state.states[name].poses.numpy()[frame].astype(float)
                row[frame, pair.sample.equations.starts[name] + np.arange(6)] = increments_of(pose, motion)
            together.append(row.ravel())
    together = np.array(together)
    size = np.sqrt(np.diag(matrix))
    felt = together @ matrix @ together.T
    blind = np.abs(together * size).sum(axis=1)
    assert np.abs(np.diag(felt)).max() < 1e-5 * (blind**2).max()
    pull = np.abs(together) @ np.abs(gradient.ravel())
    assert (np.abs(together @ gradient.ravel()) < 1e-4 * pull + 1e-9).all()


def increments_of(pose, motion):
    """Increments (6,) of a pose (7,) under a velocity and a turn rate (6,) of the world about the camera."""
    position, velocity = pose[:3], motion[:3] + np.cross(motion[3:], pose[:3])
    bearings = (velocity[:2] - position[:2] / position[2] * velocity[2]) / position[2]
    turn = Rotation.from_quat(pose[3:]).inv().apply(motion[3:])
    return np.concatenate([bearings, [velocity[2] / position[2]], turn])


def test_many_lanes_add_up_to_the_same(device, pairs):
    """Sharing the points among seven threads changes no more than the order of sums."""
    pair = pairs("both move", device)
    pair.add()
    one = pair.sample.bits()
    pair.sample.clear()
    pair.add(lanes=7)
    pair.sample.read()
    for few, many in zip(one, pair.sample.bits(), strict=True):
        np.testing.assert_allclose(many, few, rtol=1e-9, atol=1e-9 * np.abs(few).max())


def test_adding_twice_adds_twice(device, pairs):
    """Outputs are added to; nothing in the workspace is carried over."""
    pair = pairs("both move", device)
    pair.add()
    once = pair.sample.bits()
    pair.add()
    for first, both in zip(once, pair.sample.bits(), strict=True):
        np.testing.assert_allclose(both, 2.0 * first, rtol=1e-12, atol=1e-12 * np.abs(first).max())


def test_threads_give_the_same_bits(monkeypatch):
    """Nine frames on one thread and on two."""
    pair, found = Pair("cpu", segments=[0] * 9), []
    for threads in ("1", "2"):
        monkeypatch.setenv("WARPPRIOR_THREADS", threads)
        pair.sample.clear()
        pair.add()
        found.append(pair.sample.bits())
    for one, two in zip(*found, strict=True):
        assert one.any()
        np.testing.assert_array_equal(two, one)


@pytest.mark.parametrize("weight", [0.0, 1e-13])
def test_without_contacts_nothing_is_added(device, pairs, weight):
    """Points outside with no weight, or as good as none: exact zeros, no NaN."""
    pair = pairs("both move", device)
    pair.add(weights=weight, press=(2.5e5, 0.1))
    pair.sample.read()
    for values in pair.sample.bits():
        np.testing.assert_array_equal(values, 0.0)


def test_exact_stick_costs_nothing_and_pulls_nothing(device):
    """Contacts at rest on the object have curvature, which holds them there, but neither cost nor gradient."""
    pair = Pair(device, segments=[0, 0, 0], still=True)
    pair.add(press=(0.0, 0.001))
    _, gradient, cost = pair.sample.read()
    np.testing.assert_array_equal(cost, 0.0)
    np.testing.assert_array_equal(gradient, 0.0)
    assert np.isfinite(pair.sample.hessian.numpy()).all() and pair.sample.hessian.numpy()[1, 0].any()


def test_sums_of_weights(device, pairs):
    """A frame's own weight, and the geometric mean shared with the frame before; the first frame shares none."""
    pair = pairs("both move", device)
    sums, touch = pair.add()
    shared = np.sqrt(pair.weights[1:] * pair.weights[:-1]).sum(axis=1)
    expected = np.column_stack([pair.weights.sum(axis=1), [0.0, *shared]])
    np.testing.assert_allclose(sums, expected, rtol=1e-5)
    np.testing.assert_allclose(touch, 0.25 + expected[:, 1], rtol=1e-5)


def test_weighing_looks_up_places_and_distances(nan_allowed, device):
    """On a grid of an inclined plane places and distances are exact and weights a sigmoid's; NaN weighs nothing."""
    normal, offset = np.array([0.6, -0.48, 0.64]), -0.01
    ticks = np.linspace(-0.1, 0.1, 9)
    grid = np.stack(np.meshgrid(ticks, ticks, ticks, indexing="ij"), axis=-1) @ normal + offset
    motion = wander(BLOCK, 2)
    poses = np.hstack([motion.position, motion.rotation])
    random = np.random.default_rng(3)
    places = random.uniform(-0.09, 0.09, (2, 30, 3))
    points = np.einsum("fij,fpj->fpi", Rotation.from_quat(poses[:, 3:]).as_matrix(), places) + poses[:, None, :3]
    points[1, 4] = np.nan
    make = lambda values, dtype: wp.array(np.asarray(values, dtype=np.float32), dtype=dtype, device=device)  # noqa: E731
    found = [wp.full((2, 30), dtype(1e9), dtype=dtype, device=device) for dtype in (wp.vec3, wp.vec4, wp.float32)]
    weigh_contacts(
        make(points, wp.vec3), make(np.full(30, 1.0 / 30.0), wp.float32), make(poses, wp.transform),
        make(grid, wp.float32), wp.vec3(-0.1, -0.1, -0.1), 40.0, make([0.003], wp.float32), make([0.001], wp.float32),
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


@pytest.mark.parametrize("name", CASES)
def test_a_shape_that_is_sought_moves_points_in_both_frames(device, name):
    """What sticks depends on the shape now and in the frame before: gradient, curvature and couplings of all three."""
    pair = Pair(device, shapes=(TREE.name,))
    pair.add(**CASES[name])
    check_equations(pair.sample, Spread(pair.twin(**CASES[name]), pair.sample.inner), f"contact and shape, {name}")


def test_the_solution_knows_what_couples_a_shape_with_two_frames(device):
    """Steps of all frames and of the shape equal the dense solution, to 1e-7 of it; steps that are cut stay cut."""
    pair = Pair(device, shapes=(TREE.name,))
    pair.add(**CASES["both"])
    sample, frames = pair.sample, pair.sample.frames
    matrix, gradient, _ = sample.read()
    inner, shared = sample.inner, sample.width - sample.inner
    keep = np.ones((frames, sample.width), dtype=bool)
    keep[1:, inner:] = False
    keep = np.flatnonzero(keep.ravel())
    gradient[0, inner:] = gradient[:, inner:].sum(axis=0)
    gradient[0, inner:] += 3.0
    full = fold(matrix, frames, sample.width, inner) + 10.0 * np.eye(matrix.shape[0])
    expected = np.zeros(frames * sample.width)
    expected[keep] = np.linalg.solve(full[np.ix_(keep, keep)], -gradient.ravel()[keep])
    expected = expected.reshape(frames, sample.width)
    given = (slice(0, inner), 0.0, np.full(inner, 10.0), np.full(shared, 10.0))
    steps, shapes = sample.equations.solve(*given, shared_pull=np.full(shared, 3.0))
    largest = np.abs(expected).max()
    np.testing.assert_allclose(shapes, expected[0, inner:], atol=1e-7 * largest)
    np.testing.assert_allclose(steps, expected[:, :inner], atol=1e-7 * largest)
    bounds = (np.full(shared, -1e-3), np.full(shared, 1e-3))
    cut, cut_shapes = sample.equations.solve(*given, shared_pull=np.full(shared, 3.0), shared_bounds=bounds)
    np.testing.assert_array_equal(cut_shapes, np.clip(shapes, *bounds))
    own = np.flatnonzero(np.arange(frames * sample.width) % sample.width < inner)
    rest = full[np.ix_(own, np.arange(inner, sample.width))] @ cut_shapes
    expected = np.linalg.solve(full[np.ix_(own, own)], -gradient.ravel()[own] - rest)
    np.testing.assert_allclose(cut.ravel(), expected, atol=1e-7 * np.abs(expected).max())
