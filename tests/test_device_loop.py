"""Iterations by kernels alone: where LAPACK leads, without a copy to or from the host, and as a graph."""

from dataclasses import replace

import numpy as np
import pytest
import warp as wp

import warpprior
from tests.estimator_scenes import change_terms, disturb, enter, make_arm_scene, make_grasp, make_solver
from warpprior.bench.gpu.copies import counted_copies
from warpprior.refinement import body_fit, gauss_newton
from warpprior.refinement.body_fit import BodyFit
from warpprior.refinement.steps import BodySteps
from warpprior.render import canvas
from warpprior.scenes import simulate
from warpprior.settings import RefineSettings
from warpprior.support.history import History
from warpprior.support.replay import Replay
from warpprior.system import drawings
from warpprior.system import solver as solvers

SETTINGS = RefineSettings(contact_points=128)


@pytest.fixture
def by_kernels(monkeypatch):
    """As on a GPU: equations are solved where they are, and crops stay."""
    monkeypatch.setattr(solvers, "solves_on_device", lambda device: True)
    for module in (canvas, drawings):
        monkeypatch.setattr(module, "can_follow", lambda device: False)


def near(frames=4):
    """A box in a clamp, a little off."""
    scene = make_grasp(frames)
    return scene.with_poses({"box": disturb(scene.body("box").truth, depth=0.02, degrees=3.0)})


def loop(scene, device):
    """An iteration of a solver in its last stage, as it runs, and the solver."""
    solver = make_solver(scene, device, SETTINGS)
    enter(solver, 2)
    return solver.iteration(History(solver.names, 20, device), False), solver


@pytest.mark.parametrize("make", [near, make_arm_scene], ids=["box", "arm"])
def test_iterations_copy_nothing(device, by_kernels, make):
    """Of a rigid body and of one with joints and shared unknowns; the counting itself sees LAPACK's copies."""
    iterate, solver = loop(make(), device)
    iterate()
    with counted_copies() as found:
        for _ in range(3):
            iterate()
    assert not found
    assert solver.problem.shared.names or make is near
    with counted_copies() as found:
        solvers.HostSolver(solver.problem.equations, slice(0, 6), 1e-3, np.ones(6)).solve()
    assert found["numpy"] >= 2 and found["assign"] == 1


def test_bodies_are_tried_without_copies(device, by_kernels):
    """Iterations of one body alone."""
    solver = make_solver(near(), device, SETTINGS)
    enter(solver, 2)
    own = [term for term in solver.terms if term.body.name == "box"]
    fit = BodyFit(BodySteps(solver.problem.motion.scene.body("box"), solver.problem), own, solver.problem, 1e-3)
    fit.linearise()
    before = fit.poses
    with counted_copies() as found:
        fit.iterate(3)
    assert not found and np.abs(fit.poses - before).max() > 1e-4


def test_a_stage_copies_costs_only_when_it_looks_at_them(device, by_kernels, monkeypatch):
    """More iterations mean no more copies than a look at costs and steps after every few."""
    counts = []
    monkeypatch.setattr(gauss_newton.GaussNewton, "_settled", lambda solver, rows: False)
    for iterations in (8, 16):
        settings = RefineSettings(contact_points=128, iterations=iterations, without=("hypotheses",))
        settings = replace(settings, gauss_newton=replace(settings.gauss_newton, rest_px=0.0))  # goes on when at rest
        solver = make_solver(near(), device, settings)
        limit = min(iterations, solver.stages[0].iterations)
        with counted_copies() as found:
            assert len(solver.run(0)) == limit
        counts.append((limit, sum(found.values())))
    (few, copies), (many, more) = counts
    assert many > few and more - copies <= 5 * (many - few) // gauss_newton.CHECK_EVERY


@pytest.mark.parametrize("name", ["robot_lift", "grasp_lift"])
def test_refinements_end_where_those_by_lapack_do(device, monkeypatch, name):
    """Hypotheses, stages, shared unknowns: within 0.1 mm of each other, all else being the same."""
    from warpprior.refinement.run import refine

    scene = simulate(name, frame_count=4, seed=1, images=False, device="cpu")
    found, kinds = [], set()
    made = solvers.make_solver

    def make(*arguments, **words):
        solver = made(*arguments, **words)
        kinds.add(type(solver).__name__)
        return solver

    for module in (gauss_newton, body_fit):
        monkeypatch.setattr(module, "make_solver", make)
    for there in (False, True):
        monkeypatch.setattr(solvers, "solves_on_device", lambda device, there=there: there)
        found.append(refine(scene, device=device).poses)
    assert kinds == {"HostSolver", "DeviceSolver", "FrameSolver"}
    for body in scene.bodies:
        apart = np.linalg.norm(found[0][body.name].position - found[1][body.name].position, axis=1)
        assert apart.max() < 1e-4


def test_a_graph_of_all_of_it_gives_the_same_bits(device, by_kernels, graphs_or_skip, monkeypatch):
    """Seeding and a stage, solved by kernels, launched and replayed."""
    found = []
    for capture in (False, True):
        monkeypatch.setattr(
            body_fit, "Replay", lambda run, device, capture, graph=capture: Replay(run, device, capture=graph)
        )
        solver = make_solver(near(6), device, change_terms(SETTINGS), capture=capture)
        with graphs_or_skip():
            rows = solver.run(1)
        found.append((solver.problem.motion.read_transforms()["box"], rows))
    if wp.get_device(device).is_cuda:
        np.testing.assert_allclose(found[0][0], found[1][0], atol=1e-4)
    else:
        np.testing.assert_array_equal(found[0][0], found[1][0])
        assert found[0][1] == found[1][1]


def test_a_graph_follows_a_hand_that_bends(device, by_kernels, graphs_or_skip):
    """A hand and what it holds, a stage launched and one replayed; where Warp cannot record it, it is launched."""
    scene, found = simulate("grasp_lift", frame_count=4, seed=1, images=False, device="cpu"), []
    for capture in (False, True):
        solver = make_solver(scene, device, SETTINGS, capture=capture)
        with graphs_or_skip():
            solver.run(0)
        found.append(solver.problem.motion.read_transforms())
    for name, poses in found[0].items():
        np.testing.assert_allclose(found[1][name], poses, atol=1e-4 if wp.get_device(device).is_cuda else 0.0)


def test_clips_together_are_solved_by_kernels_as_alone(device, by_kernels):
    """Several in the same launches, whose equations are parts of one array, to the bit on a CPU."""
    scenes, settings = [make_arm_scene(count, seed=count) for count in (3, 4)], RefineSettings(iterations=6)
    together = warpprior.refine_many(scenes, settings, device=device, together=True)
    for scene, found in zip(scenes, together, strict=True):
        expected = warpprior.refine(scene, settings, device=device).poses
        for name, poses in found.poses.items():
            np.testing.assert_allclose(poses.position, expected[name].position, atol=1e-9 if device == "cpu" else 1e-5)
