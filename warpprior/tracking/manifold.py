"""Small rotations and poses on the host, float64: errors act on the left, along the camera's axes."""

from __future__ import annotations

import numpy as np

SMALL = 1e-6


def hat(w: np.ndarray) -> np.ndarray:
    """The matrix of ``cross(w, .)`` (3, 3)."""
    return np.array([[0.0, -w[2], w[1]], [w[2], 0.0, -w[0]], [-w[1], w[0], 0.0]])


def multiply(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Product of quaternions xyzw, of unit length."""
    x, y, z, w = p
    a, b, c, d = q
    product = np.array(
        [
            w * a + x * d + y * c - z * b,
            w * b - x * c + y * d + z * a,
            w * c + x * b - y * a + z * d,
            w * d - x * a - y * b - z * c,
        ]
    )
    return product / np.sqrt(product @ product)


def exp(w: np.ndarray) -> np.ndarray:
    """Unit quaternion of a rotation vector [rad]."""
    angle = float(np.sqrt(w @ w))
    scale = 0.5 - angle**2 / 48.0 if angle < SMALL else np.sin(0.5 * angle) / angle
    return np.array([scale * w[0], scale * w[1], scale * w[2], np.cos(0.5 * angle)])


def log(q: np.ndarray) -> np.ndarray:
    """Rotation vector [rad] of a unit quaternion, of length at most pi."""
    vector, cosine = (q[:3], q[3]) if q[3] >= 0.0 else (-q[:3], -q[3])
    sine = float(np.sqrt(vector @ vector))
    return vector * (2.0 if sine < SMALL else 2.0 * np.arctan2(sine, cosine) / sine)


def difference(after: np.ndarray, before: np.ndarray) -> np.ndarray:
    """The rotation vector that turns ``before`` into ``after``, along the camera's axes [rad]."""
    return log(multiply(after, before * [-1.0, -1.0, -1.0, 1.0]))


def matrix(q: np.ndarray) -> np.ndarray:
    """Rotation matrix of a unit quaternion."""
    x, y, z, w = q
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def left_jacobian(w: np.ndarray) -> np.ndarray:
    """``Jl`` in ``Exp(w + dw) = Exp(Jl dw) Exp(w)`` to first order."""
    square = float(w @ w)
    if square < 1e-8:
        return np.eye(3) + 0.5 * hat(w)
    angle, turn = np.sqrt(square), hat(w)
    return np.eye(3) + (1 - np.cos(angle)) / square * turn + (angle - np.sin(angle)) / (square * angle) * turn @ turn
