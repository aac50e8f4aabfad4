"""The public pictures: what they show, and gradients of silhouettes and depth on the caller's own tape."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import warp as wp
from scipy.ndimage import gaussian_filter

import warpprior.render.views as views
from tests.estimator_scenes import make_arm, make_motion
from tests.gradcheck import compare_gradients, finite_difference
from tests.pose_gradients import analytic_by_pose, numeric_by_pose
from tests.reference import surface_image as reference
from tests.silhouette_scenes import make_camera, make_ellipsoid, make_poses, make_scene, true_coverage
from warpprior import geometry, render
from warpprior.bodies import posed_vertices
from warpprior.render.canvas import Canvas
from warpprior.render.images import render_depth, render_labels
from warpprior.render.window import whole_window
from warpprior.scene import Scene, SceneBody
from warpprior.support.errors import InputError
from warpprior.system.motion import MotionState


@pytest.fixture(scope="module")
def scene():
    """An ellipsoid in front of a larger one, two frames."""
    return make_scene(thing=make_ellipsoid("object", (0.05, 0.04, 0.03), 3), frames=2)


def poses_of(scene):
    return {body.name: body.initial for body in scene.bodies}


def on_device(values, dtype, device):
    """A Warp array that takes gradients."""
    return wp.array(np.asarray(values, dtype=np.float32), dtype=dtype, device=device, requires_grad=True)


def smooth_weights(shape, seed=0, smoothness=6.0):
    """Random pictures that vary over some pixels."""
    fields = gaussian_filter(np.random.default_rng(seed).normal(size=shape), (0, 0, smoothness, smoothness))
    return (fields / fields.std()).astype(np.float32)


def test_silhouettes_are_the_covered_shares(device, scene):
    """Visible shares equal those of the solvers' canvas, and supersampling's to what antialiasing can."""
    camera, poses = scene.camera, poses_of(scene)
    found = render.silhouette(scene, poses, device=device)
    assert found.shape == (2, 2, camera.height, camera.width) and found.dtype == wp.float32
    state = MotionState(scene, device, point_count=16)
    canvas = Canvas(state.assembly, [0, 1], [True, True], whole_window(2, camera.width, camera.height), device)
    np.testing.assert_allclose(found.numpy(), canvas.read_coverage(state.screen), atol=1e-6)
    truth = true_coverage(camera, scene.bodies, poses, samples=8, device=device)
    assert np.abs(found.numpy() - truth)[(truth > 0) & (truth < 1)].mean() < 0.04


def test_bodies_alone_are_not_hidden(device, scene):
    """Without occlusion each body's area is that of a picture of its own."""
    together = render.silhouette(scene, poses_of(scene), occluded=False, device=device).numpy()
    for index, body in enumerate(scene.bodies):
        own = render.silhouette(body.body, {body.name: body.initial}, camera=scene.camera, device=device).numpy()
        np.testing.assert_array_equal(together[:, index], own[:, 0])
    assert together[:, 1].sum() > 1.1 * render.silhouette(scene, poses_of(scene), device=device).numpy()[:, 1].sum()


@pytest.mark.parametrize("occluded", [True, False])
def test_skin_render_loss_on_the_callers_tape(device, occluded):
    """Gradients of random linear losses by both bodies' poses, against finite differences of supersampled coverage."""
    scene = make_scene(thing=make_ellipsoid("object", (0.05, 0.04, 0.03), 4))
    camera, found, truth = scene.camera, [], []
    for seed in range(8):
        weights = smooth_weights((1, 2, camera.height, camera.width), seed)
        given, surfaces = {}, {}
        with wp.Tape() as tape:
            for body in scene.bodies:
                position = on_device(body.initial.position, wp.vec3, device)
                rotation = on_device(body.initial.rotation, wp.quat, device)
                given[body.name] = (position, rotation)
                surfaces[body.name] = geometry.skin(body.body, position, rotation)
            image = render.silhouette(scene, surfaces, occluded=occluded)
        tape.backward(grads={image: wp.array(weights, dtype=wp.float32, device=device)})
        for index, body in enumerate(scene.bodies):
            found.append(analytic_by_pose(*given[body.name]))
            if occluded:
                truth.append(numeric_by_pose(camera, scene.bodies, poses_of(scene), body.name, weights[0]))
            else:
                only = {body.name: body.initial}
                own = weights[0, index : index + 1]
                truth.append(numeric_by_pose(camera, [body], only, body.name, own))
    scale = np.array([*[1.0] * 3, *[20.0] * 3])  # a turn moves a contour some 50 mm from its axis
    found, truth = np.array(found) / scale, np.array(truth) / scale
    name = f"render.silhouette {'occluded' if occluded else 'alone'}"
    compare_gradients(found, truth, name=name, worst=np.inf, cosine=0.999, bias=0.02)
    assert np.linalg.norm(found - truth) <= 0.03 * np.linalg.norm(truth)


def test_two_pictures_on_one_tape_do_not_disturb_each_other(device, scene):
    """Gradients of two silhouettes of one surface add up, whatever else is drawn before the backward pass."""
    hand = scene.body("hand")
    weights = smooth_weights((2, 2, scene.camera.height, scene.camera.width))
    others = {"object": scene.body("object").initial}

    def gradient(parts):
        surface = on_device(posed_vertices(hand.body, hand.initial), wp.vec3, device)
        moved = on_device(surface.numpy() + np.float32(0.01), wp.vec3, device)
        with wp.Tape() as tape:
            images = [render.silhouette(scene, {"hand": surface, **others}) for _ in parts]
        render.silhouette(scene, {"hand": moved, **others})
        seeds = {
            image: wp.array(part * weights, dtype=wp.float32, device=device)
            for image, part in zip(images, parts, strict=True)
        }
        tape.backward(grads=seeds)
        return surface.grad.numpy()

    once = gradient([1.0])
    np.testing.assert_allclose(gradient([0.25, 0.75]), once, rtol=1e-4, atol=1e-5 * np.abs(once).max())


def test_backward_twice_gives_the_same(device, scene):
    """After ``tape.zero()`` the same seeds give the same gradient; without, leaves add up and nothing else."""
    hand = scene.body("hand")
    surface = on_device(posed_vertices(hand.body, hand.initial), wp.vec3, device)
    weights = wp.array(smooth_weights((2, 1, 128, 128)), dtype=wp.float32, device=device)
    with wp.Tape() as tape:
        image = render.silhouette(hand.body, {"hand": surface}, camera=scene.camera)
    gradients = []
    for zero in (False, True, False):
        if zero:
            tape.zero()
        tape.backward(grads={image: weights})
        gradients.append(surface.grad.numpy().copy())
    tolerance = 1e-5 * np.abs(gradients[0]).max()
    np.testing.assert_allclose(gradients[1], gradients[0], atol=tolerance)
    np.testing.assert_allclose(gradients[2], 2.0 * gradients[0], atol=2.0 * tolerance)


def test_depth_is_differentiable(device, scene):
    """Values are those of the label renderer's depth; gradients equal those of rays that meet the faces they see."""
    poses = poses_of(scene)
    surfaces = {b.name: on_device(posed_vertices(b.body, b.initial), wp.vec3, device) for b in scene.bodies}
    with wp.Tape() as tape:
        image = render.depth(scene, surfaces)
    np.testing.assert_array_equal(image.numpy(), render_depth(scene, poses, device))
    np.testing.assert_array_equal(render.depth(scene, poses, device=device).numpy(), image.numpy())
    body, other = scene.bodies
    canvas = Canvas(views.assemble([body.body, other.body]), [0, 1], [False] * 2, whole_window(2, 128, 128), device)
    view = views._View(scene, surfaces, None, None)
    canvas.draw_faces(view.screen)
    keys = canvas.keys.numpy()[0]
    seen = np.flatnonzero((keys > 0) & ((keys >> np.uint64(28)) & np.uint64(15) == 0))
    pixels = np.random.default_rng(0).choice(seen, 12, replace=False)
    weights = np.zeros((2, 128, 128), dtype=np.float32)
    weights.reshape(2, -1)[0, pixels] = np.random.default_rng(1).normal(size=12)
    tape.backward(grads={image: wp.array(weights, dtype=wp.float32, device=device)})
    faces = (keys[pixels] & np.uint64(0xFFFFFFF)).astype(int)
    touched = np.unique(body.body.faces[faces])
    start = surfaces["hand"].numpy()[0].astype(np.float64)

    def objective(x):
        now = start.copy()
        now[touched] = x
        depths = [
            reference.depth(now[body.body.faces[face]], reference.ray(scene.camera, pixel))
            for face, pixel in zip(faces, pixels, strict=True)
        ]
        return weights.reshape(2, -1)[0, pixels] @ np.array(depths)

    numeric = finite_difference(objective, start[touched])
    found = surfaces["hand"].grad.numpy()
    compare_gradients(found[0, touched], numeric, name="render.depth by vertices", worst=2e-2, cosine=0.99999)
    untouched = np.setdiff1d(np.arange(body.body.vertex_count), touched)
    assert (found[0, untouched] == 0.0).all() and (found[1] == 0.0).all()
    assert (surfaces["object"].grad.numpy() == 0.0).all()


def test_depth_by_joints(device):
    """Through skin, projection and depth to the joints of an arm, against finite differences of the picture itself."""
    arm = make_arm(influences=2)
    joints, camera = np.array([[0.3, -0.2]]), make_camera()
    place = make_poses((-0.05, 0.0, 0.5), (0.4, 0.5, 0.2))

    def mean_depth(values):
        surface = geometry.skin(arm, place.position, place.rotation, values)
        image = render.depth(arm, {"arm": surface}, camera=camera).numpy().astype(np.float64)
        return image

    array = on_device(joints, float, device)
    with wp.Tape() as tape:
        image = render.depth(arm, {"arm": (place.position, place.rotation, array)}, camera=camera)
    step = 1e-3
    moved = [[mean_depth(joints + sign * step * np.eye(2)[k]) for sign in (1, -1)] for k in range(2)]
    smooth = np.ones((1, 128, 128), dtype=bool)
    for pair in moved:
        smooth &= (pair[0] > 0) & (pair[1] > 0) & (np.abs(pair[0] - pair[1]) < 2e-3)
    tape.backward(grads={image: wp.array(smooth.astype(np.float32), dtype=wp.float32, device=device)})
    numeric = [(pair[0] - pair[1])[smooth].sum() / (2.0 * step) for pair in moved]
    np.testing.assert_allclose(array.grad.numpy()[0], numeric, rtol=0.02)


def test_labels_normals_and_colors(device):
    """A coloured ball: its label, outward normals, and colours that vary as its vertices say; zero beside it."""
    ball = make_ellipsoid("ball", (0.05, 0.05, 0.05), 4)
    ball = replace(ball, colors=((ball.vertices / 0.05 + 1.0) / 2.0).astype(np.float32))
    plain = make_ellipsoid("plain", (0.02, 0.02, 0.02), 2)
    place, beside = make_poses((0.01, 0.0, 0.5)), make_poses((-0.07, 0.06, 0.5))
    bodies = (SceneBody(ball, 7, True, place), SceneBody(plain, 9, False, beside))
    scene, camera = Scene("ball", make_camera(), 30.0, bodies), make_camera()
    poses = {"plain": beside}
    seen = render.labels(scene, poses, device=device).numpy()[0]
    np.testing.assert_array_equal(seen, render_labels(scene, {"ball": place, "plain": beside}, device)[0])
    depth = render.depth(scene, poses, device=device).numpy()[0]
    rows, columns = np.mgrid[:128, :128] + 0.5
    rays = np.stack([(columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy, np.ones_like(rows)], axis=2)
    outward = (rays * depth[..., None] - place.position[0]) / 0.05
    inner = (seen == 7) & (outward[..., 2] < -0.3)
    normals, colors = (draw(scene, poses, device=device).numpy()[0] for draw in (render.normals, render.colors))
    np.testing.assert_allclose(normals[inner], outward[inner], atol=0.06)
    np.testing.assert_allclose(colors[inner], (outward[inner] + 1.0) / 2.0, atol=0.01)
    np.testing.assert_allclose(colors[seen == 9], views.PLAIN, atol=1e-5)
    assert (normals[seen == 0] == 0.0).all() and (colors[seen == 0] == 0.0).all()
    numbers = render.labels([ball, plain], {"ball": place, **poses}, camera=camera, device=device).numpy()[0]
    np.testing.assert_array_equal(numbers, (seen == 7) + 2 * (seen == 9))


def test_long_sequences_are_drawn_in_parts(device, scene, monkeypatch):
    """The number of frames drawn at once does not show."""
    poses = poses_of(scene)
    draws = (render.labels, render.depth, render.normals, render.colors)
    whole = [draw(scene, poses, device=device).numpy() for draw in draws]
    monkeypatch.setattr(views, "CHUNK_PIXELS", 1)
    for draw, expected in zip(draws, whole, strict=True):
        np.testing.assert_array_equal(draw(scene, poses, device=device).numpy(), expected)


def test_bodies_behind_the_camera_are_not_seen(device):
    """Nothing is drawn, and gradients are zero."""
    ball = make_ellipsoid("ball", (0.05, 0.05, 0.05), 2)
    position = on_device([[0.0, 0.0, -0.5]], wp.vec3, device)
    place = (position, np.array([[0.0, 0.0, 0.0, 1.0]]))
    with wp.Tape() as tape:
        images = [draw(ball, {"ball": place}, camera=make_camera()) for draw in (render.silhouette, render.depth)]
    assert not any(image.numpy().any() for image in images)
    tape.backward(grads={image: wp.full(image.shape, 1.0, dtype=float, device=device) for image in images})
    assert (position.grad.numpy() == 0.0).all()


def test_what_is_refused(scene):
    """No camera, names that do not fit, frames that differ, a crowd: one sentence each."""
    hand, thing = scene.bodies
    both = poses_of(scene)
    motion = make_motion((0.0, 0.0, 0.4), frames=1)
    crowd = [replace(hand.body, name=f"ball {n}") for n in range(16)]
    with pytest.raises(InputError, match="camera: none; a scene, or bodies with camera="):
        render.silhouette([hand.body], {"hand": hand.initial})
    with pytest.raises(InputError, match="poses of body 'object': none; poses of every body that is not known"):
        render.depth(scene, {"hand": hand.initial})
    with pytest.raises(InputError, match="poses: of a body 'mug'; of some of"):
        render.labels(scene, {**both, "mug": motion})
    with pytest.raises(InputError, match="poses: frames {'hand': 1, 'object': 2}; the same number"):
        render.normals(scene, {**both, "hand": motion})
    with pytest.raises(InputError, match="each with a name of its own"):
        render.colors([hand.body, hand.body], both, camera=scene.camera)
    with pytest.raises(InputError, match="16; at most 15"):
        render.silhouette(crowd, {body.name: motion for body in crowd}, camera=scene.camera)
    alone = render.silhouette(crowd, {b.name: motion for b in crowd}, camera=scene.camera, occluded=False)
    assert alone.shape[1] == 16
    with pytest.raises(InputError, match=r"surface of body 'object': shape \(2, 5, 3\)"):
        render.silhouette(scene, {**both, "object": np.zeros((2, 5, 3))})
    assert thing.name == "object"


def page_snippets():
    """The programs of docs/differentiable.md: Warp's, then torch's, which goes on from it."""
    page = Path(__file__).resolve().parents[1] / "docs" / "differentiable.md"
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def test_the_program_of_the_page_runs(capsys):
    """As printed; the bottle's silhouette has a gradient."""
    exec(page_snippets()[0], {})
    assert "[" in capsys.readouterr().out


@pytest.mark.parametrize("draw", [render.silhouette, render.depth])
def test_the_callers_stream_is_used(device, scene, draw):
    """On a stream of the caller's, pictures and gradients are those of the default stream."""
    if wp.get_device(device).is_cpu:
        pytest.skip("the CPU has no streams")
    hand = scene.body("hand")
    found = []
    for stream in (None, wp.Stream(device)):
        with wp.ScopedStream(stream):
            surface = on_device(posed_vertices(hand.body, hand.initial), wp.vec3, device)
            with wp.Tape() as tape:
                image = draw(hand.body, {"hand": surface}, camera=scene.camera)
            tape.backward(grads={image: wp.full(image.shape, 1.0, dtype=float, device=device)})
            wp.synchronize_device(device)
            found.append((image.numpy(), surface.grad.numpy()))
    np.testing.assert_array_equal(found[1][0], found[0][0])
    np.testing.assert_allclose(found[1][1], found[0][1], rtol=1e-3, atol=1e-4 * np.abs(found[0][1]).max())
