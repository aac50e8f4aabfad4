"""Pictures of posed bodies: label images, masks of single bodies, depth.  Forward only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import warp as wp

from warpprior.bodies.assembly import assemble
from warpprior.bodies.posing import posed_vertices
from warpprior.kernels.camera import project_points
from warpprior.kernels.visibility import read_channels, read_depths, scatter_faces
from warpprior.render.canvas import CHANNEL_LIMIT
from warpprior.render.window import Window, drawn_boxes
from warpprior.scene import Camera, Poses, Scene, SceneBody
from warpprior.support.errors import InputError
from warpprior.support.pieces import pieces

POSED_PIXELS = 8_000_000  # pixels of the frames that are posed at a time: bounds the memory of long sequences
CHUNK_PIXELS = 1_000_000  # pixels drawn per launch, which stay in the cache


def render_labels(scene: Scene, poses: dict[str, Poses], device: str = "cpu") -> np.ndarray:
    """Visible labels of all bodies: (frame, height, width) uint8, 0 where no body is seen."""
    return _draw(scene.camera, scene.bodies, poses, device, _label_values(scene))


def each_labels(scene: Scene, poses: dict[str, Poses], device: str = "cpu") -> Iterator[tuple[slice, np.ndarray]]:
    """The same, some frames at a time: which they are, and their label images."""
    return _draw_each(scene.camera, scene.bodies, poses, device, _label_values(scene))


def _label_values(scene: Scene) -> np.ndarray:
    values = np.zeros(16, dtype=np.uint8)
    for index, body in enumerate(scene.bodies[:CHANNEL_LIMIT]):
        values[index] = body.label
    return values


def render_masks(scene: Scene, poses: dict[str, Poses], device: str = "cpu") -> dict[str, np.ndarray]:
    """Each body's own silhouette, as if it were alone: {body name: (frame, height, width) bool}."""
    values = np.zeros(16, dtype=np.uint8)
    values[0] = 1
    return {body.name: _draw(scene.camera, [body], poses, device, values).view(bool) for body in scene.bodies}


def render_depth(scene: Scene, poses: dict[str, Poses], device: str = "cpu") -> np.ndarray:
    """Depth of the visible surface at pixel centres: (frame, height, width) float32 [m], 0 where no body is seen."""
    return _draw(scene.camera, scene.bodies, poses, device, None)


def _draw(
    camera: Camera, bodies: Sequence[SceneBody], poses: dict[str, Poses], device: str, values: np.ndarray | None
) -> np.ndarray:
    """Draw label values of the channels, or depth where ``values`` is None; see :func:`_draw_each`."""
    shape = (poses[bodies[0].name].frame_count, camera.height, camera.width)
    images = np.empty(shape, dtype=np.float32 if values is None else np.uint8)
    for cut, drawn in _draw_each(camera, bodies, poses, device, values):
        images[cut] = drawn
    return images


def _draw_each(
    camera: Camera, bodies: Sequence[SceneBody], poses: dict[str, Poses], device: str, values: np.ndarray | None
) -> Iterator[tuple[slice, np.ndarray]]:
    """Draw some frames at a time.

    Raises:
        InputError: more bodies than keys can tell apart.
    """
    if len(bodies) > CHANNEL_LIMIT:
        raise InputError("bodies drawn together", f"{len(bodies)}", f"at most {CHANNEL_LIMIT}")
    frame_count = poses[bodies[0].name].frame_count
    assembly = assemble([body.body for body in bodies])
    pixel_count = camera.width * camera.height
    image_type = np.float32 if values is None else np.uint8
    empty = 0.0 if values is None else values[-1]
    faces = wp.array(assembly.faces, dtype=wp.vec3i, device=device)
    channels = wp.array(assembly.face_bodies, dtype=wp.int32, device=device)
    two_sided = wp.array(assembly.face_two_sided, dtype=wp.int32, device=device)
    table = None if values is None else wp.array(values, dtype=wp.uint8, device=device)
    keys = wp.zeros(0, dtype=wp.uint64, device=device)
    for cut in pieces(frame_count, POSED_PIXELS // pixel_count):
        images = np.full((cut.stop - cut.start, camera.height, camera.width), empty, dtype=image_type)
        points = np.concatenate(
            [posed_vertices(body.body, poses[body.name].frames(cut), device=device) for body in bodies], axis=1
        )
        vertices = wp.array(points, dtype=wp.vec3, device=device)
        screen = wp.zeros(vertices.shape, dtype=wp.vec3, device=device)
        project_points(vertices, wp.vec2(camera.fx, camera.fy), wp.vec2(camera.cx, camera.cy), screen_out=screen)
        window = _window_around(screen.numpy(), camera)
        window_pixels = window.width * window.height
        most = max(1, CHUNK_PIXELS // max(window_pixels, 1))
        if keys.size < min(most, len(points)) * window_pixels:
            keys = wp.zeros(min(most, len(points)) * window_pixels, dtype=wp.uint64, device=device)
        for first in range(0, len(points) if window_pixels else 0, most):
            part = slice(first, min(first + most, len(points)))
            count = part.stop - part.start
            drawn = wp.empty((count, window_pixels), dtype=wp.float32 if table is None else wp.uint8, device=device)
            some: Any = keys[: count * window_pixels]
            own = some.reshape(drawn.shape)
            own.zero_()
            origins = wp.array(window.origins[part], dtype=wp.vec2i, device=device)
            size = window.width, window.height
            scatter_faces(screen[part], faces, channels, two_sided, origins, *size, keys_out=own)
            if table is None:
                read_depths(own, depths_out=drawn)
            else:
                read_channels(own, table, channels_out=drawn)
            for frame, image in enumerate(drawn.numpy().reshape(count, window.height, window.width), first):
                column, row = window.origins[frame]
                images[frame, row : row + window.height, column : column + window.width] = image
        yield cut, images


def _window_around(screen: np.ndarray, camera: Camera) -> Window:
    """Crops that hold all that can be drawn of vertices (frame, vertex, 3) of columns and rows [px] and depth [m].

    They are of one size, which is nothing where nothing is in sight.
    """
    size = np.array([camera.width, camera.height])
    low, high = (np.clip(each, 0, size) for each in drawn_boxes(screen))
    width, height = (int(extent) for extent in np.maximum(high - low, 0.0).max(axis=0, initial=0.0))
    if not width or not height:
        return Window(np.zeros((len(screen), 2), dtype=np.int32), 0, 0)
    return Window(np.clip(low, 0, size - [width, height]).astype(np.int32), width, height)
