"""Lens distortion is removed once, at the door, so that everything behind it sees a pinhole camera."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from warpprior.io.images import import_cv2
from warpprior.scene import Camera
from warpprior.support.errors import InputError

_NEWTON_STEPS = 20
_NEWTON_TOLERANCE = 1e-6  # [px]


class Rectifier:
    """Resamples pictures of a lens with Brown distortion to the pinhole camera of the same intrinsics.

    Args:
        camera: intrinsics; the centre of the top-left pixel is (0.5, 0.5), where OpenCV has (0, 0).
        distortion: k1, k2, p1, p2, k3 as OpenCV defines them.
        where: file and key, for messages.

    Raises:
        InputError: the radial polynomial folds over inside the image, so no picture belongs to it.
    """

    def __init__(self, camera: Camera, distortion: tuple[float, ...], where: str):
        cv2 = import_cv2()
        _check_monotonic(camera, distortion, where)
        matrix = np.array([[camera.fx, 0, camera.cx - 0.5], [0, camera.fy, camera.cy - 0.5], [0, 0, 1]])
        size = (camera.width, camera.height)
        maps = cv2.initUndistortRectifyMap(matrix, np.array(distortion), None, matrix, size, cv2.CV_32FC1)
        self._maps = maps

    def nearest(self, border: float) -> Callable[[np.ndarray], np.ndarray]:
        """A function that resamples labels or depth to the nearest value, ``border`` where nothing was seen."""
        interpolation = import_cv2().INTER_NEAREST
        return lambda image: self._resample(image, interpolation, border)

    def linear(self, image: np.ndarray) -> np.ndarray:
        """A colour picture resampled linearly, black where nothing was seen."""
        return self._resample(image, import_cv2().INTER_LINEAR, 0)

    def _resample(self, image: np.ndarray, interpolation: int, border: float) -> np.ndarray:
        cv2 = import_cv2()
        constant = cv2.BORDER_CONSTANT
        return cv2.remap(image, *self._maps, interpolation, borderMode=constant, borderValue=border)


def point_rectifier(camera: Camera, distortion: tuple[float, ...], where: str) -> Callable[[np.ndarray], np.ndarray]:
    """A function from pixels (..., 2) seen through the lens to those of the pinhole camera of the same intrinsics.

    Pixels that no ray gives, beyond the edge of what the lens shows, become NaN.  Arguments and errors as
    :class:`Rectifier`.
    """
    _check_monotonic(camera, distortion, where)
    focal, centre = np.array([camera.fx, camera.fy]), np.array([camera.cx, camera.cy])

    def rectify(points: np.ndarray) -> np.ndarray:
        seen = (np.asarray(points, dtype=np.float64) - centre) / focal
        ray = seen.copy()
        with np.errstate(all="ignore"):
            for _ in range(_NEWTON_STEPS):
                error, slope = _distort(ray, distortion)
                error = error - seen
                determinant = slope[..., 0, 0] * slope[..., 1, 1] - slope[..., 0, 1] * slope[..., 1, 0]
                inverse = np.stack([slope[..., 1, 1], -slope[..., 0, 1], -slope[..., 1, 0], slope[..., 0, 0]], axis=-1)
                inverse = inverse.reshape(slope.shape) / determinant[..., None, None]
                ray = ray - np.einsum("...ij,...j->...i", inverse, error)
            missed = np.abs((_distort(ray, distortion)[0] - seen) * focal).max(axis=-1)
            lost = ~(missed < _NEWTON_TOLERANCE) | (determinant <= 0.0)
        return np.where(lost[..., None], np.nan, ray * focal + centre)

    return rectify


def _distort(ray: np.ndarray, distortion: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Where the lens shows a ray (..., 2) = (x/z, y/z), and the derivative of that (..., 2, 2)."""
    k1, k2, p1, p2, k3 = distortion
    x, y = ray[..., 0], ray[..., 1]
    square = x * x + y * y
    radial = 1.0 + square * (k1 + square * (k2 + square * k3))
    steep = 2.0 * (k1 + square * (2.0 * k2 + square * 3.0 * k3))  # d radial / dx = steep x
    shown = np.stack(
        [
            x * radial + 2.0 * p1 * x * y + p2 * (square + 2.0 * x * x),
            y * radial + p1 * (square + 2.0 * y * y) + 2.0 * p2 * x * y,
        ],
        axis=-1,
    )
    cross = steep * x * y + 2.0 * p1 * x + 2.0 * p2 * y
    slope = np.stack(
        [
            radial + steep * x * x + 2.0 * p1 * y + 6.0 * p2 * x,
            cross,
            cross,
            radial + steep * y * y + 6.0 * p1 * y + 2.0 * p2 * x,
        ],
        axis=-1,
    )
    return shown, slope.reshape(*ray.shape[:-1], 2, 2)


def _check_monotonic(camera: Camera, distortion: tuple[float, ...], where: str) -> None:
    k1, k2, _, _, k3 = distortion
    x = np.array([0.0, camera.width]) - camera.cx
    y = np.array([0.0, camera.height]) - camera.cy
    reach = np.hypot(np.abs(x).max() / camera.fx, np.abs(y).max() / camera.fy)
    square = np.linspace(0.0, reach, 200) ** 2
    slope = 1 + square * (3 * k1 + square * (5 * k2 + square * 7 * k3))
    if np.any(slope <= 0):
        radius = np.sqrt(square[np.argmax(slope <= 0)])
        found = f"{list(distortion)} folds the image over at {radius:.2f} focal lengths from the centre"
        raise InputError(where, found, "check the order k1, k2, p1, p2, k3 and the model (OpenCV, five numbers)")
