"""A cordless drill: motor housing and chuck, a handle, a battery as its foot."""

from __future__ import annotations

import numpy as np

from warpprior.bodies.body import Body, rigid_body
from warpprior.scenes.objects.implicit import mesh_solid

HANDLE_TOP, HANDLE_BOTTOM = np.array([0.000, 0.0, 0.150]), np.array([-0.018, 0.0, 0.035])  # of its middle line [m]
HANDLE_HALF = (0.0185, 0.0160)  # half width along x and y [m]
MIDDLE = np.array([0.019, 0.0, 0.0925])  # of the bounding box [m]
_AXIS_HEIGHT = 0.158  # of motor and chuck [m]
_HOUSING = (-0.066, 0.052, 0.0270)  # ends along x, and radius [m]
_CHUCK = (0.050, 0.108, 0.0200, 0.0115)  # ends along x, and the radius at each [m]


def drill(name: str = "drill", *, cell: float = 0.0056) -> Body:
    """A drill, some 175 x 56 x 186 mm, standing on its battery, its chuck towards +x.

    Its origin is the middle of its bounding box.
    """
    vertices, faces = mesh_solid(_distance, [-0.075, -0.035, 0.0], [0.115, 0.035, 0.19], cell)
    colors = _paint(vertices)
    vertices -= 0.5 * (vertices.min(axis=0) + vertices.max(axis=0))
    return rigid_body(name, vertices, faces, colors=colors.astype(np.float32))


def _distance(points: np.ndarray) -> np.ndarray:
    """Signed distance, right near the surface [m]."""
    battery = _rounded_box(points - [-0.012, 0.0, 0.018], [0.043, 0.026, 0.018], 0.006)
    housing = _cone(points, *_HOUSING[:2], _HOUSING[2], _HOUSING[2], 0.009)
    chuck = _cone(points, *_CHUCK, 0.004)
    whole = _blend(_handle(points), battery, 0.008)
    whole = _blend(whole, housing, 0.010)
    return _blend(whole, chuck, 0.004)


def _handle(points: np.ndarray) -> np.ndarray:
    """An elliptic column between the battery and the housing."""
    along = HANDLE_TOP - HANDLE_BOTTOM
    share = np.clip(((points - HANDLE_BOTTOM) @ along) / (along @ along), 0.0, 1.0)
    offset = (points - HANDLE_BOTTOM - share[:, None] * along) / [*HANDLE_HALF, 0.016]
    length = np.linalg.norm(offset, axis=1)
    steepness = np.linalg.norm(offset / [*HANDLE_HALF, 0.016], axis=1)
    return length * (length - 1.0) / np.maximum(steepness, 1e-9)


def _rounded_box(points: np.ndarray, half, radius: float) -> np.ndarray:
    outside = np.abs(points) - (np.asarray(half) - radius)
    return np.linalg.norm(np.maximum(outside, 0.0), axis=1) + np.minimum(outside.max(axis=1), 0.0) - radius


def _cone(points: np.ndarray, start: float, end: float, first: float, last: float, radius: float) -> np.ndarray:
    """A truncated cone about the drill's axis with rounded edges."""
    x, away = points[:, 0], np.hypot(points[:, 1], points[:, 2] - _AXIS_HEIGHT)
    slope = (last - first) / (end - start)
    side = (away - (first + slope * (x - start)) + radius) / np.hypot(1.0, slope)
    cap = np.maximum(start + radius - x, x - end + radius)
    outside = np.hypot(np.maximum(side, 0.0), np.maximum(cap, 0.0))
    return outside + np.minimum(np.maximum(side, cap), 0.0) - radius


def _blend(a: np.ndarray, b: np.ndarray, width: float) -> np.ndarray:
    """Union with a fillet (the polynomial smooth minimum)."""
    h = np.maximum(width - np.abs(a - b), 0.0) / width
    return np.minimum(a, b) - 0.25 * width * h * h


def _paint(vertices: np.ndarray) -> np.ndarray:
    """Vertex colours: a red housing with a badge on each side, a black handle, a grey chuck, a lettered battery."""
    x, y, z = vertices.T
    colors = np.tile(np.array([0.14, 0.14, 0.15]), (len(vertices), 1))
    colors[z > 0.128] = (0.80, 0.13, 0.10)
    colors[(x > _CHUCK[0] - 0.002) & (z > 0.128)] = (0.55, 0.56, 0.58)
    colors[(x > 0.082) & (z > 0.128)] = (0.25, 0.25, 0.27)
    colors[(z > 0.128) & (x < -0.045)] = (0.18, 0.18, 0.19)
    badge = (np.abs(z - 0.160) < 0.012) & (np.abs(x) < 0.030)
    colors[badge & (y > 0.0)] = (0.95, 0.92, 0.85)
    colors[badge & (y < 0.0) & (np.sin(400.0 * x) > 0.0)] = (0.95, 0.80, 0.20)
    trigger = (x > 0.008) & (z > 0.105) & (z < 0.128)
    colors[trigger] = (0.85, 0.30, 0.15)
    colors[z < 0.033] = (0.24, 0.25, 0.28)
    colors[(z < 0.027) & (z > 0.009) & (np.abs(x + 0.012) < 0.026) & (y > 0.02)] = (0.90, 0.90, 0.88)
    colors[(z < 0.027) & (z > 0.009) & (np.abs(x + 0.012) < 0.026) & (y < -0.02)] = (0.80, 0.13, 0.10)
    return colors
