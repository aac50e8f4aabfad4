"""Frames' true times: motion between them is by the time that passed, in single terms and in whole refinements."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.estimator_scenes import (
    change_terms,
    enter,
    linearise,
    make_block,
    make_clamp,
    make_motion,
    make_scene,
    make_solver,
)
from warpprior.refinement.run import refine
from warpprior.scene import Poses
from warpprior.settings import RefineSettings
from warpprior.system.motion import MotionState, frame_paces
from warpprior.terms.smoothness import usual_acceleration

FPS = 30.0
GAP = np.array([0.0, 1.0, 2.0, 3.0, 13.0, 14.0, 15.0, 16.0])  # [nominal frames] ten of them are missing
SETTINGS = RefineSettings(contact_points=32)


def drifting(times, *, velocity=(0.0012, 0.0006, 0.0004), spin=(0.002, 0.006, 0.004), acceleration=(0.0, 0.0, 0.0)):
    """A motion (frame) that drifts and spins, per nominal frame, where it is at some times [nominal frames]."""
    since = (times - times.mean())[:, None]
    position = np.array([0.0, 0.0, 0.45]) + since * velocity + 0.5 * since**2 * acceleration
    rotation = Rotation.from_rotvec(since * spin) * Rotation.from_rotvec([0.4, 0.5, 0.1])
    return Poses(position, rotation.as_quat(), np.zeros((len(times), 0)))


def gap_scene(*, hidden=(4,)):
    """A block that drifts on while ten frames are missing; where it is hidden only its motion says where it is."""
    truth = drifting(GAP)
    random = np.random.default_rng(0)
    start = replace(truth, position=truth.position + 0.002 * random.normal(size=truth.position.shape))
    scene = make_scene((make_block(),), (truth,), (start,))
    labels = scene.labels.copy()
    labels[list(hidden)] = 0
    return replace(scene, labels=labels)


def accelerations(poses, times):
    """Size of the change of velocity between frames, by their true times (frame - 2,) [m per nominal frame^2]."""
    velocities = np.diff(poses.position, axis=0) / np.diff(times)[:, None]
    between = 0.5 * (times[2:] - times[:-2])[:, None]
    return np.linalg.norm(np.diff(velocities, axis=0) / between, axis=1)


def test_a_gap_is_time_that_passed(device):
    """A hidden frame after ten missing ones ends where the drift has carried it; taken for the next one it does not."""
    scene = gap_scene()
    truth = scene.body("box").truth.position
    timed = refine(replace(scene, timestamps=GAP / FPS), SETTINGS, device=device).poses["box"]
    untimed = refine(scene, SETTINGS, device=device).poses["box"]
    off = [np.linalg.norm(found.position - truth, axis=1)[4] for found in (timed, untimed)]
    assert off[0] < 0.0006 and off[1] > 0.004, off
    changes = [accelerations(found, GAP).max() for found in (timed, untimed)]
    assert changes[0] < 1e-4 and changes[1] > 4e-4, changes


@pytest.mark.parametrize("fps", [30.0, 7.5])
def test_evenly_spaced_times_change_nothing(device, fps):
    """The same motion to 1e-5 as without timestamps, wherever the clock starts."""
    truth = drifting(np.arange(5.0))
    clamp = make_clamp()
    start = replace(truth, position=truth.position + np.array([0.004, -0.003, 0.01]))
    scene = replace(make_scene((clamp, make_block()), (truth, truth), (truth, start), known=("clamp",)), fps=fps)
    plain = refine(scene, SETTINGS, device=device)
    timed = refine(replace(scene, timestamps=1000.0 + np.arange(5) / fps), SETTINGS, device=device)
    for field in ("position", "rotation"):
        found, expected = getattr(timed.poses["box"], field), getattr(plain.poses["box"], field)
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert timed.history.keys() == plain.history.keys()


def test_paces_are_nominal_over_true_times():
    """One without timestamps and at the first frame; one tenth after ten frames, two after half of one."""
    scene = gap_scene(hidden=())
    np.testing.assert_array_equal(frame_paces(scene), np.ones(8))
    timed = replace(scene, timestamps=5.0 + GAP / FPS)
    np.testing.assert_allclose(frame_paces(timed), [1, 1, 1, 1, 0.1, 1, 1, 1], rtol=1e-9)
    np.testing.assert_allclose(frame_paces(replace(timed, fps=2 * FPS)), [1, *[0.5] * 3, 0.05, *[0.5] * 3], rtol=1e-9)
    np.testing.assert_allclose(MotionState(timed).paces.numpy(), frame_paces(timed), rtol=1e-6)


@pytest.mark.parametrize("known", [(), ("clamp",)], ids=["own", "of the known body"])
def test_usual_accelerations_are_by_true_times(known):
    """A steady acceleration is what it is, whenever frames were taken; taken for evenly spaced it is not."""
    acceleration = np.array([2e-5, 1e-5, 0.0])
    truth = drifting(GAP, acceleration=acceleration)
    scene = make_scene((make_clamp(), make_block()), (truth, truth), (truth, truth), known=known)
    expected = np.linalg.norm(acceleration) * FPS**2
    timed, plain = (
        usual_acceleration(case.body("box"), MotionState(case, point_count=8))
        for case in (replace(scene, timestamps=GAP / FPS), scene)
    )
    assert timed == pytest.approx(expected, rel=0.01 if known else 0.1)
    assert plain > 3.0 * expected


def test_what_moves_slowly_for_its_time_may_rest(device):
    """5 mm from one frame to the next is motion at 30 Hz, and rest at 3 Hz, as the timestamps say."""
    truth = make_motion((0.0, 0.0, 0.45), drift=(0.005, 0.0, 0.0), frames=8)
    far = replace(truth, position=truth.position + np.array([0.0, 0.2, 0.3]))
    scene = make_scene((make_block("other"), make_block()), (far, truth), (far, truth), known=("other",))
    costs = []
    for case in (scene, replace(scene, timestamps=np.arange(8) / 3.0)):
        solver = make_solver(case, device, change_terms(SETTINGS, rest={"speed_m_s": 0.03}))
        enter(solver, 2)
        costs.append(linearise(solver)["rest"])
    assert costs[0] == 0.0 and costs[1] > 0.0


def test_costs_of_motion_are_per_time(device):
    """Twice the rate and frames twice as far apart: the same velocities and accelerations, so the same costs."""
    carried, slipping = (drifting(GAP, velocity=(0.001, v, 0.0), acceleration=(3e-5, 0.0, 1e-5)) for v in (0.0, 1e-4))
    motions = (carried, slipping)
    scene, found = make_scene((make_clamp(), make_block()), motions, motions, known=("clamp",)), []
    for fps in (FPS, 2.0 * FPS):
        solver = make_solver(replace(scene, fps=fps, timestamps=GAP / FPS), device, SETTINGS)
        enter(solver, 2)
        found.append(linearise(solver))
    for name in ("smoothness", "consistency", "sliding"):
        assert found[0][name] > 1e-5, name
        assert found[1][name] == pytest.approx(found[0][name], rel=1e-4), name
