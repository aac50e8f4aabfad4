"""Pictures of simulated scenes: labels, depth and shaded colour by ray casting, a few frames at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias, cast

import numpy as np
import warp as wp

from warpprior.bodies.body import Body
from warpprior.bodies.posing import posed_vertices
from warpprior.kernels import raycast
from warpprior.scene import Camera, Poses, Scene
from warpprior.support.stored import frame_of, stored_zeros

NEAR_PLANE = 0.01  # [m]
SLAB = 4  # frames held on the device at a time
ReadRgb: TypeAlias = "Callable[[int], np.ndarray | None] | None"
_PLAIN = (0.82, 0.58, 0.32)  # of bodies without colours of their own


@dataclass(frozen=True)
class Actor:
    """A body in front of the camera: its label and its motion."""

    body: Body
    label: int
    poses: Poses


@dataclass(frozen=True)
class Light:
    """A light far away in a direction of the camera frame, ambient light, and how much a shadow takes away."""

    toward: tuple[float, float, float] = (-0.35, -0.80, -0.45)
    ambient: float = 0.25
    shadow: float = 0.75


@dataclass(frozen=True)
class Backdrop:
    """What stands still behind the actors: depth (height, width) [m], 0 for none, and colour (height, width, 3)."""

    depths: np.ndarray
    colors: np.ndarray


@dataclass(frozen=True)
class Pictures:
    """What the camera sees.

    Attributes:
        labels: (frame, height, width) uint8, 0 where no actor is seen.
        depths: (frame, height, width) float32 [m], 0 where no actor is seen.
        colors: (frame, height, width, 3) float32 in [0, 1], or None when not asked for.
    """

    labels: np.ndarray
    depths: np.ndarray
    colors: np.ndarray | None


def cast_actors(
    camera: Camera,
    actors: list[Actor],
    *,
    backdrop: Backdrop | None = None,
    light: Light | None = None,
    take: Callable[[int, np.ndarray], None] | None = None,
    device="cpu",
) -> Pictures:
    """Cast one ray per pixel and frame at the actors.

    Args:
        camera: the pinhole camera.
        actors: bodies with as many poses as there are frames.
        backdrop: hides actors behind it and shows where they are not; nothing by default.
        light: shade colours in this light; None leaves colours out.
        take: given each frame and its colours (height, width, 3), which are not kept then.
        device: Warp device.
    """
    surfaces = [posed_vertices(actor.body, actor.poses, device) for actor in actors]
    vertices = np.ascontiguousarray(np.concatenate(surfaces, axis=1), dtype=np.float32)
    starts = np.cumsum([0] + [actor.body.vertex_count for actor in actors])[:-1]
    triangles = np.concatenate([a.body.faces + start for a, start in zip(actors, starts, strict=True)]).astype(np.int32)
    frame_count, size = len(vertices), (camera.height, camera.width)
    labels = np.zeros((frame_count, *size), dtype=np.uint8)
    depths = stored_zeros((frame_count, *size), np.float32)
    colors = None if light is None or take is not None else np.zeros((frame_count, *size, 3), dtype=np.float32)

    caster = _Caster(camera, actors, triangles, backdrop, light, min(SLAB, frame_count), device)
    for first in range(0, frame_count, SLAB):
        part = slice(first, min(first + SLAB, frame_count))
        caster.cast(vertices[part])
        count = part.stop - part.start
        labels[part] = caster.labels.numpy()[:count]
        depths[part] = caster.hits.depths.numpy()[:count]
        if colors is not None:
            colors[part] = caster.colors.numpy()[:count]
        elif take is not None:
            for frame, image in enumerate(caster.colors.numpy()[:count], first):
                take(frame, image)
    return Pictures(labels, depths, colors)


def cast_labels(scene: Scene, poses: dict[str, Poses], device="cpu") -> np.ndarray:
    """Label images (frame, height, width) uint8 of a scene's bodies at given poses, independent of the rasteriser."""
    actors = [Actor(member.body, member.label, poses[member.name]) for member in scene.bodies]
    return cast_actors(scene.camera, actors, device=device).labels


def film_actors(
    camera: Camera,
    actors: list[Actor],
    shoot: Callable[[int, np.ndarray], np.ndarray],
    *,
    backdrop: Backdrop,
    light: Light,
    device="cpu",
) -> tuple[Pictures, ReadRgb]:
    """Exact pictures of the actors without colours, and a reader of those that a sensor has of them.

    Args:
        camera, actors, backdrop, light, device: as of :func:`cast_actors`.
        shoot: given each frame and its exact colours (height, width, 3); returns the sensor's, uint8.
    """
    frames = stored_zeros((actors[0].poses.frame_count, camera.height, camera.width, 3), np.uint8)

    def take(frame: int, colors: np.ndarray) -> None:
        frames[frame] = shoot(frame, colors)

    pictures = cast_actors(camera, actors, backdrop=backdrop, light=light, take=take, device=device)
    return pictures, partial(frame_of, frames)


class _Caster:
    """Device arrays of one slab of frames, and the launches over them."""

    def __init__(self, camera, actors, triangles, backdrop, light, slab, device):
        size = (camera.height, camera.width)
        self.device, self.light, self.slab = device, light, slab
        self.focal, self.center = wp.vec2(camera.fx, camera.fy), wp.vec2(camera.cx, camera.cy)
        vertex_colors = [_vertex_colors(actor.body) for actor in actors]
        face_labels = np.concatenate([np.full(actor.body.face_count, actor.label, np.uint8) for actor in actors])
        self.indices = wp.array(triangles.ravel(), dtype=wp.int32, device=device)
        self.triangles = wp.array(triangles, dtype=wp.int32, device=device)
        self.face_labels = wp.array(face_labels, dtype=wp.uint8, device=device)
        self.vertex_colors = wp.array(np.concatenate(vertex_colors), dtype=wp.vec3, device=device)
        depths = np.zeros(size, np.float32) if backdrop is None else backdrop.depths
        behind = np.zeros((*size, 3), np.float32) if backdrop is None else backdrop.colors
        self.backdrop = raycast.Backdrop()
        self.backdrop.depths = wp.array(depths, dtype=wp.float32, device=device)
        self.backdrop.colors = wp.array(behind, dtype=wp.vec3, device=device)
        self.boxes = wp.empty((slab, 4), dtype=wp.int32, device=device)
        self.labels = wp.empty((slab, *size), dtype=wp.uint8, device=device)
        self.hits = raycast.Hits()
        self.hits.depths = wp.zeros((slab, *size), dtype=wp.float32, device=device)
        self.hits.faces = wp.empty((slab, *size), dtype=wp.int32, device=device)
        self.hits.barycentrics = wp.zeros((slab, *size), dtype=wp.vec2, device=device)
        self.hits.normals = wp.zeros((slab, *size), dtype=wp.vec3, device=device)
        self.colors = wp.zeros((slab, *size), dtype=wp.vec3, device=device)

    def cast(self, vertices: np.ndarray) -> None:
        """Cast a slab of frames: vertices (frame, vertex, 3) in the camera frame; a short slab repeats its last."""
        missing = self.slab - len(vertices)
        vertices = np.concatenate([vertices, np.repeat(vertices[-1:], missing, axis=0)])
        points = wp.array(vertices, dtype=wp.vec3, device=self.device)
        # The meshes live until the launches over them are done: a freed mesh must never be queried.
        meshes = [wp.Mesh(points=cast(wp.array, points[frame]), indices=self.indices) for frame in range(self.slab)]
        ids = wp.array([mesh.id for mesh in meshes], dtype=wp.uint64, device=self.device)
        limit = 1_000_000
        self.boxes.assign(np.tile(np.array([limit, limit, -limit, -limit], np.int32), (self.slab, 1)))
        raycast.bound_vertices(points, self.focal, self.center, NEAR_PLANE, boxes_out=self.boxes)
        raycast.cast_pixels(
            ids,
            self.boxes,
            self.face_labels,
            self.backdrop.depths,
            self.focal,
            self.center,
            labels_out=self.labels,
            depths_out=self.hits.depths,
            faces_out=self.hits.faces,
            barycentrics_out=self.hits.barycentrics,
            normals_out=self.hits.normals,
        )
        if self.light is not None:
            self._shade(ids)
        wp.synchronize_device(self.device)

    def _shade(self, ids) -> None:
        assert self.light is not None
        lamp = raycast.Lamp()
        lamp.direction = wp.normalize(wp.vec3(*self.light.toward))  # pyright: ignore[reportArgumentType, reportCallIssue]
        lamp.ambient, lamp.shadow = self.light.ambient, self.light.shadow
        raycast.shade_pixels(
            ids,
            self.hits,
            self.triangles,
            self.vertex_colors,
            self.backdrop,
            lamp,
            self.focal,
            self.center,
            colors_out=self.colors,
        )


def _vertex_colors(body: Body) -> np.ndarray:
    if body.colors is not None:
        return np.asarray(body.colors, dtype=np.float32)
    return np.tile(np.array(_PLAIN, dtype=np.float32), (body.vertex_count, 1))
