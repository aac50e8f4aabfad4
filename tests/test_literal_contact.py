"""Contact as the paper prints it: values and gradients against float64 twins, at ordinary and at hard points."""

import numpy as np
import pytest
import trimesh
import warp as wp
from scipy.spatial.transform import Rotation

from tests.gradcheck import POISON, compare_gradients, finite_difference
from tests.reference import distance as distance_reference
from tests.reference import literal_contact as reference
from tests.reference.literal_contact import moved
from warpprior.bodies import rigid_body
from warpprior.geometry.signed_distance import DistanceField
from warpprior.kernels import literal_contact

SIZE = np.array([0.06, 0.08, 0.10])
TAU = 0.003


@pytest.fixture(scope="module")
def box():
    """A box [m]."""
    mesh = trimesh.creation.box(SIZE)
    return rigid_body("box", np.asarray(mesh.vertices), np.asarray(mesh.faces))


@pytest.fixture(scope="module")
def fields(box):
    """A field of the box per device, made when first asked for."""
    made = {}

    def field(device):
        if device not in made:
            made[device] = DistanceField(box, device, resolution=24)
        return made[device]

    return field


@pytest.fixture
def field(fields, device):
    """The box's field on the device under test."""
    return fields(device)


def twin_distance(field):
    """The field's interpolant in float64."""
    values, origin = field.grid.numpy().astype(np.float64), np.array(field.origin, dtype=np.float64)
    return lambda point: distance_reference.interpolate(values, origin, field.spacing, point)


def box_motion(name, frames=3):
    """Poses of the box (frame, 7), exact in float32."""
    turn, shift = {"ordinary": (0.1, 0.004), "still": (0.0, 0.0), "huge": (2.5, 0.5)}[name]
    poses = [moved(np.array([0.05, -0.03, 0.6, 0.0, 0.0, 0.0, 1.0]), turn=(0.3, -0.8, 0.5))]
    for frame in range(1, frames):
        poses.append(moved(poses[-1], shift * np.array([1.0, -0.5, 0.3]), turn * np.array([0.6, 0.0, 0.8]) * frame))
    return np.array(poses).astype(np.float32).astype(np.float64)


def places(name, count=6):
    """Points (point, 3) in the box's frame [m] of the named kind."""
    random = np.random.default_rng(0)
    half = 0.5 * SIZE
    if name == "ordinary":
        away = random.normal(size=(count, 3))
        return half * away / np.abs(away / 1.0).max(axis=1, keepdims=True) * random.uniform(0.7, 1.05, (count, 1))
    if name == "no contact":
        return random.uniform(1.5, 3.0, (count, 3)) * half
    if name == "on a face":
        return np.concatenate([np.full((count, 1), half[0]), random.uniform(-0.02, 0.02, (count, 2))], axis=1)
    if name == "at an edge":
        return np.stack([np.full(count, half[0]), np.full(count, half[1]), random.uniform(-0.03, 0.03, count)], axis=1)
    if name == "at a corner":
        return half + 0.0005 * random.normal(size=(count, 3))
    if name == "medial axis":
        return np.array([1e-5, 2e-5, 3e-5]) * random.normal(size=(count, 3))
    assert name == "coplanar"
    return np.concatenate([np.full((count, 1), half[0] - 0.004), random.uniform(-0.02, 0.02, (count, 2))], axis=1)


def seen(poses, local, slip=0.0):
    """Camera-frame points (frame, point, 3) that ride on the box, slipping [m] along it each frame; float32 values."""
    slips = slip * np.random.default_rng(5).normal(size=(len(poses), *local.shape))
    points = [Rotation.from_quat(p[3:]).apply(local + s) + p[:3] for p, s in zip(poses, slips, strict=True)]
    return np.array(points).astype(np.float32).astype(np.float64)


class Bench:
    """Arrays of one comparison on a device."""

    def __init__(self, field, poses, points, device):
        self.field, self.device = field, device
        self.shape = points.shape[:2]
        self.points = wp.array(points, dtype=wp.vec3, device=device, requires_grad=True)
        self.poses = wp.array(poses[:, None], dtype=wp.transform, device=device, requires_grad=True)
        self.rows = wp.zeros((3, len(poses)), dtype=wp.float32, device=device, requires_grad=True)
        self.segments = np.zeros(len(poses), dtype=np.int32)
        # Poisoned: whatever is not written shows.
        self.distance = wp.full(self.shape, POISON, dtype=wp.float32, device=device)
        self.grid = wp.full(self.shape, -7, dtype=wp.int32, device=device)

    def freeze(self):
        """Find what is nearest."""
        links, grids = self.poses, self.field.grids.device_grids
        literal_contact.find_nearest(self.points, links, grids, distance_out=self.distance, grid_out=self.grid)

    def launch(self, term, threshold=TAU):
        """Add one term to row 1."""
        grids = self.field.grids
        to_rows = {"row": 1, "rows_out": self.rows}
        if term == "penetration":
            literal_contact.add_literal_penetration(self.points, self.poses, grids.device_grids, **to_rows)
            return
        literal_contact.add_literal_sliding(
            self.points,
            self.poses,
            links=grids.links,
            grid=self.grid,
            distance=self.distance,
            segment=wp.array(self.segments, dtype=wp.int32, device=self.device),
            threshold=threshold,
            **to_rows,
        )

    def run(self, term, threshold=TAU):
        """Values of the term (frame,), gradients of their seeded sum to points and, as tangents, to poses."""
        with wp.Tape() as tape:
            self.launch(term, threshold)
        rows = self.rows.numpy()
        assert not rows[0].any() and not rows[2].any()
        seed = np.zeros_like(rows)
        seed[1] = seeds(len(rows[1]))
        tape.backward(grads={self.rows: wp.array(seed, dtype=wp.float32, device=self.device)})
        return rows[1], self.points.grad.numpy(), tangent(self.poses.numpy()[:, 0], self.poses.grad.numpy()[:, 0])

    def twin(self, term, field, threshold=TAU):
        """The float64 twin of a term: a function of points and poses; distances are as frozen."""
        if term == "penetration":
            return lambda v, p: reference.penetration(v, p, twin_distance(field))
        distances = self.distance.numpy().astype(np.float64)
        return lambda v, p: reference.sliding(v, p, distances, self.segments, threshold)


def seeds(frames):
    """Seeds of the backward pass, one per frame, exact in float32."""
    return 0.5 + np.arange(frames) % 3


def tangent(poses, gradient):
    """Gradient to poses (frame, 7) as gradient to a shift and a right turn of each (frame, 6)."""
    x, y, z, w = (0.5 * poses[:, 3 + k].astype(np.float64) for k in range(4))
    turned = np.array([[w, z, -y, -x], [-z, w, x, -y], [y, -x, w, -z]])
    return np.concatenate([gradient[:, :3], np.einsum("kqf,fq->fk", turned, gradient[:, 3:])], axis=1)


def check(bench, field, term, name, worst=1e-3, step=1e-7, threshold=TAU):
    """Compare values and both gradients of a term with its twin."""
    values, by_points, by_poses = bench.run(term, threshold)
    points, poses = bench.points.numpy().astype(np.float64), bench.poses.numpy()[:, 0].astype(np.float64)
    twin, weights = bench.twin(term, field, threshold), seeds(len(poses))
    np.testing.assert_allclose(values, twin(points, poses), rtol=1e-3, atol=1e-4 if term == "sliding" else 1e-6)
    numeric = finite_difference(lambda v: weights @ twin(v, poses), points, step=step)
    compare_gradients(by_points, numeric, name=f"add_literal_{term} points, {name}", worst=worst, bias=worst)

    def of_tangent(steps):
        shifted = np.array([moved(pose, s[:3], s[3:]) for pose, s in zip(poses, steps, strict=True)])
        return weights @ twin(points, shifted)

    numeric = finite_difference(of_tangent, np.zeros((len(poses), 6)), step=step)
    compare_gradients(by_poses, numeric, name=f"add_literal_{term} poses, {name}", worst=worst, bias=worst)


@pytest.mark.parametrize("name", ["ordinary", "no contact", "coplanar", "at an edge", "at a corner", "medial axis"])
def test_penetration(device, field, name):
    """Penetration depths, and their gradients to points and poses, from no contact to the medial axis."""
    poses = box_motion("ordinary", frames=2)
    local = places(name)
    if name in ("at an edge", "at a corner"):
        local = local - np.array([0.004, 0.0045, 0.005 if name == "at a corner" else 0.0])
    bench = Bench(field, poses, seen(poses, local, slip=1e-4), device)
    check(bench, field, "penetration", name, worst=1e-4)
    assert bench.rows.numpy()[1].all() == (name != "no contact")


@pytest.mark.parametrize(
    ("name", "motion", "slip"),
    [
        ("on a face", "ordinary", 0.0005),
        ("on a face", "huge", 0.0005),
        ("coplanar", "ordinary", 0.001),
        ("at an edge", "ordinary", 0.0005),
        ("at a corner", "ordinary", 0.0005),
        ("on a face", "ordinary", 0.02),
        ("no contact", "ordinary", 0.001),
    ],
)
def test_sliding(device, field, name, motion, slip):
    """Slip and its gradients for large and small motion, slips within and beyond the knee, and without contact."""
    poses = box_motion(motion)
    bench = Bench(field, poses, seen(poses, places(name), slip), device)
    bench.freeze()
    threshold = 0.03 if slip > 0.01 else TAU
    name = f"{name}, {motion} motion, {1e3 * slip:g} mm slip"
    check(bench, field, "sliding", name, worst=2e-3, threshold=threshold)
    assert bench.rows.numpy()[1, 1:].all() == (not name.startswith("no contact"))


@pytest.mark.parametrize("motion", ["ordinary", "still"])
def test_exact_stick_costs_nothing(device, field, motion):
    """Points that do not slip cost nothing but rounding, and a finite gradient: exactly zero when all is still."""
    poses = box_motion(motion)
    bench = Bench(field, poses, seen(poses, places("on a face")), device)
    bench.freeze()
    values, by_points, by_poses = bench.run("sliding")
    assert (bench.distance.numpy() < TAU).all()
    assert values.max() < 1e-5
    assert np.isfinite(by_points).all() and np.isfinite(by_poses).all()
    if motion == "still":
        assert not values.any() and not by_points.any() and not by_poses.any()


def test_distances_match_their_twin(device, field):
    """What is nearest and how near, from deep inside to far outside."""
    poses = box_motion("ordinary")
    gaps = np.array([-0.03, -0.001, 0.0, 0.0019, 0.0021, 0.004, 0.0049, 0.0051, 0.05])
    local = np.stack([0.5 * SIZE[0] + gaps, np.full(9, 0.01), np.full(9, -0.012)], axis=1)
    bench = Bench(field, poses, seen(poses, local), device)
    bench.freeze()
    np.testing.assert_allclose(bench.distance.numpy()[:, 1:], [gaps[1:]] * 3, atol=1e-6)
    np.testing.assert_array_equal(bench.grid.numpy(), 0)


def test_slip_is_counted_within_a_sequence(device, field):
    """The first frame of a sequence has nothing before it."""
    poses = box_motion("ordinary", frames=4)
    bench = Bench(field, poses, seen(poses, places("on a face"), slip=1e-3), device)
    bench.segments = np.array([0, 0, 1, 1])
    bench.freeze()
    bench.launch("sliding")
    found = bench.rows.numpy()[1]
    assert not found[[0, 2]].any() and found[[1, 3]].all()


def test_points_that_are_not_finite_touch_nothing(nan_allowed, device, field):
    """NaN and infinite points have no penetration and no slip, and leave the others' values alone."""
    poses = box_motion("ordinary")
    points = seen(poses, places("coplanar"), slip=1e-3)
    points[:, 0] = np.nan
    points[:, 1] = np.inf
    bench = Bench(field, poses, points, device)
    bench.freeze()
    for term in ("penetration", "sliding"):
        bench.rows.zero_()
        bench.launch(term)
        values = bench.rows.numpy()[1]
        assert np.isfinite(values).all() and values[1:].all()


@pytest.mark.parametrize("term", ["penetration", "sliding"])
def test_camera_motion_does_not_matter(device, field, term):
    """Moving box and points together, the same or differently at every frame, changes neither term."""
    poses, local = box_motion("ordinary"), places("coplanar")
    points = seen(poses, local, slip=1e-3)
    values = []
    for turns in (np.zeros((3, 3)), np.tile([0.4, -0.7, 0.2], (3, 1)), np.random.default_rng(0).normal(size=(3, 3))):
        turn = Rotation.from_rotvec(turns)
        shift = 0.1 * turns
        carried = np.array([turn[t].apply(points[t]) + shift[t] for t in range(3)])
        placed = np.concatenate(
            [turn.apply(poses[:, :3]) + shift, (turn * Rotation.from_quat(poses[:, 3:])).as_quat()], axis=1
        )
        bench = Bench(field, placed, carried, device)
        bench.freeze()
        values.append(bench.run(term)[0])
    assert values[0][1:].min() > 0.01
    np.testing.assert_allclose(values[1], values[0], rtol=2e-3, atol=1e-5)
    np.testing.assert_allclose(values[2], values[0], rtol=2e-3, atol=1e-5)


def test_sliding_may_run_backwards(device, field):
    """The reversed motion slips as much: pairs of frames and their mean normal have no direction in time."""
    poses, local = box_motion("ordinary"), places("at a corner")
    points = seen(poses, local, slip=5e-4)
    sums = []
    for order in (slice(None), slice(None, None, -1)):
        bench = Bench(field, poses[order], points[order], device)
        bench.freeze()
        sums.append(bench.run("sliding")[0].sum())
    assert sums[1] == pytest.approx(sums[0], rel=1e-4)
