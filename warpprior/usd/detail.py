"""Detail for display: a surface fine enough to show where it is touched."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from warpprior.bodies.body import Body
from warpprior.bodies.triangles import doubled_areas
from warpprior.usd.samples import carried_link

EDGE = 0.012  # longest edge of a surface that was too coarse to show heat [m]
_COARSE = 0.008  # edge of an equilateral triangle of the mean area above which a surface is coarse [m]
_MOST_FACES = 20_000  # surfaces are not refined beyond about this many


def detailed(body: Body) -> Body:
    """The same body with the long edges of its coarse links cut, so that heat, which sits on vertices, can show.

    A twelve-face box could not show a touch in the middle of a side.  The shape does not change and the first vertices
    are the given ones.  Bodies that bend, vary in shape or bring vertex colours stay as they are.
    """
    vertex_link = carried_link(body)
    if vertex_link is None or body.shape_count > 0 or body.colors is not None:
        return body
    corners = body.vertices[body.faces].astype(np.float64)
    areas = 0.5 * doubled_areas(corners)
    face_link = vertex_link[body.faces[:, 0]]
    counts = np.maximum(np.bincount(face_link, minlength=body.link_count), 1)
    sizes = np.sqrt(4.0 / np.sqrt(3.0) * np.bincount(face_link, areas, minlength=body.link_count) / counts)
    coarse = (sizes > _COARSE)[face_link]
    if not coarse.any():
        return body
    longest = max(EDGE, 3.0 * np.sqrt(areas[coarse].sum() / _MOST_FACES))
    vertices, cut, origins = cut_edges(body.vertices, body.faces[coarse], longest)
    links = np.empty(len(vertices), dtype=np.int32)
    links[cut] = face_link[coarse][origins][:, None]
    links[: body.vertex_count] = vertex_link
    return replace(
        body,
        vertices=vertices.astype(np.float32),
        faces=np.concatenate([body.faces[~coarse], cut]).astype(np.int32),
        skin_links=links[:, None],
        skin_weights=np.ones((len(vertices), 1), dtype=np.float32),
        shape_directions=np.zeros((len(vertices), 3, 0), dtype=np.float32),
        pose_directions=np.zeros((len(vertices), 3, 0), dtype=np.float32),
    )


def cut_edges(vertices: np.ndarray, faces: np.ndarray, longest: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Halve every edge longer than ``longest`` until there is none; faces that shared an edge still do.

    A face is split across its longest edge first, which keeps angles from shrinking (Rivara's bisection), and then its
    halves across the other long edges.

    Args:
        vertices: (vertex, 3).
        faces: (face, 3).
        longest: length [the vertices' unit].

    Returns:
        vertices, the given ones first; faces; and the given face each face is a part of.
    """
    origins = np.arange(len(faces))
    while True:
        corners = vertices[faces]
        lengths = np.linalg.norm(corners - np.roll(corners, -1, axis=1), axis=2)  # of edges 01, 12, 20
        cut = lengths.max(axis=1) > longest
        if not cut.any():
            return vertices, faces, origins
        turn = (lengths[cut].argmax(axis=1)[:, None] + np.arange(3)) % 3
        a, b, c = np.take_along_axis(faces[cut], turn, axis=1).T
        long = np.take_along_axis(lengths[cut], turn, axis=1) > longest
        ends = np.sort(np.stack([[a, b], [b, c], [c, a]]), axis=1).transpose(0, 2, 1)[long.T]
        pairs, numbers = np.unique(ends, axis=0, return_inverse=True)
        middle = np.full(long.T.shape, -1)
        middle[long.T] = numbers.reshape(-1) + len(vertices)
        vertices = np.concatenate([vertices, 0.5 * (vertices[pairs[:, 0]] + vertices[pairs[:, 1]])])
        m, p, q = middle  # of ab (always there), bc, ca
        whole_b, whole_a = p < 0, q < 0
        pieces = (
            ((a, m, c), whole_a),
            ((m, b, c), whole_b),
            ((a, m, q), ~whole_a),
            ((q, m, c), ~whole_a),
            ((m, b, p), ~whole_b),
            ((m, p, c), ~whole_b),
        )
        faces = np.concatenate([faces[~cut], *(np.stack(piece, axis=1)[kept] for piece, kept in pieces)])
        origins = np.concatenate([origins[~cut], *(origins[cut][kept] for _, kept in pieces)])
