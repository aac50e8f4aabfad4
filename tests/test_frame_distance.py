"""Distances to one mesh per frame against solid angles and all triangles, in float64."""

import numpy as np
import pytest
import trimesh
import warp as wp

from tests.reference import distance as reference
from warpprior.kernels.frame_distance import measure_frames

FAR = 1.0e6


@pytest.fixture
def bending():
    """A closed tube of two bulges that grows and shears from frame to frame (frame, vertex, 3), its faces, points."""
    sphere = trimesh.creation.icosphere(subdivisions=2, radius=0.03)
    random = np.random.default_rng(0)
    shapes = [np.eye(3) + 0.3 * random.normal(size=(3, 3)) for _ in range(5)]
    vertices = np.stack([sphere.vertices @ shape.T * np.sign(np.linalg.det(shape)) for shape in shapes])
    vertices = vertices + random.normal([0, 0, 0.6], 0.05, (5, 1, 3))
    frames = random.integers(0, 5, 400)
    points = vertices[frames].mean(1) + random.normal(scale=0.03, size=(400, 3))
    return vertices.astype(np.float32), sphere.faces.astype(np.int32), frames.astype(np.int32), points


def measured(bending, device, reach=FAR, signed=True):
    """What the kernel says."""
    vertices, faces, frames, points = bending
    corners = wp.array(faces.ravel(), dtype=wp.int32, device=device)
    meshes = [wp.Mesh(wp.array(v, dtype=wp.vec3, device=device), corners, None, True) for v in vertices]
    ids = wp.array([mesh.id for mesh in meshes], dtype=wp.uint64, device=device)
    out = wp.full(len(points), 7.0e7, dtype=wp.float32, device=device)
    measure_frames(
        wp.array(points, dtype=wp.vec3, device=device),
        wp.array(frames, dtype=wp.int32, device=device),
        ids,
        reach,
        signed,
        distance_out=out,
    )
    return out.numpy().copy()


def expected(bending):
    """Unsigned distances and which points are inside, point by point."""
    vertices, faces, frames, points = bending
    distances, inside = np.zeros(len(points)), np.zeros(len(points), dtype=bool)
    for frame in range(len(vertices)):
        own = frames == frame
        surface = vertices[frame].astype(np.float64)
        found = reference.signed_distances(points[own], surface, faces)
        distances[own], inside[own] = np.abs(found), found < 0.0
    return distances, inside


def test_every_point_meets_the_mesh_of_its_frame(bending, device):
    """Magnitude by all triangles, sign by solid angles."""
    distances, inside = expected(bending)
    found = measured(bending, device)
    np.testing.assert_allclose(np.abs(found), distances, atol=3e-7)
    clear = distances > 1e-6
    np.testing.assert_array_equal((found < 0.0)[clear], inside[clear])
    assert 20 < inside.sum() < 380


def test_unsigned_distances_are_the_magnitudes(bending, device):
    """Without signs nothing else changes."""
    np.testing.assert_array_equal(measured(bending, device, signed=False), np.abs(measured(bending, device)))


def test_what_is_out_of_reach_or_not_finite_is_at_the_reach(bending, device, nan_allowed):
    """Points farther than the reach, and those that are NaN, never look like contact."""
    vertices, faces, frames, points = bending
    points = points.copy()
    points[:3] = [[np.nan, 0, 0], [0, np.inf, 0], [1e12, 0, 0]]
    distances, _ = expected(bending)
    found = measured((vertices, faces, frames, points), device, reach=0.01)
    near = (distances < 0.0099) & (np.arange(len(points)) > 2)
    assert (np.abs(found[near]) < 0.01).all() and near.sum() > 50
    assert (found[:3] == np.float32(0.01)).all() and (found[3:][distances[3:] > 0.0101] == np.float32(0.01)).all()
