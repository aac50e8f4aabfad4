"""The mask prior: its modes, its units, its chain to poses, and where its optimum lies for each method."""

import numpy as np
import pytest
import warp as wp

from tests.gradcheck import compare_gradients
from tests.silhouette_scenes import (
    HAND,
    OBJECT,
    make_camera,
    make_ellipsoid,
    make_poses,
    make_scene,
    moved,
    true_coverage,
)
from warpprior.bodies import rigid_body
from warpprior.render.canvas import Canvas
from warpprior.render.images import render_labels
from warpprior.render.window import Window, whole_window, window_around
from warpprior.scene import Scene, SceneBody
from warpprior.support.errors import InputError
from warpprior.system.backdrop import draw_known
from warpprior.system.motion import MotionState
from warpprior.system.targets import (
    TARGET_BACKGROUND,
    TARGET_IGNORE,
    channel_scales,
    channel_targets,
    contour_lengths,
)
from warpprior.terms.silhouette import MODES, SilhouettePrior, SilhouetteSettings

EVERY = [(method, mode) for method, modes in MODES.items() for mode in modes]


def draw_labels(scene, device="cpu"):
    """Label images at the bodies' initial poses."""
    return render_labels(scene, {body.name: body.initial for body in scene.bodies}, device)


def shift(scene, name, steps):
    """The scene with one body's motion changed by increments (frame, 6)."""
    return scene.with_poses({name: moved(scene.body(name).initial, steps)})


def make_prior(scene, labels, device, *, window=None, **settings):
    """State and prior over the whole picture, its work arrays poisoned where they need no zero."""
    camera = scene.camera
    window = whole_window(scene.frame_count, camera.width, camera.height) if window is None else window
    state = MotionState(scene, device, point_count=16)
    prior = SilhouettePrior(state, labels, window, SilhouetteSettings(**settings))
    for mask in prior.masks:
        mask.differences.fill_(1e30)
    return state, prior


def evaluate(state, prior, device, *, row=0, terms=1, times=1):
    """Values (frame,) and the gradients (frame, 6) by each moving body's increments."""
    rows = wp.zeros((terms, state.frame_count), dtype=wp.float32, device=device, requires_grad=True)
    tape = wp.Tape()
    with tape:
        state.pose()
        for _ in range(times):
            prior.evaluate(state, rows, row)
    prior.freeze(state)
    tape.backward(grads={rows: wp.ones(rows.shape, dtype=wp.float32, device=device)})
    gradients = {name: array.grad.numpy()[:, :6].astype(np.float64) for name, array in state.increments.items()}
    tape.zero()
    return rows.numpy()[row].astype(np.float64), gradients


@pytest.mark.parametrize(("method", "mode"), EVERY)
@pytest.mark.parametrize("known", [(), ("hand",)], ids=["both move", "hand known"])
def test_every_mode_pulls_back(device, method, mode, known):
    """Three pixels off, descent leads straight back, and the value is smaller at the truth."""
    scene = make_scene(known=known)
    labels = draw_labels(scene)
    step = np.zeros((1, 6))
    step[0, :2] = 2.4 / scene.camera.fx, 1.8 / scene.camera.fy
    state, prior = make_prior(shift(scene, "object", step), labels, device, method=method, mode=mode)
    value, gradients = evaluate(state, prior, device)
    pull = gradients["object"][0, :2]
    assert pull @ step[0, :2] > 0.9 * np.linalg.norm(pull) * np.linalg.norm(step[0, :2])
    state, prior = make_prior(scene, labels, device, method=method, mode=mode)
    assert evaluate(state, prior, device)[0][0] < value[0]


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
            state, prior = make_prior(shift(scene, "ball", steps), labels, device, sigma_px=sigma)
            expected = np.array([3.0, 6.0]) * 2.0 / np.pi / sigma
            np.testing.assert_allclose(evaluate(state, prior, device)[0], expected, rtol=0.1)


def test_plain_sum_of_squares(device):
    """Without normalisation the value is the number of squared differences, in pixels, as the paper prints it."""
    scene = make_scene()
    labels = draw_labels(scene)
    step = [[4.0 / scene.camera.fx, 0.0, 0.0, 0.0, 0.0, 0.0]]
    state, prior = make_prior(
        shift(scene, "object", step), labels, device, method="edge", mode="union", normalise=False
    )
    seen = draw_labels(shift(scene, "object", step))
    hard = ((seen > 0) != (labels > 0)).sum()
    assert prior.unit == "px"
    np.testing.assert_allclose(evaluate(state, prior, device)[0][0], hard, rtol=0.1)


@pytest.mark.parametrize("mode", ["modal", "amodal-ignore"])
def test_chain_to_poses_against_supersampled_loss(device, mode):
    """The recorded adjoint through projection and poses: the gradient of the squared error, six degrees of freedom."""
    scene = make_scene(known=("hand",), camera=make_camera(192, 192))
    camera = scene.camera
    labels = draw_labels(scene)
    units = np.array([1.0 / camera.fx] * 2 + [1.0 / 40.0] * 4)
    start = shift(scene, "object", [[4.0 / camera.fx, 3.0 / camera.fy, 0.02, 0.0, 0.0, 0.0]])
    state, prior = make_prior(start, labels, device, mode=mode, normalise=False)
    found = evaluate(state, prior, device)[1]["object"][0] * units
    channel = 1 if mode == "modal" else 0
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
    compare_gradients(found, truth, name=f"mask prior to poses, {mode}", worst=np.inf, cosine=0.999, bias=0.03)
    assert np.linalg.norm(found - truth) < 0.035 * np.linalg.norm(truth)


def depth_optimum(losses, steps):
    """Least point of a parabola through the losses around the smallest."""
    near = np.argsort(losses)[:7]
    curve = np.polyfit(steps[near], losses[near], 2)
    best = -curve[1] / (2.0 * curve[0])
    print(f"optimum at {100.0 * np.expm1(best):+.2f} % of the depth")
    return best


def depth_scan(body_radii, steps, device, **settings):
    """Values of the prior with one body's depth changed by factors exp(step), one per frame."""
    camera = make_camera(256, 256)
    thing = make_ellipsoid("object", body_radii, 4)
    body = SceneBody(thing, OBJECT, False, make_poses((0.006, -0.004, 0.5), (0.3, 0.2, 0.4), frames=len(steps)))
    scene = Scene("depth", camera, 30.0, (body,))
    labels = draw_labels(scene)
    scan = np.zeros((len(steps), 6))
    scan[:, 2] = steps
    window = window_around(np.tile([[40.0, 40, 216, 216]], (len(steps), 1)), 256, 256, margin=0.0)
    state, prior = make_prior(shift(scene, "object", scan), window.cut(labels), device, window=window, **settings)
    return evaluate(state, prior, device)[0]


@pytest.mark.parametrize("mode", ["modal", "union", "amodal-ignore"])
def test_depth_optimum_is_the_truth(device, mode):
    """With hard labels, the least loss is within 0.2 % of the true depth."""
    steps = np.linspace(-0.02, 0.02, 21)
    losses = depth_scan((0.05, 0.04, 0.03), steps, device, method="edge", mode=mode)
    assert abs(depth_optimum(losses, steps)) < 0.002


def test_softras_puts_bodies_too_far_away(device):
    """The paper's masks are dilated, so that their optimum is several per cent behind the true depth."""
    steps = np.linspace(-0.02, 0.12, 15)
    losses = depth_scan((0.05, 0.04, 0.03), steps, device, method="softras")
    assert depth_optimum(losses, steps) > 0.02


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
    state, prior = make_prior(scene, labels, device, method=method, mode=mode)
    values, gradients = evaluate(state, prior, device)
    assert values[0] > 0.0 and (values[1:] == 0.0).all()
    for gradient in gradients.values():
        assert np.isfinite(gradient).all() and (gradient[1:] == 0.0).all()


def test_one_missing_label_leaves_the_other_body_its_own(device):
    """Where only the object is labelled, the hand is not pushed about, and the object still is."""
    scene = make_scene()
    labels = draw_labels(scene)
    labels[labels == HAND] = 255
    step = [[2.0 / scene.camera.fx, 0.0, 0.0, 0.0, 0.0, 0.0]]
    state, prior = make_prior(shift(scene, "object", step), labels, device)
    _, gradients = evaluate(state, prior, device)
    assert np.abs(gradients["object"]).max() > 5.0 * np.abs(gradients["hand"]).max()


def test_evaluations_do_not_leave_traces(device):
    """Evaluating twice on one tape doubles value and gradient; evaluating again gives the first result, bit for bit."""
    scene = make_scene(frames=2)
    labels = draw_labels(scene)
    state, prior = make_prior(shift(scene, "object", [[0.01, 0.0, 0.02, 0.1, 0.0, 0.0]] * 2), labels, device)
    value, gradients = evaluate(state, prior, device)
    again, same = evaluate(state, prior, device)
    twice, double = evaluate(state, prior, device, times=2)
    np.testing.assert_array_equal(again, value)
    np.testing.assert_allclose(twice, 2.0 * value, rtol=1e-6)
    for name in gradients:
        np.testing.assert_array_equal(same[name], gradients[name])
        np.testing.assert_allclose(double[name], 2.0 * gradients[name], rtol=1e-4, atol=1e-4)
    assert (prior.masks[0].coverage.numpy() == 0.0).all()


def test_other_rows_are_left_alone(device):
    """The value goes to its own row, and only that row's gradient comes back."""
    scene = make_scene()
    labels = draw_labels(scene)
    shifted = shift(scene, "object", [[0.01, 0.0, 0.0, 0.0, 0.0, 0.0]])
    state, prior = make_prior(shifted, labels, device)
    first, gradients = evaluate(state, prior, device)
    second, same = evaluate(state, prior, device, row=2, terms=3)
    np.testing.assert_array_equal(second, first)
    np.testing.assert_array_equal(same["object"], gradients["object"])


@pytest.mark.parametrize("method", list(MODES))
def test_replays_in_a_captured_graph(device, method):
    """Forward and backward, captured once, give the eager result at poses set after the capture."""
    if not hasattr(wp, "capture_begin"):
        pytest.skip("this Warp cannot capture")
    scene = make_scene()
    labels = draw_labels(scene)
    state, prior = make_prior(scene, labels, device, method=method)
    rows = wp.zeros((1, 1), dtype=wp.float32, device=device, requires_grad=True)
    ones = wp.ones((1, 1), dtype=wp.float32, device=device)
    step = np.array([[0.008, -0.005, 0.01, 0.1, 0.0, 0.0]], dtype=np.float32)
    increments = state.increments["object"]

    def iterate():
        rows.zero_()
        tape = wp.Tape()
        with tape:
            state.pose()
            prior.evaluate(state, rows, 0)
        tape.backward(grads={rows: ones})
        return tape

    iterate().zero()
    increments.assign(step)
    tape = iterate()
    expected, pull = rows.numpy().copy(), increments.grad.numpy().copy()
    tape.zero()
    increments.zero_()
    try:
        with wp.ScopedCapture(device=device) as capture:
            tape = iterate()
    except (RuntimeError, ValueError) as error:
        if wp.get_device(device).is_cuda:  # every Warp captures there
            raise
        pytest.skip(f"this Warp cannot capture on {device}: {error}")
    tape.zero()
    increments.assign(step)
    wp.capture_launch(capture.graph)
    np.testing.assert_allclose(rows.numpy(), expected, rtol=1e-6)
    np.testing.assert_allclose(increments.grad.numpy(), pull, rtol=1e-5, atol=1e-5)


def test_shared_backdrop_is_what_would_be_drawn(device):
    """A key buffer of the still bodies may be given, their channels being their places in the scene."""
    scene = make_scene(known=("hand",))
    labels = draw_labels(scene)
    window = whole_window(1, 128, 128)
    state = MotionState(shift(scene, "object", [[0.01, 0, 0, 0, 0, 0]]), device, point_count=16)
    own = SilhouettePrior(state, labels, window)
    shared = SilhouettePrior(state, labels, window, backdrop=draw_known(state, window, [0]))
    np.testing.assert_array_equal(evaluate(state, shared, device)[0], evaluate(state, own, device)[0])


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
        state, prior = make_prior(shift(scene, "bowl", step), labels, device)
        value, gradients = evaluate(state, prior, device)
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
        ({"method": "softras", "mode": "modal"}, "mode"),
        ({"sigma_px": 0.0}, "sigma_px"),
        ({"tau_px": float("nan")}, "tau_px"),
        ({"softras_sigma": "1e-4"}, "softras_sigma"),
    ],
)
def test_bad_settings_are_named(settings, where):
    """The message names the setting."""
    with pytest.raises(InputError, match=where):
        SilhouetteSettings(**settings)


def test_labels_of_another_size_are_refused(device):
    """Labels that were not cut to the window."""
    state = MotionState(make_scene(), device, point_count=16)
    with pytest.raises(InputError, match="label images"):
        SilhouettePrior(state, np.zeros((1, 64, 64), np.uint8), whole_window(1, 128, 128))
