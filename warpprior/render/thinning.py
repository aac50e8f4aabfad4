"""Pictures thinned to every so many pixels, the first in the middle of its block, and the camera that takes them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from warpprior.scene import Camera


def thinned(images: np.ndarray, step: int) -> np.ndarray:
    """Every ``step``-th pixel along both axes of images (..., height, width)."""
    middle = step // 2
    return images[..., middle::step, middle::step]


def thinned_camera(camera: Camera, step: int) -> Camera:
    """The camera whose pictures are those of another, thinned."""
    middle = step // 2
    width, height = (len(range(middle, size, step)) for size in (camera.width, camera.height))
    return replace(
        camera,
        width=width,
        height=height,
        fx=camera.fx / step,
        fy=camera.fy / step,
        cx=(camera.cx - middle - 0.5) / step + 0.5,
        cy=(camera.cy - middle - 0.5) / step + 0.5,
    )
