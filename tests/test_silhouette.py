"""Owner edge-crossing: coverage and its gradient against supersampled coverage, whatever the mesh, at occlusion too.

The adjoint is the derivative of the area that each label covers, so the reference is finite differences of coverage by
many samples per pixel, not of the antialiased picture itself.
"""

import numpy as np
import pytest
import warp as wp
from scipy.ndimage import gaussian_filter

from tests.gradcheck import compare_gradients
from tests.silhouette_scenes import (
    HAND,
    OBJECT,
    make_camera,
    make_capsule_hand,
    make_ellipsoid,
    make_poses,
    make_scene,
    moved,
    true_coverage,
)
from warpprior.bodies import rigid_body
from warpprior.kernels.silhouette import push_coverage_gradient
from warpprior.render.canvas import EPOCH_LIMIT, Canvas
from warpprior.render.window import Window, whole_window
from warpprior.scene import Scene, SceneBody
from warpprior.system.motion import MotionState

STEP = 0.5  # of finite differences, on the screen [px]
FIELDS = 48  # random weight pictures


def make_canvas(scene, device, *, channels=(0, 1), window=None):
    """State of a scene and a canvas of all of its moving bodies."""
    state = MotionState(scene, device, point_count=16)
    camera = scene.camera
    window = whole_window(scene.frame_count, camera.width, camera.height) if window is None else window
    return state, Canvas(state.assembly, list(channels), [True] * len(channels), window, device)


def push(state, canvas, weights):
    """Gradients (body, 6) of sum(weights * coverage), weights (channel, height, width), by the bodies' increments."""
    device = state.device
    gradients = wp.array(weights.reshape(1, len(weights), -1).astype(np.float32), dtype=wp.float32, device=device)
    rows = wp.zeros((1, 1), dtype=wp.float32, device=device, requires_grad=True)
    tape = wp.Tape()
    with tape:
        state.pose()
        canvas.draw(state.screen)
        tape.record_func(
            lambda: push_coverage_gradient(
                canvas.outline(state.screen),
                gradients,
                0,
                rows.grad,
                stride=canvas.stride,
                screen_gradients_out=state.screen.grad,
            ),
            [state.screen, rows],
        )
    tape.backward(grads={rows: wp.ones((1, 1), dtype=wp.float32, device=device)})
    found = np.array([state.increments[body.name].grad.numpy()[0, :6] for body in state.estimated], dtype=np.float64)
    tape.zero()
    return found


def smooth_fields(camera, channels, smoothness, count=FIELDS):
    """Random weight pictures (field, channel, height, width) that vary over ``smoothness`` px."""
    random = np.random.default_rng(0)
    shape = (count, channels, camera.height, camera.width)
    fields = gaussian_filter(random.normal(size=shape), (0, 0, smoothness, smoothness))
    return fields / fields.std()


def increment_units(camera):
    """Increments of about one pixel of motion: (x/z, y/z, log z, rotation)."""
    radius = 0.12 * camera.height
    return np.array([1.0 / camera.fx, 1.0 / camera.fy, *[1.0 / radius] * 4])


def numeric_gradients(scene, fields, samples, device):
    """Central differences (body, field, 6), per pixel of motion, of the weighted supersampled coverage."""
    start = {body.name: body.initial for body in scene.bodies}
    units = STEP * increment_units(scene.camera)
    found = np.zeros((len(scene.bodies), len(fields), 6))
    for index, body in enumerate(scene.bodies):
        steps = np.concatenate([np.diag(units), -np.diag(units)])
        poses = {name: motion.frames([0] * 12) for name, motion in start.items()}
        poses[body.name] = moved(poses[body.name], steps)
        coverage = true_coverage(scene.camera, scene.bodies, poses, samples=samples, device=device)
        found[index] = np.einsum("fchw,kchw->fk", fields, coverage[:6] - coverage[6:]) / (2.0 * STEP)
    return found


def check_against_supersampling(scene, device, *, smoothness, samples, error, name):
    """Gradients of linear objectives to both bodies' poses, as RMS over objectives and degrees of freedom."""
    state, canvas = make_canvas(scene, device)
    fields = smooth_fields(scene.camera, 2, smoothness)
    analytic = np.stack([push(state, canvas, field) for field in fields], axis=1) * increment_units(scene.camera)
    numeric = numeric_gradients(scene, fields, samples, device)
    for index, body in enumerate(scene.bodies):
        found, truth = analytic[index], numeric[index]
        relative = np.sqrt(((found - truth) ** 2).sum() / (truth**2).sum())
        print(f"{name}, {body.name}: RMS error {relative:.4f}")
        compare_gradients(found, truth, name=f"coverage {name} {body.name}", worst=np.inf, cosine=0.999, bias=0.02)
        assert relative <= error


@pytest.mark.parametrize("subdivisions", [3, 4, 5])
def test_gradient_at_occlusion_whatever_the_tessellation(device, subdivisions):
    """Hand over object of 1,280, 5,120 and 20,480 faces: at most 2.5 % error, cosine at least 0.999."""
    thing = make_ellipsoid("object", (0.05, 0.04, 0.03), subdivisions)
    name = f"over {20 * 4**subdivisions} faces"
    check_against_supersampling(make_scene(thing=thing), device, smoothness=6.0, samples=8, error=0.025, name=name)


def test_gradient_of_thin_fingers(device):
    """Six-millimetre fingers that run into each other, over an object: at most 3.5 % error."""
    scene = make_scene(hand=make_capsule_hand(), camera=make_camera(256, 256))
    check_against_supersampling(scene, device, smoothness=12.0, samples=8, error=0.035, name="of thin fingers")


def test_antialiasing(device):
    """Border pixels deviate from true coverage by an eighth of what hard labels do, and areas add up."""
    scene = make_scene()
    state, canvas = make_canvas(scene, device)
    found = canvas.read_coverage(state.screen)[0]
    truth = true_coverage(scene.camera, scene.bodies, {b.name: b.initial for b in scene.bodies}, device=device)[0]
    border = (truth > 0) & (truth < 1)
    error = np.sqrt(((found - truth)[border] ** 2).mean())
    hard = np.sqrt(((truth.round() - truth)[border] ** 2).mean())
    assert error < 0.05 and error < 0.2 * hard
    np.testing.assert_allclose(found.sum(axis=(1, 2)), truth.sum(axis=(1, 2)), rtol=2e-3)


def test_squared_error_gradient(device):
    """Three pixels off, the gradient of the squared error to exact coverage is within 3 %."""
    scene = make_scene(camera=make_camera(192, 192))
    camera, units = scene.camera, increment_units(scene.camera)
    start = {body.name: body.initial for body in scene.bodies}
    targets = []
    for angles in ((0.3, 2.0), (2.5, 4.0), (4.4, 0.9)):
        off = [[3.0 * np.cos(a) / camera.fx, 3.0 * np.sin(a) / camera.fy, 0.0, 0.0, 0.0, 0.0] for a in angles]
        poses = {name: moved(motion, [step]) for (name, motion), step in zip(start.items(), off, strict=True)}
        targets.append(true_coverage(camera, scene.bodies, poses, samples=8, device=device)[0])
    state, canvas = make_canvas(scene, device)
    drawn = canvas.read_coverage(state.screen)[0]
    found = np.stack([push(state, canvas, 2.0 * (drawn - target)) for target in targets], axis=1) * units
    for index, body in enumerate(scene.bodies):
        steps = STEP * np.concatenate([np.diag(units), -np.diag(units)])
        poses = {name: motion.frames([0] * 12) for name, motion in start.items()}
        poses[body.name] = moved(poses[body.name], steps)
        coverage = true_coverage(camera, scene.bodies, poses, samples=8, device=device)
        losses = np.stack([((coverage - target) ** 2).sum(axis=(1, 2, 3)) for target in targets])
        truth = (losses[:, :6] - losses[:, 6:]) / (2.0 * STEP)
        name = f"squared error of coverage, {body.name}"
        compare_gradients(found[index], truth, name=name, worst=np.inf, cosine=0.9995, bias=0.03)
        assert np.linalg.norm(found[index] - truth) <= 0.03 * np.linalg.norm(truth)


def test_crops_see_what_the_whole_picture_sees(device):
    """Coverage and gradient in a window around the bodies equal those of the whole picture."""
    scene = make_scene()
    camera = scene.camera
    state, whole = make_canvas(scene, device)
    window = Window(np.array([[11, 17]], dtype=np.int32), 104, 96)
    crop = make_canvas(scene, device, window=window)[1]
    rows, columns = slice(17, 17 + 96), slice(11, 11 + 104)
    full = whole.read_coverage(state.screen)[0]
    assert (full[:, :17] == 0).all() and (full[:, :, :11] == 0).all(), "the window must hold the bodies"
    np.testing.assert_allclose(crop.read_coverage(state.screen)[0], full[:, rows, columns], atol=1e-4)
    weights = smooth_fields(camera, 2, 6.0, count=1)[0]
    expected = push(state, whole, weights)
    np.testing.assert_allclose(push(state, crop, weights[:, rows, columns]), expected, rtol=1e-3, atol=1e-2)


def test_hidden_edges_own_nothing(device):
    """A body behind another gets no gradient, and one alone gets the same whatever its channel is called."""
    camera = make_camera()
    small = make_ellipsoid("small", (0.015, 0.015, 0.01), 2)
    large = make_ellipsoid("large", (0.05, 0.05, 0.02), 3)
    bodies = (
        SceneBody(small, OBJECT, False, make_poses((0.0, 0.0, 0.55))),
        SceneBody(large, HAND, False, make_poses((0.0, 0.0, 0.45))),
    )
    state, canvas = make_canvas(Scene("hidden", camera, 30.0, bodies), device)
    found = push(state, canvas, smooth_fields(camera, 2, 6.0, count=1)[0])
    assert (found[0] == 0.0).all() and np.abs(found[1]).max() > 0.0


def test_partly_outside_the_picture(device):
    """A body that leaves the picture keeps a finite gradient from what is seen."""
    camera = make_camera()
    thing = make_ellipsoid("object", (0.05, 0.04, 0.03), 3)
    body = SceneBody(thing, OBJECT, False, make_poses((0.08, -0.02, 0.5), (0.2, 0.4, 0.1)))
    scene = Scene("outside", camera, 30.0, (body,))
    state, canvas = make_canvas(scene, device, channels=[0])
    weights = np.ones((1, camera.height, camera.width))
    found = push(state, canvas, weights)[0] * increment_units(camera)
    truth = numeric_gradients(scene, weights[None], 8, device)[0, 0]
    # What enters at the picture's border is owned by no edge inside it: only the border pixel's half is missed.
    assert np.isfinite(found).all()
    assert np.linalg.norm(found - truth) <= 0.05 * np.linalg.norm(truth)


@pytest.mark.parametrize("position", [(0.0, 0.0, -0.5), (0.0, 0.0, 0.05), (5.0, 0.0, 0.5)])
def test_bodies_that_are_not_seen(device, position):
    """Behind the camera, at the near plane and far outside: no coverage beyond the picture, finite gradients."""
    thing = make_ellipsoid("object", (0.05, 0.04, 0.03), 2)
    body = SceneBody(thing, OBJECT, False, make_poses(position))
    state, canvas = make_canvas(Scene("unseen", make_camera(), 30.0, (body,)), device, channels=[0])
    assert np.isfinite(canvas.read_coverage(state.screen)).all()
    assert np.isfinite(push(state, canvas, np.ones((1, 128, 128)))).all()


def test_open_sheets_and_edge_on_faces(device):
    """An open sheet has its border as silhouette from both sides; seen edge-on it has no area and no gradient."""
    corners = np.array([[-0.04, -0.03, 0.0], [0.04, -0.03, 0.0], [0.04, 0.03, 0.0], [-0.04, 0.03, 0.0]])
    sheet = rigid_body("sheet", corners, np.array([[0, 1, 2], [0, 2, 3]]), closed=False)
    camera = make_camera()
    area = 0.08 * 0.06 * (camera.fx / 0.5) ** 2
    for turn in (0.0, np.pi):
        body = SceneBody(sheet, OBJECT, False, make_poses((0.0, 0.0, 0.5), (turn, 0.0, 0.0)))
        state, canvas = make_canvas(Scene("sheet", camera, 30.0, (body,)), device, channels=[0])
        np.testing.assert_allclose(canvas.read_coverage(state.screen).sum(), area, rtol=1e-3)
        growth = push(state, canvas, np.ones((1, 128, 128)))[0, 2]  # of the area with log z
        np.testing.assert_allclose(growth, -2.0 * area, rtol=0.02)
    body = SceneBody(sheet, OBJECT, False, make_poses((0.0, 0.0, 0.5), (np.pi / 2, 0.0, 0.0)))
    state, canvas = make_canvas(Scene("edge-on", camera, 30.0, (body,)), device, channels=[0])
    assert canvas.read_coverage(state.screen).max() <= 1.0
    assert np.isfinite(push(state, canvas, np.ones((1, 128, 128)))).all()


def test_claims_survive_the_wrap_of_the_epoch(device):
    """After 65,535 drawings the slots start anew, and the next drawing equals the first."""
    scene = make_scene()
    state, canvas = make_canvas(scene, device)
    first = canvas.read_coverage(state.screen)
    canvas._rounds = EPOCH_LIMIT
    canvas.epoch.fill_(EPOCH_LIMIT)
    assert canvas.draw(state.screen)
    np.testing.assert_array_equal(canvas.read_coverage(state.screen), first)
