"""Colours as the paper compares them: one sample, the whole picture, what is hidden, and what is left out."""

from dataclasses import replace

import numpy as np
import pytest
import warp as wp

from tests.ball_scene import CAMERA, TURNS, ball_scene, motion, pixel_rays
from tests.gradcheck import POISON, compare_gradients, finite_difference
from tests.reference import shading as reference
from tests.reference.camera import advance_pose, carry
from tests.silhouette_scenes import make_ellipsoid, make_poses
from warpprior.kernels import shading
from warpprior.scene import SceneBody
from warpprior.system.energy import Energy
from warpprior.system.motion import MotionState
from warpprior.system.observed import observe_picture
from warpprior.system.problem import Problem
from warpprior.terms.literal import LiteralImage

# Triangles by name: corners in the camera frame, and rays that meet their planes.
TRIANGLES = {
    "ordinary": ([[-0.01, -0.01, 0.5], [0.02, 0.0, 0.52], [0.0, 0.02, 0.48]], [0.004, 0.004]),
    "at a corner": ([[-0.01, -0.01, 0.5], [0.02, 0.0, 0.5], [0.0, 0.02, 0.5]], [-0.02, -0.02]),
    "outside": ([[-0.01, -0.01, 0.5], [0.02, 0.0, 0.52], [0.0, 0.02, 0.48]], [0.03, 0.035]),
    "one millimetre": ([[0.1, 0.1, 0.6], [0.101, 0.1, 0.6003], [0.1, 0.101, 0.6]], [0.1672, 0.1672]),
    "far": ([[0.5, 0.4, 3.0], [0.51, 0.4, 3.01], [0.5, 0.41, 3.0]], [0.1675, 0.1343]),
    "oblique": ([[0.0, -0.01, 0.5], [0.004, 0.0, 0.52], [0.0, 0.01, 0.5]], [0.003, 0.001]),
}


@pytest.fixture
def scene():
    """Two frames of the ball, seen as it is."""
    return ball_scene()


def bind(scene, device):
    """Problem, bound terms and energy of the printed equation, frozen, its work arrays poisoned."""
    motion_state = MotionState(scene, device, point_count=8)
    problem = Problem(motion_state, observe_picture(motion_state, 0.5, calibrate=False))
    bound = list(LiteralImage(weight=1.0).bind(problem))
    for one in bound:
        one._normals.fill_(wp.vec3(POISON))
        one._faces.fill_(7)
    energy = Energy(problem, bound)
    energy.freeze()
    return problem, bound, energy


@pytest.mark.parametrize("name", TRIANGLES)
def test_gradient_of_one_sample_matches_the_twin(device, name):
    """Value and gradient by the corners equal the twin's and its finite differences."""
    corners, ray = (np.array(values, dtype=np.float32).astype(float) for values in TRIANGLES[name])
    colors = np.array([[0.9, 0.2, 0.1], [0.3, 0.7, 0.5], [0.1, 0.4, 0.8]], dtype=np.float32).astype(float)
    seen = np.array([0.3, 0.5, 0.45])
    make = lambda values, dtype: wp.array(np.asarray(values, dtype=np.float32), dtype=dtype, device=device)  # noqa: E731
    vertices = wp.array(corners[None].astype(np.float32), dtype=wp.vec3, device=device, requires_grad=True)
    rows = wp.zeros((1, 1), dtype=wp.float32, device=device, requires_grad=True)
    face = wp.array([[0, 1, 2]], dtype=wp.vec3i, device=device)
    surface = (vertices, face, make(colors, wp.vec3), make(ray[None, None], wp.vec2))
    sample = (wp.zeros((1, 1), dtype=wp.int32, device=device), make(seen[None, None], wp.vec3))
    with wp.Tape() as tape:
        shading.add_image_literal(*surface, *sample, 0, rows_out=rows)

    def cost(points):
        return reference.literal_cost(points, np.array([[0, 1, 2]]), colors, ray[None], seen[None])

    value = rows.numpy()[0, 0]
    tape.backward(grads={rows: wp.full((1, 1), 1.0, dtype=wp.float32, device=device)})
    np.testing.assert_allclose(value, cost(corners), rtol=2e-4)
    numeric = finite_difference(cost, corners, 1e-7)
    compare_gradients(vertices.grad.numpy()[0], numeric, name=f"add_image_literal vertices {name}", worst=1e-4)


def seen_by(bound, frame):
    """Rays, corners and pixel colours of the samples that see a face, and the colours of the others."""
    faces, pixels = bound._faces.numpy()[frame], bound._pixels.numpy()[frame]
    rays, colors = bound._rays.numpy()[frame].astype(float), bound._observed.numpy()[frame].astype(float)
    seen = faces >= 0
    corners = bound._canvas.faces.numpy()[faces[seen]]
    return rays[seen], corners, colors[seen], colors[~seen & (pixels >= 0)]


def test_printed_equation_sums_over_the_picture(device, scene):
    """Squared differences of the rendered and the masked picture, summed over both."""
    problem, (bound,), energy = bind(scene.with_poses({"ball": motion(TURNS + 0.1)}), device)
    energy.evaluate()
    vertices, colors = problem.motion.vertices.numpy().astype(float), bound._colors.numpy().astype(float)
    for frame in range(2):
        rays, corners, seen, unseen = seen_by(bound, frame)
        assert len(seen) > 300
        expected = reference.literal_cost(vertices[frame], corners, colors, rays, seen) + (unseen**2).sum()
        np.testing.assert_allclose(energy.rows.numpy()[0, frame], expected, rtol=1e-3)


def test_gradient_by_the_pose_matches_the_twin(device, scene):
    """The gradient by all six increments, away from the truth, equals finite differences through float64 vertices."""
    start = TURNS + np.array([[0.1, 0.05, -0.1], [-0.05, 0.1, 0.05]])
    problem, (bound,), energy = bind(scene.with_poses({"ball": motion(start)}), device)
    energy.differentiate()
    found = problem.motion.increments["ball"].grad.numpy().astype(float)
    body = scene.bodies[0].body
    for frame in range(2):
        pose = problem.motion.base_poses["ball"].numpy()[frame].astype(float)
        rays, corners, seen, _ = seen_by(bound, frame)

        def cost(step, pose=pose, corners=corners, rays=rays, seen=seen):
            vertices = carry(advance_pose(pose, step), body.vertices.astype(float))
            return reference.literal_cost(vertices, corners, body.colors.astype(float), rays, seen)

        numeric = finite_difference(cost, np.zeros(6), 1e-5)
        compare_gradients(found[frame], numeric, name=f"literal image pose, frame {frame}", worst=1e-3)


def test_samples_are_pixels_of_the_body_and_of_nothing(device, scene):
    """All pixels of its label and of the background, with the picture's colours on the label and black off it."""
    problem, (bound,), _ = bind(scene, device)
    window, pixels = problem.observed.window, bound._pixels.numpy()
    for frame in range(2):
        rows, columns = np.divmod(pixels[frame][pixels[frame] >= 0], window.width)
        columns, rows = columns + window.origins[frame][0], rows + window.origins[frame][1]
        count = len(rows)
        np.testing.assert_allclose(bound._rays.numpy()[frame, :count], pixel_rays()[rows, columns], atol=1e-6)
        own = (scene.labels[frame][rows, columns] == 3)[:, None]
        image = np.where(own, scene.read_rgb(frame)[rows, columns] / 255.0, 0.0)
        np.testing.assert_allclose(bound._observed.numpy()[frame, :count], image, atol=1e-6)


def test_what_another_body_hides_is_not_seen(device, scene):
    """No sample sees a face where a known body is nearer, and all other samples see what they saw."""
    _, (free,), _ = bind(scene, device)
    blocker = SceneBody(make_ellipsoid("blocker", (0.04, 0.2, 0.01), 3), 5, True, make_poses((0.035, 0, 0.2), frames=2))
    _, (hidden,), _ = bind(replace(scene, bodies=(*scene.bodies, blocker)), device)
    for frame in range(2):
        pixels = free._pixels.numpy()[frame]
        np.testing.assert_array_equal(hidden._pixels.numpy()[frame], pixels)
        before, after = free._faces.numpy()[frame] >= 0, hidden._faces.numpy()[frame] >= 0
        columns = free._rays.numpy()[frame][:, 0] * CAMERA.fx + CAMERA.cx
        # The blocker's left edge is drawn at 33.75 px.
        np.testing.assert_array_equal(after[columns < 31.0], before[columns < 31.0])
        assert not after[(columns > 37.0) & (columns < 72.0)].any()
        assert after.sum() > 50


def test_a_body_that_left_the_picture_pulls_nothing(device, scene):
    """Out of sight every sample is unseen: the picture's own squares, zero gradients, and no NaN."""
    away = replace(motion(TURNS), position=np.array([[1.0, 0.0, 0.5], [0.0, 0.0, -0.3]]))
    problem, (bound,), energy = bind(scene.with_poses({"ball": away}), device)
    energy.differentiate()
    expected = (bound._observed.numpy().astype(float) ** 2).sum(axis=(1, 2))
    np.testing.assert_allclose(energy.rows.numpy()[0], expected, rtol=1e-4)
    np.testing.assert_array_equal(problem.motion.increments["ball"].grad.numpy(), 0.0)


@pytest.mark.parametrize("change", [{"read_rgb": None}, {"labels": None}])
def test_without_something_to_compare_there_is_no_term(device, scene, change):
    """A scene without pictures or labels binds nothing."""
    assert bind(replace(scene, **change), device)[1] == []


@pytest.mark.parametrize("colors", [None, np.full((2562, 3), 0.4, dtype=np.float32)], ids=["none", "plain"])
def test_a_body_without_texture_has_no_term(device, scene, colors):
    """No colours, or one colour all over, carry no information."""
    body = scene.bodies[0]
    plain = replace(scene, bodies=(replace(body, body=replace(body.body, colors=colors)),))
    assert bind(plain, device)[1] == []


def test_frames_without_a_picture_are_left_out(device, scene):
    """One missing picture leaves the other frame as it was, and its own black."""
    turned = scene.with_poses({"ball": motion(TURNS + 0.1)})
    _, _, energy = bind(turned, device)
    energy.evaluate()
    whole = energy.rows.numpy()[0]
    gappy = replace(turned, read_rgb=lambda frame: None if frame == 0 else turned.read_rgb(frame))
    _, _, energy = bind(gappy, device)
    energy.evaluate()
    np.testing.assert_allclose(energy.rows.numpy()[0], [0.0, whole[1]], rtol=1e-6)
