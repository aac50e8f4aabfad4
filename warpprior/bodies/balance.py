"""Surfaces of few faces moved so that they lie as far outside those they were made from as inside.

Where vertices are those of a first surface, faces cut what bulges and fill what is hollow: the body is drawn smaller,
and seems to be farther away.  Vertices are moved along their normals until faces lie on the first surface in the mean,
by least squares; outlines then do, too, within a fortieth of what may be.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from warpprior.bodies.triangles import doubled_areas

STIFFNESS = 1e-3  # of staying where they are, relative to the mean weight of a vertex
CORNERED = 0.61  # of the way to the corners: 0.5 has the mean over a face of what is quadratic, 0.71 that of its sides
RULE = np.full((3, 3), (1.0 - CORNERED) / 3.0) + CORNERED * np.eye(3)  # points of a face that are looked at


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals (vertex, 3), the mean of the faces around each by area; zero where they cancel."""
    corners = vertices[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.stack(
        [np.bincount(faces.reshape(-1), np.repeat(across[:, axis], 3), len(vertices)) for axis in range(3)], axis=1
    )
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.where(lengths > 0.0, normals / np.where(lengths > 0.0, lengths, 1.0), 0.0)


def balance(
    vertices: np.ndarray, faces: np.ndarray, first_vertices: np.ndarray, first_faces: np.ndarray, most: float
) -> np.ndarray:
    """How far to move vertices along their normals (vertex,) [m].

    Args:
        vertices, faces: the surface that is moved (vertex, 3), (face, 3).
        first_vertices, first_faces: the surface that it was made from, likewise.
        most: no vertex is moved farther [m].
    """
    from scipy.sparse import csr_matrix, eye
    from scipy.sparse.linalg import spsolve

    places, weights = np.repeat(faces, len(RULE), axis=0), np.tile(RULE, (len(faces), 1))
    normals = vertex_normals(vertices, faces)
    across = np.einsum("pc,pcx->px", weights, normals[places])
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-30)
    points = np.einsum("pc,pcx->px", weights, vertices[places])
    nearest, found = _nearest(points, first_vertices, first_faces, 4.0 * most)
    away = np.einsum("px,px->p", nearest - points, across)
    gains = weights * np.einsum("pcx,px->pc", normals[places], across)
    numbers, shape = np.repeat(np.arange(len(places)), 3), (len(places), len(vertices))
    rows: Any = csr_matrix((gains.reshape(-1), (numbers, places.reshape(-1))), shape=shape)
    areas = np.where(found, np.repeat(doubled_areas(vertices[faces]), len(RULE)), 0.0)
    weighted = rows.multiply(areas[:, None]).tocsr().T
    squares = weighted @ rows
    stays: Any = STIFFNESS * max(float(squares.diagonal().mean()), 1e-30) * eye(shape[1])
    moves: Any = spsolve((squares + stays).tocsc(), weighted @ away)
    return np.clip(moves, -most, most)


def _nearest(
    points: np.ndarray, vertices: np.ndarray, faces: np.ndarray, reach: float
) -> tuple[np.ndarray, np.ndarray]:
    """The place of a surface that is nearest to each point (point, 3), and whether it is within reach (point,) bool."""
    import warp as wp

    from warpprior.kernels.decimation import find_places

    def array(values: np.ndarray, dtype) -> wp.array:
        return wp.array(values, dtype=dtype, device="cpu", copy=False)

    middle = 0.5 * (vertices.min(axis=0) + vertices.max(axis=0))
    corners = array(faces.reshape(-1).astype(np.int32), wp.int32)
    mesh = wp.Mesh(array((vertices - middle).astype(np.float32), wp.vec3), corners)
    found, weights = np.empty(len(points), dtype=np.int32), np.empty((len(points), 3), dtype=np.float32)
    outputs = {"faces_out": array(found, wp.int32), "weights_out": array(weights, wp.vec3)}
    find_places(array((points - middle).astype(np.float32), wp.vec3), mesh.id, reach, **outputs)
    return np.einsum("pc,pcx->px", weights.astype(np.float64), vertices[faces[np.maximum(found, 0)]]), found >= 0
