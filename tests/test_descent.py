"""The descent by Adam: replayed graphs, no allocation, no waiting, frames that cannot be used, and what is annealed."""

import numpy as np
import pytest
import warp as wp

from tests.estimator_scenes import disturb, make_arm_scene, make_grasp, mask_error
from warpprior.refinement.adam import COARSE, ROUND, Descent
from warpprior.refinement.adam_terms import build_terms
from warpprior.refinement.gauss_newton import COLUMNS, Alignment
from warpprior.settings import AlignSettings, PolishSettings, RefineSettings
from warpprior.support.history import History
from warpprior.system.energy import Energy
from warpprior.system.motion import MotionState
from warpprior.system.picture import prepare_picture
from warpprior.terms.sliding import SlidingSettings


def near_grasp(frames=4):
    """A box in a clamp that starts a little off, within reach of the mask alone."""
    scene = make_grasp(frames)
    return scene.with_poses({"box": disturb(scene.body("box").truth, depth=0.02, degrees=3.0)})


def build(scene, settings=None, device="cpu", **options):
    """State, energy and descent of a scene."""
    settings = PolishSettings() if settings is None else settings
    state = MotionState(scene, device, point_count=64)
    energy = Energy(state, build_terms(state, prepare_picture(state, 0.5), settings, lambda note: None))
    return state, energy, Descent(state, energy, settings, **options)


def run(descent, iterations):
    """Rows of the history."""
    return descent.run(iterations, lambda done: None)


def test_the_energy_goes_down(device):
    """The weighted sum at the end is less than half of what it was once contact is as strict as it ends up."""
    state, energy, descent = build(near_grasp(), PolishSettings(sliding_weight=0.1), device)
    rows = run(descent, 60)
    assert len(rows) == 60
    assert set(rows[0]) == set(energy.names)
    weights = dict(zip(energy.names, energy.weights.numpy()[:, 0], strict=True))
    totals = [sum(weights[name] * value for name, value in row.items()) for row in rows]
    assert totals[-1] < 0.5 * max(totals[:35])
    assert descent.skipped == 0
    assert mask_error(state.scene, state.read()).max() < 0.08


def test_replayed_graphs_give_the_same_bits(device, graphs_or_skip):
    """Iterations replayed from a graph move poses as launched ones do, changes of rates and scales included."""
    found = []
    for capture in (False, True):
        state, _, descent = build(near_grasp(), PolishSettings(), device, capture=capture)
        with graphs_or_skip():
            rows = run(descent, 2 * ROUND + 3)
        found.append((state.read_transforms()["box"], rows))
    if wp.get_device(device).is_cuda:
        np.testing.assert_allclose(found[0][0], found[1][0], atol=1e-4)
    else:
        np.testing.assert_array_equal(found[0][0], found[1][0])
        assert found[0][1] == found[1][1]


def test_nothing_is_allocated_once_it_runs(device, monkeypatch):
    """After the first two iterations no array gets memory of its own."""
    state, _, descent = build(near_grasp(), PolishSettings(), device, capture=False)
    history = History(descent.energy.names, 8, device)
    for _ in range(2):
        descent._iterate(history)
    made = []
    original = wp.array.__init__

    def count(self, *args, **options):
        original(self, *args, **options)
        if self.capacity and getattr(self, "deleter", None) is not None:
            made.append(self.shape)

    monkeypatch.setattr(wp.array, "__init__", count)
    probe = wp.zeros(3, dtype=float, device=state.device)
    if not made:
        pytest.skip(f"allocations cannot be counted in Warp {wp.__version__}")
    made.clear()
    for _ in range(4):
        descent._iterate(history)
    assert made == []
    assert probe.shape == (3,)


def refuse(*args, **options):
    raise AssertionError("the host waited for the device")


def test_iterations_never_wait_for_the_device(device, monkeypatch):
    """Neither the descent nor what the alignment launches reads from the device; only its solve does, on the host."""
    scene = near_grasp()
    _, energy, descent = build(scene, PolishSettings(), device, capture=False)
    of_descent = History(energy.names, 8, device)
    descent._iterate(of_descent)
    state = MotionState(scene, device, point_count=64)
    alignment = Alignment(state, prepare_picture(state, 0.5), RefineSettings())
    alignment.aligners[0].enter(AlignSettings().stages[0])
    history = History(COLUMNS, 8, device)
    alignment.linearise(history)
    alignment.advance()
    for place in ("numpy", "list", "to"):
        monkeypatch.setattr(wp.array, place, refuse)
    monkeypatch.setattr(wp, "synchronize", refuse)
    monkeypatch.setattr(wp, "synchronize_device", refuse)
    for _ in range(3):
        descent._iterate(of_descent)
        alignment.linearise(history)
        alignment.advance()


def test_a_frame_without_usable_gradient_stays_alone(nan_allowed, device):
    """NaN in one frame's gradient: the frame stays, is counted every time, and the others do not notice."""
    settings = PolishSettings(
        sliding_weight=0.0, penetration_weight=0.0, consistency_weight=0.0, smoothness_weight=0.0, far_weight=0.0
    )
    state, _, descent = build(near_grasp(), settings, device, capture=False)
    run(descent, 6)
    expected = state.read_transforms()["box"]
    state, energy, descent = build(near_grasp(), settings, device, capture=False)
    start = state.read_transforms()["box"]
    weights = energy.weights.numpy()
    weights[:, 2] = np.nan
    energy.weights.assign(weights)
    run(descent, 6)
    found = state.read_transforms()["box"]
    others = [0, 1, 3]
    np.testing.assert_array_equal(found[others], expected[others])
    np.testing.assert_allclose(found[2], start[2], atol=1e-6)
    assert np.abs(found[0] - start[0]).max() > 1e-3
    assert descent.skipped == 6


def test_terms_that_couple_frames_spoil_only_their_neighbours(nan_allowed, device):
    """With accelerations a NaN reaches two frames on either side, not the rest; all stay finite."""
    scene = near_grasp(9)
    state, energy, descent = build(scene, PolishSettings(sliding_weight=0.0), device, capture=False)
    weights = energy.weights.numpy()
    weights[energy.names.index("smoothness box"), 4] = np.nan
    energy.weights.assign(weights)
    start = state.read_transforms()["box"]
    run(descent, 3)
    moved = np.abs(state.read_transforms()["box"] - start).max(axis=1) > 1e-4
    assert np.isfinite(state.read_transforms()["box"]).all()
    assert moved[[0, 1, 7, 8]].all()
    assert 0 < descent.skipped <= 5 * 3


def test_joints_never_leave_their_limits(device):
    """Coordinates are clamped after every step, and the clamped ones are what is kept."""
    scene = make_arm_scene(2)
    state, _, descent = build(scene, PolishSettings(rate=20.0), device)
    for _ in range(3):
        run(descent, 2)
        joints = state.read()["arm"].joints
        assert np.abs(joints).max() <= np.float32(0.8)
        np.testing.assert_array_equal(joints.astype(np.float32), state.read_transforms()["arm"][:, 7:])


def test_contact_goes_from_coarse_to_fine(device):
    """Contact begins ten times farther away and ends at its settings; the literal equation is left as printed."""
    for literal in (False, True):
        settings = PolishSettings(sliding=SlidingSettings(literal=literal))
        _, energy, descent = build(near_grasp(2), settings, device)
        (prior,) = [term.prior for term in energy.terms if term.prior.name == "sliding box clamp"]
        distances = []
        for progress in (0.0, 0.25, 0.5, 1.0):
            descent._anneal(progress)
            distances.append(float(prior.contact_distance.numpy()[0]) / prior.settings.contact_distance_m)
        expected = [1.0] * 4 if literal else [COARSE, COARSE**0.5, 1.0, 1.0]
        np.testing.assert_allclose(distances, expected, rtol=1e-5)
        assert float(descent._rate.numpy()[0]) == pytest.approx(settings.final_rate * settings.rate)


def test_reports_and_short_runs(device):
    """Rounds are reported as they end; a run of no iterations changes nothing."""
    state, _, descent = build(near_grasp(2), PolishSettings(), device)
    start = state.read_transforms()["box"]
    assert run(descent, 0) == []
    np.testing.assert_array_equal(state.read_transforms()["box"], start)
    told = []
    descent.run(ROUND + 2, told.append)
    assert told == [ROUND, ROUND + 2]


def test_a_descent_of_nothing_stays(device):
    """Without terms there is no gradient, and poses do not move."""
    state = MotionState(near_grasp(2), device, point_count=16)
    start = state.read_transforms()["box"]
    descent = Descent(state, Energy(state, []), PolishSettings())
    assert run(descent, 3) == [{}, {}, {}]
    np.testing.assert_allclose(state.read_transforms()["box"], start, atol=1e-6)


def test_frames_switched_off_by_weight_do_not_move(device):
    """A frame whose weights are all zero has no gradient of its own and stays where it is."""
    settings = PolishSettings(consistency_weight=0.0, smoothness_weight=0.0, sliding_weight=0.0)
    state, energy, descent = build(near_grasp(3), settings, device)
    weights = energy.weights.numpy()
    weights[:, 0] = 0.0
    energy.weights.assign(weights)
    start = state.read_transforms()["box"]
    run(descent, 4)
    np.testing.assert_allclose(state.read_transforms()["box"][0], start[0], atol=1e-6)
    assert np.abs(state.read_transforms()["box"][1] - start[1]).max() > 1e-4
