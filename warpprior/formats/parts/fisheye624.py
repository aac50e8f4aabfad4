"""FISHEYE624, the lens of Aria and Quest cameras: six radial numbers, two tangential ones, four of a thin prism.

Numbers come in the order f (or fx, fy), cx, cy, k0 to k5, p0, p1, s0 to s3; the first pixel's centre is (0, 0).
Aria writes 15 of them, HOT3D 16.
"""

from __future__ import annotations

import numpy as np

from warpprior.io.lens import FisheyeLens, make_lens
from warpprior.io.rectify import Rectifier
from warpprior.scene import Camera
from warpprior.support.errors import InputError

NAME = "FISHEYE624"


def fisheye624(values: np.ndarray, width: int, height: int, where: str) -> Rectifier:
    """What makes pictures of the lens those of a pinhole camera of the same size, focal length and middle.

    Args:
        values: 15 or 16 numbers.
        width, height: of the pictures [px].
        where: names them in messages.

    Raises:
        InputError: another count, or numbers that no lens has.
    """
    accepted = "needs 15 numbers (one focal length) or 16 (two)"
    if values.shape not in ((15,), (16,)):
        raise InputError(where, f"has {values.size} numbers", accepted)
    given = [float(value) for value in values]
    fx, fy, cx, cy, *rest = [given[0], *given] if len(given) == 15 else given
    if not (2 <= width <= 16384 and 2 <= height <= 16384):
        raise InputError(where, f"pictures of {width} x {height}", "needs their size")
    if not (0.01 * width < fx < 100.0 * width and 0.01 * height < fy < 100.0 * height):
        raise InputError(where, f"focal lengths {fx:.4g} and {fy:.4g} for {width} x {height}", accepted)
    return Rectifier(Camera(width, height, fx, fy, cx + 0.5, cy + 0.5), make_lens(FisheyeLens.name, rest, where), where)
