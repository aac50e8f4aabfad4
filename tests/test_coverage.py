"""Coverage: its modes, its units, its chain to poses, and where its optimum lies for each method."""

import numpy as np
import pytest

from tests.gradcheck import compare_gradients
from tests.silhouette_scenes import (
    HAND,
    OBJECT,
    bind,
    check_replay,
    depth_optimum,
    depth_scan,
    draw_labels,
    evaluate,
    make_camera,
    make_ellipsoid,
    make_poses,
    make_scene,
    moved,
    shift,
    true_coverage,
)
from warpprior.bodies import rigid_body
from warpprior.render.canvas import Canvas
from warpprior.render.window import Window, whole_window
from warpprior.scene import Scene, SceneBody
from warpprior.support.errors import InputError
from warpprior.system.motion import MotionState
from warpprior.system.targets import (
    TARGET_BACKGROUND,
    TARGET_IGNORE,
    channel_scales,
    channel_targets,
    contour_lengths,
)
from warpprior.terms import Coverage
from warpprior.terms.coverage import MODES

EVERY = [(method, mode) for method, modes in MODES.items() for mode in modes]


@pytest.mark.parametrize(("method", "mode"), EVERY)
@pytest.mark.parametrize("known", [(), ("hand",)], ids=["both move", "hand known"])
def test_every_mode_pulls_back(device, method, mode, known):
    """Three pixels off, descent leads straight back, and the value is smaller at the truth."""
    scene = make_scene(known=known)
    labels = draw_labels(scene)
    step = np.zeros((1, 6))
    step[0, :2] = 2.4 / scene.camera.fx, 1.8 / scene.camera.fy
    bound = bind(shift(scene, "object", step), labels, device, Coverage(method=method, mode=mode))
    value, gradients = evaluate(bound)
    pull = gradients["object"][0, :2]
    assert pull @ step[0, :2] > 0.9 * np.linalg.norm(pull) * np.linalg.norm(step[0, :2])
    bound = bind(scene, labels, device, Coverage(method=method, mode=mode))
    assert evaluate(bound)[0][0] < value[0]


def test_value_is_the_mean_displacement_of_the_contour(device):
    """A ball shifted by d: its contour moves by 2 d / pi along its normal, on average, whatever the resolution."""
    for size in (128, 256):
        camera = make_camera(size, size)
        ball = SceneBody(make_ellipsoid("ball", (0.05,) * 3, 4), OBJECT, False, make_poses((0.0, 0.0, 0.5), frames=2))
        scene = Scene("ball", camera, 30.0, (ball,))
        labels = draw_labels(scene)
        steps = np.zeros((2, 6))
        steps[:, 0] = np.array([3.0, 6.0]) / camera.fx
        for sigma in (1.0, 2.0):
            bound = bind(shift(scene, "ball", steps), labels, device, Coverage(sigma_px=sigma))
            expected = np.array([3.0, 6.0]) * 2.0 / np.pi / sigma
            np.testing.assert_allclose(evaluate(bound)[0], expected, rtol=0.1)


@pytest.mark.parametrize("mode", ["modal", "amodal-ignore"])
def test_chain_to_poses_against_supersampled_loss(device, mode):
    """The recorded adjoint through projection and poses: the gradient of the squared error, six degrees of freedom."""
    scene = make_scene(known=("hand",), camera=make_camera(192, 192))
    camera = scene.camera
    labels = draw_labels(scene)
    units = np.array([1.0 / camera.fx] * 2 + [1.0 / 40.0] * 4)
    start = shift(scene, "object", [[4.0 / camera.fx, 3.0 / camera.fy, 0.02, 0.0, 0.0, 0.0]])
    bound = bind(start, labels, device, Coverage(mode=mode))
    found = evaluate(bound)[1]["object"][0] * units
    channel = 1 if mode == "modal" else 0
    found = found / bound.masks[0].scales.numpy()[0, channel]
    bodies = scene.bodies if mode == "modal" else scene.bodies[1:]
    targets = (labels[0] == OBJECT).astype(float)
    weights = np.ones(targets.shape)
    weights[[0, -1]], weights[:, [0, -1]] = 0.0, 0.0
    if mode == "amodal-ignore":
        weights[labels[0] == HAND] = 0.0
    steps = 0.5 * np.concatenate([np.diag(units), -np.diag(units)])
    poses = {body.name: start.body(body.name).initial.frames([0] * 12) for body in bodies}
    poses["object"] = moved(poses["object"], steps)
    coverage = true_coverage(camera, bodies, poses, samples=8, device=device)[:, channel]
    losses = (weights * (coverage - targets) ** 2).sum(axis=(1, 2))
    truth = losses[:6] - losses[6:]
    compare_gradients(found, truth, name=f"coverage to poses, {mode}", worst=np.inf, cosine=0.999, bias=0.03)
    assert np.linalg.norm(found - truth) < 0.035 * np.linalg.norm(truth)


@pytest.mark.parametrize("mode", ["modal", "union", "amodal-ignore"])
def test_depth_optimum_is_the_truth(device, mode):
    """With hard labels, the least loss is within 0.2 % of the true depth."""
    steps = np.linspace(-0.02, 0.02, 21)
    losses = depth_scan((0.05, 0.04, 0.03), steps, device, Coverage(method="edge", mode=mode))
    assert abs(depth_optimum(losses, steps)) < 0.002


def test_depth_optimum_with_exact_coverage(device):
    """Against box coverage, too, the least squared error of both bodies' masks is within 0.2 % of the true depth."""
    scene = make_scene(camera=make_camera(160, 160), frames=21)
    poses = {body.name: body.initial.frames([0]) for body in scene.bodies}
    targets = true_coverage(scene.camera, scene.bodies, poses, device=device)[0]
    steps = np.zeros((21, 6))
    steps[:, 2] = np.linspace(-0.02, 0.02, 21)
    for index, name in enumerate(("hand", "object")):
        state = MotionState(shift(scene, name, steps), device, point_count=16)
        canvas = Canvas(state.assembly, [0, 1], [True, True], whole_window(21, 160, 160), device)
        drawn = canvas.read_coverage(state.screen)
        for losses in (
            ((drawn - targets) ** 2).sum(axis=(1, 2, 3)),
            ((drawn.sum(axis=1) - targets.sum(axis=0)) ** 2).sum(axis=(1, 2)) if index else None,
        ):
            assert losses is None or abs(depth_optimum(losses, steps[:, 2])) < 0.002


@pytest.mark.parametrize(("method", "mode"), EVERY)
def test_frames_without_labels_count_nothing(device, method, mode):
    """A label that is missing, and labels that are all don't-care: no value, no gradient, nothing not finite."""
    scene = make_scene(frames=3)
    labels = draw_labels(scene)
    labels[1][:] = 0
    labels[2][:] = 255
    bound = bind(scene, labels, device, Coverage(method=method, mode=mode))
    values, gradients = evaluate(bound)
    assert values[0] > 0.0 and (values[1:] == 0.0).all()
    for gradient in gradients.values():
        assert np.isfinite(gradient).all() and (gradient[1:] == 0.0).all()


def test_one_missing_label_leaves_the_other_body_its_own(device):
    """Where only the object is labelled, the hand is not pushed about, and the object still is."""
    scene = make_scene()
    labels = draw_labels(scene)
    labels[labels == HAND] = 255
    step = [[2.0 / scene.camera.fx, 0.0, 0.0, 0.0, 0.0, 0.0]]
    bound = bind(shift(scene, "object", step), labels, device, Coverage())
    _, gradients = evaluate(bound)
    assert np.abs(gradients["object"]).max() > 5.0 * np.abs(gradients["hand"]).max()


def test_evaluations_do_not_leave_traces(device):
    """Evaluating twice on one tape doubles value and gradient; evaluating again gives the first result, bit for bit."""
    scene = make_scene(frames=2)
    labels = draw_labels(scene)
    bound = bind(shift(scene, "object", [[0.01, 0.0, 0.02, 0.1, 0.0, 0.0]] * 2), labels, device, Coverage())
    value, gradients = evaluate(bound)
    again, same = evaluate(bound)
    twice, double = evaluate(bound, times=2)
    np.testing.assert_array_equal(again, value)
    np.testing.assert_allclose(twice, 2.0 * value, rtol=1e-6)
    for name in gradients:
        np.testing.assert_array_equal(same[name], gradients[name])
        np.testing.assert_allclose(double[name], 2.0 * gradients[name], rtol=1e-4, atol=1e-4)
    assert (bound.masks[0].coverage.numpy() == 0.0).all()


def test_other_rows_are_left_alone(device):
    """The value goes to its own row, and only that row's gradient comes back."""
    scene = make_scene()
    labels = draw_labels(scene)
    shifted = shift(scene, "object", [[0.01, 0.0, 0.0, 0.0, 0.0, 0.0]])
    bound = bind(shifted, labels, device, Coverage())
    first, gradients = evaluate(bound)
    second, same = evaluate(bound, row=2, terms=3)
    np.testing.assert_array_equal(second, first)
    np.testing.assert_array_equal(same["object"], gradients["object"])


@pytest.mark.parametrize("method", list(MODES))
def test_replays_in_a_captured_graph(device, method):
    """Forward and backward, captured once, give the eager result at poses set after the capture."""
    check_replay(Coverage(method=method), device)


def test_open_meshes_have_a_mask(device):
    """A bowl without a lid is drawn from within and without, and is pulled back like any other body."""
    ball = make_ellipsoid("bowl", (0.05, 0.05, 0.05), 3)
    below = (ball.vertices[ball.faces].mean(axis=1)[:, 2] < 0.01).nonzero()[0]
    bowl = rigid_body("bowl", ball.vertices, ball.faces[below], closed=False)
    for turn in (0.0, 2.2):
        body = SceneBody(bowl, OBJECT, False, make_poses((0.0, 0.0, 0.5), (turn, 0.3, 0.0)))
        scene = Scene("bowl", make_camera(), 30.0, (body,))
        labels = draw_labels(scene)
        step = np.array([[3.0 / 320.0, 0.0, 0.0, 0.0, 0.0, 0.0]])
        bound = bind(shift(scene, "bowl", step), labels, device, Coverage())
        value, gradients = evaluate(bound)
        assert value[0] > 1.0 and gradients["bowl"][0, 0] > 5.0 * np.abs(gradients["bowl"][0, 1])


def test_targets_of_labels():
    """Unknown labels and the picture's border are ignored; the crop's border is not; contours are Crofton lengths."""
    labels = np.zeros((1, 20, 30), dtype=np.uint8)
    labels[0, 5:15, 5:15] = 3
    labels[0, 0:4, 0:4] = 9
    camera = make_camera(40, 20)
    window = Window(np.array([[4, 0]], dtype=np.int32), 30, 20)
    targets = channel_targets(labels, {3: 1}, window, camera)[0]
    assert (targets[5:15, 5:15] == 1).all() and (targets[0:4, 0:4] == TARGET_IGNORE).all()
    assert (targets[[0, -1]] == TARGET_IGNORE).all()
    assert (targets[1:-1, [4, 29]][15:] == TARGET_BACKGROUND).all()
    lengths = contour_lengths(targets[None], 2)
    np.testing.assert_allclose(lengths, [[0.0, 40.0 * np.pi / 4.0]])
    targets[5:15, 15] = TARGET_IGNORE
    np.testing.assert_allclose(contour_lengths(targets[None], 2), [[0.0, 30.0 * np.pi / 4.0]])


def test_frames_that_see_little_count_less():
    """A sliver of a label does not weigh as much as a whole one; without normalisation all pixels weigh the same."""
    targets = np.full((4, 60, 60), TARGET_BACKGROUND, dtype=np.uint8)
    targets[:2, 10:50, 10:50] = 0
    targets[2, 30, 30] = 0
    length = 160.0 * np.pi / 4.0
    expected = np.array([1.0, 1.0, 4.0, 0.0])[:, None] / length
    np.testing.assert_allclose(channel_scales(targets, 1, True), expected, rtol=1e-6)
    np.testing.assert_array_equal(channel_scales(targets, 1, False), [[1.0], [1.0], [1.0], [0.0]])


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({"method": "rays"}, "method"),
        ({"method": "soft", "mode": "modal"}, "mode"),
        ({"sigma_px": 0.0}, "sigma_px"),
        ({"tau_px": float("nan")}, "tau_px"),
        ({"mode": "amodal"}, "mode"),
    ],
)
def test_bad_settings_are_named(settings, where):
    """The message names the setting."""
    with pytest.raises(InputError, match=where):
        Coverage(**settings)
