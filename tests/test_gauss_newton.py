"""Gauss-Newton: its equations, its steps, what it leaves alone, weights and stages of terms, its history."""

from dataclasses import replace

import numpy as np
import pytest
import warp as wp

from tests.estimator_scenes import (
    add_millimetres,
    change_terms,
    disturb,
    enter,
    frame_costs,
    linearise,
    make_block,
    make_grasp,
    make_motion,
    make_scene,
    make_solver,
)
from tests.reference.equations import assemble
from warpprior.settings import GaussNewtonSettings, RefineSettings
from warpprior.support.history import History

SETTINGS = RefineSettings(contact_points=128)
STAGES = SETTINGS.gauss_newton.stages


def entered(scene, device, *, stage=2, settings=SETTINGS):
    """The solver of a scene in a stage."""
    solver = make_solver(scene, device, settings)
    enter(solver, STAGES[stage])
    return solver


def near_grasp(frames=4):
    """A box in a clamp, a little off."""
    scene = make_grasp(frames)
    return scene.with_poses({"box": disturb(scene.body("box").truth, depth=0.02, degrees=3.0)})


def test_steps_go_down_to_the_truth(device):
    """Costs fall with nearly every step, and the box ends within 2 mm."""
    scene = near_grasp()
    solver = entered(scene, device)
    costs = [sum(linearise(solver).values())]
    for _ in range(12):
        solver.solve()
        solver.advance()
        costs.append(sum(linearise(solver).values()))
    assert costs[-1] < 0.1 * costs[0]
    assert (np.array(costs[1:]) > 1.05 * np.array(costs[:-1])).sum() <= 2
    part = scene.body("box")
    assert np.median(add_millimetres(part.body, solver.problem.motion.read()["box"], part.truth)) < 2.0


def test_equations_are_those_of_least_squares(device):
    """The banded matrix of the whole sequence has no negative eigenvalue."""
    solver = entered(near_grasp(5), device)
    linearise(solver)
    matrix = assemble(solver.problem.equations.hessian.numpy())
    values = np.linalg.eigvalsh(matrix)
    assert values[0] > -1e-6 * values[-1]


def test_linearising_twice_gives_the_same(device):
    """Nothing is carried over from one linearisation to the next."""
    solver = entered(near_grasp(), device)
    equations = solver.problem.equations
    costs = linearise(solver)
    first = [equations.hessian.numpy().copy(), equations.gradient.numpy().copy()]
    assert linearise(solver) == costs
    np.testing.assert_array_equal(equations.hessian.numpy(), first[0])
    np.testing.assert_array_equal(equations.gradient.numpy(), first[1])


def test_frames_without_a_label_see_no_contour(device):
    """Their contour costs nothing and pulls nothing; the other terms still hold them."""
    scene = near_grasp()
    labels = scene.labels.copy()
    labels[1] = 0
    solver = entered(replace(scene, labels=labels), device)
    linearise(solver)
    costs = frame_costs(solver, "contour")
    assert costs[1] == 0.0
    assert (costs[[0, 2, 3]] > 0.0).all()
    assert np.abs(solver.problem.equations.gradient.numpy()[1]).max() > 0.0


def test_contacts_are_felt_only_where_bodies_are_near(device):
    """A box far from the other body has no contact cost; in the clamp it has."""
    costs = linearise(entered(near_grasp(), device))
    assert costs["sliding"] + costs["penetration"] > 0.0
    first, second = make_motion((-0.08, 0.0, 0.6), frames=3), make_motion((0.08, 0.0, 0.6), frames=3)
    scene = make_scene((make_block("a"), make_block("b")), (first, second), (disturb(first), disturb(second)))
    costs = linearise(entered(scene, device))
    assert costs["sliding"] == pytest.approx(0.0, abs=1e-6) and costs["penetration"] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("name", ["contour", "sliding", "penetration", "smoothness", "consistency"])
def test_weights_switch_terms(device, name):
    """Twice the weight costs twice as much; zero switches the term off, and the others cost what they did."""
    found = []
    for factor in (0.0, 1.0, 2.0):
        found.append(
            linearise(entered(near_grasp(), device, settings=change_terms(SETTINGS, **{name: {"weight": factor}})))
        )
    assert name not in found[0]
    assert found[1][name] > 0.0
    if name in ("contour", "sliding", "penetration"):
        assert found[2][name] == pytest.approx(2.0 * found[1][name], rel=1e-5)
    assert found[2][name] > found[1][name]
    for costs in found:
        assert {key: value for key, value in costs.items() if key != name} == found[0]


def test_terms_that_are_left_out_are_not_there(device):
    """Neither in the history nor among what is bound."""
    solver = entered(near_grasp(), device, settings=SETTINGS.leaving_out(["contour", "rest"]))
    assert not {"contour", "rest"} & set(solver.names)
    assert not {"contour", "rest"} & {term.name for term in solver.terms}
    assert set(linearise(solver)) == set(solver.names)


def test_a_stage_ends_when_its_costs_settle(device):
    """At the truth a stage needs no more than two looks at its costs, and takes no more than its iterations."""
    scene = make_grasp(4)
    scene = scene.with_poses({"box": scene.body("box").truth})
    lenient = replace(SETTINGS, gauss_newton=GaussNewtonSettings(tolerance=1.0, rest_px=0.0))
    assert len(make_solver(scene, device, lenient).run(0)) == 8
    strict = replace(SETTINGS, gauss_newton=GaussNewtonSettings(tolerance=0.0, rest_px=0.0))
    solver = make_solver(scene, device, strict)
    rows = solver.run(0)
    assert len(rows) == STAGES[0].iterations
    assert set(rows[0]) == {"stage", *solver.names}
    part = scene.body("box")
    assert add_millimetres(part.body, solver.problem.motion.read()["box"], part.truth).max() < 5.0


def test_a_stage_ends_when_bodies_are_at_rest(device):
    """Then further iterations hardly move them; the last stage brings them closer to rest than one before others."""
    found, counts = {}, {}
    for rest in (0.0, 0.05):
        settings = replace(SETTINGS, gauss_newton=GaussNewtonSettings(tolerance=0.0, rest_px=rest))
        solver = make_solver(near_grasp(), device, settings)
        last = len(solver.stages) - 1
        counts[rest] = [len(solver.run(number)) for number in (last - 1, last)]
        found[rest] = solver.problem.motion.read()["box"].position
    assert counts[0.0] == [stage.iterations for stage in solver.stages[-2:]]
    assert max(counts[0.05]) < min(counts[0.0])
    assert counts[0.05][0] <= counts[0.05][1]
    assert np.abs(found[0.05] - found[0.0]).max() < 5e-4


def test_history_rows_are_the_costs_of_the_iterations(device):
    """One row per iteration, each the sum over the frames of what was linearised."""
    solver = entered(make_grasp(3), device, stage=0)
    linearise(solver)
    expected = [frame_costs(solver, name).sum() if name in found_names(solver) else 0.0 for name in solver.names]
    history = History(solver.names, 2, device)
    solver.linearise(history)
    solver.linearise(history)
    np.testing.assert_allclose(history.read()[0], expected, rtol=1e-12)
    assert history.read().shape == (2, len(solver.names))


def found_names(solver):
    """Names of the terms that concern some body."""
    return {term.name for term in solver.terms}


def test_replayed_graphs_give_the_same_bits(device, graphs_or_skip):
    """A stage replayed from a graph moves poses as a launched one does."""
    found = []
    for capture in (False, True):
        solver = make_solver(make_grasp(6), device, SETTINGS, capture=capture)
        with graphs_or_skip():
            rows = solver.run(0)
        found.append((solver.problem.motion.read_transforms()["box"], rows))
    if wp.get_device(device).is_cuda:
        np.testing.assert_allclose(found[0][0], found[1][0], atol=1e-4)
    else:
        np.testing.assert_array_equal(found[0][0], found[1][0])
        assert found[0][1] == found[1][1]
