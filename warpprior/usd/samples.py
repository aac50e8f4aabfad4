"""World motion of a body as USD wants it: frames by Xforms where a surface is carried, points where it deforms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bodies.body import Body

_STILL = 1.0e-7  # a motion whose samples differ by less is written once [m or quaternion]


@dataclass(frozen=True)
class FrameMotion:
    """A coordinate frame over time: position (frame, 3) float64 [m] and unit quaternion (frame, 4), xyzw."""

    position: np.ndarray
    rotation: np.ndarray

    @property
    def is_still(self) -> bool:
        return bool(np.ptp(self.position, axis=0).max() < _STILL and np.ptp(self.rotation, axis=0).max() < _STILL)


def frame_motion(position: np.ndarray, rotation: np.ndarray) -> FrameMotion:
    """Normalise quaternions and keep neighbours in one hemisphere, for readers that interpolate them linearly."""
    rotation = rotation / np.linalg.norm(rotation, axis=1, keepdims=True)
    flips = np.sign(np.einsum("ij,ij->i", rotation[1:], rotation[:-1]))
    rotation[1:] *= np.cumprod(np.where(flips == 0, 1.0, flips))[:, None]
    return FrameMotion(np.asarray(position, np.float64), rotation)


def composed(world_from_camera: np.ndarray, position: np.ndarray, rotation: np.ndarray) -> FrameMotion:
    """world_from_body of camera_from_body poses: (frame, 3) [m] and xyzw quaternions (frame, 4).

    The camera's poses are (7,), or (frame, 7) where it moves.
    """
    turn = Rotation.from_quat(world_from_camera[..., 3:])
    moved = turn.apply(position) + world_from_camera[..., :3]
    return frame_motion(moved, (turn * Rotation.from_quat(rotation)).as_quat())


def in_world(world_from_camera: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Places (frame, n, 3) of camera frames in the world, float32; the camera's poses are (7,), or (frame, 7)."""
    shifts = world_from_camera[..., None, :3] if world_from_camera.ndim == 2 else world_from_camera[:3]
    return (_turned(world_from_camera, places) + shifts).astype(np.float32)


def turned(world_from_camera: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Directions (frame, n, 3) of camera frames in the world, float32; the camera's poses are (7,), or (frame, 7)."""
    return _turned(world_from_camera, directions).astype(np.float32)


def _turned(world_from_camera: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    return vectors @ Rotation.from_quat(world_from_camera[..., 3:]).as_matrix().swapaxes(-1, -2)


def relative(parent: FrameMotion, child: FrameMotion) -> FrameMotion:
    """parent_from_child of two motions given in the same frame."""
    back = Rotation.from_quat(parent.rotation).inv()
    position = back.apply(child.position - parent.position)
    return frame_motion(position, (back * Rotation.from_quat(child.rotation)).as_quat())


def carried_link(body: Body) -> np.ndarray | None:
    """The link each vertex follows (vertex,), or None where the surface bends: mixed weights, faces across links, or
    an animation.
    """
    if body.pose_directions.size > 0 or body.animation is not None:
        return None
    strongest = np.argmax(body.skin_weights, axis=1)
    rows = np.arange(body.vertex_count)
    if np.any(np.abs(body.skin_weights[rows, strongest] - 1.0) > 1.0e-6):
        return None
    vertex_link = body.skin_links[rows, strongest]
    face_links = vertex_link[body.faces]
    return vertex_link if np.all(face_links == face_links[:, :1]) else None


def in_link_frames(vertices: np.ndarray, vertex_link: np.ndarray, links: np.ndarray) -> np.ndarray:
    """Vertices of one frame (vertex, 3) expressed in their own links' frames (link, 7), float64."""
    position, rotation = links[vertex_link, :3], links[vertex_link, 3:]
    return Rotation.from_quat(rotation).inv().apply(np.asarray(vertices, np.float64) - position)


def part_of(faces: np.ndarray, vertex_link: np.ndarray, link: int) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (n,) and renumbered faces (m, 3) of one link."""
    own = faces[vertex_link[faces[:, 0]] == link]
    vertices, renumbered = np.unique(own, return_inverse=True)
    return vertices, renumbered.reshape(-1, 3).astype(np.int32)
