"""Hypotheses: good frames mend broken neighbours, half turns are found, and the cheapest path is, by true times."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.estimator_scenes import (
    add_millimetres,
    enter,
    make_block,
    make_clamp,
    make_grasp,
    make_motion,
    make_scene,
    make_solver,
)
from warpprior.bodies import rigid_body
from warpprior.refinement import hypotheses
from warpprior.refinement.body_fit import BodyFit
from warpprior.refinement.hypotheses import cheapest_path, choose_poses
from warpprior.refinement.steps import BodySteps

POISON = 7  # no key of a drawing


def at_truth(scene, broken=(), degrees=60.0):
    """The scene starting from the truth, but for broken frames that are turned away."""
    truth = scene.body("box").truth
    rotation = truth.rotation.copy()
    for frame in broken:
        rotation[frame] = (
            Rotation.from_quat(rotation[frame]) * Rotation.from_rotvec([0, np.radians(degrees), 0])
        ).as_quat()
    return scene.with_poses({"box": replace(truth, rotation=rotation)})


def problem(scene, device):
    """Motion and fit of the box alone, in the second stage."""
    solver = make_solver(scene, device)
    enter(solver, 1)
    steps = BodySteps(scene.body("box"), solver.problem)
    fit = BodyFit(steps, solver.terms, solver.problem, solver.settings.gauss_newton.damping)
    return solver.problem.motion, fit


def errors(scene, state):
    """ADD of the box in each frame [mm]."""
    part = scene.body("box")
    return add_millimetres(part.body, state.read()["box"], part.truth)


@pytest.mark.parametrize("broken", [(2,), (0,), (5,), (1, 2), (0, 1, 4, 5)], ids=str)
def test_good_frames_mend_broken_ones(device, broken):
    """Frames turned 60 degrees away take a neighbour's pose, carried along by the clamp; good ones stay good."""
    scene = at_truth(make_grasp(6), broken)
    state, fit = problem(scene, device)
    assert errors(scene, state)[list(broken)].min() > 15.0
    assert choose_poses(fit, 6) >= len(broken)
    assert errors(scene, state).max() < 8.0


def test_seeding_travels_no_farther_than_asked(device):
    """Each round reaches one frame on."""
    scene = at_truth(make_grasp(6), (2, 3, 4, 5))
    state, fit = problem(scene, device)
    choose_poses(fit, 1)
    found = errors(scene, state)
    assert found[:3].max() < 8.0
    assert found[4:].min() > 8.0


def test_good_frames_stay_good(device):
    """At the truth nothing moves by more than a millimetre, and a frame without neighbours not at all."""
    scene = at_truth(make_grasp(5))
    state, fit = problem(scene, device)
    choose_poses(fit, 6)
    assert errors(scene, state).max() < 1.0
    alone = at_truth(make_grasp(1))
    state, fit = problem(alone, device)
    start = state.read_transforms()["box"]
    assert choose_poses(fit, 6) == 0
    np.testing.assert_array_equal(state.read_transforms()["box"], start)


@pytest.mark.parametrize("turned", [(0, 1, 2, 3), (1, 3)], ids=str)
def test_half_turns_are_found(device, turned):
    """A body that pictures tell from its half turns starts upside down in all or some frames, and is put upright."""
    truth = make_motion((0.0, 0.0, 0.4), (0.3, 0.4, 0.1), drift=(0.003, 0.002, 0.0), spin=(0.03, 0.05, 0.02), frames=4)
    rotation = Rotation.from_quat(truth.rotation)
    upside_down = (rotation * Rotation.from_rotvec([np.pi, 0.0, 0.0])).as_quat()
    start = truth.rotation.copy()
    start[list(turned)] = upside_down[list(turned)]
    body = make_clamp("box")
    vertices = body.vertices * np.where(body.vertices[:, :1] > 0.0, [1.4, 1.0, 1.0], 1.0)  # else two turns look alike
    body = rigid_body("box", vertices, body.faces)
    scene = make_scene((body,), (truth,), (replace(truth, rotation=start),))
    state, fit = problem(scene, device)
    assert choose_poses(fit, 0, turns=False) == 0
    assert choose_poses(fit, 4) >= len(turned)
    assert errors(scene, state).max() < 4.0


@pytest.mark.parametrize("pace", [1.0, 2.5, np.array([1.0, 10.0, 1.0, 3.0])], ids=["even", "slow", "uneven"])
@pytest.mark.parametrize("seed", range(4))
def test_the_cheapest_path_is_the_cheapest_of_all(seed, pace):
    """Against every path there is: costs of frames, jumps within a sequence, and how far from the first guess."""
    random = np.random.default_rng(seed)
    count, frames = 3, 5
    rotations = Rotation.from_rotvec(0.4 * random.normal(size=(count * frames, 3))).as_quat().reshape(count, frames, 4)
    poses = np.concatenate([0.03 * random.normal(size=(count, frames, 3)), rotations], axis=2)
    costs = random.uniform(0.0, 8.0, (count, frames))
    costs[1, 2] = np.nan  # a pose that became useless
    joined = np.array([True, True, False, True])
    guess = Rotation.from_rotvec(0.4 * random.normal(size=(frames, 3))).as_quat()
    found = cheapest_path(list(zip(poses, costs, strict=True)), joined, guess, pace=pace)
    totals = {}
    usable = np.where(np.isnan(costs), np.inf, costs)
    jump = 3.0 * np.median(usable.min(axis=0)) + 5.0
    for path in product(range(count), repeat=frames):
        chosen = poses[list(path), range(frames)]
        turns = Rotation.from_quat(chosen[:, 3:])
        stray = (Rotation.from_quat(guess).inv() * turns).magnitude() / 0.6
        leaps = ((turns[:-1].inv() * turns[1:]).magnitude() / 0.3) ** 2
        leaps += (np.linalg.norm(np.diff(chosen[:, :3], axis=0), axis=1) / 0.03) ** 2
        leaps = leaps / pace**2
        jumps = np.where(joined, leaps / (1.0 + leaps), 0.0).sum()
        strayed = 2.5 * (stray**2 / (1.0 + stray**2)).sum()
        totals[path] = usable[list(path), range(frames)].sum() + jump * jumps + strayed
    best = min(totals, key=totals.get)
    np.testing.assert_array_equal(found, poses[list(best), range(frames)])


def test_equal_hypotheses_leave_the_first():
    """Where nothing tells poses apart, the body's own stay."""
    own = np.tile([0.0, 0.0, 0.5, 0.0, 0.0, 0.0, 1.0], (3, 1))
    other = own + np.array([0.01, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    found = cheapest_path([(own, np.ones(3)), (other, np.ones(3))], np.ones(2, dtype=bool), own[:, 3:])
    np.testing.assert_array_equal(found, own)


@pytest.mark.parametrize("long", [1, 3, 5])
def test_pictures_that_contradict_everything_move_nothing(long):
    """Labels of noise make a pose far away cheaper, though nothing fits them; a good fit far away is taken."""
    own = np.tile([0.0, 0.0, 0.6, 0.0, 0.0, 0.0, 1.0], (16, 1))
    away = own + np.eye(7)[0] * 0.3
    joined, noise = np.ones(15, dtype=bool), np.isin(np.arange(16), range(6, 6 + long))
    right, wrong = np.where(noise, 600.0, 4.0), np.where(noise, 300.0, 500.0)
    path = cheapest_path([(own, right), (away, wrong)], joined, own[:, 3:])
    np.testing.assert_array_equal(path, own)
    np.testing.assert_array_equal(hypotheses.contradicting(np.stack([right, wrong])), noise)
    path = cheapest_path([(own, right), (away, np.where(noise, 4.0, 500.0))], joined, own[:, 3:])
    np.testing.assert_array_equal(path, np.where(noise[:, None], away, own))


def test_seeding_stops_at_the_end_of_a_sequence(device):
    """A pose is not carried from one sequence into the next."""
    scene = at_truth(make_grasp(6), (3, 4, 5))
    state, fit = problem(scene, device)
    state.segments.assign(np.array([0, 0, 0, 1, 1, 1], dtype=np.int32))
    choose_poses(fit, 6)
    assert errors(scene, state)[3:].min() > 8.0


def test_seeding_without_other_bodies(device):
    """A body on its own takes its neighbour's pose as it is."""
    truth = make_grasp(5).body("box").truth
    alone = at_truth(make_scene((make_block(),), (truth,), (truth,)), (2,))
    state, fit = problem(alone, device)
    assert choose_poses(fit, 3) >= 1
    assert errors(alone, state)[2] < 10.0


def paces_of(scene, device, monkeypatch):
    """How much farther bodies are taken to move than at 30 Hz, from each frame to the next, in a search of a scene."""
    given = []

    def watch(*arguments, pace, **others):
        given.append(pace)
        return cheapest_path(*arguments, pace=pace, **others)

    monkeypatch.setattr(hypotheses, "cheapest_path", watch)
    choose_poses(problem(scene, device)[1], 1)
    (first, *others) = given
    assert all(np.array_equal(first, other) for other in others)
    return first


def test_more_time_allows_for_more_motion(device, monkeypatch):
    """Paths are searched by true times: after a gap bodies may be elsewhere; frames taken sooner change nothing."""
    scene = at_truth(make_grasp(5))
    times = np.array([0.0, 1.0, 11.0, 11.5, 14.5]) / 30.0
    for case, expected in (
        (scene, [1.0, 1.0, 1.0, 1.0]),
        (replace(scene, timestamps=np.arange(5) / 30.0), [1.0, 1.0, 1.0, 1.0]),
        (replace(scene, timestamps=times), [1.0, 10.0, 1.0, 3.0]),
        (replace(scene, timestamps=times, fps=60.0), [1.0, 10.0, 1.0, 3.0]),
        (replace(scene, fps=10.0), [3.0, 3.0, 3.0, 3.0]),
        (replace(scene, fps=120.0), [1.0, 1.0, 1.0, 1.0]),
    ):
        np.testing.assert_allclose(paces_of(case, device, monkeypatch), expected, rtol=1e-6)


def test_a_jump_is_believed_where_there_was_time_for_it():
    """The better of two poses ten centimetres apart is taken after a gap of ten frames, not from one to the next."""
    near = np.tile([0.0, 0.0, 0.5, 0.0, 0.0, 0.0, 1.0], (4, 1))
    far = near + np.array([0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    costs = np.array([0.0, 0.0, 1.5, 1.5])
    given, joined = [(near, costs), (far, 1.5 - costs)], np.ones(3, dtype=bool)
    for gap, expected in ((1.0, [0.0] * 4), (10.0, [0.0, 0.0, 0.1, 0.1])):
        path = cheapest_path(given, joined, near[:, 3:], pace=np.array([1.0, gap, 1.0]))
        np.testing.assert_array_equal(path[:, 0], expected)


def test_frames_that_are_tried_alone_end_as_with_all_others(device):
    """To the bit, in poses and costs; meanwhile nothing is launched for the others, whose poses come back."""
    scene = at_truth(make_grasp(5), (1, 2), degrees=25.0)
    tried = {}
    for frames in (np.ones(5, dtype=bool), np.isin(np.arange(5), (1, 3))):
        _, fit = problem(scene, device)
        start, canvas = fit.poses, fit.problem.drawings.alone["box"]
        canvas.keys.fill_(POISON)
        with fit.seen_in(frames):
            fit.place(start)
            for _ in range(3):
                fit.linearise()
                fit.step()
            fit.linearise()
            np.testing.assert_array_equal((canvas.keys.numpy() != POISON).any(axis=1), frames)
            costs = fit.observed_costs()
        tried[int(frames.sum())] = fit.poses, costs, start
    (every, all_costs, _), (some, costs, start) = tried[5], tried[2]
    np.testing.assert_array_equal(some[[1, 3]], every[[1, 3]])
    np.testing.assert_array_equal(costs[[1, 3]], all_costs[[1, 3]])
    np.testing.assert_array_equal(some[[0, 2, 4]], start[[0, 2, 4]])
    assert (some[[1, 3]] != start[[1, 3]]).any(axis=1).all()


def test_half_turns_are_tried_in_few_frames_first(device, monkeypatch):
    """In one of four frames, and in those around it where they are as good there; what is known is not tried anew."""
    scene = at_truth(make_grasp(8))
    _, fit = problem(scene, device)
    tried, settle = [], hypotheses._Search.settle

    def listen(search, poses, iterations=hypotheses.SETTLING, frames=None):
        tried.append(np.ones(len(poses), dtype=bool) if frames is None else frames)
        yield from settle(search, poses, iterations, frames)

    monkeypatch.setattr(hypotheses._Search, "settle", listen)
    monkeypatch.setattr(hypotheses._Search, "carry", lambda *_: iter(()))
    monkeypatch.setattr(hypotheses, "LEAST_JUMP_COST", -1e9)  # nothing is a rival
    choose_poses(fit, 4)
    assert [int(frames.sum()) for frames in tried] == [8, 2, 0, 2, 0, 2, 0]
    assert (tried[1][:4].sum(), tried[1][4:].sum()) == (1, 1)
    tried.clear()
    monkeypatch.setattr(hypotheses, "LEAST_JUMP_COST", 1e9)
    choose_poses(fit, 4)
    assert [int(frames.sum()) for frames in tried] == [8, 2, 6, 2, 6, 2, 6]
