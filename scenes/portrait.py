"""Portraits of our models: sheets of tiles that show them from all sides, in the light of the scenes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bodies.body import Body, rigid_body
from warpprior.bodies.posing import posed_vertices
from warpprior.scene import Camera, Poses
from warpprior.scenes.observe import Actor, Light, cast_actors

_PAPER = (0.97, 0.97, 0.98)
_DETAIL = 3  # rays per pixel along each side


def rounded(body: Body, joints: np.ndarray, shape: np.ndarray, iterations: int) -> tuple[Body, np.ndarray]:
    """A body in a pose at the origin, as one that is rigid, rounded between its vertices; and these (vertex, 3) [m].

    Args:
        body: with colours.
        joints: coordinates (coordinate,).
        shape: parameters (shape,), or none.
        iterations: each has four faces for one.
    """
    from trimesh.remesh import subdivide_loop

    pose = Poses(np.zeros((1, 3)), np.array([[0.0, 0.0, 0.0, 1.0]]), joints[None], shape)
    vertices = posed_vertices(body, pose)[0].astype(np.float64)
    surface, faces = subdivide_loop(vertices, body.faces, iterations=iterations)
    assert body.colors is not None
    colors, _ = subdivide_loop(body.colors.astype(np.float64), body.faces, iterations=iterations)
    shown = rigid_body(body.name, surface, faces, colors=np.clip(colors, 0.0, 1.0).astype(np.float32))
    return shown, surface


def draw_tile(body: Body, position: np.ndarray, turn: Rotation, *, side: int, focal: float) -> np.ndarray:
    """One view of a rigid body (side, side, 3) in [0, 1].

    Args:
        body: with colours.
        position, turn: camera_from_body.
        side: of the tile [px].
        focal: length, in sides of the tile.
    """
    size = side * _DETAIL
    camera = Camera(size, size, focal * size, focal * size, 0.5 * size, 0.5 * size)
    poses = Poses(position[None], turn.as_quat()[None], np.zeros((1, 0)))
    light = replace(Light(), toward=(-0.45, -0.55, -0.75), ambient=0.45, shadow=0.5)
    pictures = cast_actors(camera, [Actor(body, 1, poses)], light=light)
    assert pictures.colors is not None
    picture = np.where(pictures.labels[0, ..., None] > 0, pictures.colors[0], _PAPER)
    return picture.reshape(side, _DETAIL, side, _DETAIL, 3).mean(axis=(1, 3))


def write_sheet(path: str, sheet: np.ndarray) -> None:
    """Write a sheet of tiles (height, width, 3) in [0, 1] into a PNG file."""
    import cv2

    cv2.imwrite(path, np.round(255.0 * sheet[..., ::-1]).astype(np.uint8), [cv2.IMWRITE_PNG_COMPRESSION, 9])
