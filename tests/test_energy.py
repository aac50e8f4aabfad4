"""The energy: values and gradients of all terms together, through poses and joints to the increments."""

from dataclasses import replace

import numpy as np
import pytest
import warp as wp

from tests.estimator_scenes import make_arm, make_block, make_clamp, make_motion, make_scene
from tests.gradcheck import POISON, compare_gradients
from warpprior.system.energy import Energy
from warpprior.system.motion import MotionState
from warpprior.system.observed import observe_picture
from warpprior.system.problem import Problem
from warpprior.system.stage import Stage
from warpprior.terms import ADAM, Consistency, Coverage, Far, Penetration, Rest, Sliding, Smoothness, default

FRAMES = 3
STAGE = Stage(contact_distance_m=0.003, contact_softness_m=0.001, sigma_slip_m_s=0.03, free_normal=1.0)
PHYSICS = (Sliding(), Penetration(), Smoothness(), Consistency(weight=1.0), Rest(speed_m_s=1.0))


def shifted(poses, offset, joints=None, factor=1.0):
    """The motion moved by ``offset`` [m], with a little more in each frame, so that nothing is exactly at rest."""
    steps = np.arange(poses.frame_count)[:, None]
    position = poses.position + np.asarray(offset) + factor * steps**2 * [0.0007, -0.0005, 0.0011]
    return replace(poses, position=position, joints=poses.joints if joints is None else joints)


def rigid_scene():
    """A box pushed two millimetres into a clamp; both move, each in its own way."""
    truth = make_motion((0.0, 0.0, 0.45), drift=(0.004, 0.002, 0.003), spin=(0.05, 0.1, 0.06), frames=FRAMES)
    pushed = shifted(truth, (0.0022, 0.0008, -0.0013))
    return make_scene(
        (make_clamp(), make_block()), (truth, truth), (shifted(truth, (0.0, 0.0, 0.0), factor=-0.5), pushed)
    )


def articulated_scene():
    """An arm whose last link lies a millimetre deep in a box, both moving."""
    joints = np.column_stack([np.linspace(0.2, 0.35, FRAMES), np.linspace(-0.3, -0.1, FRAMES)])
    arm = make_motion((-0.06, 0.0, 0.45), (0.1, 0.2, 0.0), spin=(0.0, 0.0, 0.04), frames=FRAMES, joints=joints)
    box = make_motion((0.04, 0.03, 0.427), (0.1, 0.2, 0.0), drift=(0.002, 0.001, 0.001), frames=FRAMES)
    return make_scene((make_arm(), make_block()), (arm, box), (shifted(arm, (0.0, 0.0, 0.0)), shifted(box, (0, 0, 0))))


SCENES = {"rigid": rigid_scene, "articulated": articulated_scene}
TERMS = {
    "sliding": Sliding(),
    "penetration": Penetration(),
    "smoothness": Smoothness(),
    "consistency": Consistency(weight=1.0),
    "rest": Rest(speed_m_s=1.0),
    "far": Far(),
}
# Step of the differences, in the usual ones, and the largest error of an element.  Grids have kinks at their cells'
# faces, where a difference straddles two slopes; what is far changes slowly, and its values are large.
PRECISION = {
    "sliding": (3.0, 0.1),
    "penetration": (0.3, 0.3),
    "smoothness": (1.0, 0.02),
    "consistency": (1.0, 0.02),
    "rest": (1.0, 0.02),
    "far": (10.0, 0.05),
}


def make_problem(scene, device, points=256):
    """The problem of a scene at its initial poses."""
    motion = MotionState(scene, device, point_count=points)
    return Problem(motion, observe_picture(motion, 0.5, calibrate=False))


def build(scene, terms, device):
    """Problem and energy of a scene, frozen."""
    problem = make_problem(scene, device)
    problem.prepare_for(terms)
    energy = Energy(problem, [bound for term in terms for bound in term.bind(problem)])
    problem.enter(STAGE)
    for bound in energy.terms:
        bound.enter(STAGE)
    energy.freeze()
    return problem, energy


def weighted(energy):
    """Each frame's share of the weighted sum (frame,), at the current increments, in double precision."""
    energy.evaluate()
    if energy.names == ("far",):
        return (energy.rows.numpy().astype(np.float64) * energy.weights.numpy()).sum(axis=0)
    return sum(term.costs.numpy() for term in energy.terms)


@pytest.mark.parametrize("term", TERMS)
@pytest.mark.parametrize("kind", SCENES)
def test_gradient_by_the_increments_follows_the_energy(device, kind, term):
    """At zero increments the tape's gradient is the slope of the energy's own values, for every pose and joint."""
    scene = SCENES[kind]()
    if term == "far":
        # Out of their labels, so that the pull acts.
        scene = scene.with_poses({b.name: shifted(b.initial, (0.05, 0.03, 0.03)) for b in scene.bodies})
    problem, energy = build(scene, [TERMS[term]], device)
    assert energy.names == (term,)
    energy.differentiate()
    motion = problem.motion
    analytic = {name: increments.grad.numpy().copy() for name, increments in motion.increments.items()}
    energy.clear()
    # In single precision a step must be long enough to be seen: about a tenth of a millimetre or of a degree.
    factor, worst = PRECISION[term]
    steps = factor * np.array([1e-4, 1e-4, 2e-4, 5e-4, 5e-4, 5e-4, 1e-3, 1e-3])
    for name, increments in motion.increments.items():
        numeric = np.zeros(increments.shape)
        for frame, column in np.ndindex(increments.shape):
            values = []
            for sign in (1.0, -1.0):
                changed = np.zeros(increments.shape, dtype=np.float32)
                changed[frame, column] = sign * steps[column]
                increments.assign(changed)
                values.append(weighted(energy).sum())
            increments.zero_()
            numeric[frame, column] = (values[0] - values[1]) / (2.0 * steps[column])
        if term == "rest" and not problem.motion.scene.body(name).body.is_rigid:
            np.testing.assert_array_equal(analytic[name], 0.0)
            continue
        assert np.abs(numeric).max() > 0.0
        # Per column, for bearings, depths and angles differ in size.
        scale = np.abs(numeric).max(axis=0)
        scale = np.where(scale > 1e-3 * scale.max(), scale, scale.max())
        compare_gradients(
            analytic[name] / scale,
            numeric / scale,
            name=f"energy {term} {kind} {name}",
            worst=worst,
            cosine=0.9995,
            bias=0.01,
        )


def test_rows_are_the_terms_own_values(device):
    """Rows hold the terms' values in the order of the names; evaluating again gives the same, not the sum."""
    problem, energy = build(rigid_scene(), PHYSICS, device)
    energy.rows.fill_(POISON)
    energy.evaluate()
    rows = energy.rows.numpy().copy()
    assert rows.shape == (len(energy.names), FRAMES)
    energy.evaluate()
    np.testing.assert_array_equal(energy.rows.numpy(), rows)
    energy.differentiate()
    np.testing.assert_array_equal(energy.rows.numpy(), rows)
    energy.clear()
    for index, name in enumerate(energy.names):
        alone = Energy(problem, [term for term in energy.terms if term.name == name])
        alone.evaluate()
        np.testing.assert_array_equal(alone.rows.numpy()[0], rows[index])


def test_gradients_do_not_add_up_over_iterations(device):
    """Differentiating twice gives the same gradient, whether it was cleared in between or not."""
    problem, energy = build(rigid_scene(), PHYSICS, device)
    increments, system = problem.motion.increments["box"], problem.gradient_system
    system.place_gradients.fill_(wp.vec3(POISON))
    system.unknown_gradients.fill_(POISON)
    found = []
    for clear in (True, False, True):
        energy.differentiate()
        found.append(increments.grad.numpy().copy())
        if clear:
            energy.clear()
            np.testing.assert_array_equal(increments.grad.numpy(), 0.0)
    assert np.abs(found[0]).max() > 0.0
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_evaluating_without_a_tape_leaves_no_gradients(device):
    """Values alone: gradients by places, unknowns, vertices and increments stay what they were."""
    problem, energy = build(rigid_scene(), (*PHYSICS, Coverage(), Far()), device)
    system, motion = problem.gradient_system, problem.motion
    held = [system.place_gradients, system.unknown_gradients, motion.vertices.grad]
    held += [increments.grad for increments in motion.increments.values()]
    for array in held:
        array.fill_(POISON)
    energy.evaluate()
    assert (energy.rows.numpy().sum(axis=1)[:3] > 0.0).all()
    for array in held:
        assert (array.numpy() == POISON).all()


def test_weights_scale_gradients_and_switch_off_frames(device):
    """Twice the weight, twice the gradient; a frame without weight pulls nothing that is its own."""
    problem, energy = build(rigid_scene(), [Penetration()], device)
    increments = problem.motion.increments["box"]
    energy.differentiate()
    single = increments.grad.numpy().copy()
    weights = 2.0 * energy.weights.numpy()
    weights[:, 1] = 0.0
    energy.weights.assign(weights)
    energy.differentiate()
    double = increments.grad.numpy()
    np.testing.assert_allclose(double[[0, 2]], 2.0 * single[[0, 2]], rtol=1e-5)
    np.testing.assert_array_equal(double[1], 0.0)
    assert np.abs(single[1]).max() > 0.0


@pytest.mark.parametrize("term", [Sliding(), Smoothness()], ids=lambda term: term.name)
def test_terms_that_tie_frames_switch_off_with_the_later_frame(device, term):
    """Without the weight of the last frame its residual is gone, from the frames before it, too."""
    problem, energy = build(rigid_scene(), [term], device)
    energy.differentiate()
    whole = problem.motion.increments["box"].grad.numpy().copy()
    weights = energy.weights.numpy()
    weights[:, 2] = 0.0
    energy.weights.assign(weights)
    energy.differentiate()
    found = problem.motion.increments["box"].grad.numpy()
    assert np.abs(whole[2]).max() > 0.0
    np.testing.assert_array_equal(found[2], 0.0)
    if term.name == "smoothness":
        np.testing.assert_array_equal(found, 0.0)  # of three frames the last holds the only acceleration
    else:
        np.testing.assert_allclose(found[0], whole[0], rtol=1e-5, atol=1e-5 * np.abs(whole).max())


def test_no_terms_is_no_energy(device):
    """An empty energy has no rows and no gradient."""
    problem = make_problem(rigid_scene(), device, 16)
    energy = Energy(problem, [])
    energy.freeze()
    energy.evaluate()
    energy.differentiate()
    assert energy.rows.shape == (0, FRAMES)
    np.testing.assert_array_equal(problem.motion.increments["box"].grad.numpy(), 0.0)


def who(energy, name):
    """Bodies that the bound terms of a name concern: their own, and what touches it."""
    pairs = []
    for term in energy.terms:
        if term.name == name:
            partner = getattr(term, "_partner", None) or getattr(getattr(term, "_pair", None), "partner", None)
            pairs.append((term.body.name, partner.name) if partner else (term.body.name,))
    return sorted(pairs)


def test_terms_of_a_scene(device):
    """Every ordered pair of rigid bodies has its contact, every estimated body its motion; weights are passed on."""
    terms = [term for term in default() if ADAM in term.solvers and term.name != "softras"]
    terms = [replace(term, weight=3.0) if term.name == "coverage" else term for term in terms]
    _, energy = build(rigid_scene(), terms, device)
    expected = ("coverage", "far", "sliding", "penetration", "smoothness", "consistency", "rest")
    assert set(energy.names) == set(expected)
    both = [("box", "clamp"), ("clamp", "box")]
    assert who(energy, "sliding") == who(energy, "penetration") == both
    for name in ("far", "smoothness", "consistency", "rest"):
        assert who(energy, name) == [("box",), ("clamp",)]
    weights = dict(zip(energy.names, energy.weights.numpy()[:, 0], strict=True))
    assert weights["coverage"] == 3.0 and weights["far"] == Far().weight
    assert weights["sliding"] == 1.0  # in the cost itself


def test_terms_of_an_articulated_scene(device):
    """Contacts are those of rigid bodies; joints have limits; a surface of links is open and keeps nothing out."""
    terms = [term for term in default() if ADAM in term.solvers]
    problem, energy = build(articulated_scene(), terms, device)
    assert who(energy, "sliding") == [("box", "arm")]
    assert ("box", "arm") in who(energy, "penetration")
    assert who(energy, "pose") == [("arm",)] and who(energy, "rest") == [("box",)]
    assert who(energy, "smoothness") == who(energy, "consistency") == [("arm",), ("box",)]
    assert (("arm", "box") in who(energy, "penetration")) == problem.motion.scene.body("arm").body.closed


def test_known_bodies_have_no_motion_terms(device):
    """What is known moves as it does; pairs of known bodies touch as they do."""
    scene = rigid_scene()
    extra = replace(scene.bodies[0], body=replace(scene.bodies[0].body, name="other"), label=3, known=True)
    scene = replace(scene, bodies=(replace(scene.bodies[0], known=True), scene.bodies[1], extra))
    _, energy = build(scene, PHYSICS, device)
    assert who(energy, "consistency") == who(energy, "smoothness") == [("box",)]
    assert who(energy, "sliding") == [("box", "clamp"), ("box", "other")]


class Constant:
    """A term of constant value that counts how often it was called."""

    name, factor = "constant", 1.0

    def __init__(self):
        self.frozen = self.evaluated = 0

    def enter(self, stage):
        """Nothing to take."""

    def freeze(self):
        self.frozen += 1

    def evaluate(self, rows, row):
        self.evaluated += 1


def test_freezing_is_apart_from_evaluating(device):
    """Terms are frozen when asked to, and not while values or gradients are taken."""
    term = Constant()
    energy = Energy(make_problem(rigid_scene(), device, 16), [term])
    energy.evaluate()
    energy.differentiate()
    assert (term.frozen, term.evaluated) == (0, 2)
    energy.freeze()
    assert (term.frozen, term.evaluated) == (1, 2)
    assert isinstance(energy.rows, wp.array)
