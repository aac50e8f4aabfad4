"""What pixels see of single triangles, against rays in float64; and surfaces projected beside each other."""

import numpy as np
import warp as wp

from tests.gradcheck import POISON, compare_gradients, finite_difference
from tests.reference import surface_image as reference
from warpprior.kernels.camera import project_points
from warpprior.kernels.surface_image import fill_coverage, push_depths, read_colors, read_normals
from warpprior.kernels.surface_projection import project_surface
from warpprior.scene import Camera

CAMERA = Camera(8, 6, 20.0, 18.0, 4.2, 2.9)
LENS = (wp.vec2(CAMERA.fx, CAMERA.fy), wp.vec2(CAMERA.cx, CAMERA.cy))
PIXELS = CAMERA.width * CAMERA.height
VERTICES = np.array([[-0.2, -0.1, 0.6], [0.25, -0.15, 0.8], [0.0, 0.2, 0.5], [0.1, 0.1, 0.9]]).astype(np.float32)
FACES = np.array([[0, 2, 1], [1, 2, 3]])
SEEN = np.where(np.arange(PIXELS) % 3 == 2, -1, np.arange(PIXELS) % 3)  # face of each pixel, whatever it covers


def arrays(device):
    """Keys that see the faces of SEEN on channel 1, the projected vertices and the faces."""
    keys = np.where(SEEN < 0, 0, (0x3F800000 << 32) | (1 << 28) | np.maximum(SEEN, 0)).astype(np.uint64)
    screen = wp.zeros((1, 4), dtype=wp.vec3, device=device)
    project_points(wp.array(VERTICES[None], dtype=wp.vec3, device=device), *LENS, screen_out=screen)
    return wp.array(keys[None], dtype=wp.uint64, device=device), screen, wp.array(FACES, dtype=wp.vec3i, device=device)


def test_normals_and_colors_of_a_plane(device):
    """Unit normals towards the camera; colours where the ray meets the plane, beyond the triangle, too."""
    keys, screen, faces = arrays(device)
    values = np.random.default_rng(0).uniform(size=(4, 3))
    normals, colors = (wp.full((1, PIXELS), wp.vec3(POISON, POISON, POISON), device=device) for _ in range(2))
    read_normals(keys, screen, faces, *LENS, normals_out=normals)
    table = wp.array(values, dtype=wp.vec3, device=device)
    read_colors(keys, screen, faces, table, CAMERA.width, colors_out=colors)
    for pixel, face in enumerate(SEEN):
        normal = color = np.zeros(3)
        if face >= 0:
            corners, ray = VERTICES[FACES[face]].astype(np.float64), reference.ray(CAMERA, pixel)
            normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
            normal = -np.sign(normal @ corners[0]) * normal / np.linalg.norm(normal)
            color = reference.weights(corners, ray) @ values[FACES[face]]
        np.testing.assert_allclose(normals.numpy()[0, pixel], normal, atol=1e-5)
        np.testing.assert_allclose(colors.numpy()[0, pixel], color, atol=1e-4, rtol=1e-4)


def test_the_adjoint_of_depth(device):
    """By u, v and depth of every corner, against finite differences of the rays; nothing from empty pixels."""
    keys, screen, faces = arrays(device)
    weights = np.random.default_rng(1).normal(size=PIXELS).astype(np.float32)
    found = wp.zeros((1, 4), dtype=wp.vec3, device=device)
    gradients = wp.array(weights[None], dtype=wp.float32, device=device)
    push_depths(keys, screen, faces, CAMERA.width, gradients, screen_gradients_out=found)

    def objective(x):
        places = np.stack(
            [(x[:, 0] - CAMERA.cx) / CAMERA.fx * x[:, 2], (x[:, 1] - CAMERA.cy) / CAMERA.fy * x[:, 2], x[:, 2]], axis=1
        )
        return sum(
            weights[pixel] * reference.depth(places[FACES[face]], reference.ray(CAMERA, pixel))
            for pixel, face in enumerate(SEEN)
            if face >= 0
        )

    numeric = finite_difference(objective, screen.numpy()[0].astype(np.float64))
    compare_gradients(found.numpy()[0], numeric, name="push_depths by screen", worst=2e-3)


def test_hard_masks(device):
    """One in the channel that the pixel sees, zero in all others."""
    keys, _, _ = arrays(device)
    coverage = wp.zeros((1, 3, PIXELS), dtype=wp.float32, device=device)
    fill_coverage(keys, coverage_out=coverage)
    expected = np.zeros((3, PIXELS))
    expected[1] = SEEN >= 0
    np.testing.assert_array_equal(coverage.numpy()[0], expected)


def test_surfaces_are_projected_beside_each_other(device):
    """As all points together are, at their place in the shared screen; what is beside it stays."""
    surface = wp.array(VERTICES[None], dtype=wp.vec3, device=device)
    screen = wp.full((1, 6), wp.vec3(POISON, POISON, POISON), dtype=wp.vec3, device=device)
    project_surface(surface, *LENS, first=1, screen_out=screen)
    np.testing.assert_array_equal(screen.numpy()[:, 1:5], arrays(device)[1].numpy())
    assert (screen.numpy()[:, [0, 5]] == POISON).all()
