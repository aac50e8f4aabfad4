"""Assembly: the surfaces of several bodies as one set of vertices, faces and edges, drawn by one launch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from warpprior.bodies.body import Body


@dataclass(frozen=True)
class Assembly:
    """Concatenated topology of bodies, host side.

    Attributes:
        vertex_starts: first vertex of each body, then the total (body + 1,).
        faces: (face, 3) int32 into the concatenated vertices.
        face_bodies: body index of each face (face,) int32.
        face_two_sided: 1 for faces of open bodies, seen from both sides (face,) int32.
        bodies: whose surfaces these are.
        edges: two end vertices, then the vertices opposite in the two faces; the same one twice at a boundary
            (edge, 4) int32.
        edge_bodies: body index of each edge (edge,) int32.
    """

    vertex_starts: np.ndarray
    faces: np.ndarray
    face_bodies: np.ndarray
    face_two_sided: np.ndarray
    bodies: tuple[Body, ...]

    @property
    def vertex_count(self) -> int:
        return int(self.vertex_starts[-1])

    @cached_property
    def _edges_by_body(self) -> list[np.ndarray]:
        """Found when first asked for: pictures without outlines need none, and finding them takes a while."""
        return [surface_edges(body.vertices, body.faces) for body in self.bodies]

    @cached_property
    def edges(self) -> np.ndarray:
        starts = self.vertex_starts[:-1]
        shifted = [edges + start for edges, start in zip(self._edges_by_body, starts, strict=True)]
        return np.concatenate(shifted).astype(np.int32)

    @cached_property
    def edge_bodies(self) -> np.ndarray:
        counts = [len(edges) for edges in self._edges_by_body]
        return np.repeat(np.arange(len(counts)), counts).astype(np.int32)


def assemble(bodies: Sequence[Body]) -> Assembly:
    """Concatenate the surfaces of the bodies, in their order."""
    starts = np.concatenate([[0], np.cumsum([body.vertex_count for body in bodies])]).astype(np.int64)
    counts = [body.face_count for body in bodies]
    faces = [body.faces + start for body, start in zip(bodies, starts[:-1], strict=True)]
    two_sided = [0 if body.closed else 1 for body in bodies]
    return Assembly(
        vertex_starts=starts,
        faces=np.concatenate(faces).astype(np.int32),
        face_bodies=np.repeat(np.arange(len(counts)), counts).astype(np.int32),
        face_two_sided=np.repeat(two_sided, counts).astype(np.int32),
        bodies=tuple(bodies),
    )


def surface_edges(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Edges of a surface with the vertices opposite them (edge, 4) int32.

    Vertices at the same place count as one, so that texture seams are no boundaries.  An edge of one face, and each
    face at an edge of three or more, gives an entry whose two opposite vertices are the same: always a silhouette.
    """
    _, first, welded = np.unique(vertices, axis=0, return_index=True, return_inverse=True)
    corners = first[welded.reshape(-1)][faces]
    ends = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]])
    opposite = np.concatenate([corners[:, 2], corners[:, 0], corners[:, 1]])
    keep = (ends[:, 0] != ends[:, 1]) & (opposite != ends[:, 0]) & (opposite != ends[:, 1])
    ends, opposite = np.sort(ends[keep], axis=1), opposite[keep]
    order = np.lexsort((opposite, ends[:, 1], ends[:, 0]))
    ends, opposite = ends[order], opposite[order]
    new = np.ones(len(ends), dtype=bool)
    new[1:] = (ends[1:] != ends[:-1]).any(axis=1)
    group = np.cumsum(new) - 1
    paired = np.bincount(group, minlength=group[-1] + 1 if len(group) else 0) == 2
    head = np.flatnonzero(new)
    pairs = head[paired]
    inner = np.column_stack([ends[pairs], opposite[pairs], opposite[pairs + 1]])
    alone = ~paired[group]
    outer = np.column_stack([ends[alone], opposite[alone], opposite[alone]])
    return np.concatenate([inner, outer]).astype(np.int32)
