"""Draws our human body from all sides and in poses: ``python -m warpprior.scenes.human_body_picture FILE.png``."""

from __future__ import annotations

import sys

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bodies.readers.human_body import read_human_body
from warpprior.scenes.portrait import draw_tile, rounded, write_sheet

TILE = 280  # pixels along each side of a picture
_DISTANCE, _SPAN = 5.0, 1.9  # of the camera, and what it sees across there [m]
_STAND = {"shoulder.z": -72.0, "shoulder.y": -8.0, "elbow.y": -18.0, "collar.z": -5.0}
_SIT = {"hip.x": -92.0, "hip.z": 6.0, "knee.x": 90.0, "shoulder.z": -62.0, "shoulder.y": -28.0, "elbow.y": -55.0}
# Joint angles of the left side and the middle [degrees]; the right side does the same.
POSES: dict[str, dict[str, float]] = {
    "rest": {},
    "stand": _STAND,
    "sit": _SIT,
    "squat": {
        **{"hip.x": -118.0, "hip.z": 18.0, "knee.x": 132.0, "ankle.x": -28.0, "spine1.x": 22.0, "spine2.x": 14.0},
        **{"shoulder.y": -75.0, "shoulder.z": -15.0, "elbow.y": -15.0, "neck.x": -15.0},
    },
    "reach": {"shoulder.z": 62.0, "collar.z": 22.0, "elbow.y": -15.0, "head.x": -15.0},
    "bent": {"elbow.y": -120.0, "shoulder.z": -35.0, "knee.x": 20.0, "hip.x": -12.0},
    "kneel": {"knee.x": 120.0, "hip.x": -25.0, "shoulder.z": -60.0, "elbow.y": -90.0, "spine1.x": 12.0},
    "bow": {"spine1.x": 40.0, "spine2.x": 30.0, "spine3.x": 22.0, "hip.x": -45.0, "shoulder.y": -70.0, "neck.x": -25.0},
}
# Turn about the vertical and towards the viewer [degrees], and what to draw.
_VIEWS = (
    *((yaw, 0, "stand") for yaw in (0, 40, 90, 180, 220)),
    *((0, 0, "rest"), (35, 0, "sit"), (90, 0, "sit"), (205, 0, "sit"), (35, 0, "squat")),
    *((100, 0, "squat"), (0, 0, "reach"), (200, 0, "reach"), (30, 0, "bent"), (75, 0, "kneel")),
)


def pose_of(name: str) -> np.ndarray:
    """Joint coordinates of a pose of :data:`POSES` (69,) [rad]."""
    names = read_human_body().coordinate_names
    joints = np.zeros(len(names))
    for part, degrees in POSES[name].items():
        for side, mirror in (("", 1.0), ("left_", 1.0), ("right_", 1.0 if part.endswith("x") else -1.0)):
            if side + part in names:
                joints[names.index(side + part)] = np.radians(mirror * degrees)
    return joints


def draw_body() -> np.ndarray:
    """The sheet of pictures (height, width, 3) in [0, 1]."""
    tiles = [draw_pose(pose_of(pose), yaw, pitch) for yaw, pitch, pose in _VIEWS]
    return np.concatenate([np.concatenate(tiles[row : row + 5], axis=1) for row in range(0, len(tiles), 5)])


def draw_pose(
    joints: np.ndarray, yaw: float, pitch: float, *, shape: np.ndarray | None = None, span: float = _SPAN, middle=None
) -> np.ndarray:
    """One view: the surface, rounded between its vertices, in the light of the scenes (TILE, TILE, 3).

    Args:
        joints: coordinates (69,) [rad].
        yaw, pitch: turn about the vertical and towards the viewer [degrees].
        shape: parameters (10,); the mean without any.
        span: what is seen across [m].
        middle: of the picture, in the root frame (3,) [m]; the middle of the body without one.
    """
    still = np.zeros(0) if shape is None else np.asarray(shape, float)
    person, surface = rounded(read_human_body(), joints, still, iterations=1)
    facing = Rotation.from_matrix([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]])
    turn = Rotation.from_euler("x", pitch, degrees=True) * Rotation.from_euler("y", yaw, degrees=True) * facing
    centre = 0.5 * (surface.min(axis=0) + surface.max(axis=0)) if middle is None else np.asarray(middle)
    position = np.array([0.0, 0.0, _DISTANCE]) - turn.apply(centre)
    return draw_tile(person, position, turn, side=TILE, focal=_DISTANCE / span)


if __name__ == "__main__":
    write_sheet(sys.argv[1], draw_body())
