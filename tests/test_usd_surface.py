"""Surfaces as the stage shows them: detail for heat, heat by distance, normals."""

import math
from dataclasses import replace

import numpy as np
import pytest
from result_samples import make_arm, make_arm_poses, make_box, make_contacts

from warpprior.bodies import posed_vertices

pytest.importorskip("pxr", reason="OpenUSD is not installed")
from warpprior.usd.detail import EDGE, detailed
from warpprior.usd.heat import SPREAD, contact_heat
from warpprior.usd.surface import corner_normals, vertex_normals


@pytest.fixture
def arm():
    """An arm of rigid links."""
    return make_arm()


def test_detail_keeps_the_shape():
    """Cut edges are short, the first vertices are the given ones, faces keep their plane, winding and total area."""
    box = make_box()
    fine = detailed(box)
    corners = fine.vertices[fine.faces].astype(np.float64)
    assert np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max() <= EDGE
    np.testing.assert_array_equal(fine.vertices[:8], box.vertices)
    edges = np.sort(np.concatenate([fine.faces[:, [0, 1]], fine.faces[:, [1, 2]], fine.faces[:, [2, 0]]]), axis=1)
    assert np.all(np.unique(edges, axis=0, return_counts=True)[1] == 2)  # still closed, no T-junctions
    volume = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6.0
    assert volume == pytest.approx(8 * 0.04 * 0.03 * 0.06, rel=1e-5)


def test_detail_follows_the_links(arm):
    """The refined arm moves as the given one: every new vertex stays on its link's faces."""
    fine = detailed(arm)
    assert len(fine.vertices) > len(arm.vertices)
    coarse, posed = (posed_vertices(body, make_arm_poses(arm)) for body in (arm, fine))
    np.testing.assert_allclose(posed[:, : arm.vertex_count], coarse, atol=1e-6)
    edges = np.linalg.norm(posed[:, fine.faces[:, 0]] - posed[:, fine.faces[:, 1]], axis=2)
    np.testing.assert_allclose(edges, np.broadcast_to(edges[0], edges.shape), atol=1e-5)


def test_heat_falls_with_distance():
    """Heat is the weight at the point, 1/e of it at the spread, nothing beyond reach, and the strongest point wins."""
    surface = np.zeros((1, 4, 3))
    surface[0, :, 0] = [0.0, SPREAD, 3.5 * SPREAD, 1.0]
    contact = replace(
        make_contacts(1), points=np.array([[[0.0, 0.0, 0.0], [1e-4, 0.0, 0.0]]]), weight=np.array([[0.8, 0.1]])
    )
    heat = contact_heat([contact], {"box": surface})
    assert set(heat) == {"box"}
    np.testing.assert_allclose(heat["box"], [[0.8, 0.8 / math.e, 0.0, 0.0]], atol=0.5 / 255 + 1e-6)


def test_box_normals_keep_edges():
    """Every corner of a box has its own face's normal."""
    box = make_box()
    corners = box.vertices[box.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    np.testing.assert_allclose(corner_normals(box.vertices, box.faces), np.repeat(normals, 3, axis=0), atol=1e-6)


def test_ball_normals_are_smooth_over_seams():
    """On a ball whose faces share no vertex, corner normals still point away from its centre."""
    import trimesh

    ball = trimesh.creation.icosphere(subdivisions=3, radius=0.1)
    vertices, faces = ball.vertices[ball.faces].reshape(-1, 3), np.arange(3 * len(ball.faces)).reshape(-1, 3)
    normals = corner_normals(vertices, faces)
    assert np.einsum("ij,ij->i", normals, vertices / 0.1).min() > math.cos(math.radians(3.0))


def test_normals_of_faces_without_area_are_unit():
    """Degenerate faces do not spread numbers that are not finite."""
    vertices = np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0], [0, 1, 0]], dtype=np.float64)
    faces = np.array([[0, 1, 2], [0, 0, 0], [0, 1, 3]])
    corner = corner_normals(vertices, faces)
    vertex = vertex_normals(vertices[None].astype(np.float32), faces)[0]
    for normals in (corner, vertex):
        np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1.0, atol=1e-6)
