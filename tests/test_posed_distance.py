"""Adjoints of distances as they are launched, and grids read through poses; differentiated as a whole in
tests/test_geometry_public.py.
"""

import numpy as np
import warp as wp
from scipy.spatial.transform import Rotation

from tests.gradcheck import POISON
from tests.reference.distance import interpolate
from warpprior.kernels.grid_distance import read_grid, read_grid_normals
from warpprior.kernels.posed_distance import (
    place_closest,
    push_to_points,
    push_to_surface,
)

FRAMES, POINTS = 2, 5
CORNERS = np.array([[0, 1, 2], [2, 1, 3]])


def queried(device):
    """Gradients, normals, faces with a miss among them, and barycentrics."""
    random = np.random.default_rng(0)
    gradients, normals = random.normal(size=(FRAMES, POINTS)), random.normal(size=(FRAMES, POINTS, 3))
    faces, weights = random.integers(0, 2, (FRAMES, POINTS)), random.dirichlet(np.ones(3), (FRAMES, POINTS))
    faces[1, 2] = -1
    values = (gradients.astype(np.float32), normals.astype(np.float32), faces, weights.astype(np.float32))
    kinds = (wp.float32, wp.vec3, wp.int32, wp.vec3)
    return values, [wp.array(v, dtype=kind, device=device) for v, kind in zip(values, kinds, strict=True)]


def test_gradients_of_distances_are_added(device):
    """To points along the normal, to corners against it by their weights; a miss gives a surface nothing."""
    (gradients, normals, faces, weights), arrays = queried(device)
    corners = wp.array(CORNERS, dtype=wp.int32, device=device)
    by_points = wp.full((FRAMES, POINTS), wp.vec3(1.0, 2.0, 3.0), dtype=wp.vec3, device=device)
    by_surface = wp.full((FRAMES, 4), wp.vec3(1.0, 2.0, 3.0), dtype=wp.vec3, device=device)
    push_to_points(*arrays[:2], point_gradients_out=by_points)
    push_to_surface(*arrays, corners, vertex_gradients_out=by_surface)
    along = gradients[..., None] * normals
    np.testing.assert_allclose(by_points.numpy(), along + np.array([1.0, 2.0, 3.0]), rtol=1e-5)
    expected = np.tile([1.0, 2.0, 3.0], (FRAMES, 4, 1))
    for frame, point in np.argwhere(faces >= 0):
        for corner, share in zip(CORNERS[faces[frame, point]], weights[frame, point], strict=True):
            expected[frame, corner] -= share * along[frame, point]
    np.testing.assert_allclose(by_surface.numpy(), expected, rtol=1e-5, atol=1e-6)


def test_closest_places(device):
    """Each from its face's corners; a miss is what is said."""
    (_, _, faces, weights), arrays = queried(device)
    vertices = np.random.default_rng(1).normal(size=(FRAMES, 4, 3)).astype(np.float32)
    closest = wp.full((FRAMES, POINTS), wp.vec3(POISON, POISON, POISON), dtype=wp.vec3, device=device)
    corners = wp.array(CORNERS, dtype=wp.int32, device=device)
    place_closest(wp.array(vertices, dtype=wp.vec3, device=device), corners, *arrays[2:], -7.0, closest_out=closest)
    expected = np.full((FRAMES, POINTS, 3), -7.0)
    for frame, point in np.argwhere(faces >= 0):
        expected[frame, point] = weights[frame, point] @ vertices[frame, CORNERS[faces[frame, point]]]
    np.testing.assert_allclose(closest.numpy(), expected, rtol=1e-5, atol=1e-6)


def test_a_grid_is_read_where_the_pose_puts_it(device):
    """Values equal the twin's in the body's frame; normals are turned into the camera's."""
    random = np.random.default_rng(2)
    values, origin, spacing = random.normal(size=(4, 5, 6)).astype(np.float32), np.array([-0.3, -0.4, -0.5]), 0.2
    turns, places = Rotation.random(FRAMES, random_state=0), random.normal(size=(FRAMES, 3))
    local = random.uniform(-0.2, 0.2, (FRAMES, POINTS, 3))
    points = np.stack([turns[f].apply(local[f]) + places[f] for f in range(FRAMES)])
    poses = wp.array(np.hstack([places, turns.as_quat()]), dtype=wp.transform, device=device)
    arguments = (
        wp.array(points, dtype=wp.vec3, device=device),
        poses,
        wp.array(values, dtype=wp.float32, device=device),
        wp.vec3(*origin),
        1.0 / spacing,
    )
    found = wp.full((FRAMES, POINTS), POISON, dtype=wp.float32, device=device)
    normals = wp.full((FRAMES, POINTS), wp.vec3(POISON, POISON, POISON), dtype=wp.vec3, device=device)
    read_grid(*arguments, distances_out=found)
    read_grid_normals(*arguments, normals_out=normals)
    for frame in range(FRAMES):
        expected = [interpolate(values, origin, spacing, point) for point in local[frame]]
        np.testing.assert_allclose(found.numpy()[frame], expected, atol=1e-4)
        inward = turns[frame].inv().apply(normals.numpy()[frame])
        for point, normal in zip(local[frame], inward, strict=True):
            steps = 1e-6 * np.eye(3)
            rise = [
                interpolate(values, origin, spacing, point + step) - interpolate(values, origin, spacing, point - step)
                for step in steps
            ]
            np.testing.assert_allclose(normal, np.array(rise) / 2e-6, atol=2e-3)
