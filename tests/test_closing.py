"""Openings of surfaces: loops of edges found, and closed without new vertices."""

import numpy as np
import pytest

from warpprior.bodies.closing import boundary_loops, close_openings, is_closed


@pytest.fixture
def tube():
    """A tube of ``count`` sides, open at both ends, facing outwards: vertices (2 * count, 3) and faces."""

    def make(count):
        angle = 2.0 * np.pi * np.arange(count) / count
        ring = np.stack([np.cos(angle), np.sin(angle), np.zeros(count)], axis=1)
        i, j = np.arange(count), (np.arange(count) + 1) % count
        faces = np.concatenate([np.stack([i, j, i + count], axis=1), np.stack([j, j + count, i + count], axis=1)])
        return np.concatenate([ring, ring + np.array([0.0, 0.0, 2.0])]), faces

    return make


@pytest.mark.parametrize("count", [3, 4, 5, 16, 17])
def test_both_ends_of_a_tube_are_closed(tube, count):
    """n - 2 faces for a loop of n edges, agreeing with their neighbours, and the volume of the prism inside."""
    vertices, faces = tube(count)
    added = close_openings(faces)
    assert not is_closed(faces) and len(added) == 2 * (count - 2)
    closed = np.concatenate([faces, added])
    assert is_closed(closed)
    ends = np.concatenate([closed[:, [0, 1]], closed[:, [1, 2]], closed[:, [2, 0]]])
    assert len(np.unique(ends, axis=0)) == len(ends)  # no edge is run twice the same way
    a, b, c = np.moveaxis(vertices[closed], 1, 0)
    volume = np.einsum("fx,fx->", a, np.cross(b, c)) / 6.0
    np.testing.assert_allclose(volume, count * np.sin(2.0 * np.pi / count), rtol=1e-12)


def test_closed_surfaces_get_nothing():
    """A tetrahedron has no loop."""
    faces = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]])
    assert is_closed(faces) and len(close_openings(faces)) == 0 and boundary_loops(faces) == []


def test_loops_that_touch_themselves_stay_open():
    """Two triangles that share one corner have no simple loop around them."""
    faces = np.array([[0, 1, 2], [2, 3, 4]])
    assert boundary_loops(faces) == [] and close_openings(faces).shape == (0, 3)


def test_a_band_has_no_needles(tube):
    """The faces that close a round opening are no thinner than those of the best fan."""
    vertices, faces = tube(16)
    loop = boundary_loops(faces)[0]
    fan = np.stack([np.full(14, loop[0]), loop[1:-1], loop[2:]], axis=1)

    def least_angle(triangles):
        a, b, c = np.moveaxis(vertices[triangles], 1, 0)
        sides = [(b - a, c - a), (c - b, a - b), (a - c, b - c)]
        cosines = [np.sum(u * v, axis=1) / np.linalg.norm(u, axis=1) / np.linalg.norm(v, axis=1) for u, v in sides]
        return np.arccos(np.max(cosines))

    assert least_angle(close_openings(faces)[:14]) >= least_angle(fan) - 1e-9
