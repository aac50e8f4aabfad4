"""Noise of a depth camera."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

UNIT = 1e-4  # of what is stored [m]


def depth_sigma(depths: np.ndarray) -> np.ndarray:
    """Standard deviation of measured depth [m]: 1.2 mm at 0.4 m, growing with the square of the distance beyond.

    Nguyen, Izadi and Lovell, "Modeling Kinect sensor noise for improved 3D reconstruction and tracking", 3DIMPVT 2012,
    for surfaces up to 60 degrees from facing the camera.
    """
    return 0.0012 + 0.0019 * (depths - 0.4) ** 2


def sensor_depths(depths: np.ndarray, random: np.random.Generator) -> Callable[[int], np.ndarray]:
    """A reader of noisy depth images (height, width) float32 [m], from exact ones (frame, height, width); 0 is none."""
    stored = np.zeros(depths.shape, dtype=np.uint16)
    for frame, exact in enumerate(depths):
        noisy = exact + depth_sigma(exact) * random.standard_normal(exact.shape)
        stored[frame] = np.where(exact > 0.0, np.clip(np.rint(noisy / UNIT), 1.0, 65535.0), 0.0)
    return lambda frame: stored[frame].astype(np.float32) * np.float32(UNIT)
