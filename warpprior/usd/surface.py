"""Normals of triangle surfaces for display, in NumPy."""

from __future__ import annotations

import numpy as np
from scipy import sparse

CREASE = np.cos(np.radians(40.0))  # faces meeting at more than 40 degrees keep an edge between them
_WELD = 1.0e-6  # vertices nearer than this are one for shading [m]


def corner_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normal of every face corner (3 * face, 3) float32, smooth but for creases.

    A corner averages the faces around its vertex, by area, that lie within the crease angle of its own face: a box
    keeps its edges, a bottle is smooth.  Vertices at the same place count as one, since readers split them at seams.

    Args:
        vertices: (vertex, 3) [m].
        faces: (face, 3) indices.
    """
    _, welded = np.unique(np.round(vertices / _WELD).astype(np.int64), axis=0, return_inverse=True)
    corner_vertex = welded.reshape(-1)[faces.reshape(-1)]
    corner_face = np.repeat(np.arange(len(faces)), 3)
    area_normals = _area_normals(np.asarray(vertices, np.float64)[None], faces)[0]
    units = _unit(area_normals)
    # Rows: corners; columns: faces sharing the corner's vertex.
    vertex_face = sparse.csr_matrix(
        (np.ones(len(corner_vertex)), (corner_vertex, corner_face)), shape=(corner_vertex.max() + 1, len(faces))
    )
    vertex_face.sum_duplicates()
    around = vertex_face[corner_vertex].tocoo()
    near = np.einsum("ij,ij->i", units[corner_face[around.row]], units[around.col]) > CREASE
    own = around.col == corner_face[around.row]  # a face without area keeps at least itself
    kept = near | own
    chosen = sparse.csr_matrix(
        (np.ones(int(kept.sum())), (around.row[kept], around.col[kept])), shape=(len(corner_vertex), len(faces))
    )
    return _unit(chosen @ area_normals).astype(np.float32)


def faces_around(vertex_count: int, faces: np.ndarray) -> sparse.csr_matrix:
    """Which faces each vertex is a corner of (vertex, face)."""
    corners = faces.reshape(-1)
    entries = (np.ones(len(corners), np.float32), (corners, np.repeat(np.arange(len(faces)), 3)))
    return sparse.csr_matrix(entries, shape=(vertex_count, len(faces)))


def vertex_normals(positions: np.ndarray, faces: np.ndarray, around: sparse.csr_matrix | None = None) -> np.ndarray:
    """Unit smooth normals (frame, vertex, 3) float32 of a moving surface (frame, vertex, 3), averaged by area.

    ``around`` is what :func:`faces_around` gives, where it is known already.
    """
    frame_count, vertex_count = positions.shape[:2]
    gather = faces_around(vertex_count, faces) if around is None else around
    area_normals = _area_normals(np.asarray(positions, np.float32), faces)  # [frame, face, 3]
    stacked = area_normals.transpose(1, 0, 2).reshape(len(faces), -1)
    sums = (gather @ stacked).reshape(vertex_count, frame_count, 3).transpose(1, 0, 2)
    return _unit(sums).astype(np.float32)


def face_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normal of every face (face, 3) float32 of vertices (vertex, 3)."""
    return _unit(_area_normals(np.asarray(vertices, np.float64)[None], faces)[0]).astype(np.float32)


def _area_normals(positions: np.ndarray, faces: np.ndarray) -> np.ndarray:
    corner = positions[:, faces]  # [frame, face, corner, 3]
    return np.cross(corner[:, :, 1] - corner[:, :, 0], corner[:, :, 2] - corner[:, :, 0])


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Unit vectors; where there is no direction, straight up, so that every normal is usable."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    safe = lengths > np.finfo(np.float32).tiny
    return np.where(safe, vectors / np.where(safe, lengths, 1.0), (0.0, 0.0, 1.0))
