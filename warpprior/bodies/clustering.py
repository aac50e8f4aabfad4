"""Fewer faces for surfaces that only have to look right from afar: vertices near each other are merged into one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from warpprior.bodies.body import Body

TRIES = 12  # to find the size of the cells
FLATNESS = 0.02  # how much the distance from the middle of a cell counts beside that from the planes of its faces


def clustered(body: Body, face_limit: int) -> tuple[Body, np.ndarray]:
    """The body with at most ``face_limit`` faces, if there is a way, and which of its vertices are left.

    Vertices of one link in one cell of a grid become the one of them that lies closest to the planes of the cell's
    faces in the least-squares sense, so that corners and ridges stay.  (Clustering after Rossignac and Borrel, 1993,
    with the quadrics of Lindstrom, 2000.)  It keeps its skinning and its blend shapes, and moves to where it is closest
    to those planes, so that curved surfaces do not shrink.

    Keypoints, contact zones, texture and animation are dropped.  What was closed may have small gaps afterwards.

    Returns:
        the body, itself where it has few enough faces, and the vertices that are left (vertex,) int64.
    """
    if body.face_count <= face_limit:
        return replace(body, animation=None), np.arange(body.vertex_count)
    links = body.skin_links[np.arange(body.vertex_count), body.skin_weights.argmax(axis=1)]
    low, high = 0.0, float(np.ptp(body.vertices, axis=0).max())
    best = None
    for _ in range(TRIES):
        cell = 0.5 * (low + high)
        clusters = _clusters(body.vertices, links, cell)
        count = len(_merged_faces(body.faces, clusters))
        if count > face_limit:
            low = cell
        else:
            high = cell
            best = clusters if count else best
    if best is None:
        return replace(body, animation=None), np.arange(body.vertex_count)
    chosen, places = _representatives(body, best, high)
    faces = _merged_faces(body.faces, best)
    kept, compact = np.unique(faces, return_inverse=True)
    places, kept = places[kept], chosen[kept]
    simplified = replace(
        body,
        vertices=places.astype(np.float32),
        faces=compact.reshape(-1, 3).astype(np.int32),
        skin_links=body.skin_links[kept],
        skin_weights=body.skin_weights[kept],
        shape_directions=body.shape_directions[kept],
        pose_directions=body.pose_directions[kept] if body.pose_directions.size else _no_directions(body, len(kept)),
        colors=None if body.colors is None else body.colors[kept],
        texture_coordinates=None,
        keypoints=None,
        contact_zones={},
        animation=None,
    )
    return simplified, kept


def _no_directions(body: Body, count: int) -> np.ndarray:
    return np.zeros((count, *body.pose_directions.shape[1:]), dtype=body.pose_directions.dtype)


def _clusters(vertices: np.ndarray, links: np.ndarray, cell: float) -> np.ndarray:
    """The cluster each vertex falls into (vertex,)."""
    places = np.floor((vertices - vertices.min(axis=0)) / max(cell, 1e-12)).astype(np.int64)
    _, clusters = np.unique(np.column_stack([links, places]), axis=0, return_inverse=True)
    return clusters.reshape(-1)


def _merged_faces(faces: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Faces between three clusters, each once per direction (face, 3)."""
    merged = clusters[faces]
    merged = merged[(merged != np.roll(merged, 1, axis=1)).all(axis=1)]
    if len(merged) == 0:
        return merged
    turned = np.argmin(merged, axis=1)[:, None]
    merged = np.take_along_axis(merged, (turned + np.arange(3)) % 3, axis=1)
    return np.unique(merged, axis=0)


def _representatives(body: Body, clusters: np.ndarray, cell: float) -> tuple[np.ndarray, np.ndarray]:
    """The vertex that stands for each cluster (cluster,), and the place it moves to (cluster, 3)."""
    vertices = body.vertices.astype(np.float64)
    count = int(clusters.max()) + 1
    a, b, c = (vertices[body.faces[:, corner]] for corner in range(3))
    normals = np.cross(b - a, c - a)  # twice the area long: large faces count more
    heights = (normals * a).sum(axis=1)
    scale = np.zeros(count)
    # Sums over a cluster's faces of n n', n h and h h.
    squares, products, constants = np.zeros((count, 3, 3)), np.zeros((count, 3)), np.zeros(count)
    for corner in range(3):
        owner = clusters[body.faces[:, corner]]
        np.add.at(squares, owner, normals[:, :, None] * normals[:, None, :])
        np.add.at(products, owner, normals * heights[:, None])
        np.add.at(constants, owner, heights**2)
        np.add.at(scale, owner, (normals**2).sum(axis=1))
    middles = np.stack([np.bincount(clusters, vertices[:, axis], count) for axis in range(3)], axis=1)
    middles /= np.bincount(clusters, minlength=count)[:, None]
    cost = np.einsum("vi,vij,vj->v", vertices, squares[clusters], vertices)
    cost += constants[clusters] - 2.0 * (products[clusters] * vertices).sum(axis=1)
    cost += FLATNESS * scale[clusters] * ((vertices - middles[clusters]) ** 2).sum(axis=1)
    order = np.lexsort((cost, clusters))
    first = np.concatenate([[True], np.diff(clusters[order]) > 0])
    chosen = order[first]
    ridge = squares + FLATNESS * scale[:, None, None] * np.eye(3) + np.finfo(float).tiny * np.eye(3)
    force = products - np.einsum("cij,cj->ci", squares, vertices[chosen])
    moves = np.linalg.solve(ridge, force[:, :, None])[:, :, 0]
    lengths = np.linalg.norm(moves, axis=1, keepdims=True)
    moves *= np.minimum(1.0, 0.5 * cell / np.maximum(lengths, 1e-12))
    return chosen, vertices[chosen] + moves
