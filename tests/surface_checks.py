"""What is wrong with a triangle surface: borders, crossings, turned faces; and how large it is."""

import numpy as np


def unmatched_edges(faces):
    """Directed edges whose opposite does not occur exactly once: none on a closed, consistently wound surface."""
    edges = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    numbers = edges[:, 0].astype(np.int64) * (faces.max() + 1) + edges[:, 1]
    opposite = edges[:, 1].astype(np.int64) * (faces.max() + 1) + edges[:, 0]
    counts = dict(zip(*np.unique(numbers, return_counts=True), strict=True))
    return [
        tuple(edge)
        for edge, number, back in zip(edges, numbers, opposite, strict=True)
        if counts[number] != 1 or counts.get(back, 0) != 1
    ]


def enclosed_volume(vertices, faces):
    """Volume inside a closed surface, positive if its faces look out."""
    a, b, c = np.asarray(vertices, dtype=np.float64)[faces].swapaxes(0, 1)
    return float((np.cross(a, b) * c).sum() / 6.0)


def face_normals(vertices, faces):
    """Normals of length twice the area (face, 3)."""
    a, b, c = np.asarray(vertices, dtype=np.float64)[faces].swapaxes(0, 1)
    return np.cross(b - a, c - a)


def crossings(vertices, faces):
    """Pairs (edge, face) that share no vertex and of which the edge goes through the face (pair, 2 + 3)."""
    vertices = np.asarray(vertices, dtype=np.float64)
    edges = np.unique(np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1), axis=0)
    corners, ends = vertices[faces], vertices[edges]
    low, high = corners.min(axis=1), corners.max(axis=1)
    near = (ends.min(axis=1)[:, None] <= high) & (ends.max(axis=1)[:, None] >= low)
    edge, face = np.nonzero(near.all(axis=2))
    apart = ~(edges[edge][:, :, None] == faces[face][:, None, :]).any(axis=(1, 2))
    edge, face = edge[apart], face[apart]
    start, along = ends[edge, 0], ends[edge, 1] - ends[edge, 0]
    origin, first, second = corners[face, 0], corners[face, 1] - corners[face, 0], corners[face, 2] - corners[face, 0]
    columns = np.stack([first, second, -along], axis=2)
    solvable = np.abs(np.linalg.det(columns)) > 1e-18
    edge, face = edge[solvable], face[solvable]
    u, v, t = np.linalg.solve(columns[solvable], (start - origin)[solvable][:, :, None])[:, :, 0].T
    through = (t > 0.0) & (t < 1.0) & (u > 0.0) & (v > 0.0) & (u + v < 1.0)
    return np.concatenate([edges[edge[through]], faces[face[through]]], axis=1)
