"""Small rotations and poses on the host, float64: errors act on the left, along the camera's axes."""

from __future__ import annotations

import math

import numpy as np

SMALL = 1e-6
EYE = np.eye(3)


def hat(w: np.ndarray) -> np.ndarray:
    """The matrix of ``cross(w, .)`` (3, 3)."""
    x, y, z = w.tolist()
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])


def hats(points: np.ndarray) -> np.ndarray:
    """:func:`hat` of each of many (n, 3, 3)."""
    out = np.zeros((len(points), 3, 3))
    x, y, z = points.T
    out[:, 2, 1], out[:, 0, 2], out[:, 1, 0] = x, y, z
    out[:, 1, 2], out[:, 2, 0], out[:, 0, 1] = -x, -y, -z
    return out


def multiply(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Product of quaternions xyzw, of unit length."""
    x, y, z, w = p.tolist()
    a, b, c, d = q.tolist()
    i = w * a + x * d + y * c - z * b
    j = w * b - x * c + y * d + z * a
    k = w * c + x * b - y * a + z * d
    real = w * d - x * a - y * b - z * c
    scale = 1.0 / math.sqrt(i * i + j * j + k * k + real * real)
    return np.array([scale * i, scale * j, scale * k, scale * real])


def exp(w: np.ndarray) -> np.ndarray:
    """Unit quaternion of a rotation vector [rad]."""
    x, y, z = w.tolist()
    angle = math.sqrt(x * x + y * y + z * z)
    scale = 0.5 - angle**2 / 48.0 if angle < SMALL else math.sin(0.5 * angle) / angle
    return np.array([scale * x, scale * y, scale * z, math.cos(0.5 * angle)])


def log(q: np.ndarray) -> np.ndarray:
    """Rotation vector [rad] of a unit quaternion, of length at most pi."""
    vector, cosine = (q[:3], q[3]) if q[3] >= 0.0 else (-q[:3], -q[3])
    sine = math.sqrt(vector @ vector)
    return vector * (2.0 if sine < SMALL else 2.0 * math.atan2(sine, cosine) / sine)


def difference(after: np.ndarray, before: np.ndarray) -> np.ndarray:
    """The rotation vector that turns ``before`` into ``after``, along the camera's axes [rad], of length at most pi."""
    x, y, z, w = after.tolist()
    a, b, c, d = before.tolist()
    i = x * d - w * a - y * c + z * b
    j = y * d - w * b - z * a + x * c
    k = z * d - w * c - x * b + y * a
    sine, cosine = math.sqrt(i * i + j * j + k * k), w * d + x * a + y * b + z * c
    if cosine < 0.0:
        i, j, k, cosine = -i, -j, -k, -cosine
    # Of a quaternion whose length is not quite one the sine is so much off.
    scale = 2.0 / math.hypot(sine, cosine) if sine < SMALL else 2.0 * math.atan2(sine, cosine) / sine
    return np.array([scale * i, scale * j, scale * k])


def matrix(q: np.ndarray) -> np.ndarray:
    """Rotation matrix of a unit quaternion."""
    x, y, z, w = q.tolist()
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def left_jacobian(w: np.ndarray) -> np.ndarray:
    """``Jl`` in ``Exp(w + dw) = Exp(Jl dw) Exp(w)`` to first order."""
    turn = hat(w)
    square = float(w @ w)
    if square < 1e-8:
        return EYE + 0.5 * turn
    angle = math.sqrt(square)
    return EYE + (1 - math.cos(angle)) / square * turn + (angle - math.sin(angle)) / (square * angle) * turn @ turn


def covariance_at(position: np.ndarray, lateral: float, depth: float) -> np.ndarray:
    """Covariance (3, 3) of errors of a place (3,) in the camera frame, across the line of sight and along it [m]."""
    ray = position / max(math.sqrt(position @ position), 1e-9)
    along = ray[:, None] * ray
    return lateral**2 * (EYE - along) + depth**2 * along
