"""Bodies in motion as contact sees them: points spread over them, and exact distances to them at every frame."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import warp as wp

from warpprior.bodies import posed_vertices
from warpprior.bodies.body import Body
from warpprior.bodies.triangles import doubled_areas
from warpprior.geometry.signed_distance import UNBOUNDED, Surface
from warpprior.kernels.frame_distance import measure_frames
from warpprior.metrics.pose_errors import matrices
from warpprior.scene import Poses, SceneBody

POINT_COUNT = 4000
LEADER_SHARE = 16  # every 16th point speaks for its neighbours first
AT_ONCE = 64  # frames that are measured together, so that memory does not grow with the sequence

_GOLDEN = np.array([0.7548776662466927, 0.5698402909980532])  # R2 sequence: even in two dimensions


class SurfacePoints:
    """Points spread over a body's surface in proportion to area; the same for the same body.

    Args:
        body: whose surface.
        count: how many points.

    Attributes:
        corners: vertices of the face that each point lies on (point, 3) int32.
        spacing: edge of the square that a point stands for [m], at scale 1.
    """

    def __init__(self, body: Body, count: int = POINT_COUNT):
        corners = body.vertices[body.faces].astype(np.float64)
        areas = doubled_areas(corners)
        strata = (np.arange(count) + 0.5) / count * areas.sum()
        faces = np.searchsorted(np.cumsum(areas), strata).clip(max=len(areas) - 1)
        first, second = (np.outer(np.arange(1, count + 1), _GOLDEN) % 1.0).T
        root = np.sqrt(first)
        weights = np.stack([1 - root, root * (1 - second), root * second], axis=1)
        self.corners, self._weights = body.faces[faces], weights.astype(np.float32)
        self.spacing = float(np.sqrt(0.5 * areas.sum() / count))
        self._rest = body.vertices

    def place(self, vertices: np.ndarray) -> np.ndarray:
        """The points (frame, point, 3) on a posed surface (frame, vertex, 3)."""
        first, second, third = (self._weights[:, k, None] * vertices[:, self.corners[:, k]] for k in range(3))
        return first + second + third

    @cached_property
    def leaders(self) -> np.ndarray:
        """The nearest at rest of every 16th point, for each point (point,) int64."""
        from scipy.spatial import KDTree

        rest = self.place(self._rest[None])[0]
        chosen = np.arange(0, len(rest), LEADER_SHARE)
        return chosen[KDTree(rest[chosen]).query(rest)[1]]


class PosedBody:
    """A body at every frame of a motion; what is costly is made when it is asked for.

    Args:
        item: the body.
        poses: its motion, finite.
        points: points spread over its surface.
        rest_surface: gives the surface of a rigid body in its own frame at the scale of the motion.
        device: Warp device.
    """

    def __init__(self, item: SceneBody, poses: Poses, points: SurfacePoints, rest_surface, device: str):
        self.item, self.poses, self.device = item, poses, device
        self._spread, self._rest_surface = points, rest_surface

    def frames(self, frames: slice) -> PosedBody:
        """The body in some frames; itself where these are all, so that what was made of it stays."""
        if (frames.start, frames.stop) == (0, self.poses.frame_count):
            return self
        part = PosedBody(self.item, self.poses.frames(frames), self._spread, self._rest_surface, self.device)
        part.vertices = self.vertices[frames]
        return part

    @property
    def name(self) -> str:
        return self.item.name

    @property
    def is_rigid(self) -> bool:
        return self.item.body.is_rigid

    @property
    def leaders(self) -> np.ndarray | None:
        """See :class:`SurfacePoints`; None where the surface is open, whose inside ends without a surface."""
        return self._spread.leaders

    @property
    def corners(self) -> np.ndarray:
        """Vertices of the face that each of :attr:`points` lies on (point, 3)."""
        return self._spread.corners

    @property
    def spacing(self) -> float:
        """Edge of the square that each of :attr:`points` stands for [m]."""
        return self._spread.spacing * self.poses.scale

    @property
    def is_closed(self) -> bool:
        return self._surface.closed if self.is_rigid else self.item.body.closed

    @cached_property
    def vertices(self) -> np.ndarray:
        """The posed surface (frame, vertex, 3) float32 [m], camera frame."""
        if self.poses.frame_count == 0:
            return np.zeros((0, self.item.body.vertex_count, 3), dtype=np.float32)
        return posed_vertices(self.item.body, self.poses, device=self.device)

    @cached_property
    def outward_faces(self) -> np.ndarray:
        """Triangles (face, 3), turned where the surface as a whole is inside out."""
        faces = self.item.body.faces
        return np.ascontiguousarray(faces if _volume(self.item.body) >= 0.0 else faces[:, ::-1])

    @cached_property
    def points(self) -> np.ndarray:
        """Points spread over the surface (frame, point, 3) float32 [m], camera frame."""
        return self._spread.place(self.vertices)

    @cached_property
    def box(self) -> tuple[np.ndarray, np.ndarray]:
        """Least and greatest corner of the box around the surface (frame, 3) in the frame of :meth:`to_own`."""
        if self.is_rigid:
            vertices = self._surface.vertices.astype(np.float64)
            shape = (self.poses.frame_count, 3)
            return np.broadcast_to(vertices.min(0), shape), np.broadcast_to(vertices.max(0), shape)
        return self.vertices.min(axis=1), self.vertices.max(axis=1)

    def to_own(self, points: np.ndarray) -> np.ndarray:
        """Points (frame, point, 3) in the frame in which they are measured: a rigid body's own, else the camera's."""
        if not self.is_rigid:
            return points
        return (points - self.poses.position[:, None].astype(points.dtype)) @ self._turns.astype(points.dtype)

    def to_own_at(self, frames: np.ndarray, points: np.ndarray) -> np.ndarray:
        """The same for points (frame, point, 3) of some frames, with all digits."""
        return (points - self.poses.position[frames][:, None]) @ self._turns[frames] if self.is_rigid else points

    def measure(self, frames: np.ndarray, points: np.ndarray, *, signed: bool = True) -> np.ndarray:
        """Exact distance of points in the frame of :meth:`to_own`, negative inside if ``signed``.

        Args:
            frames: frame of each point (point,).
            points: (point, 3) [m].
            signed: else distances are magnitudes, which bending bodies give sooner.

        Returns:
            (point,) [m].
        """
        if not len(points):
            return np.zeros(0)
        if self.is_rigid:
            distances = self._surface.measure(points)[0].astype(np.float64)
            return distances if signed else np.abs(distances)
        distances = wp.empty(len(points), dtype=wp.float32, device=self.device)
        measure_frames(
            wp.array(np.ascontiguousarray(points, dtype=np.float32), dtype=wp.vec3, device=self.device),
            wp.array(np.ascontiguousarray(frames, dtype=np.int32), dtype=wp.int32, device=self.device),
            self._meshes[0],
            UNBOUNDED,
            signed,
            distance_out=distances,
        )
        return distances.numpy().astype(np.float64)

    @cached_property
    def _turns(self) -> np.ndarray:
        return matrices(self.poses.rotation)

    @cached_property
    def _surface(self) -> Surface:
        return self._rest_surface(self.item, self.poses.scale)

    @cached_property
    def _meshes(self) -> tuple[wp.array, list[wp.Mesh]]:
        """Ids of one mesh per frame, and the meshes, which must live as long."""
        corners = wp.array(self.outward_faces.ravel(), dtype=wp.int32, device=self.device)
        meshes = [
            wp.Mesh(wp.array(vertices, dtype=wp.vec3, device=self.device), corners, support_winding_number=True)
            for vertices in self.vertices
        ]
        return wp.array([mesh.id for mesh in meshes], dtype=wp.uint64, device=self.device), meshes


def pieces(frame_count: int) -> list[slice]:
    """Frames that are measured together; at least one piece."""
    starts = range(0, max(frame_count, 1), AT_ONCE)
    return [slice(start, min(start + AT_ONCE, frame_count)) for start in starts]


def _volume(body: Body) -> float:
    """Volume that the surface encloses at rest [m^3]; negative where it is inside out."""
    corners = body.vertices[body.faces].astype(np.float64) - body.vertices.mean(axis=0)
    return float(np.einsum("fx,fx->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2]))) / 6.0
