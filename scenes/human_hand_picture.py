"""Draws our human hand from all sides and in poses: ``python -m warpprior.scenes.human_hand_picture FILE.png``."""

from __future__ import annotations

import sys

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bodies.body import Body
from warpprior.bodies.readers.hand import read_hand
from warpprior.scenes.portrait import draw_tile, rounded, write_sheet

TILE = 300  # pixels along each side of a picture
_DISTANCE, _FOCAL = 0.7, 3.05  # of the camera [m], and its focal length in sides of a picture
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
    shown, surface = rounded(hand, joints, np.zeros(0), iterations=2)
    upright = Rotation.from_matrix([[0.0, -1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
    turn = Rotation.from_euler("x", pitch, degrees=True) * Rotation.from_euler("y", yaw, degrees=True) * upright
    seen = turn.apply(surface)
    position = np.array([0.0, 0.0, _DISTANCE]) - 0.5 * (seen.min(axis=0) + seen.max(axis=0))
    return draw_tile(shown, position, turn, side=TILE, focal=_FOCAL)


if __name__ == "__main__":
    write_sheet(sys.argv[1], draw_hand())
