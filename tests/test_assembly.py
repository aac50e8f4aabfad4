"""The assembly: bodies side by side, and edges of closed, open, seamed and broken surfaces."""

import numpy as np
import trimesh

from tests.estimator_scenes import make_ball, make_block
from warpprior.bodies import rigid_body
from warpprior.bodies.assembly import assemble, surface_edges


def test_closed_surfaces_have_three_edges_per_two_faces():
    """Every edge of a closed surface joins two faces, and each opposite vertex is the third of one of them."""
    body = make_ball()
    edges = surface_edges(body.vertices, body.faces)
    assert len(edges) == 3 * body.face_count // 2
    assert (edges[:, 2] != edges[:, 3]).all()
    triangles = {frozenset(face) for face in body.faces.tolist()}
    for a, b, c, d in edges.tolist():
        assert frozenset((a, b, c)) in triangles
        assert frozenset((a, b, d)) in triangles


def test_boundaries_are_always_outlines():
    """An edge of a single face names its opposite vertex twice."""
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]], dtype=np.float32)
    edges = surface_edges(vertices, np.array([[0, 1, 2], [1, 3, 2]]))
    alone = edges[:, 2] == edges[:, 3]
    assert len(edges) == 5
    assert alone.sum() == 4
    assert sorted(edges[~alone][0, :2]) == [1, 2]
    assert sorted(edges[~alone][0, 2:]) == [0, 3]


def test_seams_are_no_boundaries():
    """Vertices at one place count as one: a box of six separate sides has the edges of one that is welded."""
    mesh = trimesh.creation.box((1.0, 1.0, 1.0))
    apart = mesh.vertices[mesh.faces].reshape(-1, 3).astype(np.float32)
    edges = surface_edges(apart, np.arange(36).reshape(12, 3))
    assert len(edges) == 18
    assert (edges[:, 2] != edges[:, 3]).all()


def test_edges_of_three_faces_are_outlines_of_each():
    """Where surfaces meet in a T no pair of faces is the right one."""
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1]], dtype=np.float32)
    edges = surface_edges(vertices, np.array([[0, 1, 2], [1, 0, 3], [0, 1, 4]]))
    shared = edges[(edges[:, :2] == [0, 1]).all(axis=1)]
    assert len(shared) == 3
    assert (shared[:, 2] == shared[:, 3]).all()
    assert sorted(shared[:, 2]) == [2, 3, 4]


def test_faces_without_area_give_no_edges_to_nowhere():
    """A face two of whose corners are at one place is left out of the edges."""
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 0, 0]], dtype=np.float32)
    edges = surface_edges(vertices, np.array([[0, 1, 2], [1, 3, 2]]))
    assert (edges[:, 0] != edges[:, 1]).all()
    assert len(edges) == 3
    assert len(surface_edges(vertices, np.zeros((0, 3), dtype=int))) == 0


def test_bodies_stand_side_by_side():
    """Indices are shifted by the vertices before; faces and edges name their body; open bodies are two-sided."""
    sheet = rigid_body("sheet", np.eye(3), np.array([[0, 1, 2]]), closed=False)
    bodies = [make_block(), sheet, make_ball()]
    whole = assemble(bodies)
    counts = [body.vertex_count for body in bodies]
    np.testing.assert_array_equal(whole.vertex_starts, np.cumsum([0, *counts]))
    assert whole.vertex_count == sum(counts)
    for index, body in enumerate(bodies):
        start = whole.vertex_starts[index]
        np.testing.assert_array_equal(whole.faces[whole.face_bodies == index], body.faces + start)
        edges = whole.edges[whole.edge_bodies == index]
        assert edges.min() >= start
        assert edges.max() < whole.vertex_starts[index + 1]
        assert (whole.face_two_sided[whole.face_bodies == index] == (index == 1)).all()
    assert whole.faces.dtype == whole.edges.dtype == np.int32
