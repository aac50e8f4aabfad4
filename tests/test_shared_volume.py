"""Volumes counted on a grid against solid angles at every centre, and against formulas."""

import numpy as np
import pytest
import trimesh
import warp as wp

from tests.reference import distance as reference
from warpprior.metrics import volume
from warpprior.metrics.volume import MOST_CELLS, change_windings_of, grid_pitch, grids_of, shared_volumes


def ball(radius=0.02, center=(0.0, 0.0, 0.0), subdivisions=3):
    """Vertices and faces of a sphere."""
    mesh = trimesh.creation.icosphere(subdivisions=subdivisions, radius=radius)
    return mesh.vertices + center, mesh.faces


def box(size=(0.03, 0.02, 0.01), center=(0.0, 0.0, 0.0)):
    """Vertices and faces of a box along the axes."""
    mesh = trimesh.creation.box(extents=size)
    return mesh.vertices + center, mesh.faces


def shared_volume(first, second, lower, upper, *pitch):
    """Of surfaces that do not move, within one box."""
    one, other = ((vertices[None], faces) for vertices, faces in (first, second))
    return shared_volumes(one, other, lower[None], upper[None], *pitch)[0]


def fill_surface(vertices, faces, origin, counts, pitch):
    """Which centres of a grid are inside (x, y, z) bool."""
    grids = grids_of(origin[None], counts[None], pitch, "cpu")
    changes = wp.empty(int(counts[0] * counts[1] * (counts[2] + 1)), dtype=wp.int32, device="cpu")
    change_windings_of(vertices[None], wp.array(faces.astype(np.int32), dtype=wp.vec3i), grids, changes_out=changes)
    return np.cumsum(changes.numpy().reshape(counts[0], counts[1], counts[2] + 1), axis=2)[:, :, :-1] >= 1


def test_every_centre_equals_its_winding_number():
    """A torus and a sphere that intersect each other, as one surface: the grid agrees with solid angles everywhere."""
    torus = trimesh.creation.torus(0.02, 0.007, major_sections=24, minor_sections=12)
    vertices, faces = ball(0.012, (0.02, 0.0, 0.001), 2)
    vertices = np.concatenate([torus.vertices, vertices])
    faces = np.concatenate([torus.faces, faces + len(torus.vertices)])
    counts, pitch, origin = np.array([31, 26, 13]), 0.002, np.array([-0.0301, -0.0262, -0.0123])
    filled = fill_surface(vertices, faces, origin, counts, pitch)
    cells = np.stack(np.meshgrid(*(np.arange(c) for c in counts), indexing="ij"), axis=-1).reshape(-1, 3)
    winding = reference.winding_numbers(origin + pitch * cells, vertices, faces)
    assert np.abs(winding - np.round(winding)).max() < 1e-9 and round(winding.max()) == 2
    np.testing.assert_array_equal(filled.ravel(), winding > 0.5)


def test_a_grid_that_begins_inside_knows_it():
    """Triangles below the grid count: a small grid in the middle of a ball is full, one above it empty."""
    vertices, faces = ball()  # its corners lie on the axes, and some columns meet them
    assert fill_surface(vertices, faces, np.full(3, -0.002), np.array([4, 5, 3]), 0.001).all()
    assert not fill_surface(vertices, faces, np.array([0.0, 0.0, 0.03]), np.array([4, 5, 3]), 0.001).any()


def test_shared_volume_of_two_balls():
    """The lens of two spheres by its formula, within 1 % at 1 mm."""
    radius, apart = 0.02, 0.015
    first, second = ball(radius, subdivisions=4), ball(radius, (0.6 * apart, 0.8 * apart, 0.0), 4)
    lens = np.pi * (4 * radius + apart) * (2 * radius - apart) ** 2 / 12
    found = shared_volume(first, second, np.full(3, -0.03), np.full(3, 0.04))
    assert found == pytest.approx(lens, rel=0.01)


def test_shared_volume_of_boxes_is_exact_to_a_cell():
    """Two boxes along the axes share a box; a shift by a millimetre adds a slice."""
    first = box()
    for shift in (0.0, 0.001, 0.004):
        second = box(center=(0.02 - shift, 0.01, 0.0))
        found = shared_volume(first, second, np.full(3, -0.02), np.full(3, 0.02))
        assert found == pytest.approx((0.010 + shift) * 0.010 * 0.010, abs=1e-15)


@pytest.mark.parametrize("shift", [0.0, 0.25, 0.5])
def test_columns_through_edges_and_corners_count_once(shift):
    """Centres that lie on faces, edges and corners of a box belong to it on one side only: the count is exact."""
    vertices, faces = box(size=(0.5, 0.25, 0.125))
    vertices = np.round(vertices * 64) / 64 + shift  # in powers of two, so that nothing is rounded
    filled = fill_surface(vertices, faces, np.full(3, shift - 0.5), np.full(3, 65), 1 / 64)
    assert filled.sum() == 32 * 16 * 8


def test_the_search_box_bounds_what_is_counted():
    """Outside it nothing counts; an empty one gives zero."""
    first, second = box(), box(size=(0.1, 0.1, 0.1))
    whole = shared_volume(first, second, np.full(3, -0.05), np.full(3, 0.05))
    half = shared_volume(first, second, np.array([1e-6, -0.05, -0.05]), np.full(3, 0.05))
    assert half == pytest.approx(0.5 * whole, rel=1e-9)
    assert shared_volume(first, second, np.full(3, np.inf), np.full(3, -np.inf)) == 0.0


def test_finer_grids_converge():
    """Half the pitch leaves at most half the error, over several places of the bodies."""
    errors = []
    for pitch in (0.004, 0.001):
        found = []
        for turn in range(6):
            center = 0.01 * np.array([np.cos(turn), np.sin(turn), 0.5 * np.sin(2 * turn)])
            small = ball(0.01, center, 4)
            found.append(shared_volume(small, ball(0.03, subdivisions=4), np.full(3, -0.03), np.full(3, 0.03), pitch))
        errors.append(np.abs(np.array(found) / (4 / 3 * np.pi * 1e-6) - 1.0).mean())
    assert errors[1] < 0.5 * errors[0] and errors[1] < 0.02


def test_large_boxes_get_larger_cells():
    """The pitch doubles until the grid is small enough, and stays where it is for hands."""
    assert grid_pitch(np.zeros(3), np.full(3, 0.15)) == 0.001
    pitch = grid_pitch(np.zeros(3), np.array([2.0, 1.0, 1.0]))
    assert np.log2(pitch / 0.001) % 1.0 == 0.0 and 2.0 / pitch**3 < MOST_CELLS < 8 * 2.2 / pitch**3


@pytest.mark.parametrize("most", [10**6, 3000, 1], ids=["together", "in parts", "one by one"])
def test_frames_are_counted_as_if_alone(monkeypatch, device, most):
    """Boxes of several sizes, empty ones among them, in grids behind one another and in few or many parts."""
    shifts = np.array([0.0, 0.004, 0.001, 0.002, 0.0])
    first, (vertices, faces) = box(), box(center=(0.02, 0.01, 0.0))
    second = vertices - shifts[:, None, None] * [1.0, 0.0, 0.0], faces
    lower, upper = np.full((5, 3), -0.02), np.linspace(0.011, 0.03, 5)[:, None] * np.ones(3)
    upper[2] = -0.03
    monkeypatch.setattr(volume, "TOGETHER", most)
    found = shared_volumes((np.tile(first[0], (5, 1, 1)), first[1]), second, lower, upper, device=device)
    alone = [shared_volume(first, (second[0][k], faces), lower[k], upper[k]) for k in range(5)]
    np.testing.assert_array_equal(found, alone)
    assert found[2] == 0.0 and len(set(found)) == 5
