"""The energy: values and gradients of all terms together, through poses and joints to the increments."""

from dataclasses import replace

import numpy as np
import pytest
import warp as wp

from tests.estimator_scenes import make_arm, make_block, make_clamp, make_motion, make_scene
from tests.gradcheck import compare_gradients
from warpprior.refinement.adam_terms import build_terms
from warpprior.settings import PolishSettings
from warpprior.system.energy import Energy, Term
from warpprior.system.motion import MotionState
from warpprior.system.picture import prepare_picture

FRAMES = 3
SETTINGS = PolishSettings(mask_weight=0.0, far_weight=0.0)


def shifted(poses, offset, joints=None):
    """The motion moved by ``offset`` [m], with a little more in each frame, so that nothing is exactly at rest."""
    steps = np.arange(poses.frame_count)[:, None]
    position = poses.position + np.asarray(offset) + steps**2 * [0.0007, -0.0005, 0.0011]
    return replace(poses, position=position, joints=poses.joints if joints is None else joints)


def rigid_scene():
    """A box pushed two millimetres into a clamp; both move, each in its own way."""
    truth = make_motion((0.0, 0.0, 0.45), drift=(0.004, 0.002, 0.003), spin=(0.05, 0.1, 0.06), frames=FRAMES)
    pushed = shifted(truth, (0.0022, 0.0008, -0.0013))
    return make_scene((make_clamp(), make_block()), (truth, truth), (truth, pushed))


def articulated_scene():
    """An arm whose last link lies a millimetre deep in a box, both moving."""
    joints = np.column_stack([np.linspace(0.2, 0.35, FRAMES), np.linspace(-0.3, -0.1, FRAMES)])
    arm = make_motion((-0.06, 0.0, 0.45), (0.1, 0.2, 0.0), spin=(0.0, 0.0, 0.04), frames=FRAMES, joints=joints)
    box = make_motion((0.04, 0.03, 0.427), (0.1, 0.2, 0.0), drift=(0.002, 0.001, 0.001), frames=FRAMES)
    return make_scene((make_arm(), make_block()), (arm, box), (shifted(arm, (0.0, 0.0, 0.0)), shifted(box, (0, 0, 0))))


SCENES = {"rigid": rigid_scene, "articulated": articulated_scene}
ONLY = {
    "sliding": {"penetration_weight": 0.0, "smoothness_weight": 0.0, "consistency_weight": 0.0},
    "penetration": {"sliding_weight": 0.0, "smoothness_weight": 0.0, "consistency_weight": 0.0},
    "smoothness": {"sliding_weight": 0.0, "penetration_weight": 0.0, "consistency_weight": 0.0},
    "consistency": {"sliding_weight": 0.0, "penetration_weight": 0.0, "smoothness_weight": 0.0},
    "far": {
        "sliding_weight": 0.0,
        "penetration_weight": 0.0,
        "smoothness_weight": 0.0,
        "consistency_weight": 0.0,
        "far_weight": 1.0,
    },
}
# Step of the differences, in the usual ones, and the largest error of an element.  Grids have kinks at their cells'
# faces, where a difference straddles two slopes; what is far changes slowly, and its values are large.
PRECISION = {
    "sliding": (1.0, 0.1),
    "penetration": (1.0, 0.3),
    "smoothness": (1.0, 0.02),
    "consistency": (1.0, 0.02),
    "far": (10.0, 0.05),
}


def build(scene, settings, device):
    """State and energy of a scene, frozen."""
    state = MotionState(scene, device, point_count=256)
    picture = prepare_picture(state, 0.5)
    notes = []
    energy = Energy(state, build_terms(state, picture, settings, notes.append))
    assert notes == []
    energy.freeze()
    return state, energy


def weighted(energy):
    """Each frame's share of the weighted sum (frame,), at the current increments, in double precision."""
    energy.evaluate()
    return (energy.rows.numpy().astype(np.float64) * energy.weights.numpy()).sum(axis=0)


@pytest.mark.parametrize("term", ONLY)
@pytest.mark.parametrize("kind", SCENES)
def test_gradient_by_the_increments_follows_the_energy(device, kind, term):
    """At zero increments the tape's gradient is the slope of the energy's own values, for every pose and joint."""
    scene = SCENES[kind]()
    if term == "far":
        # Out of their labels, so that the pull acts.
        scene = scene.with_poses({b.name: shifted(b.initial, (0.05, 0.03, 0.03)) for b in scene.bodies})
    state, energy = build(scene, replace(SETTINGS, **ONLY[term]), device)
    assert {name.split()[0] for name in energy.names} == {term}
    energy.differentiate()
    analytic = {name: increments.grad.numpy().copy() for name, increments in state.increments.items()}
    energy.clear()
    # In single precision a step must be long enough to be seen: about a tenth of a millimetre or of a degree.
    factor, worst = PRECISION[term]
    steps = factor * np.array([1e-4, 1e-4, 2e-4, 5e-4, 5e-4, 5e-4, 1e-3, 1e-3])
    for name, increments in state.increments.items():
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
    """Rows hold unweighted values in the order of the names; evaluating again gives the same, not the sum."""
    state, energy = build(rigid_scene(), SETTINGS, device)
    energy.evaluate()
    rows = energy.rows.numpy()
    assert rows.shape == (len(energy.names), FRAMES)
    energy.evaluate()
    np.testing.assert_array_equal(energy.rows.numpy(), rows)
    energy.differentiate()
    np.testing.assert_array_equal(energy.rows.numpy(), rows)
    energy.clear()
    alone = Energy(state, energy.terms[2:3])
    alone.evaluate()
    np.testing.assert_array_equal(alone.rows.numpy()[0], rows[2])


def test_gradients_do_not_add_up_over_iterations(device):
    """Differentiating twice gives the same gradient, whether it was cleared in between or not."""
    state, energy = build(rigid_scene(), SETTINGS, device)
    found = []
    for clear in (True, False, True):
        energy.differentiate()
        found.append(state.increments["box"].grad.numpy().copy())
        if clear:
            energy.clear()
            np.testing.assert_array_equal(state.increments["box"].grad.numpy(), 0.0)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_weights_scale_gradients_and_switch_off_frames(device):
    """Twice the weight, twice the gradient; a frame without weight pulls nothing that is its own."""
    scene = rigid_scene()
    state, energy = build(scene, replace(SETTINGS, **ONLY["penetration"]), device)
    energy.differentiate()
    single = state.increments["box"].grad.numpy().copy()
    weights = 2.0 * energy.weights.numpy()
    weights[:, 1] = 0.0
    energy.weights.assign(weights)
    energy.differentiate()
    double = state.increments["box"].grad.numpy()
    np.testing.assert_allclose(double[[0, 2]], 2.0 * single[[0, 2]], rtol=1e-5)
    np.testing.assert_array_equal(double[1], 0.0)
    assert np.abs(single[1]).max() > 0.0


def test_no_terms_is_no_energy(device):
    """An empty energy has no rows and no gradient."""
    state = MotionState(rigid_scene(), device, point_count=16)
    energy = Energy(state, [])
    energy.freeze()
    energy.evaluate()
    energy.differentiate()
    assert energy.rows.shape == (0, FRAMES)
    np.testing.assert_array_equal(state.increments["box"].grad.numpy(), 0.0)


@pytest.mark.parametrize("kind", SCENES)
def test_terms_of_a_scene(device, kind):
    """Every ordered pair of bodies has its contact terms, every moving body its motion terms; weights are passed on."""
    scene = SCENES[kind]()
    first, second = (body.name for body in scene.bodies)
    _, energy = build(scene, PolishSettings(sliding_weight=3.0), device)
    expected = {"mask", f"far {first}", f"far {second}"}
    for term in ("sliding", "penetration"):
        expected |= {f"{term} {first} {second}", f"{term} {second} {first}"}
    for term in ("consistency", "smoothness"):
        expected |= {f"{term} {first}", f"{term} {second}"}
    assert set(energy.names) == expected
    weights = dict(zip(energy.names, energy.weights.numpy()[:, 0], strict=True))
    assert weights[f"sliding {first} {second}"] == 3.0
    assert weights["mask"] == 1.0


def test_known_bodies_have_no_motion_terms(device):
    """What is known moves as it does; pairs of known bodies touch as they do."""
    scene = rigid_scene()
    extra = replace(scene.bodies[0], body=replace(scene.bodies[0].body, name="other"), label=3, known=True)
    scene = replace(scene, bodies=(replace(scene.bodies[0], known=True), scene.bodies[1], extra))
    _, energy = build(scene, SETTINGS, device)
    assert {"consistency box", "smoothness box"} == {
        n for n in energy.names if n.split()[0] in ("consistency", "smoothness")
    }
    pairs = {tuple(name.split()[1:]) for name in energy.names if name.startswith("sliding")}
    assert pairs == {("clamp", "box"), ("box", "clamp"), ("other", "box"), ("box", "other")}


def test_a_bending_body_is_no_field_to_be_kept_out_of(device):
    """Nothing is kept out of a skinned body, and that is said; its own points are kept out of the other."""
    scene = articulated_scene()
    bent = make_arm(influences=2)
    scene = replace(scene, bodies=(replace(scene.bodies[0], body=bent), scene.bodies[1]))
    state = MotionState(scene, device, point_count=32)
    notes = []
    names = [t.prior.name for t in build_terms(state, prepare_picture(state, 0.5), SETTINGS, notes.append)]
    assert notes == ["nothing is kept out of arm: a surface that bends."]
    assert "penetration arm box" in names
    assert "penetration box arm" not in names


class Constant:
    """A prior of constant value that counts how often it was called."""

    name, unit = "constant", "sigma^2"

    def __init__(self):
        self.frozen = self.evaluated = 0

    def freeze(self, state):
        self.frozen += 1

    def evaluate(self, state, rows, row):
        self.evaluated += 1


def test_freezing_is_apart_from_evaluating(device):
    """Terms are frozen when asked to, and not while values or gradients are taken."""
    state, prior = MotionState(rigid_scene(), device, point_count=16), Constant()
    energy = Energy(state, [Term(prior, 1.0)])
    energy.evaluate()
    energy.differentiate()
    assert (prior.frozen, prior.evaluated) == (0, 2)
    energy.freeze()
    assert (prior.frozen, prior.evaluated) == (1, 2)
    assert isinstance(energy.rows, wp.array)
