"""The alignment's stages, its settling, and good frames that seed broken neighbours."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import warp as wp
from scipy.spatial.transform import Rotation

from tests.estimator_scenes import add_millimetres, make_block, make_clamp, make_grasp, make_motion, make_scene
from warpprior.refinement.aligner import BodyAligner
from warpprior.refinement.gauss_newton import COLUMNS, Alignment
from warpprior.refinement.hypotheses import cheapest_path, choose_poses, keep_unseen_turn
from warpprior.settings import AlignSettings, RefineSettings
from warpprior.support.history import History
from warpprior.system.motion import MotionState
from warpprior.system.picture import prepare_picture
from warpprior.system.problem import Problem

SETTINGS = RefineSettings(contact_points=128)


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
    """State and aligner of the box, in the second stage."""
    state = MotionState(scene, device, point_count=SETTINGS.contact_points)
    aligner = BodyAligner(scene.body("box"), Problem(state, prepare_picture(state, 0.5), SETTINGS.align))
    aligner.enter(SETTINGS.align.stages[1])
    return state, aligner


def errors(scene, state):
    """ADD of the box in each frame [mm]."""
    part = scene.body("box")
    return add_millimetres(part.body, state.read()["box"], part.truth)


@pytest.mark.parametrize("broken", [(2,), (0,), (5,), (1, 2), (0, 1, 4, 5)], ids=str)
def test_good_frames_mend_broken_ones(device, broken):
    """Frames turned 60 degrees away take a neighbour's pose, carried along by the clamp; good ones stay good."""
    scene = at_truth(make_grasp(6), broken)
    state, aligner = problem(scene, device)
    assert errors(scene, state)[list(broken)].min() > 15.0
    assert choose_poses(aligner, 6) >= len(broken)
    assert errors(scene, state).max() < 8.0


def test_seeding_travels_no_farther_than_asked(device):
    """Each round reaches one frame on."""
    scene = at_truth(make_grasp(6), (2, 3, 4, 5))
    state, aligner = problem(scene, device)
    choose_poses(aligner, 1)
    found = errors(scene, state)
    assert found[:3].max() < 8.0
    assert found[4:].min() > 8.0


def test_good_frames_stay_good(device):
    """At the truth nothing moves by more than a millimetre, and a frame without neighbours not at all."""
    scene = at_truth(make_grasp(5))
    state, aligner = problem(scene, device)
    choose_poses(aligner, 6)
    assert errors(scene, state).max() < 1.0
    alone = at_truth(make_grasp(1))
    state, aligner = problem(alone, device)
    start = state.read_transforms()["box"]
    assert choose_poses(aligner, 6) == 0
    np.testing.assert_array_equal(state.read_transforms()["box"], start)


@pytest.mark.parametrize("turned", [(0, 1, 2, 3), (1, 3)], ids=str)
def test_half_turns_are_found(device, turned):
    """A body that pictures tell from its half turns starts upside down in all or some frames, and is put upright."""
    truth = make_motion((0.0, 0.0, 0.4), (0.3, 0.4, 0.1), drift=(0.003, 0.002, 0.0), spin=(0.03, 0.05, 0.02), frames=4)
    rotation = Rotation.from_quat(truth.rotation)
    upside_down = (rotation * Rotation.from_rotvec([np.pi, 0.0, 0.0])).as_quat()
    start = truth.rotation.copy()
    start[list(turned)] = upside_down[list(turned)]
    scene = make_scene((make_clamp("box"),), (truth,), (replace(truth, rotation=start),))
    state, aligner = problem(scene, device)
    assert choose_poses(aligner, 0, turns=False) == 0
    assert choose_poses(aligner, 4) >= len(turned)
    assert errors(scene, state).max() < 4.0


@pytest.mark.parametrize("seed", range(4))
def test_the_cheapest_path_is_the_cheapest_of_all(seed):
    """Against every path there is: costs of frames, jumps within a sequence, and how far from the first guess."""
    random = np.random.default_rng(seed)
    count, frames = 3, 5
    rotations = Rotation.from_rotvec(0.4 * random.normal(size=(count * frames, 3))).as_quat().reshape(count, frames, 4)
    poses = np.concatenate([0.03 * random.normal(size=(count, frames, 3)), rotations], axis=2)
    costs = random.uniform(0.0, 8.0, (count, frames))
    costs[1, 2] = np.nan  # a pose that became useless
    joined = np.array([True, True, False, True])
    guess = Rotation.from_rotvec(0.4 * random.normal(size=(frames, 3))).as_quat()
    found = cheapest_path(list(zip(poses, costs, strict=True)), joined, guess)
    totals = {}
    usable = np.where(np.isnan(costs), np.inf, costs)
    jump = 3.0 * np.median(usable.min(axis=0)) + 5.0
    for path in product(range(count), repeat=frames):
        chosen = poses[list(path), range(frames)]
        turns = Rotation.from_quat(chosen[:, 3:])
        stray = (Rotation.from_quat(guess).inv() * turns).magnitude() / 0.6
        leaps = ((turns[:-1].inv() * turns[1:]).magnitude() / 0.3) ** 2
        leaps += (np.linalg.norm(np.diff(chosen[:, :3], axis=0), axis=1) / 0.03) ** 2
        jumps = np.where(joined, leaps / (1.0 + leaps), 0.0).sum()
        strayed = 0.5 * (stray**2 / (1.0 + stray**2)).sum()
        totals[path] = usable[list(path), range(frames)].sum() + jump * (jumps + strayed)
    best = min(totals, key=totals.get)
    np.testing.assert_array_equal(found, poses[list(best), range(frames)])


def test_equal_hypotheses_leave_the_first():
    """Where nothing tells poses apart, the body's own stay."""
    own = np.tile([0.0, 0.0, 0.5, 0.0, 0.0, 0.0, 1.0], (3, 1))
    other = own + np.array([0.01, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    found = cheapest_path([(own, np.ones(3)), (other, np.ones(3))], np.ones(2, dtype=bool), own[:, 3:])
    np.testing.assert_array_equal(found, own)


def test_seeding_stops_at_the_end_of_a_sequence(device):
    """A pose is not carried from one sequence into the next."""
    scene = at_truth(make_grasp(6), (3, 4, 5))
    state, aligner = problem(scene, device)
    state.segments.assign(np.array([0, 0, 0, 1, 1, 1], dtype=np.int32))
    choose_poses(aligner, 6)
    assert errors(scene, state)[3:].min() > 8.0


def test_seeding_without_other_bodies(device):
    """A body on its own takes its neighbour's pose as it is."""
    truth = make_grasp(5).body("box").truth
    alone = at_truth(make_scene((make_block(),), (truth,), (truth,)), (2,))
    state, aligner = problem(alone, device)
    assert choose_poses(aligner, 3) >= 1
    assert errors(alone, state)[2] < 10.0


def test_unseen_turns_are_kept():
    """A carried pose turns the body's axis where it should be, and about it as little as that takes."""
    random = np.random.default_rng(0)
    own, carried = (
        np.hstack([random.normal(size=(20, 3)), Rotation.random(20, random_state=s).as_quat()]) for s in (1, 2)
    )
    assert keep_unseen_turn(carried, own, "none") is carried
    sphere = keep_unseen_turn(carried, own, "sphere")
    np.testing.assert_array_equal(sphere[:, :3], carried[:, :3])
    np.testing.assert_array_equal(sphere[:, 3:], own[:, 3:])
    for letter, axis in zip("xyz", np.eye(3), strict=True):
        found = keep_unseen_turn(carried, own, letter)
        np.testing.assert_array_equal(found[:, :3], carried[:, :3])
        turned = Rotation.from_quat(found[:, 3:])
        expected = Rotation.from_quat(carried[:, 3:]).apply(axis)
        np.testing.assert_allclose(turned.apply(axis), expected, atol=1e-9)
        start = Rotation.from_quat(own[:, 3:])
        swing = np.arccos(np.sum(start.apply(axis) * expected, axis=1))
        np.testing.assert_allclose((turned * start.inv()).magnitude(), swing, atol=1e-9)
    opposite = own.copy()
    opposite[:, 3:] = (Rotation.from_quat(own[:, 3:]) * Rotation.from_rotvec([np.pi, 0, 0])).as_quat()
    assert np.isfinite(keep_unseen_turn(opposite, own, "z")).all()


def test_a_stage_ends_when_its_costs_settle(device):
    """At the truth a stage needs no more than two looks at its costs, and takes no more than its iterations."""
    scene = at_truth(make_grasp(4))
    state = MotionState(scene, device, point_count=SETTINGS.contact_points)
    picture = prepare_picture(state, 0.5)
    lenient = replace(SETTINGS, align=AlignSettings(tolerance=1.0))
    assert len(Alignment(state, picture, lenient).run(0)) == 8
    strict = replace(SETTINGS, align=AlignSettings(tolerance=0.0))
    rows = Alignment(state, picture, strict).run(0)
    assert len(rows) == SETTINGS.align.stages[0].iterations
    assert set(rows[0]) == {"stage", *COLUMNS}
    assert errors(scene, state).max() < 5.0


def test_steps_are_bounded(device):
    """However wrong the picture, no step exceeds what a linearisation can be trusted for."""
    scene = at_truth(make_grasp(4), (0, 1, 2, 3), degrees=90.0)
    state, aligner = problem(scene, device)
    for _ in range(4):
        aligner.linearise()
        aligner.solve()
        step = np.abs(state.increments["box"].numpy())
        assert np.isfinite(step).all()
        assert (step <= np.array([0.05, 0.05, 0.1, 0.2, 0.2, 0.2]) * (1 + 1e-5)).all()
        state.pose()
        state.settle()


def test_history_rows_are_the_costs_of_the_iterations(device):
    """One row per iteration, each the sum over the frames of what was linearised."""
    scene = make_grasp(3)
    state = MotionState(scene, device, point_count=SETTINGS.contact_points)
    alignment = Alignment(state, prepare_picture(state, 0.5), SETTINGS)
    aligner = alignment.aligners[0]
    aligner.enter(SETTINGS.align.stages[0])
    aligner.linearise()
    expected = [float(aligner.costs[term].numpy().sum()) for term in COLUMNS]
    history = History(COLUMNS, 2, device)
    alignment.linearise(history)
    alignment.linearise(history)
    np.testing.assert_allclose(history.read()[0], expected, rtol=1e-12)
    assert history.read().shape == (2, len(COLUMNS))


def test_replayed_graphs_give_the_same_bits(device, graphs_or_skip):
    """A stage replayed from a graph moves poses as a launched one does."""
    found = []
    for capture in (False, True):
        scene = make_grasp(6)
        state = MotionState(scene, device, point_count=SETTINGS.contact_points)
        alignment = Alignment(state, prepare_picture(state, 0.5), SETTINGS, capture=capture)
        with graphs_or_skip():
            rows = alignment.run(0)
        found.append((state.read_transforms()["box"], rows))
    if wp.get_device(device).is_cuda:
        np.testing.assert_allclose(found[0][0], found[1][0], atol=1e-4)
    else:
        np.testing.assert_array_equal(found[0][0], found[1][0])
        assert found[0][1] == found[1][1]
