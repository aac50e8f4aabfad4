"""Draws our human hand from all sides and in poses: ``python -m warpprior.scenes.human_hand_picture FILE.png``."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bodies.body import Body, rigid_body
from warpprior.bodies.posing import posed_vertices
from warpprior.bodies.readers.hand import read_hand
from warpprior.scene import Camera, Poses
from warpprior.scenes.observe import Actor, Light, cast_actors

TILE, DETAIL = 300, 3  # pixels per picture, rays per pixel along each side
_PAPER = (0.97, 0.97, 0.98)
_DISTANCE = 0.7  # of the camera [m]
_FINGERS = ("index", "middle", "ring", "pinky")
# Turn about the hand's long axis and towards the viewer [degrees], and what to draw.
_VIEWS = (
    (0, 0, "rest"),
    (45, 0, "rest"),
    (90, 0, "rest"),
    (180, 0, "rest"),
    (225, 10, "rest"),
    (-60, 10, "rest"),
    (165, 0, "fist"),
    (-75, 15, "fist"),
    (-65, 10, "pinch"),
    (20, -25, "pinch"),
    (205, 0, "relaxed"),
    (0, 0, "left"),
)


def draw_hand() -> np.ndarray:
    """The sheet of pictures (height, width, 3) in [0, 1]."""
    tiles = [_draw(*_body(pose), yaw, pitch) for yaw, pitch, pose in _VIEWS]
    half = len(tiles) // 2
    return np.concatenate([np.concatenate(tiles[:half], axis=1), np.concatenate(tiles[half:], axis=1)])


def _body(pose: str) -> tuple[Body, np.ndarray]:
    """The hand in a pose, and its joint coordinates."""
    hand = read_hand("left" if pose == "left" else "right")
    angles: dict[str, float] = {}
    joints = np.zeros(hand.coordinate_count)
    if pose in ("pinch", "relaxed"):
        assert hand.pose_prior is not None
        joints = hand.pose_prior.mean.copy()
    if pose == "fist":
        bends = ((1, 80.0), (2, 100.0), (3, 60.0))
        angles = {f"{finger}{number}.x": angle for finger in _FINGERS for number, angle in bends}
        angles |= {"thumb1.x": 20.0, "thumb1.y": 23.0, "thumb2.x": 45.0, "thumb3.x": 50.0}
        angles |= {"index1.y": -5.0, "ring1.y": 5.0, "pinky1.y": 11.0}
    elif pose == "pinch":
        angles = {"index1.x": 40.0, "index2.x": 62.0, "index3.x": 36.0}
        angles |= {"thumb1.x": 18.0, "thumb2.x": 6.0, "thumb3.x": 8.0}
    for name, angle in angles.items():
        joints[hand.coordinate_names.index(name)] = np.radians(angle)
    return hand, joints


def _draw(hand: Body, joints: np.ndarray, yaw: float, pitch: float) -> np.ndarray:
    """One view: the surface, rounded between its vertices, in the light of the scenes."""
    from trimesh.remesh import subdivide_loop

    pose = Poses(np.zeros((1, 3)), np.array([[0.0, 0.0, 0.0, 1.0]]), joints[None])
    vertices = posed_vertices(hand, pose)[0].astype(np.float64)
    surface, faces = subdivide_loop(vertices, hand.faces, iterations=2)
    assert hand.colors is not None
    colors, _ = subdivide_loop(hand.colors.astype(np.float64), hand.faces, iterations=2)
    body = rigid_body("hand", surface, faces, colors=np.clip(colors, 0.0, 1.0).astype(np.float32))

    size = TILE * DETAIL
    upright = Rotation.from_matrix([[0.0, -1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
    turn = Rotation.from_euler("x", pitch, degrees=True) * Rotation.from_euler("y", yaw, degrees=True) * upright
    seen = turn.apply(surface)
    middle = 0.5 * (seen.min(axis=0) + seen.max(axis=0))
    camera = Camera(size, size, 3.05 * size, 3.05 * size, 0.5 * size, 0.5 * size)
    position = np.array([0.0, 0.0, _DISTANCE]) - middle
    poses = Poses(position[None], turn.as_quat()[None], np.zeros((1, 0)))
    light = replace(Light(), toward=(-0.45, -0.55, -0.75), ambient=0.45, shadow=0.5)
    pictures = cast_actors(camera, [Actor(body, 1, poses)], light=light)
    assert pictures.colors is not None
    picture = np.where(pictures.labels[0, ..., None] > 0, pictures.colors[0], _PAPER)
    return picture.reshape(TILE, DETAIL, TILE, DETAIL, 3).mean(axis=(1, 3))


def write_picture(path: str) -> None:
    """Draws the sheet into a file."""
    import cv2

    sheet = np.round(255.0 * draw_hand()[..., ::-1]).astype(np.uint8)
    cv2.imwrite(path, sheet, [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    write_picture(sys.argv[1])
