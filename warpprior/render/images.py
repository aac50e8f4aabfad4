"""Pictures of posed bodies: label images, masks of single bodies, depth.  Forward only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import warp as wp

from warpprior.bodies.assembly import assemble
from warpprior.bodies.posing import posed_vertices
from warpprior.kernels.camera import project_points
from warpprior.kernels.visibility import read_channels, read_depths, scatter_faces
from warpprior.render.canvas import CHANNEL_LIMIT
from warpprior.scene import Camera, Poses, Scene, SceneBody
from warpprior.support.errors import InputError

CHUNK_PIXELS = 8_000_000  # pixels drawn per launch: bounds the memory of long sequences


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
    faces = wp.array(assembly.faces, dtype=wp.vec3i, device=device)
    channels = wp.array(assembly.face_bodies, dtype=wp.int32, device=device)
    two_sided = wp.array(assembly.face_two_sided, dtype=wp.int32, device=device)
    table = None if values is None else wp.array(values, dtype=wp.uint8, device=device)
    chunk = max(1, CHUNK_PIXELS // pixel_count)
    for start in range(0, frame_count, chunk):
        cut = slice(start, min(start + chunk, frame_count))
        points = np.concatenate(
            [posed_vertices(body.body, poses[body.name].frames(cut), device=device) for body in bodies], axis=1
        )
        vertices = wp.array(points, dtype=wp.vec3, device=device)
        screen = wp.zeros(vertices.shape, dtype=wp.vec3, device=device)
        origins = wp.zeros(len(points), dtype=wp.vec2i, device=device)
        keys = wp.zeros((len(points), pixel_count), dtype=wp.uint64, device=device)
        project_points(vertices, wp.vec2(camera.fx, camera.fy), wp.vec2(camera.cx, camera.cy), screen_out=screen)
        scatter_faces(screen, faces, channels, two_sided, origins, camera.width, camera.height, keys_out=keys)
        if values is None:
            drawn = wp.zeros(keys.shape, dtype=wp.float32, device=device)
            read_depths(keys, depths_out=drawn)
        else:
            drawn = wp.empty(keys.shape, dtype=wp.uint8, device=device)
            read_channels(keys, table, channels_out=drawn)
        yield cut, drawn.numpy().reshape(-1, camera.height, camera.width)
