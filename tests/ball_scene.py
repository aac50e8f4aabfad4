"""A ball in a smooth coloured pattern whose pictures are cast ray by ray: only its colours show how it is turned."""

import numpy as np
import trimesh
from scipy.spatial.transform import Rotation

from warpprior.bodies import rigid_body
from warpprior.scene import Camera, Poses, Scene, SceneBody

CAMERA = Camera(width=72, height=56, fx=110.0, fy=105.0, cx=36.5, cy=27.0)
RADIUS, CENTER = 0.06, np.array([0.01, -0.005, 0.4])
TURNS = np.array([[0.3, -0.4, 0.2], [0.35, -0.2, 0.1]])


def texture(directions):
    """A smooth coloured pattern on the unit sphere (..., 3) -> (..., 3) in [0.1, 0.9]."""
    x, y, z = np.moveaxis(directions, -1, 0)
    red, green, blue = np.sin(5 * x + 2 * y), np.sin(4 * y - 3 * z), np.sin(6 * z + x * 2)
    return 0.5 + 0.4 * np.stack([red, green, blue], axis=-1)


def sphere_body():
    """A ball in the pattern, finely meshed."""
    ball = trimesh.creation.icosphere(subdivisions=4, radius=RADIUS)
    vertices = np.asarray(ball.vertices)
    return rigid_body("ball", vertices, np.asarray(ball.faces), colors=texture(vertices / RADIUS).astype(np.float32))


def pixel_rays():
    """x/z, y/z of all pixel centres (height, width, 2)."""
    y, x = np.mgrid[0 : CAMERA.height, 0 : CAMERA.width] + 0.5
    return np.stack([(x - CAMERA.cx) / CAMERA.fx, (y - CAMERA.cy) / CAMERA.fy], axis=-1)


def picture(turn):
    """Picture (height, width, 3) uint8 and label image of the ball, cast ray by ray through the exact sphere."""
    rays = np.concatenate([pixel_rays(), np.ones((CAMERA.height, CAMERA.width, 1))], axis=2)
    rays /= np.linalg.norm(rays, axis=2, keepdims=True)
    along = rays @ CENTER
    square = along**2 - CENTER @ CENTER + RADIUS**2
    hit = square > 0.0
    points = (along - np.sqrt(np.maximum(square, 0.0)))[..., None] * rays - CENTER
    colors = texture(points @ Rotation.from_rotvec(turn).as_matrix() / RADIUS)
    image = np.where(hit[..., None], colors, [0.2, 0.4, 0.3])
    return np.round(255.0 * image).astype(np.uint8), np.where(hit, 3, 0).astype(np.uint8)


def motion(turns):
    """The ball at its place, turned."""
    rotation = Rotation.from_rotvec(turns).as_quat()
    return Poses(np.tile(CENTER, (len(turns), 1)), rotation, np.zeros((len(turns), 0)))


def ball_scene():
    """Two frames of the ball, seen as it is."""
    images, labels = zip(*(picture(turn) for turn in TURNS), strict=True)
    body = SceneBody(sphere_body(), label=3, known=False, initial=motion(TURNS))
    return Scene("ball", CAMERA, 30.0, (body,), labels=np.stack(labels), read_rgb=lambda frame: images[frame])
