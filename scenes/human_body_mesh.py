"""The surface of our human body: triangles on its solid, finer where there is more to see."""

from __future__ import annotations

import numpy as np

from warpprior.scenes.human_body_form import Form, make_form
from warpprior.scenes.human_body_measures import arm_frame
from warpprior.scenes.isosurface import march
from warpprior.scenes.remesh import Remesher

_GRID = 0.004  # [m]
_ROUNDS = 7
_SETTLING = 10  # rounds at the end
_COARSE = 0.0265  # wanted length of edges where nothing asks for shorter ones [m]


def draw_surface(form: Form | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The left half of the mean body: vertices (vertex, 3) [m], faces (face, 3), which lie in the middle (vertex,)."""
    form = make_form() if form is None else form
    low, high = np.array([0.0, -0.02, -0.24]), np.array([0.78, 1.76, 0.28])
    vertices, faces = march(form.field, low, high, _GRID)
    remesher = Remesher(
        vertices, faces, lambda points: edge_length(form, points), lambda points, middle: settle(form, points, middle)
    )
    vertices, faces, middle = remesher.run(_ROUNDS)
    return settle(form, vertices, middle, _SETTLING), faces, middle


def edge_length(form: Form, points: np.ndarray) -> np.ndarray:
    """Wanted length of edges at points (point,) [m]."""
    joints = form.measures.joints
    fingers = joints["left_hand"] + arm_frame().T @ (0.045, -0.01, 0.0)
    from_fingers = np.linalg.norm(points - fingers, axis=1)
    face = form.measures.face((0.0, 1.560, 0.090))
    length = np.full(len(points), _COARSE)
    for finest, where in (
        (0.0088, _fade(from_fingers, 0.075, 0.06)),
        (0.0170, _fade(from_fingers, 0.14, 0.12)),  # wrist
        (0.0085, _fade(np.linalg.norm((points - face) / (1.0, 1.1, 1.0), axis=1), 0.055, 0.09)),
        (0.0170, _fade(form.measures.face((0.0, 1.50, 0.0))[1] - points[:, 1], 0.0, 0.1)),  # head
        (0.0110, _fade(np.linalg.norm(points - joints["left_foot"] - (0.0, 0.0, 0.05), axis=1), 0.065, 0.07)),  # toes
        (0.0160, _fade(points[:, 1] - joints["left_ankle"][1], 0.02, 0.12)),
        (0.0190, _fade(np.linalg.norm(points - joints["left_knee"], axis=1), 0.09, 0.08)),
        (0.0165, _fade(np.linalg.norm(points - joints["left_elbow"], axis=1), 0.06, 0.08)),
        (0.0190, _fade(np.linalg.norm(points - joints["left_shoulder"], axis=1), 0.10, 0.08)),
        (0.0210, _fade(np.linalg.norm(points - joints["left_hip"], axis=1), 0.14, 0.06)),
    ):
        length = np.minimum(length, finest + (_COARSE - finest) * where)
    return length


def _fade(distance: np.ndarray, inside: float, over: float) -> np.ndarray:
    """0 up to ``inside``, 1 from ``inside + over``."""
    return np.clip((distance - inside) / over, 0.0, 1.0)


def settle(form: Form, points: np.ndarray, middle: np.ndarray, rounds: int = 3) -> np.ndarray:
    """Moves points onto the surface, those of the middle within it, by 1 cm a round at most (point, 3)."""
    points = np.where(middle[:, None], points * (0.0, 1.0, 1.0), points)
    for _ in range(rounds):
        slope = slopes(form, points)
        slope[middle, 0] = 0.0
        move = form.field(points)[:, None] * slope / np.maximum((slope**2).sum(axis=1), 0.05)[:, None]
        length = np.linalg.norm(move, axis=1, keepdims=True)
        points = points - move * np.minimum(1.0, 0.01 / np.maximum(length, 1e-9))
        points[~middle, 0] = np.maximum(points[~middle, 0], 1e-4)
    return points


def slopes(form: Form, points: np.ndarray, step: float = 2e-5) -> np.ndarray:
    """Gradient of the distance by differences at the corners of a tetrahedron (point, 3)."""
    corners = step * np.array([(1.0, 1.0, 1.0), (1.0, -1.0, -1.0), (-1.0, 1.0, -1.0), (-1.0, -1.0, 1.0)])
    values = form.field((points + corners[:, None]).reshape(-1, 3)).reshape(4, -1)
    return values.T @ corners / (4.0 * step**2)
