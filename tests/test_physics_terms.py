"""Physics on small scenes: a box and a finger of two links that touch, what contact costs, and the paper's own sums."""

from dataclasses import replace

import numpy as np
import pytest
import warp as wp
from scipy.spatial.transform import Rotation

from tests.grasp_scenes import FRAMES, POINTS, make_box, make_grasp, make_motion, make_problem
from tests.reference import distance as distance_reference
from tests.reference import literal_contact as contact_reference
from warpprior.geometry.signed_distance import shared_field
from warpprior.settings import AdamSettings, RefineSettings
from warpprior.support.errors import InputError
from warpprior.system.motion import MotionState
from warpprior.system.observed import observe_picture
from warpprior.system.problem import Problem
from warpprior.system.stage import Stage
from warpprior.terms import Consistency, Penetration, Sliding, Smoothness
from warpprior.terms.literal import (
    LiteralConsistency,
    LiteralPenetration,
    LiteralSliding,
    LiteralSmoothness,
    vertex_moments,
)

STAGE = Stage(contact_distance_m=0.003, contact_softness_m=0.001, sigma_slip_m_s=0.03, free_normal=1.0)


@pytest.fixture
def grasp():
    """Bodies and motions of a finger whose tip is in a box."""
    return make_grasp()


def bind(term, problem, stage=STAGE):
    """The bound terms of a problem, in a stage."""
    problem.prepare_for([term])
    bound = list(term.bind(problem))
    problem.enter(stage)
    for one in bound:
        one.enter(stage)
    return bound


def freeze(problem, bound):
    """Find what is held, at the current motion."""
    problem.refresh()
    for one in bound:
        one.freeze()


def measure(problem, bound, rows=2, row=1):
    """Frozen and evaluated on a tape from the poses on: values (frame,) and gradients to the increments by body."""
    motion = problem.motion
    table = wp.zeros((rows, motion.frame_count), dtype=wp.float32, device=motion.device, requires_grad=True)
    freeze(problem, bound)
    seed = np.zeros(table.shape, dtype=np.float32)
    seed[row] = 1.0
    seeds = wp.array(seed, dtype=wp.float32, device=motion.device)
    energy = Recorded(problem, bound)
    values = energy.differentiate(table, row, seeds)
    gradients = {name: increment.grad.numpy().copy() for name, increment in motion.increments.items()}
    energy.tape.zero()
    assert not values[np.arange(rows) != row].any()
    return values[row], gradients


class Recorded:
    """Bound terms on a tape that hands gradients on to the increments, as an energy does."""

    def __init__(self, problem, bound):
        from warpprior.system.energy import Energy

        self.tape, self._energy = wp.Tape(), Energy(problem, [])
        self._bound, self._problem = bound, problem

    def differentiate(self, table, row, seeds):
        """Values [term, frame]; gradients lie in the increments afterwards."""
        with self.tape:
            self._energy.record()
            self._problem.look()
            for bound in self._bound:
                bound.evaluate(table, row)
        values = table.numpy().copy()
        self.tape.backward(grads={table: seeds})
        return values


@pytest.mark.parametrize("direction", ["finger in box", "box in finger"])
def test_two_sided_penetration(device, grasp, direction):
    """Both directions of the printed sum match the twin, and their gradients to both bodies and the joint."""
    bodies, motions = grasp
    problem = make_problem(bodies, motions, device, points=32)
    motion, owner = problem.motion, direction.split()[0]
    (bound,) = [one for one in bind(LiteralPenetration(), problem) if one.body.name == owner]
    touched = direction.split()[-1]
    values, gradients = measure(problem, [bound])
    assert values.max() > 0.001
    grids = bound._field.grids
    tables, origins = grids.values.numpy().astype(float), grids.origins.numpy().astype(float)

    def twin(table):
        """Sum over frames, of base poses and the motion's increments replaced by ``table``."""
        for name in table:
            motion.increments[name].assign(table[name].astype(np.float32))
        motion.pose()
        points, links, total = motion.points[owner].numpy(), motion.states[touched].links.numpy(), 0.0
        for frame in range(FRAMES):

            def distance(point, frame=frame):
                return min(
                    distance_reference.interpolate(
                        tables[i], origins[i], grids.spacings[i], contact_reference.to_link(links[frame, link], point)
                    )
                    for i, link in enumerate(grids.links.numpy())
                )

            identity = np.array([[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]])
            total += contact_reference.penetration(points[frame : frame + 1].astype(float), identity, distance)[0]
        return total

    zero = {name: np.zeros(increment.shape) for name, increment in motion.increments.items()}
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


def test_a_hand_five_centimetres_inside_finds_its_way_out(device):
    """Descent from deep inside: every step within the body lowers the cost, and the body ends within the allowance."""
    bodies = (make_box("block", (0.3, 0.3, 0.13)), make_box("tool", (0.02, 0.02, 0.02)))
    motions = (make_motion([[0.0, 0.0, 0.6]], np.zeros((1, 3))), make_motion([[0.03, 0.01, 0.55]], np.zeros((1, 3))))
    problem = make_problem(bodies, motions, device)
    motion = problem.motion
    bound = [one for one in bind(Penetration(), problem) if one.body.name == "block"]
    costs = []
    for _ in range(80):
        values, gradients = measure(problem, bound)
        costs.append(values.sum())
        step = gradients["tool"][:, :3]
        if costs[-1] < 1e-6:
            break
        increments = np.zeros(motion.increments["tool"].shape, dtype=np.float32)
        increments[:, :3] = -0.002 * step / np.linalg.norm(step)
        motion.increments["tool"].assign(increments)
        motion.pose()
        motion.settle()
    assert costs[0] > 1.0 and costs[-1] < 1e-3
    corners = motion.points["tool"].numpy()[0] - (0.0, 0.0, 0.6)
    assert shared_field(bodies[0], device).signed_distance(corners).min() > -0.0025


@pytest.mark.parametrize("term", [Penetration(), Sliding(), LiteralPenetration(), LiteralSliding()])
def test_no_contact_costs_nothing(device, grasp, term):
    """Bodies far apart: no penetration, no contact, no slip, and zero gradients."""
    bodies, (finger_motion, box_motion) = grasp
    away = replace(box_motion, position=box_motion.position + np.array([0.5, 0.0, 0.0]))
    problem = make_problem(bodies, (finger_motion, away), device)
    bound = bind(term, problem)
    assert bound
    values, gradients = measure(problem, bound)
    assert not values.any() and not any(gradient.any() for gradient in gradients.values())


def test_what_rides_does_not_slip(device, grasp):
    """The box riding on the finger does not slip, however the finger moves; moving by itself it does."""
    bodies, motions = grasp
    problem = make_problem(bodies, motions, device)
    values, gradients = measure(problem, bind(Sliding(), problem))
    assert values[1:].min() > 0.1 and values[0] == 0.0
    assert all(gradient.any() for gradient in gradients.values())
    joints = np.full((FRAMES, 1), 0.2)
    turn, base = Rotation.from_quat(motions[0].rotation), motions[1]
    riding = replace(
        base,
        position=turn.apply(base.position[0] - motions[0].position[0]) + motions[0].position,
        rotation=(turn * Rotation.from_quat(base.rotation[0])).as_quat(),
    )
    problem = make_problem(bodies, (replace(motions[0], joints=joints), riding), device)
    (bound,) = bind(Sliding(), problem)
    values, _ = measure(problem, [bound])
    assert bound._pair.contacts.sums.numpy()[1:, 1].min() > 0.0 and values.max() < 1e-4


def test_physics_does_not_depend_on_the_unit(device, grasp):
    """A scene a tenth as large with settings a tenth as large has the same values, but for what is cut at 20 mm."""
    bodies, motions = grasp
    values = []
    for factor in (1.0, 0.1):
        scaled = tuple(
            replace(
                body,
                vertices=body.vertices * np.float32(factor),
                joint_offsets=body.joint_offsets * np.array([factor] * 3 + [1] * 4, dtype=np.float32),
            )
            for body in bodies
        )
        moved = tuple(replace(m, position=m.position * factor) for m in motions)
        stage = Stage(
            contact_distance_m=0.003 * factor,
            contact_softness_m=0.001 * factor,
            sigma_slip_m_s=0.03 * factor,
            free_normal=1.0,
        )
        terms = (
            Penetration(sigma_m=0.001 * factor, allowance_m=0.002 * factor),
            Sliding(slide_m_s=0.045 * factor, sigma_drift_m_s=0.04 * factor),
            Consistency(sigma_m_s=0.6 * factor),
            Smoothness(sigma_m_s2=factor),
        )
        for term in terms:
            problem = make_problem(scaled, moved, device)
            bound = [one for one in bind(term, problem, stage) if term.name != "penetration" or one.body.name == "box"]
            values.append(measure(problem, bound)[0])
    first, second = np.array(values[:4]), np.array(values[4:])
    np.testing.assert_allclose(second, first, rtol=2e-3, atol=1e-5)
    assert first[0].all() and first[1:3, 1:].all() and first[3, 2:].all()


def test_contacts_are_soft_and_held(device):
    """Points weigh by the logistic of their gap, and keep their weight and their normal until looked up again."""
    lower, upper = make_box("lower", (0.1, 0.1, 0.02)), make_box("upper", (0.06, 0.06, 0.02))
    motions = (make_motion([[0, 0, 0.6]], [[0, 0, 0]]), make_motion([[0, 0, 0.58 - 0.0025]], [[0, 0, 0]]))
    problem = make_problem((lower, upper), motions, device)
    motion = problem.motion
    contacts = next(one for one in bind(Sliding(), problem) if one.body.name == "lower")._pair.contacts
    problem.refresh()
    gaps = contacts.samples.numpy()[0, :, 3].astype(float)
    areas = motion.point_areas["upper"].numpy()
    assert gaps.min() == pytest.approx(0.0025, abs=2e-4)
    expected = areas / (1.0 + np.exp(np.minimum((gaps - 0.003) / 0.001, 30.0)))
    np.testing.assert_allclose(contacts.weights.numpy()[0], expected, rtol=2e-3, atol=1e-9)
    np.testing.assert_allclose(contacts.sums.numpy()[0, 0], expected.sum(), rtol=1e-4)
    held, frozen = contacts.weights.numpy().copy(), contacts.frozen.numpy().copy()
    away = np.zeros((1, 6), dtype=np.float32)
    away[0, 2] = -0.01
    motion.increments["upper"].assign(away)
    motion.pose()
    problem.look()
    np.testing.assert_array_equal(contacts.weights.numpy(), held)
    np.testing.assert_array_equal(contacts.frozen.numpy(), frozen)
    assert contacts.samples.numpy()[0, :, 3].min() > gaps.min() + 0.004
    problem.refresh()
    assert contacts.weights.numpy().max() < 0.1 * held.max()


def test_printed_equations(device, grasp):
    """The paper's own equations are plain sums, in metres and square metres."""
    bodies, motions = grasp
    problem = make_problem(bodies, motions, device)
    motion = problem.motion
    turns, places = Rotation.from_quat(motions[1].rotation), motions[1].position
    vertices = np.array([turns[t].apply(bodies[1].vertices) + places[t] for t in range(FRAMES)])

    def found(term, name):
        bound = [one for one in bind(term, problem) if one.body.name == name]
        return measure(problem, bound)[0]

    values = found(LiteralConsistency(), "box")
    np.testing.assert_allclose(values[1:], np.sum(np.diff(vertices, axis=0) ** 2, axis=(1, 2)), rtol=1e-4)
    values = found(LiteralSmoothness(), "box")
    np.testing.assert_allclose(values[1:-1], np.sum(np.diff(vertices, n=2, axis=0) ** 2, axis=(1, 2)), rtol=1e-3)
    points, poses = motion.points["finger"].numpy().astype(float), motion.poses["box"].numpy().astype(float)
    local = np.array([[contact_reference.to_link(p, v) for v in at] for p, at in zip(poses, points, strict=True)])
    distances = shared_field(bodies[1], device).grids.interpolate(0, local)[0].reshape(FRAMES, POINTS)
    values = found(LiteralPenetration(), "finger")
    np.testing.assert_allclose(values, np.maximum(0.0, -distances).sum(axis=1), rtol=1e-4)
    values = found(LiteralSliding(), "finger")
    expected = contact_reference.sliding(points, poses, distances, np.zeros(FRAMES, int), 0.001)
    np.testing.assert_allclose(values, expected, rtol=1e-4)
    assert values[1:].min() > 0.0


def test_nothing_is_printed_for_a_surface_that_bends(device, grasp):
    """No rigid grid holds the inside of a skinned body, and that is said; its own points are kept out of the other."""
    bodies, motions = grasp
    links, shares = np.tile([[0, 1]], (16, 1)).astype(np.int32), np.full((16, 2), 0.5, dtype=np.float32)
    bent = replace(bodies[0], skin_links=links, skin_weights=shares, kind="skin")
    problem = make_problem((bent, bodies[1]), motions, device)
    bound = bind(LiteralPenetration(), problem)
    assert problem.notes == ["nothing is kept out of finger: a surface that bends."]
    assert [(one.body.name, one._other.name) for one in bound] == [("finger", "box")]


def test_moments_of_vertices():
    """Each vertex counts once, and a scale scales them."""
    size = np.array([0.06, 0.08, 0.18])
    np.testing.assert_allclose(vertex_moments(make_box("box", size))[1], np.diag(size**2) / 4.0, rtol=1e-5, atol=1e-9)
    centroid, covariance = vertex_moments(make_box("box", size, (0.1, 0.2, 0.3)), 2.0)
    np.testing.assert_allclose(centroid, [0.2, 0.4, 0.6], atol=1e-6)
    np.testing.assert_allclose(covariance, np.diag(size**2), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize(
    ("settings", "values"),
    [
        (Penetration, {"sigma_m": 0.0}),
        (Penetration, {"allowance_m": -0.001}),
        (Penetration, {"weight": np.nan}),
        (Consistency, {"sigma_rad_s": -1.0}),
        (Smoothness, {"sigma_m_s2": None}),
        (Sliding, {"width_sigmas": 0.0}),
    ],
)
def test_bad_settings_are_refused(settings, values):
    """A setting that is not a finite positive number raises an error that names it."""
    with pytest.raises(InputError, match=next(iter(values))):
        settings(**values)


@pytest.mark.parametrize("values", [{"contact_distance_m": np.inf}, {"contact_softness_m": "1 mm"}])
def test_bad_stages_are_refused(values):
    """What is no number in the range of a stage's setting is refused with the settings that hold the stage."""
    with pytest.raises(InputError, match=f"adam.stage.{next(iter(values))}"):
        RefineSettings(adam=AdamSettings(stage=Stage(**values)))


def test_evaluating_again_gives_the_same_bits(device, grasp):
    """Evaluating again into the same rows gives the same bits, and rows keep what others added."""
    problem = make_problem(*grasp, device)
    bound = bind(Penetration(), problem)
    freeze(problem, bound)
    rows = wp.zeros((1, FRAMES), dtype=wp.float32, device=device, requires_grad=True)

    def evaluate():
        problem.look()
        for one in bound:
            one.evaluate(rows, 0)

    evaluate()
    once = rows.numpy().copy()
    assert once.max() > 0.1
    rows.zero_()
    evaluate()
    np.testing.assert_array_equal(rows.numpy(), once)
    evaluate()
    np.testing.assert_allclose(rows.numpy(), 2.0 * once, rtol=1e-6)


def test_true_motion_of_a_recorded_grasp_costs_little(device, shared_data):
    """On a simulated robot grasp (not by this project) the true motion costs far less than the initial one."""
    from warpprior.io import load_scene

    scene = load_scene(shared_data / "allegro_mustard", num_frames=4)
    bottle = scene.body("mustard_bottle")
    motion = MotionState(scene, device, point_count=256)
    problem = Problem(motion, observe_picture(motion, 0.25))
    sums = {}
    for name, poses in (("initial", bottle.initial), ("true", bottle.truth)):
        motion.assign({bottle.name: poses})
        terms = (Penetration(), Sliding(), Smoothness(), LiteralPenetration(), LiteralSliding(), LiteralSmoothness())
        sums[name] = [float(measure(problem, bind(term, problem))[0].sum()) for term in terms]
    touch = problem.contacts(bottle).touch.numpy()
    assert touch[1:].min() > 0.001
    limits = np.array([0.02, 0.02, 0.02, 0.05, 0.02, 0.02])
    assert np.all(np.array(sums["true"]) <= limits * np.array(sums["initial"]))
