"""Repair: triangles as files give them, made safe for Warp and consistently oriented, saying what was changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import SupportsInt

import numpy as np

from warpprior.bodies.triangles import doubled_areas_around
from warpprior.support.errors import InputError

MAX_FACES = 2_000_000
MAX_COORDINATE = 1e9  # far from overflow in single precision
FAR_COLORS = 0.2  # from their mean
UNPAINTED = 0.7  # grey of vertices without a colour, where others have one
MOST_OUTER = 1000  # shells that may have cavities: the largest ones
SLIVER = 1e-6  # height of a face without area relative to its longest edge: below it float32 decides its direction


@dataclass(frozen=True)
class Surface:
    """Triangles in some frame.

    Attributes:
        vertices: (vertex, 3) float64 [m].
        faces: (face, 3) int64.
        colors: vertex colours in [0, 1], as pictures have them (vertex, 3), or None; as read, NaN where the file says
            none.
        closed: every edge is shared by faces that run it in opposite directions, as often one way as the other.
        warnings: what was changed, one sentence each.
        color_warnings: what could not be read or kept of the colours, one sentence each.
    """

    vertices: np.ndarray
    faces: np.ndarray
    colors: np.ndarray | None = None
    closed: bool = False
    warnings: tuple[str, ...] = ()
    color_warnings: tuple[str, ...] = ()


def repair_surface(where: str, surface: Surface) -> Surface:
    """Check, weld, clean and orient a surface.

    Vertices at one place become one (texture seams, STL corners), of the mean colour of the faces around it; faces
    without area or given twice go; neighbours are made to agree on their direction; shells that are inside out are
    turned, cavities inside another shell are not.

    Args:
        where: the file, for messages.
        surface: triangles as read.

    Raises:
        InputError: no faces, too many, a vertex that is not finite or absurdly far, a face that names no vertex.
    """
    _check(where, surface)
    said: list[str] = []
    given = len(surface.faces)
    surface = _weld(surface)
    faces = surface.faces
    faces = faces[(faces != np.roll(faces, 1, axis=1)).all(axis=1)]
    faces = _flip_slivers(surface.vertices, faces)
    if len(faces) == 0:
        raise InputError(where, f"none of the {given} faces has any area", "give a surface with area")
    if len(faces) < given:
        said.append(f"dropped {given - len(faces)} of {given} faces, which have no area")
    faces, closed, remarks = repair_faces(surface.vertices, faces)
    surface = _drop_unused(replace(surface, faces=faces))
    return replace(_paint_bare(surface), closed=closed, warnings=(*surface.warnings, *said, *remarks))


def repair_faces(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, bool, tuple[str, ...]]:
    """Faces given once, in agreement with their neighbours, that face outwards.

    Args:
        vertices: (vertex, 3) [m].
        faces: (face, 3), each of three vertices at different places.

    Returns:
        the faces, whether they close, and what was changed, one sentence each.
    """
    said: list[str] = []
    corners = np.sort(faces, axis=1)
    order = np.lexsort(corners.T)  # the first of those that are alike comes first
    first = np.append(True, (corners[order[1:]] != corners[order[:-1]]).any(axis=1))
    if not first.all():
        said.append(f"dropped {int((~first).sum())} faces given more than once")
        faces = faces[np.sort(order[first])]
    faces, remarks = _orient(vertices, faces)
    closed = is_closed(faces)
    if not closed:
        remarks.append("the surface is open; its winding number decides what is inside")
    return faces, closed, (*said, *remarks)


def _check(where: str, surface: Surface) -> None:
    vertices, faces = surface.vertices, surface.faces
    if len(faces) == 0:
        what = f"{len(vertices)} points and no faces" if len(vertices) else "no faces"
        raise InputError(where, what, "give a surface of triangles or polygons")
    if len(faces) > MAX_FACES:
        raise InputError(where, f"{len(faces)} faces", f"simplify it to at most {MAX_FACES}")
    bad = np.flatnonzero(~(np.abs(vertices) < MAX_COORDINATE).all(axis=1))
    if len(bad):
        accepted = f"coordinates must be finite numbers below {MAX_COORDINATE:.0e}"
        raise InputError(where, f"vertex {bad[0]} is {vertices[bad[0]]}", accepted)
    bad = np.flatnonzero(((faces < 0) | (faces >= len(vertices))).any(axis=1))
    if len(bad):
        found = f"face {bad[0]} uses vertices {faces[bad[0]]} (counted from 0) of {len(vertices)}"
        raise InputError(where, found, "faces must use vertices the file has")


def _weld(surface: Surface) -> Surface:
    """One vertex per float32 place, in order of first appearance; known colours at one place are averaged."""
    places = surface.vertices.astype(np.float32)
    _, first, inverse = np.unique(places, axis=0, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    inverse = rank[inverse.reshape(-1)]
    colors = surface.colors
    if colors is not None:
        share = doubled_areas_around(surface.vertices, surface.faces)
        # Where no face has an area, all count alike.
        lone = np.bincount(inverse, share) <= 0.0
        share = np.where(lone[inverse], 1.0, share) * np.isfinite(colors).all(axis=1)
        weight = np.bincount(inverse, share)
        known = np.nan_to_num(colors) * share[:, None]
        total = np.stack([np.bincount(inverse, known[:, channel]) for channel in range(3)], axis=1)
        painted = weight[:, None] > 0.0
        mean = np.where(painted, total / np.where(painted, weight[:, None], 1.0), np.nan)
        surface = _note_mixed(surface, mean, inverse)
        colors = mean
    return replace(
        surface, vertices=places[np.sort(first)].astype(np.float64), faces=inverse[surface.faces], colors=colors
    )


def _note_mixed(surface: Surface, mean: np.ndarray, place: np.ndarray) -> Surface:
    """The surface with a warning where far apart colours meet: the mean of red and blue is neither.

    Args:
        surface: as read; its colours (vertex, 3).
        mean: colour of each place (place, 3).
        place: of each vertex (vertex,).
    """
    assert surface.colors is not None
    apart = np.nan_to_num(np.abs(surface.colors - mean[place])).max(axis=1, initial=0.0)
    count = len(np.unique(place[apart > FAR_COLORS]))
    if not count:
        return surface
    said = f"parts of different colours meet at {count} of {len(mean)} vertices, which have the mean of them"
    return replace(surface, color_warnings=(*surface.color_warnings, said))


def _paint_bare(surface: Surface) -> Surface:
    """The surface with all vertices coloured, or none."""
    if surface.colors is None:
        return surface
    bare = np.asarray(~np.isfinite(surface.colors).all(axis=1))
    if bare.all() or not bare.any():
        return replace(surface, colors=None if bare.all() else surface.colors)
    said = f"{int(bare.sum())} of {len(bare)} vertices have no colour that could be read; they are grey ({UNPAINTED})"
    colors = np.where(bare[:, None], UNPAINTED, surface.colors)
    return replace(surface, colors=colors, color_warnings=(*surface.color_warnings, said))


def _edge(start: SupportsInt, end: SupportsInt) -> tuple[int, int]:
    """An edge by its ends, the lower first, whichever way it is gone along."""
    first, second = int(start), int(end)
    return (first, second) if first < second else (second, first)


def _flip_slivers(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Get rid of faces whose corners lie on a line without tearing the surface.

    The longest edge of such a face carries its third corner: the neighbour across that edge is split there, and the
    two halves take the place of the two faces.  Slivers without a neighbour are dropped.
    """
    faces = faces.copy()
    for _ in range(8):
        slivers, longest = _find_slivers(vertices, faces)
        if len(slivers) == 0:
            return faces
        owners: dict[tuple[int, int], list[int]] = {}
        ends = {_edge(faces[f, e], faces[f, (e + 1) % 3]) for f, e in zip(slivers, longest, strict=True)}
        for edge in range(3):
            low = np.minimum(faces[:, edge], faces[:, (edge + 1) % 3])
            for face in np.flatnonzero(np.isin(low, [end[0] for end in ends])):
                key = _edge(faces[face, edge], faces[face, (edge + 1) % 3])
                if key in ends:
                    owners.setdefault(key, []).append(int(face))
        touched: set[int] = set()
        flipped = False
        for face, edge in zip(slivers.tolist(), longest.tolist(), strict=True):
            if face in touched:  # its corners have changed in this round
                continue
            a, b, middle = faces[face, edge], faces[face, (edge + 1) % 3], faces[face, (edge + 2) % 3]
            others = [f for f in owners[_edge(a, b)] if f != face]
            if len(others) != 1 or others[0] in touched or middle in faces[others[0]]:
                continue
            across = faces[others[0]]
            touched.update((face, others[0]))
            halves = np.where(across == a, middle, across), np.where(across == b, middle, across)
            faces[face], faces[others[0]] = halves
            flipped = True
        if not flipped:
            break
    slivers, _ = _find_slivers(vertices, faces)
    return np.delete(faces, slivers, axis=0)


def _find_slivers(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Faces without area, and for each the corner at which its longest edge starts."""
    corners = vertices[faces]
    edges = np.roll(corners, -1, axis=1) - corners
    squares = np.sum(edges**2, axis=2)
    doubled = np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1)
    slivers = np.flatnonzero(doubled <= SLIVER * squares.max(axis=1))
    return slivers, np.argmax(squares[slivers], axis=1)


def _orient(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Faces whose neighbours agree, each shell facing outwards; and remarks on what was turned."""
    remarks = []
    flips, shells, orientable = _agree(faces)
    if flips.any():
        remarks.append(f"turned {int(flips.sum())} faces that ran against their neighbours")
    if not orientable:
        remarks.append("some neighbouring faces cannot be made to agree, as on a Moebius strip")
    faces = np.where(flips[:, None], faces[:, ::-1], faces)
    inside_out = _inside_out(vertices, faces, shells)
    if inside_out.any():
        turned = inside_out[shells]
        remarks.append(f"turned {int(turned.sum())} faces of {int(inside_out.sum())} shells that were inside out")
        faces = np.where(turned[:, None], faces[:, ::-1], faces)
    return np.ascontiguousarray(faces), remarks


def _agree(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
    """Which faces to turn so that neighbours agree, the shell of each face, and whether that succeeded everywhere.

    Each face stands twice in a graph, as given and turned; neighbours across an edge of two faces connect the copies
    that agree.  A shell can be oriented when its two sets of copies are not connected.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    count = len(faces)
    left, right, agree = _neighbours(faces)
    same = np.concatenate([left, left + count])
    other = np.where(agree, right, right + count)
    other = np.concatenate([other, np.where(agree, right + count, right)])
    graph = coo_matrix((np.ones(len(same), dtype=np.int8), (same, other)), shape=(2 * count, 2 * count))
    _, label = connected_components(graph, directed=False)
    given, turned = label[:count], label[count:]
    _, shells = np.unique(np.minimum(given, turned), return_inverse=True)
    shells = shells.reshape(-1)
    broken = given == turned
    flips = given > turned  # the copy with the smaller label is the wanted one
    minority = np.bincount(shells, weights=flips) > 0.5 * np.bincount(shells)
    flips = np.where(minority[shells], ~flips, flips) & ~broken
    return flips, shells, not broken.any()


def _neighbours(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of faces that share an edge no third face uses, and whether they run it in opposite directions."""
    count = len(faces)
    ends = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    forward = ends[:, 0] < ends[:, 1]
    key = np.sort(ends, axis=1)
    order = np.lexsort((key[:, 1], key[:, 0]))
    key = key[order]
    new = np.ones(len(key) + 1, dtype=bool)
    new[1:-1] = (key[1:] != key[:-1]).any(axis=1)
    starts = np.flatnonzero(new)
    head = starts[:-1][np.diff(starts) == 2]
    one, two = order[head], order[head + 1]
    return one % count, two % count, forward[one] != forward[two]


def _inside_out(vertices: np.ndarray, faces: np.ndarray, shells: np.ndarray) -> np.ndarray:
    """Which shells enclose negative volume and are not cavities of another shell (shell,) bool."""
    shell_count = int(shells.max()) + 1
    corners = vertices[faces]
    weight = np.bincount(shells, minlength=shell_count)
    middles = corners.mean(axis=1)
    centres = np.stack([np.bincount(shells, middles[:, axis], shell_count) / weight for axis in range(3)], axis=1)
    a, b, c = np.moveaxis(corners - centres[shells][:, None], 1, 0)
    volume = np.bincount(shells, np.sum(a * np.cross(b, c), axis=1) / 6.0, shell_count)
    area = np.bincount(shells, 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1), shell_count)
    # A flat sheet has no inside: leave it as it is.
    negative = volume < -1e-6 * area**1.5
    if not negative.any() or shell_count == 1:
        return negative
    low = np.full((shell_count, 3), np.inf)
    high = np.full((shell_count, 3), -np.inf)
    np.minimum.at(low, shells, corners.min(axis=1))
    np.maximum.at(high, shells, corners.max(axis=1))
    outer = np.flatnonzero(~negative)
    if len(outer) > MOST_OUTER:
        outer = outer[np.argsort(-np.prod(high[outer] - low[outer], axis=1), kind="stable")[:MOST_OUTER]]
    turned = np.flatnonzero(negative)
    for some in np.array_split(turned, len(turned) // 1000 + 1):
        lower = (low[outer] < low[some, None]).all(axis=2)
        higher = (high[outer] > high[some, None]).all(axis=2)
        negative[some[np.any(lower & higher, axis=1)]] = False
    return negative


def is_closed(faces: np.ndarray) -> bool:
    """Whether each edge of faces (face, 3) is run as often one way as the other."""
    faces = faces.astype(np.int64, copy=False)
    ends = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    low, high = ends.min(axis=1), ends.max(axis=1)
    _, group = np.unique(low * (high.max() + 1) + high, return_inverse=True)
    direction = np.where(ends[:, 0] < ends[:, 1], 1, -1)
    return not np.bincount(group.reshape(-1), direction).any()


def _drop_unused(surface: Surface) -> Surface:
    used, faces = np.unique(surface.faces, return_inverse=True)
    colors = None if surface.colors is None else surface.colors[used]
    return replace(surface, vertices=surface.vertices[used], faces=faces.reshape(-1, 3), colors=colors)
