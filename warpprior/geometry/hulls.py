"""Surfaces as a few convex hulls, as physics engines collide them.

Engines decompose meshes themselves when they load a stage, into a hundred hulls and for many seconds.  Here the number
is bounded, the work is done once, and every engine gets the same.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
from scipy.spatial import ConvexHull, QhullError

from warpprior.geometry.signed_distance import Surface

MOST_HULLS = 16
MOST_CORNERS = 64  # of a hull; PhysX takes no more on a GPU
GAP = 0.025  # hulls may stand off the surface by this share of the body's size
_THICKNESS = 1e-3  # given to what is flat [m]
_LEAST_AREA = 1e-12  # of a face that is kept [m^2]
_LATTICE = 22  # places along the longest side at which gaps are measured
_OFFSETS = (0.3, 0.5, 0.7)  # of cuts, as shares of a part's width

# Directions of cuts: along the axes of the body, and between two of them.
_DIRECTIONS = np.array(
    [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, -1, 0), (1, 0, 1), (1, 0, -1), (0, 1, 1), (0, 1, -1)], float
)
_DIRECTIONS /= np.linalg.norm(_DIRECTIONS, axis=1, keepdims=True)


@dataclass(frozen=True, eq=False)
class Hull:
    """A convex polyhedron: vertices (vertex, 3) float32 [m] and triangles (face, 3) int32, seen from outside."""

    vertices: np.ndarray
    faces: np.ndarray


def convex_hull(points: np.ndarray, most: int = MOST_CORNERS) -> Hull:
    """The convex hull of points, of ``most`` corners: those that matter most, taken one after the other.

    What is flat, or a line, becomes a box around it a millimetre thick.

    Args:
        points: (point, 3) [m].
        most: corners at most.
    """
    points = np.asarray(points, dtype=np.float64)
    try:
        hull = ConvexHull(points)
        if len(hull.vertices) > most:
            hull = _of_few_corners(points[hull.vertices], most)
    except QhullError:
        hull = ConvexHull(_box_around(points))
    vertices, faces = hull.points.astype(np.float32), _turned_outward(hull)
    a, b, c = vertices[faces].astype(np.float64).transpose(1, 0, 2)
    faces = faces[np.linalg.norm(np.cross(b - a, c - a), axis=1) > _LEAST_AREA]
    used, faces = np.unique(faces, return_inverse=True)
    return Hull(vertices[used], faces.reshape(-1, 3).astype(np.int32))


def convex_parts(
    vertices: np.ndarray, faces: np.ndarray, *, closed: bool = True, most: int = MOST_HULLS, corners: int = MOST_CORNERS
) -> tuple[Hull, ...]:
    """Convex hulls that cover a surface and enclose little else.

    Its hull is cut by planes, each time the part that holds the most air, where the two halves hold the least: the sum
    over places in a hull of how far each is outside of the surface.  Cutting ends when no hull stands off the surface
    by more than :data:`GAP` of its longest side, or there are ``most`` hulls.

    Args:
        vertices: (vertex, 3) [m].
        faces: (face, 3), counter-clockwise seen from outside.
        closed: the surface has an inside; otherwise both sides of it are air.
        most: hulls at most.
        corners: of a hull, at most.
    """
    triangles = np.asarray(vertices, dtype=np.float64)[faces]
    size = np.ptp(triangles.reshape(-1, 3), axis=0).max()
    air, depth = _air_around(np.asarray(vertices), faces, closed)
    points = np.asarray(vertices, dtype=np.float64)[np.unique(faces)]
    held = _held(points, air)
    part = _Part(triangles, points, air[held], depth[held])
    heap, number, done = [(-part.cost, 0, part)], 1, []
    while heap and len(heap) + len(done) < most:
        _, _, part = heapq.heappop(heap)
        halves = part.halves() if part.gap > GAP * size else None
        if halves is None:
            done.append(part)
            continue
        for half in halves:
            heapq.heappush(heap, (-half.cost, number, half))
            number += 1
    found = [*done, *(entry[2] for entry in heap)]
    return tuple(convex_hull(part.points, corners) for part in found)


@dataclass(frozen=True, eq=False)
class _Part:
    """Triangles (face, 3, 3) between points (point, 3), and the places in their hull that are outside of the surface.

    Attributes:
        depth: how far each of those places is outside (place,) [m].
    """

    corners: np.ndarray
    points: np.ndarray
    air: np.ndarray
    depth: np.ndarray

    @property
    def cost(self) -> float:
        return float(self.depth.sum())

    @property
    def gap(self) -> float:
        return float(self.depth.max(initial=0.0))

    def halves(self) -> tuple[_Part, _Part] | None:
        """The two halves that hold the least air; None where no cut leaves two."""
        best, least = None, np.inf
        for direction in _DIRECTIONS:
            along, heights = self.corners @ direction, self.points @ direction
            low, high = heights.min(), heights.max()
            for share in _OFFSETS:
                level = low + share * (high - low)
                between = _crossings(self.corners, along, level)
                below = np.concatenate([self.points[heights <= level], between])
                above = np.concatenate([self.points[heights > level], between])
                held = _held(below, self.air), _held(above, self.air)
                cost = sum(float(self.depth[inside].sum()) for inside in held)
                if cost < least and len(below) > 0 and len(above) > 0:
                    best, least = (direction, level, below, above, held), cost
        if best is None:
            return None
        direction, level, below, above, held = best
        along = self.corners @ direction
        lower, upper = _cut(self.corners, along, level), -_cut(-self.corners, -along, -level)
        return (
            _Part(lower, below, self.air[held[0]], self.depth[held[0]]),
            _Part(upper, above, self.air[held[1]], self.depth[held[1]]),
        )


def _held(points: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Which places (place,) are in the convex hull of points."""
    try:
        equations = ConvexHull(points).equations
    except (QhullError, ValueError):  # flat, or no points at all
        return np.zeros(len(places), dtype=bool)
    return np.all(places @ equations[:, :3].T + equations[:, 3] < 0.0, axis=1)


def _crossings(corners: np.ndarray, along: np.ndarray, level: float) -> np.ndarray:
    """Where the edges of triangles cross a level of ``along`` (crossing, 3)."""
    others, heights = np.roll(corners, -1, axis=1), np.roll(along, -1, axis=1)
    crossed = (along > level) != (heights > level)
    start, height = corners[crossed], along[crossed]
    share = (level - height) / (heights[crossed] - height)
    return start + share[:, None] * (others[crossed] - start)


def _cut(corners: np.ndarray, along: np.ndarray, level: float) -> np.ndarray:
    """Triangles (face, 3, 3) that cover what the given ones have at or below a level of ``along`` (face, 3).

    A triangle with one corner above becomes two, one with two corners above stays one.
    """
    above = along > level
    count = above.sum(axis=1)
    kept = [corners[count == 0]]
    for crossed, sign in ((1, True), (2, False)):
        chosen = count == crossed
        if not chosen.any():
            continue
        # The odd corner first, the order of the others kept.
        odd = np.argmax(above[chosen] == sign, axis=1)
        turn = (odd[:, None] + np.arange(3)) % 3
        a, b, c = np.take_along_axis(corners[chosen], turn[:, :, None], axis=1).transpose(1, 0, 2)
        ta, tb, tc = np.take_along_axis(along[chosen], turn, axis=1).T
        ab = a + ((level - ta) / (tb - ta))[:, None] * (b - a)
        ac = a + ((level - ta) / (tc - ta))[:, None] * (c - a)
        if crossed == 1:
            kept += [np.stack([ab, b, c], axis=1), np.stack([ab, c, ac], axis=1)]
        else:
            kept.append(np.stack([a, ab, ac], axis=1))
    return np.concatenate(kept)


def _air_around(vertices: np.ndarray, faces: np.ndarray, closed: bool) -> tuple[np.ndarray, np.ndarray]:
    """Places of a lattice in the bounding box that are off the surface (place, 3), and by how much (place,) [m]."""
    used = vertices[np.unique(faces)].astype(np.float64)
    low, size = used.min(axis=0), np.ptp(used, axis=0)
    spacing = max(size.max() / _LATTICE, _THICKNESS)
    sides = [low[axis] + spacing * (np.arange(max(int(size[axis] / spacing), 1)) + 0.5) for axis in range(3)]
    places = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, 3)
    distance, _, _ = Surface(vertices, faces, "the surface of a collider").measure(places)
    depth = distance if closed else np.abs(distance)
    return places[depth > 0.0], depth[depth > 0.0].astype(np.float64)


def _of_few_corners(points: np.ndarray, most: int) -> ConvexHull:
    """The hull of the points that reach farthest beyond the hull of those taken so far."""
    axes = np.concatenate([np.eye(3), -np.eye(3)])
    taken = np.unique(np.argmax(points @ axes.T, axis=0))
    if len(taken) < 4:
        taken = np.unique(np.concatenate([taken, np.linspace(0, len(points) - 1, 8).astype(int)]))
    hull = ConvexHull(points[taken])
    while len(taken) < most:
        beyond = points @ hull.equations[:, :3].T + hull.equations[:, 3]
        reach = beyond.max(axis=1)
        farthest = np.unique(beyond.argmax(axis=0))
        farthest = farthest[reach[farthest] > 1e-6]
        if len(farthest) == 0:
            break
        some = min(8, most - len(taken))
        farthest = farthest[np.argsort(-reach[farthest], kind="stable")[:some]]
        taken = np.union1d(taken, farthest)
        hull = ConvexHull(points[taken])
    return hull


def _turned_outward(hull: ConvexHull) -> np.ndarray:
    """Faces (face, 3) seen from outside: the largest by its plane, the others, which may be slivers, as neighbours."""
    faces = hull.simplices.copy()
    a, b, c = hull.points[faces].transpose(1, 0, 2)
    normals = np.cross(b - a, c - a)
    first = int(np.argmax(np.linalg.norm(normals, axis=1)))
    if normals[first] @ hull.equations[first, :3] < 0.0:
        faces[first] = faces[first, ::-1]
    reached, waiting = {first}, [first]
    while waiting:
        face = waiting.pop()
        edges = set(zip(faces[face].tolist(), np.roll(faces[face], -1).tolist(), strict=True))
        for other in set(hull.neighbors[face].tolist()) - reached:
            if edges & set(zip(faces[other].tolist(), np.roll(faces[other], -1).tolist(), strict=True)):
                faces[other] = faces[other, ::-1]
            reached.add(other)
            waiting.append(other)
    return faces


def _box_around(points: np.ndarray) -> np.ndarray:
    """Corners of a box along the points' own axes, nowhere thinner than a millimetre."""
    middle = points.mean(axis=0)
    _, axes = np.linalg.eigh(np.cov((points - middle).T) if len(points) > 1 else np.eye(3))
    along = (points - middle) @ axes
    low, high = along.min(axis=0), along.max(axis=0)
    thin = np.maximum(0.5 * (_THICKNESS - (high - low)), 0.0)
    low, high = low - thin, high + thin
    corners = np.array([[(low, high)[k >> axis & 1][axis] for axis in range(3)] for k in range(8)])
    return corners @ axes.T + middle
