"""The descent by Adam: replayed graphs, no allocation, no waiting, frames that cannot be used, and what is annealed."""

from dataclasses import replace

import numpy as np
import pytest
import warp as wp

from tests.estimator_scenes import disturb, make_arm_scene, make_grasp, mask_error
from tests.two_uses_scenes import coarse_arm, observed
from warpprior.refinement.adam import ROUND, Adam
from warpprior.refinement.gauss_newton import GaussNewton
from warpprior.refinement.run import refine
from warpprior.render import canvas
from warpprior.scene import Scene, SceneBody
from warpprior.settings import AdamSettings, RefineSettings
from warpprior.support.history import History
from warpprior.system import drawings
from warpprior.system.backdrop import draw_known
from warpprior.system.motion import MotionState
from warpprior.system.observed import observe_picture
from warpprior.system.problem import Problem
from warpprior.system.unknown_settings import UnknownSettings

PHYSICS = ("sliding", "penetration", "smoothness", "consistency", "rest")


def near_grasp(frames=4):
    """A box in a clamp that starts a little off, within reach of the mask alone."""
    scene = make_grasp(frames)
    return scene.with_poses({"box": disturb(scene.body("box").truth, depth=0.02, degrees=3.0)})


def make_problem(scene, device, points=64):
    """The problem of a scene at its initial poses."""
    motion = MotionState(scene, device, point_count=points)
    return Problem(motion, observe_picture(motion, 0.5, calibrate=False))


def build(scene, device="cpu", *, without=(), terms=None, **settings):
    """Adam on a scene; ``settings`` are its own, ``capture`` aside."""
    capture = settings.pop("capture", None)
    chosen = RefineSettings(adam=AdamSettings(**settings)).leaving_out(without)
    if terms is not None:
        chosen = replace(chosen, terms=terms)
    return Adam(make_problem(scene, device), chosen, capture=capture)


def run(adam, iterations):
    """Rows of the history."""
    return adam.run(iterations, lambda done: None)


def transforms(adam, name="box"):
    """Base poses and joints of a body (frame, 7 + coordinate)."""
    return adam.problem.motion.read_transforms()[name]


def test_the_energy_goes_down(device):
    """The weighted sum at the end is less than half of what it was once contact is as strict as it ends up."""
    adam = build(near_grasp(), device)
    rows = run(adam, 60)
    assert len(rows) == 60
    assert set(rows[0]) == set(adam.energy.names)
    totals = [sum(row.values()) for row in rows]
    assert totals[-1] < 0.5 * max(totals[:35])
    assert adam.skipped == 0
    motion = adam.problem.motion
    assert mask_error(motion.scene, motion.read()).max() < 0.08


def test_known_bodies_are_drawn_for_the_focal_length_found(device):
    """What hides others is where Gauss-Newton's last focal length puts it."""
    motion = MotionState(near_grasp(), device, point_count=64)
    observed = observe_picture(motion, 0.5, calibrate=False)
    problem = Problem(motion, observed, UnknownSettings(estimate_focal=True))
    before = observed.backdrop.numpy().copy()
    problem.shared.assign(np.array([0.1]))
    motion.pose()
    Adam(problem, RefineSettings())
    expected = draw_known(motion, observed.window, [motion.scene.bodies.index(body) for body in motion.known])
    np.testing.assert_array_equal(observed.backdrop.numpy(), expected.numpy())
    assert (before != expected.numpy()).any()


def test_replayed_graphs_give_the_same_bits(device, graphs_or_skip):
    """Iterations replayed from a graph move poses as launched ones do, changes of rates and scales included."""
    found = []
    for capture in (False, True):
        adam = build(near_grasp(), device, capture=capture)
        with graphs_or_skip():
            rows = run(adam, 2 * ROUND + 3)
        found.append((transforms(adam), rows))
    if wp.get_device(device).is_cuda:
        np.testing.assert_allclose(found[0][0], found[1][0], atol=1e-4)
    else:
        np.testing.assert_array_equal(found[0][0], found[1][0])
        assert found[0][1] == found[1][1]


def test_nothing_is_allocated_once_it_runs(device, monkeypatch):
    """After the first two iterations no array gets memory of its own."""
    adam = build(near_grasp(), device, capture=False)
    history = History(adam.energy.names, 8, device)
    for _ in range(2):
        adam._iterate(history)
    made = []
    original = wp.array.__init__

    def count(self, *args, **options):
        original(self, *args, **options)
        if self.capacity and getattr(self, "deleter", None) is not None:
            made.append(self.shape)

    monkeypatch.setattr(wp.array, "__init__", count)
    probe = wp.zeros(3, dtype=float, device=device)
    if not made:
        pytest.skip(f"allocations cannot be counted in Warp {wp.__version__}")
    made.clear()
    for _ in range(4):
        adam._iterate(history)
    assert made == []
    assert probe.shape == (3,)


def refuse(*args, **options):
    raise AssertionError("the host waited for the device")


def test_iterations_never_wait_for_the_device(device, monkeypatch):
    """Neither Adam nor what Gauss-Newton launches reads from the device; only its solve does, on the host."""
    for module in (canvas, drawings):
        monkeypatch.setattr(module, "can_follow", lambda device: False)  # as on a GPU
    scene = near_grasp()
    adam = build(scene, device, capture=False)
    of_adam = History(adam.energy.names, 8, device)
    adam._iterate(of_adam)
    problem = make_problem(scene, device)
    newton = GaussNewton(problem, RefineSettings())
    problem.enter(newton.stages[0])
    for term in newton.terms:
        term.enter(newton.stages[0])
    history = History(newton.names, 8, device)
    newton.linearise(history)
    newton.advance()
    for place in ("numpy", "list", "to"):
        monkeypatch.setattr(wp.array, place, refuse)
    monkeypatch.setattr(wp, "synchronize", refuse)
    monkeypatch.setattr(wp, "synchronize_device", refuse)
    for _ in range(3):
        adam._iterate(of_adam)
        newton.linearise(history)
        newton.advance()


def test_a_frame_without_usable_gradient_stays_alone(nan_allowed, device):
    """NaN in one frame's gradient: the frame stays, is counted every time, and the others do not notice."""
    options = {"without": (*PHYSICS, "far"), "capture": False}
    adam = build(near_grasp(), device, **options)
    run(adam, 6)
    expected = transforms(adam)
    adam = build(near_grasp(), device, **options)
    assert adam.energy.names == ("coverage",)
    start = transforms(adam)
    weights = adam.energy.weights.numpy()
    weights[:, 2] = np.nan
    adam.energy.weights.assign(weights)
    run(adam, 6)
    found = transforms(adam)
    others = [0, 1, 3]
    np.testing.assert_array_equal(found[others], expected[others])
    np.testing.assert_allclose(found[2], start[2], atol=1e-6)
    assert np.abs(found[0] - start[0]).max() > 1e-3
    assert adam.skipped == 6


def test_terms_that_couple_frames_spoil_only_their_neighbours(nan_allowed, device):
    """With accelerations a NaN reaches two frames on either side, not the rest; all stay finite."""
    adam = build(near_grasp(9), device, without=("sliding", "rest"), capture=False)
    weights = adam.energy.weights.numpy()
    weights[adam.energy.names.index("smoothness"), 4] = np.nan
    adam.energy.weights.assign(weights)
    start = transforms(adam)
    run(adam, 3)
    moved = np.abs(transforms(adam) - start).max(axis=1) > 1e-4
    assert np.isfinite(transforms(adam)).all()
    assert moved[[0, 1, 7, 8]].all()
    assert 0 < adam.skipped <= 5 * 3


def test_joints_never_leave_their_limits(device):
    """Coordinates are clamped after every step, and the clamped ones are what is kept."""
    adam = build(make_arm_scene(2), device, rate=20.0)
    for _ in range(3):
        run(adam, 2)
        joints = adam.problem.motion.read()["arm"].joints
        assert np.abs(joints).max() <= np.float32(0.8)
        np.testing.assert_array_equal(joints.astype(np.float32), transforms(adam, "arm")[:, 7:])


def test_contact_goes_from_coarse_to_fine(device):
    """Contact begins ten times farther away and ends at its settings, and slip alike."""
    adam = build(near_grasp(2), device)
    settings = adam.settings
    (bound,) = [term for term in adam.energy.terms if term.name == "sliding"]
    contacts = adam.problem.contacts(bound.body)
    distances, slips = [], []
    for progress in (0.0, 0.25, 0.5, 1.0):
        adam._anneal(progress)
        distances.append(contacts._reach.numpy()[0]["distance"] / settings.stage.contact_distance_m)
        slips.append(bound._slip.numpy()[0]["width"])
    expected = [settings.coarse, settings.coarse**0.5, 1.0, 1.0]
    np.testing.assert_allclose(distances, expected, rtol=1e-5)
    np.testing.assert_allclose(slips / slips[-1], expected, rtol=1e-5)
    assert float(adam._rate.numpy()[0]) == pytest.approx(settings.final_rate * settings.rate)


def test_the_printed_equations_stay_as_they_are(device):
    """Nothing of the paper's energy is annealed: its terms take no stage."""
    literal = RefineSettings.paper_literal()
    adam = Adam(make_problem(near_grasp(2), device), literal)
    assert adam.energy.names == ("softras", "sliding", "penetration", "consistency", "smoothness")
    found = []
    for progress in (0.0, 1.0):
        adam._anneal(progress)
        adam.energy.freeze()
        adam.energy.evaluate()
        found.append(adam.energy.rows.numpy().copy())
    assert found[0].all(axis=1)[:1].all() and found[0][1].any()
    np.testing.assert_array_equal(found[0], found[1])


def test_reports_and_short_runs(device):
    """Rounds are reported as they end; a run of no iterations changes nothing."""
    adam = build(near_grasp(2), device)
    start = transforms(adam)
    assert run(adam, 0) == []
    np.testing.assert_array_equal(transforms(adam), start)
    reported = []
    adam.run(ROUND + 2, reported.append)
    assert reported == [ROUND, ROUND + 2]


def test_a_descent_of_nothing_stays(device):
    """Without terms there is no gradient, and poses do not move."""
    adam = build(near_grasp(2), device, terms=())
    start = transforms(adam)
    assert run(adam, 3) == [{}, {}, {}]
    np.testing.assert_allclose(transforms(adam), start, atol=1e-6)


def test_frames_switched_off_by_weight_do_not_move(device):
    """A frame whose weights are all zero has no gradient of its own and stays where it is."""
    adam = build(near_grasp(3), device, without=("consistency", "smoothness", "sliding", "rest"))
    weights = adam.energy.weights.numpy()
    weights[:, 0] = 0.0
    adam.energy.weights.assign(weights)
    start = transforms(adam)
    run(adam, 4)
    np.testing.assert_allclose(transforms(adam)[0], start[0], atol=1e-6)
    assert np.abs(transforms(adam)[1] - start[1]).max() > 1e-4


def detected_arm(frames=4):
    """An arm that bends, with keypoints and boxes where it truly is and no labels, that starts some pixels off."""
    truth = make_arm_scene(frames)
    part = truth.bodies[0]
    arm = replace(coarse_arm(), lower=part.body.lower, upper=part.body.upper)
    at_truth = SceneBody(arm, 1, False, part.truth, part.truth)
    scene = observed(Scene("arm", truth.camera, 30.0, (at_truth,)), error_px=0.3)
    start = disturb(part.truth, depth=0.05, degrees=10.0, bearing=0.04)
    random = np.random.default_rng(2)
    start = replace(start, joints=part.truth.joints + random.uniform(-0.15, 0.15, start.joints.shape))
    return replace(scene, read_depth=None).with_poses({"arm": start})


def keypoint_errors(scene, poses):
    """Distances of drawn keypoints from detected ones (frame, keypoint) [px], of those that were seen."""
    problem = make_problem(scene.with_poses(poses), "cpu")
    body, motion = scene.bodies[0], problem.motion
    links = motion.states[body.name].links.numpy()[..., :3]
    table = body.body.keypoints
    vertices = motion.vertices.numpy()
    points = np.where((table.vertices >= 0)[:, None], vertices[:, table.vertices], links[:, table.links])
    seen = scene.keypoints2d[body.name]
    camera = scene.camera
    drawn = points[..., :2] / points[..., 2:] * [camera.fx, camera.fy] + [camera.cx, camera.cy]
    errors = np.linalg.norm(drawn - seen[..., :2], axis=2)
    return errors[seen[..., 2] > 0.0]


def test_keypoints_alone_move_a_body_onto_them(device):
    """Without labels, and without Gauss-Newton, what detectors say is all that is used, and used it is."""
    scene = detected_arm()
    settings = RefineSettings(adam=AdamSettings(iterations=150)).leaving_out(["start", "gauss_newton"])
    result = refine(scene, settings, device=device)
    columns = set(result.history) - {"stage", "iteration"}
    assert columns == {"keypoints", "boxes", "pose", "smoothness", "consistency"}
    before, after = keypoint_errors(scene, {}), keypoint_errors(scene, result.poses)
    assert np.median(before) > 3.0
    assert np.median(after) < 0.25 * np.median(before) and np.median(after) < 1.0
    for name in ("keypoints", "boxes"):
        alone = refine(scene, settings.leaving_out({"keypoints", "boxes"} - {name}), device=device)
        assert {"keypoints", "boxes"} & set(alone.history) == {name}


def test_what_rests_rests_on_the_energy_too(device):
    """A box that nothing touches, jittering as it starts, moves less from frame to frame with rest than without."""
    scene = make_grasp(5, depth=0.0, degrees=0.0)
    box = scene.body("box")
    still = box.truth.frames([0] * 5)
    random = np.random.default_rng(0)
    noisy = replace(still, position=still.position + [0.2, 0.0, 0.0] + 0.0005 * random.normal(size=(5, 3)))
    scene = replace(scene, labels=None, boxes={"box": np.full((5, 4), np.nan)}).with_poses({"box": noisy})
    spread = []
    for without in ((), ("rest",)):
        adam = build(scene, device, without=("smoothness", "consistency", *without), rate=0.3)
        run(adam, 100)
        spread.append(np.abs(np.diff(transforms(adam)[:, :3], axis=0)).max())
    assert spread[0] < 0.2 * spread[1]
