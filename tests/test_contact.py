"""Contact kernels: values and gradients against float64 twins, at ordinary and at hard points."""

import numpy as np
import pytest
import trimesh
import warp as wp
from scipy.spatial.transform import Rotation

from tests.gradcheck import compare_gradients, finite_difference
from tests.reference import contact as reference
from tests.reference import distance as distance_reference
from tests.reference.contact import moved
from warpprior.bodies import rigid_body
from warpprior.geometry.signed_distance import DistanceField
from warpprior.kernels import contact

SIZE = np.array([0.06, 0.08, 0.10])
SIGMA, ALLOWANCE, KNEE, CAP, FLOOR = 0.001, 0.002, 5.0, 0.02, 0.001
TAU, ETA = 0.003, 0.001


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
        shares = np.arange(1.0, points.shape[1] + 1.0)
        self.areas = (shares / shares.sum()).astype(np.float32).astype(np.float64)
        self.device_areas = wp.array(self.areas, dtype=wp.float32, device=device)
        self.sigma = wp.full(1, SIGMA, dtype=wp.float32, device=device)
        self.segments = np.zeros(len(poses), dtype=np.int32)
        # Poisoned: whatever is not written shows.
        self.distance = wp.full(self.shape, np.nan, dtype=wp.float32, device=device)
        self.normal = wp.full(self.shape, wp.vec3(np.nan), dtype=wp.vec3, device=device)
        self.grid = wp.full(self.shape, -7, dtype=wp.int32, device=device)
        self.weight = wp.zeros(self.shape, dtype=wp.float32, device=device)
        self.pair_weight = wp.full(self.shape, np.nan, dtype=wp.float32, device=device)
        self.pair_normal = wp.full(self.shape, wp.vec3(np.nan), dtype=wp.vec3, device=device)
        self.total = wp.zeros(len(poses), dtype=wp.float32, device=device)

    def freeze(self, tau=TAU, eta=ETA):
        """Find contacts."""
        contact.weigh_contacts(
            self.points,
            self.poses,
            self.field.grids.device_grids,
            contact_distance=wp.full(1, tau, dtype=wp.float32, device=self.device),
            softness=wp.full(1, eta, dtype=wp.float32, device=self.device),
            distance_out=self.distance,
            normal_out=self.normal,
            grid_out=self.grid,
            weight_out=self.weight,
        )
        self.total.zero_()
        contact.pair_contacts(
            self.weight,
            self.normal,
            self.grid,
            self.device_areas,
            wp.array(self.segments, dtype=wp.int32, device=self.device),
            pair_weight_out=self.pair_weight,
            pair_normal_out=self.pair_normal,
            total_out=self.total,
        )

    def launch(self, term):
        """Add one term to row 1."""
        grids = self.field.grids
        to_rows = {"row": 1, "rows_out": self.rows}
        if term == "penetration":
            contact.add_penetration(
                self.points,
                self.poses,
                grids.device_grids,
                self.device_areas,
                sigma=self.sigma,
                allowance=ALLOWANCE,
                knee=KNEE,
                cap=CAP,
                **to_rows,
            )
        elif term == "penetration_literal":
            contact.add_penetration_literal(self.points, self.poses, grids.device_grids, **to_rows)
        elif term == "sliding":
            contact.add_sliding(
                self.points,
                self.poses,
                links=grids.links,
                grid=self.grid,
                pair_weight=self.pair_weight,
                pair_normal=self.pair_normal,
                total=self.total,
                sigma=self.sigma,
                knee=KNEE,
                area_floor=FLOOR,
                **to_rows,
            )
        else:
            contact.add_sliding_literal(
                self.points,
                self.poses,
                links=grids.links,
                grid=self.grid,
                distance=self.distance,
                segment=wp.array(self.segments, dtype=wp.int32, device=self.device),
                threshold=TAU,
                **to_rows,
            )

    def run(self, term):
        """Values of the term (frame,), gradients of their seeded sum to points and, as tangents, to poses."""
        with wp.Tape() as tape:
            self.launch(term)
        rows = self.rows.numpy()
        assert not rows[0].any() and not rows[2].any()
        seed = np.zeros_like(rows)
        seed[1] = seeds(len(rows[1]))
        tape.backward(grads={self.rows: wp.array(seed, dtype=wp.float32, device=self.device)})
        return rows[1], self.points.grad.numpy(), tangent(self.poses.numpy()[:, 0], self.poses.grad.numpy()[:, 0])

    def twin(self, term, field):
        """The float64 twin of a term: a function of points and poses; weights and normals are as frozen."""
        weights, normals, distances = (a.numpy().astype(np.float64) for a in (self.weight, self.normal, self.distance))
        if term == "penetration":
            limits = (SIGMA, ALLOWANCE, KNEE, CAP)
            return lambda v, p: reference.penetration(v, p, twin_distance(field), self.areas, *limits)
        if term == "penetration_literal":
            return lambda v, p: reference.penetration_literal(v, p, twin_distance(field))
        if term == "sliding":
            limits = (self.areas, self.segments, SIGMA, KNEE, FLOOR)
            return lambda v, p: reference.sliding(v, p, weights, normals, *limits)
        return lambda v, p: reference.sliding_literal(v, p, distances, self.segments, TAU)


def seeds(frames):
    """Seeds of the backward pass, one per frame, exact in float32."""
    return 0.5 + np.arange(frames) % 3


def tangent(poses, gradient):
    """Gradient to poses (frame, 7) as gradient to a shift and a right turn of each (frame, 6)."""
    x, y, z, w = (0.5 * poses[:, 3 + k].astype(np.float64) for k in range(4))
    turned = np.array([[w, z, -y, -x], [-z, w, x, -y], [y, -x, w, -z]])
    return np.concatenate([gradient[:, :3], np.einsum("kqf,fq->fk", turned, gradient[:, 3:])], axis=1)


def check(bench, field, term, name, worst=1e-3, step=1e-7):
    """Compare values and both gradients of a term with its twin."""
    values, by_points, by_poses = bench.run(term)
    points, poses = bench.points.numpy().astype(np.float64), bench.poses.numpy()[:, 0].astype(np.float64)
    twin, weights = bench.twin(term, field), seeds(len(poses))
    np.testing.assert_allclose(values, twin(points, poses), rtol=1e-3, atol=1e-4 if term == "sliding" else 1e-6)
    numeric = finite_difference(lambda v: weights @ twin(v, poses), points, step=step)
    compare_gradients(by_points, numeric, name=f"add_{term} points, {name}", worst=worst, bias=worst)

    def of_tangent(steps):
        shifted = np.array([moved(pose, s[:3], s[3:]) for pose, s in zip(poses, steps, strict=True)])
        return weights @ twin(points, shifted)

    numeric = finite_difference(of_tangent, np.zeros((len(poses), 6)), step=step)
    compare_gradients(by_poses, numeric, name=f"add_{term} poses, {name}", worst=worst, bias=worst)


@pytest.mark.parametrize("term", ["penetration", "penetration_literal"])
@pytest.mark.parametrize("name", ["ordinary", "no contact", "coplanar", "at an edge", "at a corner", "medial axis"])
def test_penetration(device, field, term, name):
    """Penetration depths, and their gradients to points and poses, from no contact to the medial axis."""
    poses = box_motion("ordinary", frames=2)
    local = places(name)
    if name in ("at an edge", "at a corner"):
        local = local - np.array([0.004, 0.0045, 0.005 if name == "at a corner" else 0.0])
    bench = Bench(field, poses, seen(poses, local, slip=1e-4), device)
    check(bench, field, term, name, worst=1e-4)
    assert bench.rows.numpy()[1].all() == (name != "no contact")


@pytest.mark.parametrize("term", ["sliding", "sliding_literal"])
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
def test_sliding(device, field, term, name, motion, slip):
    """Slip and its gradients for large and small motion, slips within and beyond the knee, and without contact."""
    poses = box_motion(motion)
    bench = Bench(field, poses, seen(poses, places(name), slip), device)
    bench.freeze(tau=0.03 if slip > 0.01 else TAU, eta=0.01 if slip > 0.01 else ETA)
    check(bench, field, term, f"{name}, {motion} motion, {1e3 * slip:g} mm slip", worst=2e-3)
    assert bench.rows.numpy()[1, 1:].all() == (name != "no contact")


@pytest.mark.parametrize("term", ["sliding", "sliding_literal"])
@pytest.mark.parametrize("motion", ["ordinary", "still"])
def test_exact_stick_costs_nothing(device, field, term, motion):
    """Points that do not slip cost nothing but rounding, and a finite gradient: exactly zero when all is still."""
    poses = box_motion(motion)
    bench = Bench(field, poses, seen(poses, places("on a face")), device)
    bench.freeze()
    values, by_points, by_poses = bench.run(term)
    assert bench.total.numpy()[1:].min() > 0.1
    assert values.max() < 1e-5
    assert np.isfinite(by_points).all() and np.isfinite(by_poses).all()
    if motion == "still":
        assert not values.any() and not by_points.any() and not by_poses.any()


def test_weights_match_their_twin(device, field):
    """Soft weights, normals and distances of one call equal the twin; points just switched on keep their weight."""
    poses = box_motion("ordinary")
    half = 0.5 * SIZE[0]
    gaps = np.array([-0.03, -0.001, 0.0, 0.0019, 0.0021, 0.004, 0.0049, 0.0051, 0.05])
    local = np.stack([half + gaps, np.full(9, 0.01), np.full(9, -0.012)], axis=1)
    bench = Bench(field, poses, seen(poses, local), device)
    bench.freeze()
    first = [reference.contact_weight(gap, TAU, ETA, False) for gap in gaps]
    np.testing.assert_allclose(bench.weight.numpy(), [first] * 3, atol=2e-4)
    np.testing.assert_allclose(bench.distance.numpy()[:, 1:], [gaps[1:]] * 3, atol=1e-6)
    np.testing.assert_allclose(bench.normal.numpy()[:, 1:8], np.tile([1.0, 0.0, 0.0], (3, 7, 1)), atol=1e-3)
    bench.weight.fill_(0.5)
    bench.freeze()
    again = [reference.contact_weight(gap, TAU, ETA, True) for gap in gaps]
    np.testing.assert_allclose(bench.weight.numpy(), [again] * 3, atol=2e-4)
    assert np.count_nonzero(again) == np.count_nonzero(first) + 3


def test_contacts_are_paired_within_a_sequence(device, field):
    """The first frame of a sequence pairs with nothing; elsewhere weights multiply and sum to the total."""
    poses = box_motion("ordinary", frames=4)
    bench = Bench(field, poses, seen(poses, places("on a face")), device)
    bench.segments = np.array([0, 0, 1, 1])
    bench.freeze()
    weight, pair = bench.weight.numpy(), bench.pair_weight.numpy()
    assert not pair[[0, 2]].any()
    np.testing.assert_allclose(pair[[1, 3]], bench.areas * weight[[1, 3]] * weight[[0, 2]], rtol=1e-5)
    np.testing.assert_allclose(bench.total.numpy(), pair.sum(axis=1), rtol=1e-5)


def test_contact_value(device, field):
    """1 on the surface and inside, s0 / phi outside, with its gradient; no pole at contact."""
    poses = box_motion("ordinary", frames=1)
    gaps = np.array([-0.01, 0.0, 0.0009, 0.0011, 0.003, 0.02])
    local = np.stack([0.5 * SIZE[0] + gaps, np.full(6, 0.01), np.full(6, -0.012)], axis=1)
    bench = Bench(field, poses, seen(poses, local), device)
    values = wp.full(bench.shape, np.nan, dtype=wp.float32, device=device, requires_grad=True)
    with wp.Tape() as tape:
        contact.measure_contact_value(bench.points, bench.poses, field.grids.device_grids, 0.001, value_out=values)
    tape.backward(grads={values: wp.ones(bench.shape, dtype=wp.float32, device=device)})
    points, distance = bench.points.numpy().astype(np.float64), twin_distance(field)

    def twin(v):
        return np.array([reference.contact_value(distance(reference.to_link(poses[0], p)), 0.001) for p in v[0]])

    np.testing.assert_allclose(values.numpy()[0], twin(points), rtol=2e-3)
    np.testing.assert_array_equal(values.numpy()[0, :3], 1.0)
    numeric = finite_difference(lambda v: twin(v).sum(), points, step=1e-7)
    compare_gradients(bench.points.grad.numpy(), numeric, name="measure_contact_value points", worst=5e-3, bias=5e-3)


def test_points_that_are_not_finite_touch_nothing(device, field):
    """NaN and infinite points have no weight, no penetration and no slip, and leave the others' values alone."""
    poses = box_motion("ordinary")
    points = seen(poses, places("coplanar"), slip=1e-3)
    points[:, 0] = np.nan
    points[:, 1] = np.inf
    bench = Bench(field, poses, points, device)
    bench.freeze()
    assert not bench.weight.numpy()[:, :2].any() and bench.weight.numpy()[:, 2:].all()
    for term in ("penetration", "penetration_literal", "sliding", "sliding_literal"):
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
