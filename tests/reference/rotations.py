"""Float64 twins of the rotation functions, from matrix exponentials and SciPy."""

import numpy as np
from scipy.linalg import expm
from scipy.spatial.transform import Rotation


def hat(w):
    """Matrix of cross(w, .)."""
    return np.array([[0.0, -w[2], w[1]], [w[2], 0.0, -w[0]], [-w[1], w[0], 0.0]])


def exp(w):
    """Unit quaternion xyzw of a rotation vector; sinc has no singularity at zero."""
    angle = np.linalg.norm(w)
    return np.append(0.5 * np.sinc(0.5 * angle / np.pi) * np.asarray(w, float), np.cos(0.5 * angle))


def log(q):
    """Rotation vector of a quaternion of any length."""
    return Rotation.from_quat(q).as_rotvec()


def right_jacobian(w):
    """Integral of expm(-s hat(w)) over s in [0, 1], from the exponential of a block matrix."""
    block = np.zeros((6, 6))
    block[:3, :3] = -hat(w)
    block[:3, 3:] = np.eye(3)
    return expm(block)[:3, 3:]
