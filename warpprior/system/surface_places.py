"""Chosen places on the surface of a body, which go wherever it goes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import warp as wp

from warpprior.bodies.body import Body
from warpprior.kernels.rows import PointBody
from warpprior.kernels.skinning import interpolate_points
from warpprior.scene import SceneBody
from warpprior.system.motion import MotionState


@dataclass(frozen=True, eq=False)
class Places:
    """Places on the surface of a body.

    Attributes:
        faces: that each lies on (place,) int32.
        barycentrics: where on it (place, 3) float32.
    """

    faces: np.ndarray
    barycentrics: np.ndarray

    def __len__(self) -> int:
        return len(self.faces)


def places_of_vertices(body: Body, vertices: np.ndarray) -> Places:
    """Vertices (vertex,) int as places, each on that of its faces which is most as its neighbourhood is at rest.

    A vertex that no face has is on face -1.
    """
    corners = body.vertices[body.faces].astype(np.float64)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    around = np.zeros((body.vertex_count, 3))
    np.add.at(around, body.faces, normals[:, None])
    lengths = np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
    alike = np.einsum("fx,fcx->fc", normals / lengths, around[body.faces])  # of each face at each of its corners
    owners, corner = body.faces.ravel(), np.tile(np.arange(3), len(body.faces))
    order = np.lexsort((-alike.ravel(), owners))  # the best face of each vertex first
    first = np.concatenate([[True], np.diff(owners[order]) > 0])
    faces, which = np.full(body.vertex_count, -1, dtype=np.int32), np.zeros(body.vertex_count, dtype=np.int64)
    faces[owners[order[first]]], which[owners[order[first]]] = order[first] // 3, corner[order[first]]
    return Places(faces[vertices], np.eye(3, dtype=np.float32)[which[vertices]])


def places_near(body: Body, points: np.ndarray) -> tuple[Places, float]:
    """Places of the surface at rest that are nearest to points (place, 3) [m], and how far the farthest is [m]."""
    from warpprior.geometry import closest_points

    found = closest_points(body, points.astype(np.float32), reach_m=100.0)
    away = np.linalg.norm(np.asarray(found.position) - points, axis=1)
    return Places(np.asarray(found.face, dtype=np.int32), np.asarray(found.barycentric)), float(away.max(initial=0.0))


class MovedPlaces:
    """Places of a body in the camera frame.

    Args:
        body: the body.
        places: on it; each on a face.
        motion: of all bodies.
        start: column of its root; -1 to hold it.

    Attributes:
        points: where they are [frame, place] vec3.
        body: what rows ask for.
        poses: camera_from_body [frame].
    """

    def __init__(self, body: SceneBody, places: Places, motion: MotionState, start: int):
        device, name = motion.device, body.name
        self._motion, self._name = motion, name
        self._faces = wp.array(places.faces, dtype=wp.int32, device=device)
        self._barycentrics = wp.array(places.barycentrics, dtype=wp.vec3, device=device)
        first = self._first = 0 if body.known else motion.first_vertex(name)
        corners = body.body.faces[places.faces].astype(np.int32) + first
        self.body = PointBody()
        self.body.start = start
        self.body.corners = wp.array(corners, dtype=wp.vec3i, device=device)
        self.body.barycentrics = self._barycentrics
        self.points = wp.zeros((motion.frame_count, len(places)), dtype=wp.vec3, device=device)
        self.poses = motion.states[name].poses
        self._known = body.known
        if body.known:
            self._interpolate(known_surface(body, motion))

    def place(self) -> None:
        """Take the surface as it is now; launches only."""
        if not self._known:
            self._interpolate(self._motion.vertices)

    def _interpolate(self, vertices: wp.array) -> None:
        faces = self._motion.models[self._name].faces
        given = vertices, faces, self._faces, self._barycentrics
        interpolate_points(*given, vertex_offset=self._first, points_out=self.points)


def known_surface(body: SceneBody, motion: MotionState) -> wp.array:
    """Surface of a known body in all frames [frame, vertex] vec3."""
    vertices = wp.zeros((motion.frame_count, body.body.vertex_count), dtype=wp.vec3, device=motion.device)
    motion.pose_surface(body.name, vertices, 0)
    return vertices
