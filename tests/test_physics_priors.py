"""Physics priors on small scenes: a box, a finger of two links, and the motion state that the estimators use."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh
import warp as wp
from scipy.spatial.transform import Rotation

from tests.reference import contact as contact_reference
from tests.reference import distance as distance_reference
from tests.reference import smoothness as smoothness_reference
from warpprior.bodies import JointType, link_transforms, rigid_body
from warpprior.geometry.signed_distance import DistanceField, LinkFields
from warpprior.scene import Camera, Poses, Scene, SceneBody
from warpprior.support.errors import InputError
from warpprior.system.motion import MotionState
from warpprior.terms.consistency import ConsistencyPrior, ConsistencySettings
from warpprior.terms.penetration import PenetrationPrior, PenetrationSettings
from warpprior.terms.prior import surface_moments, vertex_moments
from warpprior.terms.sliding import SlidingPrior, SlidingSettings
from warpprior.terms.smoothness import SmoothnessPrior, SmoothnessSettings

FRAMES, POINTS = 4, 96


def box(name, size, center=(0.0, 0.0, 0.0)):
    """A box body [m]."""
    mesh = trimesh.creation.box(size)
    return rigid_body(name, mesh.vertices + np.array(center), np.asarray(mesh.faces))


@pytest.fixture(scope="module")
def finger():
    """Two boxes of 20 x 20 x 40 mm along z, the second on a turned hinge 50 mm up."""
    mesh = trimesh.creation.box((0.02, 0.02, 0.04))
    vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces)
    turn = Rotation.from_rotvec([0.0, 0.0, 0.5])
    offsets = np.array([[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.05, *turn.as_quat()]])
    ahead = vertices + np.array([0.0, 0.0, 0.05])
    body = rigid_body("finger", np.concatenate([vertices, ahead]), np.concatenate([faces, faces + 8]))
    return replace(
        body,
        kind="urdf",
        link_names=("near", "far"),
        parents=np.array([-1, 0], dtype=np.int32),
        joint_types=np.array([JointType.FREE, JointType.HINGE], dtype=np.int32),
        joint_offsets=offsets.astype(np.float32),
        joint_axes=np.array([[0, 0, 0], [1, 0, 0]], dtype=np.float32),
        coordinate_starts=np.array([-1, 0], dtype=np.int32),
        coordinate_gains=np.ones(2, dtype=np.float32),
        coordinate_biases=np.zeros(2, dtype=np.float32),
        coordinate_names=("bend",),
        lower=np.full(1, -np.inf, dtype=np.float32),
        upper=np.full(1, np.inf, dtype=np.float32),
        skin_links=np.repeat([[0], [1]], 8, axis=0).astype(np.int32),
        skin_weights=np.ones((16, 1), dtype=np.float32),
        joint_shape_directions=np.zeros((2, 3, 0), dtype=np.float32),
    )


def motion(positions, turns, joints=None):
    """Poses from positions (frame, 3) [m] and rotation vectors (frame, 3) [rad]."""
    joints = np.zeros((len(positions), 0)) if joints is None else joints
    return Poses(np.asarray(positions, float), Rotation.from_rotvec(turns).as_quat(), np.asarray(joints, float))


def state_of(bodies, motions, device, points=POINTS):
    """The motion state of a scene of estimated bodies."""
    parts = tuple(SceneBody(body, i + 1, False, m) for i, (body, m) in enumerate(zip(bodies, motions, strict=True)))
    scene = Scene("test", Camera(640, 480, 600.0, 600.0, 320.0, 240.0), 30.0, parts)
    return MotionState(scene, device, point_count=points)


@pytest.fixture
def grasp(finger):
    """Motions of a finger that bends and of a box that turns, together, with the finger's tip in the box."""
    steps = np.arange(FRAMES)[:, None]
    finger_places, finger_turns = steps * [0.004, -0.003, 0.002] + [0.0, 0.0, 0.6], steps * [0.05, 0.1, -0.02]
    box_places, box_turns = steps * [0.003, -0.002, 0.003] + [0.0, -0.02, 0.675], steps * [0.06, 0.08, 0.0]
    finger_motion = motion(finger_places, finger_turns, 0.2 + 0.1 * steps)
    box_motion = motion(box_places, box_turns + np.array([0.1, 0.2, 0.3]))
    return (finger, box("box", (0.05, 0.06, 0.04))), (finger_motion, box_motion)


def values_and_gradients(prior, state, rows=2, row=1):
    """Frozen and evaluated on a tape from the poses on: values (frame,) and gradients to the increments by body."""
    table = wp.zeros((rows, state.frame_count), dtype=wp.float32, device=state.device, requires_grad=True)
    prior.freeze(state)
    with wp.Tape() as tape:
        state.pose()
        prior.evaluate(state, table, row)
    seed = np.zeros(table.shape, dtype=np.float32)
    seed[row] = 1.0
    tape.backward(grads={table: wp.array(seed, dtype=wp.float32, device=state.device)})
    gradients = {name: increment.grad.numpy().copy() for name, increment in state.increments.items()}
    tape.zero()
    assert not table.numpy()[np.arange(rows) != row].any()
    return table.numpy()[row], gradients


def test_link_fields_follow_the_links(device, finger):
    """Distance to the bent finger is the least of the exact distances to its links, on either link and between."""
    bend = motion([[0.1, -0.2, 0.6]], [[0.3, -0.4, 0.5]], [[0.7]])
    fields = LinkFields(finger, device, resolution=24)
    links = link_transforms(finger, bend)[0].astype(float)
    assert fields.grids.links.numpy().tolist() == [0, 1] and not fields.notes
    random = np.random.default_rng(0)
    points = links[random.integers(0, 2, 600), :3] + random.uniform(-0.04, 0.04, (600, 3))
    exact, grid = [], []
    for index, (link, surface) in enumerate(zip(links, fields.surfaces, strict=True)):
        local = Rotation.from_quat(link[3:]).inv().apply(points - link[:3])
        exact.append(surface.measure(local)[0])
        grid.append(fields.grids.interpolate(index, local)[0])
        # Each link's box is centred on its joint.
        np.testing.assert_allclose(np.linalg.norm(surface.vertices, axis=1), 0.0006**0.5, rtol=1e-5)
    exact, error = np.min(exact, axis=0), np.min(grid, axis=0) - np.min(exact, axis=0)
    near = np.abs(exact) < 0.003
    assert near.sum() > 20
    assert np.abs(error[near]).max() < 2.0 * fields.grid_error_m
    assert error[exact > 0.0].min() > -fields.grid_error_m
    assert fields.grid_error_m < 0.002


def test_links_of_one_shape_share_their_surface(device, finger):
    """With the joint's frame straight both links are the same box: one surface, equal grids."""
    straight = replace(finger, joint_offsets=np.array([[0, 0, 0, 0, 0, 0, 1], [0, 0, 0.05, 0, 0, 0, 1]], np.float32))
    fields = LinkFields(straight, device, resolution=8)
    assert fields.surfaces[0] is fields.surfaces[1]
    np.testing.assert_array_equal(*fields.grids.values.numpy())
    np.testing.assert_array_equal(*fields.grids.origins.numpy())


@pytest.mark.parametrize("direction", ["finger in box", "box in finger"])
def test_two_sided_penetration(device, grasp, direction):
    """Both directions match the twin, and their gradients to both bodies and the joint its differences."""
    bodies, motions = grasp
    finger_body, box_body = bodies
    if direction == "finger in box":
        prior = PenetrationPrior("finger", "box", DistanceField(box_body, device, resolution=24), device=device)
        owner, touched = finger_body, box_body
    else:
        prior = PenetrationPrior("box", "finger", LinkFields(finger_body, device, resolution=24), device=device)
        owner, touched = box_body, finger_body
    state = state_of(bodies, motions, device, points=32)
    values, gradients = values_and_gradients(prior, state)
    assert values.max() > 0.1
    grids = prior.field.grids
    tables, origins = grids.values.numpy().astype(float), grids.origins.numpy().astype(float)

    def twin(table):
        """Sum over frames, of base poses and the state's increments replaced by ``table``."""
        for name in table:
            state.increments[name].assign(table[name].astype(np.float32))
        state.pose()
        points, links = state.points[owner.name].numpy(), state.states[touched.name].links.numpy()
        areas, total, limits = state.point_areas[owner.name].numpy(), 0.0, prior.settings
        for frame in range(FRAMES):

            def distance(point, frame=frame):
                return min(
                    distance_reference.interpolate(
                        tables[i], origins[i], grids.spacings[i], contact_reference.to_link(links[frame, link], point)
                    )
                    for i, link in enumerate(grids.links.numpy())
                )

            identity = np.array([[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]])
            total += contact_reference.penetration(
                points[frame : frame + 1].astype(float),
                identity,
                distance,
                areas,
                limits.sigma_m,
                limits.allowance_m,
                limits.knee,
                limits.cap_m,
            )[0]
        return total

    zero = {name: np.zeros(increment.shape) for name, increment in state.increments.items()}
    assert values.sum() == pytest.approx(twin(zero), rel=1e-3)
    random = np.random.default_rng(1)
    for name, gradient in gradients.items():
        # A few random directions, in steps that float32 poses resolve.
        for _ in range(2):
            way = random.normal(size=gradient.shape)
            plus, minus = twin(zero | {name: 2e-4 * way}), twin(zero | {name: -2e-4 * way})
            slope = float(np.sum(gradient * way))
            assert slope == pytest.approx((plus - minus) / 4e-4, rel=0.05, abs=0.02 * float(np.abs(gradient).sum()))
        twin(zero)


def test_a_hand_five_centimetres_inside_finds_its_way_out(device, finger):
    """Descent from deep inside: every step within the body lowers the cost, and the body ends within the allowance."""
    bodies = (box("block", (0.3, 0.3, 0.13)), box("tool", (0.02, 0.02, 0.02)))
    motions = (motion([[0.0, 0.0, 0.6]], np.zeros((1, 3))), motion([[0.03, 0.01, 0.55]], np.zeros((1, 3))))
    field = DistanceField(bodies[0], device)
    prior = PenetrationPrior("tool", "block", field, device=device)
    state = state_of(bodies, motions, device)
    costs = []
    for _ in range(80):
        values, gradients = values_and_gradients(prior, state)
        costs.append(values.sum())
        step = gradients["tool"][:, :3]
        if costs[-1] < 1e-6:
            break
        increments = np.zeros(state.increments["tool"].shape, dtype=np.float32)
        increments[:, :3] = -0.002 * step / np.linalg.norm(step)
        state.increments["tool"].assign(increments)
        state.pose()
        state.settle()
    assert costs[0] > 1.0 and costs[-1] < 1e-3
    assert np.all(np.diff(costs) < 1e-5)
    corners = state.points["tool"].numpy()[0] - (0.0, 0.0, 0.6)
    assert field.signed_distance(corners).min() > -0.0025


def test_no_contact_costs_nothing(device, grasp):
    """Bodies far apart: no penetration, no contact, no slip, and zero gradients."""
    bodies, (finger_motion, box_motion) = grasp
    away = replace(box_motion, position=box_motion.position + np.array([0.5, 0.0, 0.0]))
    field = DistanceField(bodies[1], device, resolution=16)
    state = state_of(bodies, (finger_motion, away), device)
    for prior in (
        PenetrationPrior("finger", "box", field, device=device),
        SlidingPrior("finger", "box", field, FRAMES, POINTS, device=device),
    ):
        values, gradients = values_and_gradients(prior, state)
        assert not values.any() and not any(gradient.any() for gradient in gradients.values())
        if isinstance(prior, SlidingPrior):
            assert not prior.total.numpy().any() and not prior.weight.numpy().any()


def test_sliding_prior_matches_its_twin(device, grasp):
    """Mean slip equals the twin's from points, poses, weights and normals, and rigid motion of the pair is free."""
    bodies, motions = grasp
    field = DistanceField(bodies[1], device, resolution=24)
    prior = SlidingPrior("finger", "box", field, FRAMES, POINTS, device=device)
    state = state_of(bodies, motions, device)
    values, gradients = values_and_gradients(prior, state)
    limits = prior.settings
    points, poses = state.points["finger"].numpy().astype(float), state.poses["box"].numpy().astype(float)
    local = np.array([[contact_reference.to_link(p, v) for v in at] for p, at in zip(poses, points, strict=True)])
    distances, normals = field.grids.interpolate(0, local)
    expected = contact_reference.sliding(
        points,
        poses,
        prior.weight.numpy().astype(float),
        normals.reshape(points.shape) / np.linalg.norm(normals, axis=1).reshape(*points.shape[:2], 1),
        state.point_areas["finger"].numpy().astype(float),
        np.zeros(FRAMES, int),
        limits.sigma_slip_m,
        limits.knee,
        limits.contact_area_floor,
    )
    assert expected[1:].min() > 0.1 and values[0] == 0.0
    np.testing.assert_allclose(values, expected, rtol=2e-3)
    np.testing.assert_allclose(prior.distance.numpy(), distances.reshape(FRAMES, POINTS), atol=1e-6)
    assert all(gradient.any() for gradient in gradients.values())
    # The box riding on the finger does not slip, however the finger moves.
    still = motion(np.tile(motions[0].position[:1], (FRAMES, 1)), np.zeros((FRAMES, 3)), np.full((FRAMES, 1), 0.2))
    turn, base = Rotation.from_quat(motions[0].rotation), motions[1]
    riding = replace(
        base,
        position=turn.apply(base.position[0] - still.position[0]) + motions[0].position,
        rotation=(turn * Rotation.from_quat(base.rotation[0])).as_quat(),
    )
    carried = replace(motions[0], joints=still.joints)
    values, _ = values_and_gradients(prior, state_of(bodies, (carried, riding), device))
    assert prior.total.numpy()[1:].min() > 0.0 and values.max() < 1e-6


def test_penetration_and_sliding_do_not_depend_on_the_unit(device, grasp):
    """A scene ten times as large with settings ten times as large has the same values."""
    bodies, motions = grasp
    values = []
    for factor in (1.0, 10.0):
        scaled = tuple(
            replace(
                body,
                vertices=body.vertices * np.float32(factor),
                joint_offsets=body.joint_offsets * np.array([factor] * 3 + [1] * 4, dtype=np.float32),
            )
            for body in bodies
        )
        moved = tuple(replace(m, position=m.position * factor) for m in motions)
        field = DistanceField(scaled[1], device, resolution=24)
        state = state_of(scaled, moved, device)
        deep = PenetrationSettings(sigma_m=0.001 * factor, allowance_m=0.002 * factor, cap_m=0.02 * factor)
        slip = SlidingSettings(
            sigma_slip_m=0.001 * factor, contact_distance_m=0.003 * factor, softness_m=0.001 * factor
        )
        near = ConsistencySettings(sigma_m=0.02 * factor)
        priors = [
            PenetrationPrior("finger", "box", field, deep, device),
            SlidingPrior("finger", "box", field, FRAMES, POINTS, slip, device),
            ConsistencyPrior(scaled[0], FRAMES, near, device=device),
            ConsistencyPrior(scaled[1], FRAMES, near, device=device),
        ]
        values.append([values_and_gradients(prior, state)[0] for prior in priors])
    np.testing.assert_allclose(values[1], values[0], rtol=2e-3, atol=1e-5)
    assert np.array(values[0])[:, 1:].all()


def test_contacts_hold_on_with_hysteresis(device, grasp):
    """A gap that opens to 4.5 mm keeps a contact, beyond 5 mm it ends, and it comes back only below 2 mm."""
    lower, upper = box("lower", (0.1, 0.1, 0.02)), box("upper", (0.06, 0.06, 0.02))
    prior = SlidingPrior("upper", "lower", DistanceField(lower, device), 1, POINTS, device=device)
    touching = []
    for gap in (0.0045, 0.0015, 0.0045, 0.0055, 0.0025, 0.0015):
        motions = (motion([[0, 0, 0.6]], [[0, 0, 0]]), motion([[0, 0, 0.58 - gap]], [[0, 0, 0]]))
        prior.freeze(state_of((lower, upper), motions, device))
        touching.append(bool(prior.weight.numpy().any()))
    assert touching == [False, True, True, False, False, True]


@pytest.mark.parametrize("order", [1, 2])
def test_motion_priors_match_their_twins(device, grasp, order):
    """The box by points of its surface, the finger by root and joint, in units of the settings' sigmas."""
    bodies, motions = grasp
    kind = ConsistencyPrior if order == 1 else SmoothnessPrior
    settings = ConsistencySettings(0.02, 0.2) if order == 1 else SmoothnessSettings(0.002, 0.03)
    dt, segments = np.array([1.0, 2.0, 1.0, 1.0]), np.zeros(FRAMES, int)
    state = state_of(bodies, motions, device)
    found, _ = values_and_gradients(kind(bodies[1], FRAMES, settings, dt=dt, device=device), state)
    # 12 points that have the moments of the surface: its centroid and one pair along each principal axis.
    centroid, covariance = surface_moments(bodies[1])
    spread, axes = np.linalg.eigh(covariance)
    arms = (axes * np.sqrt(3.0 * spread)).T
    surface = np.concatenate([centroid + arms, centroid - arms])
    poses = [np.concatenate([m.position, m.rotation], axis=1) for m in motions]
    expected = smoothness_reference.rigid(poses[1], surface, segments, dt, settings.sigma_m, order)
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    found, _ = values_and_gradients(kind(bodies[0], FRAMES, settings, dt=dt, device=device), state)
    expected = smoothness_reference.root(poses[0], segments, dt, settings.sigma_m, settings.sigma_rad, order)
    expected += smoothness_reference.joints(motions[0].joints, segments, dt, np.array([settings.sigma_rad]), order)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)


def test_printed_equations(device, grasp):
    """Literal settings give the plain sums of the paper's equations, in metres and square metres."""
    bodies, motions = grasp
    state, field = state_of(bodies, motions, device), DistanceField(bodies[1], device, resolution=24)
    turns, places = Rotation.from_quat(motions[1].rotation), motions[1].position
    vertices = np.array([turns[t].apply(bodies[1].vertices) + places[t] for t in range(FRAMES)])
    found, _ = values_and_gradients(
        ConsistencyPrior(bodies[1], FRAMES, ConsistencySettings(literal=True), device=device), state
    )
    np.testing.assert_allclose(found[1:], np.sum(np.diff(vertices, axis=0) ** 2, axis=(1, 2)), rtol=1e-4)
    found, _ = values_and_gradients(
        SmoothnessPrior(bodies[1], FRAMES, SmoothnessSettings(literal=True), device=device), state
    )
    np.testing.assert_allclose(found[1:-1], np.sum(np.diff(vertices, n=2, axis=0) ** 2, axis=(1, 2)), rtol=1e-3)
    points = state.points["finger"].numpy().astype(float)
    poses = state.poses["box"].numpy().astype(float)
    local = np.array([[contact_reference.to_link(p, v) for v in at] for p, at in zip(poses, points, strict=True)])
    distances = field.grids.interpolate(0, local)[0].reshape(FRAMES, POINTS)
    prior = PenetrationPrior("finger", "box", field, PenetrationSettings(literal=True), device)
    found, _ = values_and_gradients(prior, state)
    np.testing.assert_allclose(found, np.maximum(0.0, -distances).sum(axis=1), rtol=1e-4)
    prior = SlidingPrior("finger", "box", field, FRAMES, POINTS, SlidingSettings(literal=True), device)
    found, _ = values_and_gradients(prior, state)
    expected = contact_reference.sliding_literal(points, poses, distances, np.zeros(FRAMES, int), 0.001)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert prior.unit == "m" and found[1:].min() > 0.0


def test_moments_of_a_surface():
    """A box's surface moments by formula; vertex moments count vertices; a scale scales them."""
    a, b, c = size = np.array([0.06, 0.08, 0.18])
    centroid, covariance = surface_moments(box("box", size, (0.1, 0.2, 0.3)))
    np.testing.assert_allclose(centroid, [0.1, 0.2, 0.3], atol=1e-7)
    # E x^2 over the six faces: a^2 / 4 on the two faces across x, a^2 / 12 on the others.
    across = b * c / (a * b + b * c + c * a)
    assert covariance[0, 0] == pytest.approx(a**2 / 12.0 + across * (a**2 / 4.0 - a**2 / 12.0), rel=1e-5)
    assert np.abs(covariance - np.diag(np.diag(covariance))).max() < 1e-9
    np.testing.assert_allclose(vertex_moments(box("box", size))[1], np.diag(size**2) / 4.0, rtol=1e-5, atol=1e-9)
    scaled = surface_moments(box("box", size, (0.1, 0.2, 0.3)), 2.0)
    np.testing.assert_allclose(scaled[1], 4.0 * covariance, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(
    ("settings", "values"),
    [
        (PenetrationSettings, {"sigma_m": 0.0}),
        (PenetrationSettings, {"allowance_m": -0.001}),
        (PenetrationSettings, {"cap_m": np.nan}),
        (SlidingSettings, {"contact_distance_m": np.inf}),
        (SlidingSettings, {"softness_m": "1 mm"}),
        (ConsistencySettings, {"sigma_rad": -1.0}),
        (SmoothnessSettings, {"sigma_m": None}),
    ],
)
def test_bad_settings_are_refused(settings, values):
    """A setting that is not a finite positive number raises an error that names it."""
    with pytest.raises(InputError, match=next(iter(values))):
        settings(**values)


def test_bad_frame_intervals_are_refused(finger):
    """Frame intervals must be one positive number per frame."""
    for dt in (np.ones(3), np.array([1.0, 0.0, 1.0, 1.0]), np.array([1.0, 1.0, np.nan, 1.0])):
        with pytest.raises(InputError, match="dt"):
            SmoothnessPrior(finger, FRAMES, dt=dt)


def test_evaluating_again_gives_the_same_bits(device, grasp):
    """Evaluating again into the same rows gives the same bits, and rows keep what others added."""
    bodies, motions = grasp
    field = DistanceField(bodies[1], device, resolution=16)
    prior = PenetrationPrior("finger", "box", field, device=device)
    state = state_of(bodies, motions, device)
    rows = wp.zeros((1, FRAMES), dtype=wp.float32, device=device, requires_grad=True)
    prior.evaluate(state, rows, 0)
    once = rows.numpy().copy()
    rows.zero_()
    prior.evaluate(state, rows, 0)
    np.testing.assert_array_equal(rows.numpy(), once)
    prior.evaluate(state, rows, 0)
    np.testing.assert_allclose(rows.numpy(), 2.0 * once, rtol=1e-6)


def test_true_motion_of_a_recorded_grasp_costs_little(device, shared_data):
    """On a simulated robot grasp (not by this project) the true motion costs far less than the initial one."""
    from warpprior.io import load_scene

    scene = load_scene(shared_data / "allegro_mustard", num_frames=4)
    hand, bottle = scene.body("hand"), scene.body("mustard_bottle")
    fields = DistanceField(bottle.body, device, resolution=32), LinkFields(hand.body, device, resolution=16)
    state = MotionState(scene, device, point_count=256)
    sums = {}
    for name, poses in (("initial", bottle.initial), ("true", bottle.truth)):
        state.assign({bottle.name: poses})
        priors = (
            PenetrationPrior(hand.name, bottle.name, fields[0], device=device),
            PenetrationPrior(bottle.name, hand.name, fields[1], device=device),
            SlidingPrior(hand.name, bottle.name, fields[0], scene.frame_count, 256, device=device),
            SmoothnessPrior(bottle.body, scene.frame_count, device=device),
        )
        sums[name] = [float(values_and_gradients(prior, state)[0].sum()) for prior in priors]
        touching = priors[2].weight.numpy().max(axis=1)
        assert name == "initial" or touching.min() > 0.5
    assert np.all(np.array(sums["true"]) <= 0.02 * np.array(sums["initial"]))
