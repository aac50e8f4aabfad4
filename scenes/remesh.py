"""Even triangles of wanted sizes on a given surface: edges are split, joined and turned, vertices are evened out.

After Botsch and Kobbelt, "A Remeshing Approach to Multiresolution Modeling" (2004).  Borders are kept.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

_LONG, _SHORT = 4.0 / 3.0, 4.0 / 5.0  # of the wanted length


class Remesher:
    """A triangle mesh that is being changed.

    Args:
        vertices: (vertex, 3).
        faces: (face, 3), every edge of at most two.
        size: wanted length of edges at points (point, 3) -> (point,).
        project: moves points onto the surface (point, 3) -> (point, 3); second argument: which are on the border.
    """

    def __init__(
        self,
        vertices: np.ndarray,
        faces: np.ndarray,
        size: Callable[[np.ndarray], np.ndarray],
        project: Callable[[np.ndarray, np.ndarray], np.ndarray],
    ):
        self.size, self.project = size, project
        self.places = [tuple(place) for place in np.asarray(vertices, float).tolist()]
        self.wanted = size(np.asarray(vertices, float)).tolist()
        self.faces: dict[int, tuple[int, ...]] = dict(enumerate(map(tuple, faces.tolist())))
        self.around: list[set[int]] = [set() for _ in self.places]
        for number, face in self.faces.items():
            for corner in face:
                self.around[corner].add(number)
        self.border = self._find_border()
        self.next_face = len(self.faces)

    def run(self, rounds: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Vertices (vertex, 3), faces (face, 3), and which vertices are on the border (vertex,) bool."""
        for _ in range(rounds):
            self._split_long()
            self._join_short()
            self._turn_edges()
            for _ in range(3):
                self._even_out()
        used = sorted({corner for face in self.faces.values() for corner in face})
        order = {vertex: number for number, vertex in enumerate(used)}
        faces = np.array([[order[corner] for corner in self.faces[face]] for face in sorted(self.faces)])
        border = np.array([vertex in self.border for vertex in used])
        return np.array([self.places[vertex] for vertex in used]), faces, border

    def _find_border(self) -> set[int]:
        counts: dict[tuple[int, int], int] = {}
        for face in self.faces.values():
            for edge in _edges(face):
                counts[edge] = counts.get(edge, 0) + 1
        return {corner for edge, count in counts.items() if count == 1 for corner in edge}

    def _measured_edges(self) -> tuple[np.ndarray, np.ndarray]:
        """All edges (edge, 2) and their lengths in wanted lengths."""
        faces = np.array([self.faces[number] for number in sorted(self.faces)])
        edges = np.unique(np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1), axis=0)
        places, wanted = np.array(self.places), np.array(self.wanted)
        length = np.linalg.norm(places[edges[:, 0]] - places[edges[:, 1]], axis=1)
        return edges, length / (0.5 * (wanted[edges[:, 0]] + wanted[edges[:, 1]]))

    def _ratio(self, a: int, b: int) -> float:
        return _distance(self.places[a], self.places[b]) / (0.5 * (self.wanted[a] + self.wanted[b]))

    def _replace(self, number: int, face: tuple[int, ...] | None) -> None:
        """Another face instead of one; none: it goes."""
        for corner in self.faces.pop(number):
            self.around[corner].discard(number)
        if face is not None:
            self._add(face)

    def _add(self, face: tuple[int, ...]) -> None:
        self.faces[self.next_face] = face
        for corner in face:
            self.around[corner].add(self.next_face)
        self.next_face += 1

    def _split_long(self) -> None:
        edges, ratio = self._measured_edges()
        for a, b in edges[np.argsort(-ratio, kind="stable")[: (ratio > _LONG).sum()]].tolist():
            shared = sorted(self.around[a] & self.around[b])
            if not shared or self._ratio(a, b) <= _LONG:
                continue
            middle = len(self.places)
            self.places.append(tuple(0.5 * (x + y) for x, y in zip(self.places[a], self.places[b], strict=True)))
            self.wanted.append(0.5 * (self.wanted[a] + self.wanted[b]))
            self.around.append(set())
            if len(shared) == 1:
                self.border.add(middle)
            for number in shared:
                face = self.faces[number]
                self._replace(number, tuple(middle if corner == a else corner for corner in face))
                self._add(tuple(middle if corner == b else corner for corner in face))

    def _join_short(self) -> None:
        edges, ratio = self._measured_edges()
        while (ratio < _SHORT).any():
            joined = 0
            for a, b in edges[np.argsort(ratio, kind="stable")[: (ratio < _SHORT).sum()]].tolist():
                shared = self.around[a] & self.around[b]
                if shared and self._ratio(a, b) < _SHORT:
                    joined += self._join(a, b, shared) or self._join(b, a, shared)
            if joined == 0:
                return
            edges, ratio = self._measured_edges()

    def _join(self, gone: int, kept: int, shared: set[int]) -> bool:
        """Puts one end of an edge into the other, unless that would fold or pinch the surface."""
        on_border = gone in self.border and kept in self.border
        if gone in self.border and not (on_border and len(shared) == 1):
            return False
        if on_border and len(shared) == 2:
            return False
        if len(self._neighbours(gone) & self._neighbours(kept)) != len(shared):
            return False
        moved = [(number, self.faces[number]) for number in sorted(self.around[gone] - shared)]
        for _, face in moved:
            after = tuple(kept if corner == gone else corner for corner in face)
            if _turned(*(self.places[corner] for corner in face), *(self.places[corner] for corner in after)):
                return False
            if any(self._ratio(kept, corner) > _LONG for corner in after if corner != kept):
                return False
        for number in sorted(shared):
            self._replace(number, None)
        for number, face in moved:
            self._replace(number, tuple(kept if corner == gone else corner for corner in face))
        self.border.discard(gone)
        return True

    def _neighbours(self, vertex: int) -> set[int]:
        return {corner for number in self.around[vertex] for corner in self.faces[number]} - {vertex}

    def _turn_edges(self) -> None:
        """Turns edges where that brings the numbers of neighbours nearer to six, four on the border."""
        edges, _ = self._measured_edges()
        for a, b in edges.tolist():
            shared = sorted(self.around[a] & self.around[b])
            if len(shared) != 2:
                continue
            first, second = (self.faces[number] for number in shared)
            c, d = (next(corner for corner in face if corner not in (a, b)) for face in (first, second))
            if c == d or self.around[c] & self.around[d]:
                continue
            before = sum(abs(self._excess(v)) for v in (a, b, c, d))
            after = sum(abs(self._excess(v) + change) for v, change in ((a, -1), (b, -1), (c, 1), (d, 1)))
            if after >= before:
                continue
            if first[(first.index(a) + 1) % 3] != b:
                a, b = b, a
            p = self.places
            new = ((a, d, c), (d, b, c))
            if any(_turned(p[a], p[b], p[c], *(p[v] for v in face), least=0.5) for face in new):
                continue
            for number, face in zip(shared, new, strict=True):
                self._replace(number, face)

    def _excess(self, vertex: int) -> int:
        border = vertex in self.border
        return len(self.around[vertex]) + border - (4 if border else 6)

    def _even_out(self) -> None:
        """Moves vertices to the middle of their neighbours, within the surface."""
        numbers = sorted(self.faces)
        faces = np.array([self.faces[number] for number in numbers])
        places = np.array(self.places)
        pairs = np.unique(np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1), axis=0)
        border = np.zeros(len(places), dtype=bool)
        border[sorted(self.border)] = True
        pairs = np.concatenate([pairs, pairs[:, ::-1]])
        pairs = pairs[~border[pairs[:, 0]] | border[pairs[:, 1]]]
        degree = np.maximum(np.bincount(pairs[:, 0], minlength=len(places)), 1)[:, None]
        weight = 1.0
        mean = np.stack([np.bincount(pairs[:, 0], places[pairs[:, 1], i], len(places)) for i in range(3)], 1) / degree
        used = np.unique(faces)
        moved = places[used] + 0.6 * weight * (mean - places)[used]
        places[used] = self.project(moved, border[used])
        self.places = [tuple(place) for place in places.tolist()]
        wanted = np.array(self.wanted)
        wanted[used] = self.size(places[used])
        self.wanted = wanted.tolist()


def _edges(face: tuple[int, ...]) -> list[tuple[int, int]]:
    a, b, c = face
    return [(min(a, b), max(a, b)), (min(b, c), max(b, c)), (min(c, a), max(c, a))]


def _distance(a, b) -> float:
    return ((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2) ** 0.5


def _normal(a, b, c) -> tuple[float, float, float]:
    x, y, z = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    u, v, w = c[0] - a[0], c[1] - a[1], c[2] - a[2]
    return y * w - z * v, z * u - x * w, x * v - y * u


def _turned(a, b, c, d, e, f, *, least: float = 0.3) -> bool:
    """Whether the normal of triangle d, e, f is turned away from that of a, b, c, or it has hardly an area."""
    n, m = _normal(a, b, c), _normal(d, e, f)
    lengths = (_distance(n, (0, 0, 0)) * _distance(m, (0, 0, 0))) or 1e-30
    longest = max(_distance(d, e), _distance(e, f), _distance(f, d))
    return (n[0] * m[0] + n[1] * m[1] + n[2] * m[2]) < least * lengths or _distance(m, (0, 0, 0)) < 0.1 * longest**2
