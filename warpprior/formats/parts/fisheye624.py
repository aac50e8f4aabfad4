"""FISHEYE624, the lens of Aria and Quest cameras: six radial numbers, two tangential ones, four of a thin prism.

Numbers come in the order f (or fx, fy), cx, cy, k0 to k5, p0, p1, s0 to s3; the first pixel's centre is (0, 0).
Aria writes 15 of them, HOT3D 16.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from warpprior.scene import Camera
from warpprior.support.errors import InputError

NAME = "FISHEYE624"


@dataclass(frozen=True)
class Fisheye624:
    """A lens and the size of its pictures.

    Attributes:
        width, height: of the pictures [px].
        focal: fx, fy; centre: cx, cy [px], the first pixel's centre being (0, 0).
        radial: k0 to k5; tangential: p0, p1; prism: s0 to s3.
    """

    width: int
    height: int
    focal: tuple[float, float]
    centre: tuple[float, float]
    radial: tuple[float, ...]
    tangential: tuple[float, float]
    prism: tuple[float, float, float, float]

    @staticmethod
    def of_numbers(values: np.ndarray, width: int, height: int, where: str) -> Fisheye624:
        """The lens of 15 or 16 numbers.

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
        pairs = (rest[6], rest[7]), (rest[8], rest[9], rest[10], rest[11])
        return Fisheye624(width, height, (fx, fy), (cx, cy), tuple(rest[:6]), *pairs)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) of points (..., 3) in front of the camera, the first pixel's centre being (0, 0)."""
        points = np.asarray(points, dtype=np.float64)
        flat = points[..., :2] / points[..., 2:]
        far = np.linalg.norm(flat, axis=-1)
        angle = np.arctan(far)
        bent = np.ones_like(angle)
        for power, value in enumerate(self.radial, start=1):
            bent = bent + value * angle ** (2 * power)
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = np.where(far > 1e-12, angle * bent / far, 1.0)
        a, b = ratio * flat[..., 0], ratio * flat[..., 1]
        square, along = a * a + b * b, 2.0 * (a * self.tangential[0] + b * self.tangential[1])
        s0, s1, s2, s3 = self.prism
        u = a + a * along + square * self.tangential[0] + s0 * square + s1 * square * square
        v = b + b * along + square * self.tangential[1] + s2 * square + s3 * square * square
        return np.stack([u, v], axis=-1) * self.focal + self.centre

    def pinhole(self) -> Camera:
        """A pinhole camera of the same size and focal length, which sees the middle as the lens does."""
        return Camera(self.width, self.height, *self.focal, self.centre[0] + 0.5, self.centre[1] + 0.5)

    def pixels_of(self, camera: Camera) -> np.ndarray:
        """Where the lens shows each pixel of a pinhole camera (height, width, 2) float32, first centre at (0, 0)."""
        y, x = np.mgrid[0 : camera.height, 0 : camera.width] + 0.5
        rays = np.stack([(x - camera.cx) / camera.fx, (y - camera.cy) / camera.fy, np.ones_like(x)], axis=-1)
        return self.project(rays).astype(np.float32)

    def nearest_to(self, pixels: np.ndarray) -> np.ndarray:
        """The number, row by row, of the pixel nearest to each place (height, width, 2); one past the last for none."""
        x, y = (np.round(pixels[..., axis]).astype(int) for axis in range(2))
        seen = (x >= 0) & (x < self.width) & (y >= 0) & (y < self.height)
        return np.where(seen, y * self.width + x, self.width * self.height).astype(np.int32)
