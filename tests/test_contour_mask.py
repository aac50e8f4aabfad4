"""The soft contour mask: against the analytic mask of a disc, and its gradient against its own finite differences."""

import numpy as np
import pytest
import warp as wp

from tests.gradcheck import compare_gradients
from tests.silhouette_scenes import OBJECT, make_camera, make_ellipsoid, make_poses, make_scene, moved, true_coverage
from warpprior.kernels import contour_mask
from warpprior.render.canvas import EPOCH_LIMIT, Canvas
from warpprior.render.silhouettes import ContourMask
from warpprior.render.window import whole_window
from warpprior.scene import Scene, SceneBody
from warpprior.system.motion import MotionState
from warpprior.system.targets import DISTANCE_UNKNOWN

POISON = 1e30  # debug mode stops at what is not finite


def make_mask(scene, device, *, tau=1.0, distances=None, channels=(0,)):
    """State and soft mask of a scene; targets are nothing when not given."""
    state, camera = MotionState(scene, device, point_count=16), scene.camera
    frames = scene.frame_count
    window = whole_window(frames, camera.width, camera.height)
    canvas = Canvas(state.assembly, list(channels), [True] * len(channels), window, device)
    if distances is None:
        distances = np.full((frames, camera.height, camera.width), DISTANCE_UNKNOWN, dtype=np.float32)
    one = wp.ones(1, dtype=wp.float32, device=device)
    softness = wp.full(1, tau, dtype=wp.float32, device=device)
    mask = ContourMask(canvas, distances, np.ones(frames, dtype=np.float32), one, softness)
    mask.differences.fill_(POISON)
    return state, mask


def make_ball_scene(offsets=((0.0, 0.0),), radius=0.05):
    """A finely meshed ball near the optical axis, one frame per offset (in px)."""
    camera = make_camera()
    poses = make_poses((0.0, 0.0, 0.5), frames=len(offsets))
    steps = np.zeros((len(offsets), 6))
    steps[:, :2] = np.asarray(offsets) / [camera.fx, camera.fy]
    ball = SceneBody(make_ellipsoid("ball", (radius,) * 3, 5), OBJECT, False, moved(poses, steps))
    return Scene("ball", camera, 30.0, (ball,))


def disc_depth(camera, radius=0.05, distance=0.5):
    """Signed distance, plus inside, of the pixel centres to the circle that a ball on the axis shows [px]."""
    circle = camera.fx * radius / np.sqrt(distance**2 - radius**2)
    v, u = np.mgrid[: camera.height, : camera.width] + 0.5
    return circle - np.hypot(u - camera.cx, v - camera.cy)


def evaluate(state, mask, device, gradient=False):
    """Rows of the loss; with ``gradient``, by the screen positions too."""
    rows = wp.zeros((1, state.frame_count), dtype=wp.float32, device=device, requires_grad=True)
    tape = wp.Tape()
    with tape:
        state.pose()
        mask.evaluate(state.screen, rows, 0)
    if gradient:
        tape.backward(grads={rows: wp.ones(rows.shape, dtype=wp.float32, device=device)})
        pulls = {name: increments.grad.numpy()[:, :6].copy() for name, increments in state.increments.items()}
        tape.zero()
        return rows.numpy()[0], pulls
    return rows.numpy()[0]


@pytest.mark.parametrize("tau", [0.5, 1.5, 4.0])
def test_mask_of_a_ball_is_the_sigmoid_of_the_distance(device, tau):
    """Everywhere, the soft mask is that of the true circle; its level 1/2 is the contour."""
    scene = make_ball_scene()
    state, mask = make_mask(scene, device, tau=tau)
    expected = 1.0 / (1.0 + np.exp(-disc_depth(scene.camera) / tau))
    assert np.abs(mask.read(state.screen)[0] - expected).max() < 0.04 * min(1.0, 1.0 / tau) + 0.003


def test_area_is_that_of_the_body(device):
    """Overlapping parts of one body leave no contour inside it: the soft area is the true one within 1 %."""
    scene = make_scene()
    state, mask = make_mask(scene, device, channels=(0, 0))
    poses = {body.name: body.initial for body in scene.bodies}
    truth = true_coverage(scene.camera, scene.bodies, poses, samples=8, device=device)[0].sum()
    np.testing.assert_allclose(mask.read(state.screen).sum(), truth, rtol=0.01)


def test_loss_vanishes_at_the_truth_and_grows_with_the_shift(device):
    """No bias: among shifts and depths, the least loss is at the truth."""
    shifts = np.linspace(-2.0, 2.0, 9)
    scene = make_ball_scene([(shift, 0.0) for shift in shifts])
    distances = np.tile(disc_depth(scene.camera).astype(np.float32), (len(shifts), 1, 1))
    state, mask = make_mask(scene, device, distances=distances)
    losses = evaluate(state, mask, device)
    assert losses.argmin() == 4 and losses[4] < 0.01 * losses[0]
    state.increments["ball"].assign(np.pad(np.linspace(-0.04, 0.04, 9)[:, None], ((0, 0), (2, 3))).astype(np.float32))
    state.pose()
    state.settle()
    steps = state.read()["ball"]
    centred = np.zeros((9, 6))
    centred[:, 0] = -shifts / scene.camera.fx
    state.assign({"ball": moved(steps, centred)})
    losses = evaluate(state, mask, device)
    curve = np.polyfit(np.linspace(-0.04, 0.04, 9), losses, 2)
    assert abs(curve[1] / (2.0 * curve[0])) < 0.003


@pytest.mark.parametrize("tau", [1.0, 3.0])
def test_gradient_is_that_of_the_mask(device, tau):
    """The adjoint is the derivative of the forward: central differences of the loss itself, six degrees of freedom."""
    scene = make_ball_scene()
    thing = make_ellipsoid("ball", (0.05, 0.035, 0.03), 4)
    body = SceneBody(thing, OBJECT, False, make_poses((0.006, -0.004, 0.5), (0.3, 0.2, 0.4)))
    scene = Scene("ellipsoid", scene.camera, 30.0, (body,))
    distances = disc_depth(scene.camera)[None].astype(np.float32)
    state, mask = make_mask(scene, device, tau=tau, distances=distances)
    _, pulls = evaluate(state, mask, device, gradient=True)
    units = np.array([1.0 / scene.camera.fx] * 2 + [1.0 / 30.0] * 4)
    truth = np.zeros(6)
    for axis in range(6):
        losses = []
        for sign in (1.0, -1.0):
            step = np.zeros((1, 6), dtype=np.float32)
            step[0, axis] = 0.3 * sign * units[axis]
            state.increments["ball"].assign(step)
            losses.append(evaluate(state, mask, device)[0])
        truth[axis] = (losses[0] - losses[1]) / 0.6
    found = pulls["ball"][0] * units
    compare_gradients(found, truth, name=f"contour mask, tau {tau}", worst=np.inf, cosine=0.999, bias=0.02)
    assert np.linalg.norm(found - truth) < 0.02 * np.linalg.norm(truth)


def test_ignored_pixels_say_nothing(device):
    """Pixels of unknown distance give no loss and no gradient."""
    state, mask = make_mask(make_ball_scene(), device)
    losses, pulls = evaluate(state, mask, device, gradient=True)
    assert losses[0] == 0.0 and (pulls["ball"] == 0.0).all()


def test_marks_survive_the_wrap_of_the_epoch(device):
    """The band starts anew with the canvas, and unclaimed slots of the list are no contour."""
    state, mask = make_mask(make_ball_scene(), device)
    mask.spans.fill_(wp.vec2(POISON, -POISON))
    first = mask.read(state.screen)
    mask.canvas._rounds = EPOCH_LIMIT
    mask.canvas.epoch.fill_(EPOCH_LIMIT)
    np.testing.assert_array_equal(mask.read(state.screen), first)
    assert int(contour_mask.BAND) == 6


def test_bodies_out_of_sight(device):
    """Behind the camera and outside the picture there is no mask and no gradient."""
    for position in ((0.0, 0.0, -0.5), (5.0, 0.0, 0.5)):
        body = SceneBody(make_ellipsoid("ball", (0.05,) * 3, 2), OBJECT, False, make_poses(position))
        distances = disc_depth(make_camera())[None].astype(np.float32)
        state, mask = make_mask(Scene("unseen", make_camera(), 30.0, (body,)), device, distances=distances)
        losses, pulls = evaluate(state, mask, device, gradient=True)
        assert losses[0] > 0.0 and (pulls["ball"] == 0.0).all()
