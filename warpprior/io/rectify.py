"""Lens distortion is removed once, at the door, so that everything behind it sees a pinhole camera."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from warpprior.errors import InputError
from warpprior.io.images import import_cv2
from warpprior.scene import Camera


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
        self._maps, self._cv2 = maps, cv2

    def nearest(self, border: float) -> Callable[[np.ndarray], np.ndarray]:
        """A function that resamples labels or depth to the nearest value, ``border`` where nothing was seen."""
        interpolation = self._cv2.INTER_NEAREST
        return lambda image: self._resample(image, interpolation, border)

    def linear(self, image: np.ndarray) -> np.ndarray:
        """A colour picture resampled linearly, black where nothing was seen."""
        return self._resample(image, self._cv2.INTER_LINEAR, 0)

    def _resample(self, image: np.ndarray, interpolation: int, border: float) -> np.ndarray:
        constant = self._cv2.BORDER_CONSTANT
        return self._cv2.remap(image, *self._maps, interpolation, borderMode=constant, borderValue=border)


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
