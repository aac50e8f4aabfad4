"""One body's least-squares problem: its equations, its steps, what it leaves alone, and the scales of the stages."""

from dataclasses import replace

import numpy as np
import pytest

from tests.estimator_scenes import add_millimetres, disturb, make_ball, make_block, make_grasp, make_motion, make_scene
from tests.reference.equations import assemble
from warpprior.refinement.aligner import BodyAligner
from warpprior.settings import AlignSettings
from warpprior.system.motion import MotionState
from warpprior.system.picture import prepare_picture
from warpprior.system.problem import Problem

STAGES = AlignSettings().stages


def problem(scene, device, *, stage=2, settings=None, name="box"):
    """State and aligner of a body in a stage."""
    state = MotionState(scene, device, point_count=128)
    settings = AlignSettings() if settings is None else settings
    aligner = BodyAligner(scene.body(name), Problem(state, prepare_picture(state, 0.5), settings))
    aligner.enter(STAGES[stage])
    return state, aligner


def near_grasp(frames=4):
    """A box in a clamp, a little off."""
    scene = make_grasp(frames)
    return scene.with_poses({"box": disturb(scene.body("box").truth, depth=0.02, degrees=3.0)})


def total(aligner):
    """All costs of the sequence at the last linearisation."""
    return sum(float(cost.numpy().sum()) for cost in aligner.costs.values())


def step(state, aligner):
    """One Gauss-Newton step."""
    aligner.solve()
    state.pose()
    state.settle()
    aligner.linearise()


def test_steps_go_down_to_the_truth(device):
    """Costs fall with nearly every step, and the box ends within 2 mm."""
    scene = near_grasp()
    state, aligner = problem(scene, device)
    aligner.linearise()
    costs = [total(aligner)]
    for _ in range(12):
        step(state, aligner)
        costs.append(total(aligner))
    assert costs[-1] < 0.1 * costs[0]
    assert (np.array(costs[1:]) > 1.05 * np.array(costs[:-1])).sum() <= 2
    part = scene.body("box")
    assert np.median(add_millimetres(part.body, state.read()["box"], part.truth)) < 2.0


def test_equations_are_those_of_least_squares(device):
    """The banded matrix of the whole sequence has no negative eigenvalue."""
    _, aligner = problem(near_grasp(5), device)
    aligner.linearise()
    matrix = assemble(aligner.problem.equations.hessian.numpy())
    values = np.linalg.eigvalsh(matrix)
    assert values[0] > -1e-6 * values[-1]


def test_linearising_twice_gives_the_same(device):
    """Nothing is carried over from one linearisation to the next."""
    _, aligner = problem(near_grasp(), device)
    equations = aligner.problem.equations
    aligner.linearise()
    first = [equations.hessian.numpy().copy(), equations.gradient.numpy().copy(), total(aligner)]
    aligner.linearise()
    np.testing.assert_array_equal(equations.hessian.numpy(), first[0])
    np.testing.assert_array_equal(equations.gradient.numpy(), first[1])
    assert total(aligner) == first[2]


@pytest.mark.parametrize("symmetry", ["x", "y", "z", "sphere"])
def test_unseen_turns_do_not_move(device, symmetry):
    """Increments about an axis of symmetry are nothing beside the others."""
    truth = make_motion((0.0, 0.0, 0.4), drift=(0.004, 0.002, 0.003), frames=3)
    body = (
        make_ball()
        if symmetry == "sphere"
        else make_ball(radii=np.where(np.array(list("xyz")) == symmetry, 0.035, 0.02))
    )
    scene = make_scene((body,), (truth,), (disturb(truth, depth=0.03),), symmetry={"ball": symmetry})
    state, aligner = problem(scene, device, name="ball")
    aligner.linearise()
    aligner.solve()
    turns = np.abs(state.increments["ball"].numpy()[:, 3:])
    hidden = np.array([symmetry in ("sphere", letter) for letter in "xyz"])
    assert turns[:, hidden].max() < 1e-6
    if symmetry != "sphere":
        assert turns[:, ~hidden].max() > 1e-3


def test_frames_without_a_label_see_no_contour(device):
    """Their contour costs nothing and pulls nothing; the other terms still hold them."""
    scene = near_grasp()
    labels = scene.labels.copy()
    labels[1] = 0
    _, aligner = problem(replace(scene, labels=labels), device)
    aligner.linearise()
    costs = aligner.costs["contour"].numpy()
    assert costs[1] == 0.0
    assert (costs[[0, 2, 3]] > 0.0).all()
    assert aligner.picture_costs()[1] == 0.0
    assert np.abs(aligner.problem.equations.gradient.numpy()[1]).max() > 0.0


def test_a_body_out_of_sight_costs_its_bare_label(device):
    """Not being drawn is worse than being drawn beside the label's border."""
    scene = near_grasp()
    state, aligner = problem(scene, device)
    aligner.linearise()
    near = aligner.picture_costs()
    away = state.read_transforms()["box"][:, :7]
    away[:, 0] += 2.0
    aligner.place(away)
    aligner.linearise()
    assert (aligner.picture_costs() > 2.0 * near).all()


def test_costs_are_copies(device):
    """What was measured stays what it was when the body moves on."""
    state, aligner = problem(near_grasp(), device)
    aligner.linearise()
    costs = aligner.picture_costs()
    kept = costs.copy()
    aligner.place(state.read_transforms()["box"][:, :7] + np.float32(0.01))
    aligner.linearise()
    aligner.picture_costs()
    np.testing.assert_array_equal(costs, kept)


def test_contacts_are_felt_only_where_bodies_are_near(device):
    """A box far from the other body has no contact cost; in the clamp it has."""
    _, aligner = problem(near_grasp(), device)
    aligner.linearise()
    assert aligner.costs["contact"].numpy().sum() > 0.0
    first, second = make_motion((-0.08, 0.0, 0.6), frames=3), make_motion((0.08, 0.0, 0.6), frames=3)
    scene = make_scene((make_block("a"), make_block("b")), (first, second), (disturb(first), disturb(second)))
    _, aligner = problem(scene, device, name="a")
    aligner.linearise()
    assert aligner.costs["contact"].numpy().sum() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    ("weight", "term"),
    [("contour_weight", "contour"), ("sliding_weight", "contact"), ("smoothness_weight", "smoothness")],
)
def test_weights_switch_terms(device, weight, term):
    """Twice the weight costs more; zero switches its share off."""
    found = []
    for factor in (0.0, 1.0, 2.0):
        settings = replace(AlignSettings(), penetration_weight=0.0, consistency_weight=0.0, **{weight: factor})
        _, aligner = problem(near_grasp(), device, settings=settings)
        aligner.linearise()
        found.append(aligner.costs[term].numpy().sum())
    assert found[0] == 0.0
    assert found[2] > found[1] > 0.0


def test_frames_let_go_are_tied_again_by_entering(device):
    """In between nothing couples frames."""
    _, aligner = problem(near_grasp(), device)
    hessian = aligner.problem.equations.hessian
    aligner.linearise()
    tied = hessian.numpy().copy()
    assert np.abs(tied[:, 1:]).max() > 0.0
    aligner.let_frames_go()
    aligner.linearise()
    np.testing.assert_array_equal(hessian.numpy()[:, 1:], 0.0)
    aligner.enter(STAGES[2])
    aligner.linearise()
    np.testing.assert_array_equal(hessian.numpy(), tied)


def test_other_moving_bodies_hold_still_and_hide(device):
    """Solving for one body writes its increments alone; a moving body in front is a blocker."""
    front, back = make_motion((0.012, 0.0, 0.38), frames=3), make_motion((0.0, 0.0, 0.48), frames=3)
    bodies = (make_block("front", (0.012, 0.012, 0.012)), make_block("back"))
    scene = make_scene(bodies, (front, back), (front, back))
    state, aligner = problem(scene, device, name="back")
    aligner.linearise()
    aligner.solve()
    np.testing.assert_array_equal(state.increments["front"].numpy(), 0.0)
    assert aligner.problem.drawings.others["back"].numpy().any()
    step(state, aligner)
    moved = np.linalg.norm(state.read()["back"].position - back.position, axis=1)
    assert moved.max() < 0.003
