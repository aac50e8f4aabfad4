"""One body tried out alone: its steps, what it leaves alone, and what its frames cost."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.estimator_scenes import (
    disturb,
    enter,
    linearise,
    make_block,
    make_grasp,
    make_motion,
    make_scene,
    make_solver,
)
from warpprior.refinement.body_fit import BodyFit
from warpprior.refinement.steps import BodySteps


def body_fit(scene, device, *, stage=2, name="box"):
    """The fit of one body in a stage, and the solver whose terms it takes."""
    solver = make_solver(scene, device)
    enter(solver, stage)
    own = [term for term in solver.terms if term.body.name == name]
    steps = BodySteps(scene.body(name), solver.problem)
    return BodyFit(steps, own, solver.problem, solver.settings.gauss_newton.damping), solver


@pytest.fixture(scope="module")
def grasp():
    """A box in a clamp, a little off."""
    scene = make_grasp(4)
    return scene.with_poses({"box": disturb(scene.body("box").truth, depth=0.02, degrees=3.0)})


def test_frames_without_a_label_cost_hardly_anything(device, grasp):
    """Nothing says how well they fit, but how deep the body lies in the known clamp."""
    labels = grasp.labels.copy()
    labels[1] = 0
    fit, _ = body_fit(replace(grasp, labels=labels), device)
    fit.linearise()
    costs = fit.observed_costs()
    assert costs[1] < 0.5 * costs[[0, 2, 3]].min()
    fit, _ = body_fit(replace(grasp, labels=labels), device)
    fit._terms = [term for term in fit._terms if term.name != "penetration"]
    fit.linearise()
    assert fit.observed_costs()[1] == 0.0


def test_a_body_out_of_sight_costs_its_bare_label(device, grasp):
    """Not being drawn is worse than being drawn beside the label's border."""
    fit, _ = body_fit(grasp, device)
    fit.linearise()
    near = fit.observed_costs()
    away = fit.poses
    away[:, 0] += 2.0
    fit.place(away)
    fit.linearise()
    assert (fit.observed_costs() > 2.0 * near).all()


def test_costs_are_copies(device, grasp):
    """What was measured stays what it was when the body moves on."""
    fit, _ = body_fit(grasp, device)
    fit.linearise()
    costs, poses = fit.observed_costs(), fit.poses
    kept, kept_poses = costs.copy(), poses.copy()
    fit.place(poses + np.float32(0.01))
    fit.linearise()
    fit.observed_costs()
    np.testing.assert_array_equal(costs, kept)
    np.testing.assert_array_equal(poses, kept_poses)


def test_frames_are_let_go_while_one_body_is_tried(device, grasp):
    """In between nothing couples frames, and afterwards all is as it was."""
    fit, solver = body_fit(grasp, device)
    hessian = solver.problem.equations.hessian
    linearise(solver)
    tied = hessian.numpy().copy()
    assert np.abs(tied[:, 1:]).max() > 0.0
    fit.linearise()
    np.testing.assert_array_equal(hessian.numpy()[:, 1:], 0.0)
    assert np.abs(hessian.numpy()[:, 0]).max() > 0.0
    enter(solver, 2)
    linearise(solver)
    np.testing.assert_array_equal(hessian.numpy(), tied)


def test_other_moving_bodies_hold_still_and_hide(device):
    """Solving for one body writes its increments alone; a moving body in front is a blocker."""
    front, back = make_motion((0.012, 0.0, 0.38), frames=3), make_motion((0.0, 0.0, 0.48), frames=3)
    bodies = (make_block("front", (0.012, 0.012, 0.012)), make_block("back"))
    scene = make_scene(bodies, (front, back), (front, back))
    fit, solver = body_fit(scene, device, name="back")
    motion = solver.problem.motion
    before = motion.read_transforms()["front"].copy()
    fit.linearise()
    equations = solver.problem.equations
    others = slice(equations.starts["front"], equations.starts["front"] + 6)
    assert not equations.gradient.numpy()[..., others].any() and not equations.hessian.numpy()[:, :, others].any()
    assert solver.problem.drawings.behind("back").numpy().any()
    fit.step()
    np.testing.assert_array_equal(motion.increments["front"].numpy(), 0.0)
    np.testing.assert_array_equal(motion.read_transforms()["front"], before)
    moved = np.linalg.norm(motion.read()["back"].position - back.position, axis=1)
    assert 0.0 < moved.max() < 0.003


def test_steps_are_bounded(device):
    """However wrong the picture, no step exceeds what a linearisation can be trusted for."""
    scene = make_grasp(4)
    truth = scene.body("box").truth
    away = (Rotation.from_quat(truth.rotation) * Rotation.from_rotvec([0.0, 0.5 * np.pi, 0.0])).as_quat()
    solver = make_solver(scene.with_poses({"box": replace(truth, rotation=away)}), device)
    enter(solver, 1)
    motion = solver.problem.motion
    for _ in range(4):
        linearise(solver)
        solver.solve()
        step = np.abs(motion.increments["box"].numpy())
        assert np.isfinite(step).all() and step.max() > 1e-3
        assert (step <= np.array([0.05, 0.05, 0.1, 0.2, 0.2, 0.2]) * (1 + 1e-5)).all()
        solver.advance()
