"""Exact signed distance to a body that moves and bends, in all frames at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import warp as wp
from scipy.spatial.transform import Rotation

from warpprior.bodies.body import Body, JointType
from warpprior.kernels import kept_distance, surface_query
from warpprior.support.device import warp_device
from warpprior.support.errors import InputError

ANCHORS = 32  # vertices whose mean is taken as the middle of a surface
SHAPE_ROOM = 1.5  # shape parameters may make a body this much larger than at rest
SLIDE_ROOM = 1.0  # how far sliding joints without limits are taken to go [m]
GPU_LANES = 64  # threads of a frame that share the vertices of a surface
CORNER_LIMIT = 2**31 - 1  # corners of triangles are numbered in 32 bits


@dataclass(frozen=True, eq=False)
class SurfaceAnswers:
    """What queries write, on the device; the same shape [frame, point] throughout.

    Attributes:
        distances: signed distance, the reach for a miss float32 [m].
        normals: outward unit normal, the gradient of the distance by the point; zero for a miss vec3.
        faces: triangle of the body that is closest, -1 for a miss int32.
        barycentrics: weights of its corners at the closest point vec3.
    """

    distances: wp.array
    normals: wp.array
    faces: wp.array
    barycentrics: wp.array


class Waiting:
    """Which points need not be asked about again, as nothing that matters can have changed.

    That holds where the surface is closed and does not intersect itself: then a distance changes by no more than point
    and surface have moved.

    Args:
        poses: camera_from_body of the body that the points are on [frame] transform.
        vertex_count: of the surface.
        point_count: points of a frame.

    Attributes:
        bounds: distances that matter, the first, below which all are asked about, and another above it [m].
        waits: how far a point and the surface may still move, together [frame, point] float32 [m].
    """

    def __init__(self, poses: wp.array, vertex_count: int, point_count: int):
        frames, device = len(poses), warp_device(poses.device)
        self.bounds, self._poses = (0.0, 0.0), poses
        self.waits = wp.zeros((frames, point_count), dtype=wp.float32, device=device)
        self._lanes = 1 if device.is_cpu else GPU_LANES
        self._moves = wp.zeros(frames, dtype=wp.float32, device=device)
        self._surface = wp.zeros((frames, vertex_count), dtype=wp.vec3, device=device)
        self._points = wp.zeros((frames, point_count), dtype=wp.vec3, device=device)

    def restart(self, bounds: tuple[float, float]) -> None:
        """Take other bounds; all are asked about once."""
        self.bounds = bounds
        self.waits.zero_()

    def spend(self, vertices: wp.array, first_vertex: int, points: wp.array) -> None:
        """Take off what has moved since the last time; launches only."""
        surface = {"before_out": self._surface, "moves_out": self._moves}
        kept_distance.measure_moves(vertices, first_vertex, self._poses, lanes=self._lanes, **surface)
        kept_distance.spend_waits(points, self._poses, self._moves, before_out=self._points, waits_out=self.waits)


class SurfaceQuery:
    """Exact signed distance from points to the surface of one body, which may bend, in every frame.

    Inside and outside are decided by the normal of the closest triangle, edge or vertex, weighted by angle.  That is
    exact for a closed surface that does not intersect itself.  Where one does, points outside stay outside; a point
    inside whose closest triangle is buried in another part of the body counts as outside.  Winding numbers are right
    there, too, but taking the surface then costs about fifteen times as much.

    Args:
        body: the body, of at least one triangle.
        frame_count: number of frames.
        device: a Warp device or its name.
        reach_m: farther than this is a miss [m].
        scale: size factor of the body.
        winding: winding numbers decide: inside above one half.

    Attributes:
        usable: 1 where the surface of a frame is finite and not torn apart [frame] int32; elsewhere all queries miss.
        reach_m: as given.

    Raises:
        InputError: no triangle, no reach, or more triangles than can be numbered.
    """

    def __init__(
        self,
        body: Body,
        frame_count: int,
        device: wp.DeviceLike = "cpu",
        reach_m: float = 0.05,
        *,
        scale: float = 1.0,
        winding: bool = False,
    ):
        where = f"body {body.name!r}"
        if body.face_count == 0:
            raise InputError(where, "no triangles", "a surface")
        if not 0.0 < reach_m < 1e3:
            raise InputError("surface query: reach", f"{reach_m}", "a positive number of metres")
        if frame_count * body.face_count > CORNER_LIMIT // 3:
            found = f"{frame_count} frames of {body.face_count} triangles"
            raise InputError(where, found, f"at most {CORNER_LIMIT // 3} triangles in all")
        self.device = warp_device(device)
        self.reach_m = float(reach_m)
        self._frame_count, self._vertex_count = frame_count, body.vertex_count
        half = _half_extent(body) * float(scale)
        cells = _lattice(frame_count, 2.0 * (half + self.reach_m) * 1.01)

        def put(values, dtype):
            return wp.array(np.ascontiguousarray(values), dtype=dtype, device=self.device)

        self._anchors = np.unique(np.linspace(0, body.vertex_count - 1, ANCHORS).astype(np.int32))
        self._anchor_array = put(self._anchors, wp.int32)
        welded = _weld(body)
        across, starts, ring = _neighbours(welded, body.vertex_count)
        self.usable = wp.zeros(frame_count, dtype=wp.int32, device=self.device)
        surface = self._surface = surface_query.Surface()
        surface.faces, surface.across = put(welded, wp.vec3i), put(across, wp.vec3i)
        surface.ring_starts, surface.ring_faces = put(starts, wp.int32), put(ring, wp.int32)
        surface.centers = wp.zeros(frame_count, dtype=wp.vec3, device=self.device)
        surface.cells, surface.half_extent, surface.usable = put(cells.astype(np.float32), wp.vec3), half, self.usable
        rest = (body.vertices - body.vertices[self._anchors].mean(axis=0)) * scale
        rest = np.clip(rest, -half, half)
        points = (cells[:, None] + rest[None]).astype(np.float32).reshape(-1, 3)
        faces = np.arange(frame_count, dtype=np.int32)[:, None, None] * body.vertex_count + welded
        self._mesh = wp.Mesh(put(points, wp.vec3), put(faces.ravel(), wp.int32), support_winding_number=winding)
        surface.mesh, surface.winding = self._mesh.id, int(winding)
        self._points = self._mesh.points.reshape((frame_count, body.vertex_count))

    def refit(self, vertices: wp.array, first_vertex: int = 0) -> None:
        """Take the surface as it is now; launches only.

        Args:
            vertices: [frame, scene vertex] vec3, camera frame; kept, and read again by queries.
            first_vertex: where the body's vertices start in it.
        """
        surface = self._surface
        if first_vertex != surface.first_vertex:
            self._anchor_array.assign(self._anchors + np.int32(first_vertex))
        surface.vertices, surface.first_vertex = vertices, first_vertex
        surface_query.center_surfaces(vertices, self._anchor_array, centers_out=surface.centers, usable_out=self.usable)
        surface_query.place_surfaces(surface, points_out=self._points, usable_out=self.usable)
        self._mesh.refit()

    def answers(self, point_count: int) -> SurfaceAnswers:
        """Arrays for the answers about ``point_count`` points per frame."""
        shape = (self._frame_count, point_count)
        return SurfaceAnswers(
            distances=wp.full(shape, self.reach_m, dtype=wp.float32, device=self.device),
            normals=wp.zeros(shape, dtype=wp.vec3, device=self.device),
            faces=wp.full(shape, -1, dtype=wp.int32, device=self.device),
            barycentrics=wp.zeros(shape, dtype=wp.vec3, device=self.device),
        )

    def query(self, points: wp.array, answers: SurfaceAnswers, waiting: Waiting | None = None) -> None:
        """Measure ``points`` [frame, point] vec3 (camera frame) against the surface last taken; launches only.

        The vertices given to :meth:`refit` must not have changed since.  With ``waiting`` answers stay as they are
        where nothing that matters can have changed since they were given.
        """
        if waiting is not None:
            waiting.spend(self._surface.vertices, self._surface.first_vertex, points)
        surface_query.query_surfaces(
            points,
            self._surface,
            self.reach_m,
            distances_out=answers.distances,
            normals_out=answers.normals,
            faces_out=answers.faces,
            barycentrics_out=answers.barycentrics,
            bounds=(0.0, 0.0) if waiting is None else waiting.bounds,
            waits_out=None if waiting is None else waiting.waits,
        )

    def waiting(self, poses: wp.array, point_count: int) -> Waiting:
        """For ``point_count`` points per frame of a body at ``poses`` [frame], asked about again and again."""
        return Waiting(poses, self._vertex_count, point_count)

    def measure(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The same for NumPy points (frame, point, 3) [m]; none at all is fine.

        Returns:
            ``distances`` (frame, point) float32 [m], ``normals`` (frame, point, 3) float32, ``faces`` (frame, point)
            int32 and ``barycentrics`` (frame, point, 3) float32, as in :class:`SurfaceAnswers`.
        """
        points = np.ascontiguousarray(points, dtype=np.float32)
        if points.ndim != 3 or points.shape[0] != self._frame_count or points.shape[2] != 3:
            raise InputError("points", f"shape {points.shape}", f"({self._frame_count}, point, 3)")
        answers = self.answers(points.shape[1])
        if points.size:
            self.query(wp.array(points, dtype=wp.vec3, device=self.device), answers)

        def read(array: wp.array) -> np.ndarray:
            values = array.numpy()
            return values.reshape(*points.shape[:2], *values.shape[2:]).copy()

        return read(answers.distances), read(answers.normals), read(answers.faces), read(answers.barycentrics)


def _half_extent(body: Body) -> float:
    """How far any vertex can be from the middle of the surface, whatever the joints do [m].

    No vertex is farther from the root than the chain of joints it follows is long, and it from their end.  The middle
    lies within the surface's hull, so twice the farthest is enough.  An animation says how far its vertices are.
    """
    if body.animation is not None:
        anchors = np.unique(np.linspace(0, body.vertex_count - 1, ANCHORS).astype(np.int32))
        away = body.animation - body.animation[:, anchors].mean(axis=1, keepdims=True)
        return 1.02 * float(np.linalg.norm(away, axis=2).max()) + 1e-3
    chains, places = np.zeros(body.link_count), np.zeros((body.link_count, 3))
    turns = [Rotation.from_quat(row[3:]) for row in body.joint_offsets.astype(float)]
    places[0] = body.joint_offsets[0, :3]
    for link in range(1, body.link_count):
        parent, offset = body.parents[link], body.joint_offsets[link, :3].astype(float)
        chains[link] = chains[parent] + np.linalg.norm(offset) + _travel(body, link)
        places[link] = places[parent] + turns[parent].apply(offset)
        turns[link] = turns[parent] * turns[link]
    away = np.linalg.norm(body.vertices[:, None] - places[body.skin_links], axis=2) + chains[body.skin_links]
    farthest = float(np.max(np.where(body.skin_weights > 0.0, away, 0.0)))
    return 2.0 * farthest * (SHAPE_ROOM if body.shape_count else 1.02) + 1e-3


def _travel(body: Body, link: int) -> float:
    """How far a link slides along its joint's axis, at most [m]."""
    start = body.coordinate_starts[link]
    if body.joint_types[link] != JointType.SLIDE or start < 0:
        return 0.0
    limits = np.array([body.lower[start], body.upper[start]], dtype=float)
    limits = np.where(np.isfinite(limits), limits, SLIDE_ROOM)
    return float(np.max(np.abs(body.coordinate_gains[link] * limits + body.coordinate_biases[link])))


def _lattice(count: int, spacing: float) -> np.ndarray:
    """Middles of ``count`` cells of a cubic lattice around the origin (count, 3) [m]."""
    side = int(np.ceil(count ** (1.0 / 3.0) - 1e-9))
    index = np.arange(count)
    places = np.column_stack([index % side, index // side % side, index // side**2])
    return spacing * (places - places.max(axis=0, initial=0) / 2.0)


def _weld(body: Body) -> np.ndarray:
    """Faces (face, 3) whose corners at the same place are the same vertex, as across the seams of a texture."""
    _, first, ids = np.unique(body.vertices, axis=0, return_index=True, return_inverse=True)
    return first[ids.reshape(-1)][body.faces].astype(np.int32)


def _neighbours(faces: np.ndarray, vertex_count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Faces beyond the edges 01, 12 and 20 of each face (face, 3), -1 where there is not exactly one; and those around
    each vertex: where its list starts (vertex + 1,), and the lists (3 face,).
    """
    edges = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    _, ids, uses = np.unique(edges, axis=0, return_inverse=True, return_counts=True)
    order = np.argsort(ids.reshape(-1), kind="stable")
    heads = np.concatenate([[0], np.cumsum(uses)[:-1]])[uses == 2]
    across = np.full(len(edges), -1, dtype=np.int32)
    across[order[heads]], across[order[heads + 1]] = order[heads + 1] // 3, order[heads] // 3
    starts = np.concatenate([[0], np.cumsum(np.bincount(faces.ravel(), minlength=vertex_count))])
    ring = np.argsort(faces.ravel(), kind="stable") // 3
    return across.reshape(-1, 3), starts.astype(np.int32), ring.astype(np.int32)
