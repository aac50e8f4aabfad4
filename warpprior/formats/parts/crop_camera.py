"""From the camera of a network, which looks at a crop as through a long lens, to the one that took the picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from warpprior.scene import Camera

OF_CROP = 5000.0  # focal length [px] for a crop of 256 pixels, as HaMeR and WiLoR are set up
_FEWEST = 6  # keypoints that put a hand into the picture
NEAREST_M, FARTHEST_M = 0.1, 4.0  # of hands that are worth looking at


def crop_focal(size: Sequence[float]) -> float:
    """The focal length [px] that HaMeR and WiLoR give pictures of a size: 5000 for a crop of 256 pixels."""
    return OF_CROP / 256.0 * max(size)


def placed(places: np.ndarray, pixels: np.ndarray, camera: Camera) -> np.ndarray:
    """Places (n, 3) [m] about the hand's middle, moved to where the camera sees them at pixels (n, 2).

    Each pixel gives two linear equations for the shift t: f (x + tx) = (u - c) (z + tz).
    """
    rays = (pixels - [camera.cx, camera.cy]) / [camera.fx, camera.fy]
    count = len(places)
    matrix = np.zeros((2 * count, 3))
    matrix[:count, 0] = matrix[count:, 1] = 1.0
    matrix[:, 2] = -rays.T.ravel()
    wanted = (rays * places[:, 2:] - places[:, :2]).T.ravel()
    return places + np.linalg.lstsq(matrix, wanted, rcond=None)[0]


def crop_camera(camera: Camera, focal: float) -> Camera:
    """The camera of a network for pictures of the same size: one focal length, and the middle of the picture.

    Networks count pixels as OpenCV does, the first one's centre at (0, 0): half a pixel is between it and ours.
    """
    return Camera(camera.width, camera.height, focal, focal, 0.5 * camera.width + 0.5, 0.5 * camera.height + 0.5)


def choose_focal(
    given: float | None, size: tuple[float, float] | None, depth: float, camera: Camera
) -> tuple[float, str]:
    """The focal length [px] of a network's camera, in pixels of ``camera``, and what it was told by.

    Several are possible: what a file states is that of the picture, that of the crop (5000), or of nothing; the one by
    which hands are as far away as hands are is taken.

    Args:
        given: as the file states it, or None.
        size: of the pictures as the network had them, or None.
        depth: of the hand in the network's camera [m], median.
        camera: that took the pictures.
    """
    own = (float(camera.width), float(camera.height))
    factor = max(own) / max(size or own)
    real = float(np.sqrt(camera.fx * camera.fy))
    stated = [] if given is None or given == OF_CROP else [(given * factor, "as the file states it")]
    options = [*stated, (crop_focal(own), "5000 for a crop of 256 pixels"), (real, "that of the intrinsics")]
    for focal, why in options:
        if NEAREST_M <= depth * real / focal <= FARTHEST_M:
            return focal, why
    return options[0]


def into_picture(
    places: np.ndarray,
    shifts: np.ndarray,
    network: Camera,
    camera: Camera,
    points: Callable[[np.ndarray], np.ndarray] | None = None,
) -> np.ndarray:
    """Shifts (frame, 3) that put places (frame, n, 3) where the camera sees them as the network's does.

    The size of a hand in the picture says how far it is away by the focal length.  The two cameras see a hand of some
    depth a little differently; its shift is that of the least squares over all places.  Where the picture has
    distortion, ``points`` moves its pixels (..., 2) to those of the camera, NaN for those that it does not see.
    """
    if points is None and same_view(network, camera):
        return shifts
    moved = places + shifts[:, None]
    centers = [network.cx, network.cy]
    pixels = moved[..., :2] / moved[..., 2:] * [network.fx, network.fy] + centers
    pixels = pixels if points is None else points(pixels)
    found = [_placed(one, seen, camera, shift) for one, seen, shift in zip(places, pixels, shifts, strict=True)]
    return np.array(found).reshape(-1, 3)


def _placed(places: np.ndarray, pixels: np.ndarray, camera: Camera, shift: np.ndarray) -> np.ndarray:
    """The shift of places by the pixels that the camera sees; as it was where it sees hardly any."""
    seen = np.asarray(np.isfinite(pixels).all(axis=1), dtype=bool)
    if np.count_nonzero(seen) < _FEWEST:
        return shift
    kept = places[seen]
    return placed(kept, pixels[seen], camera)[0] - kept[0]


def same_view(first: Camera, second: Camera) -> bool:
    """Do two cameras see the same?"""
    values = [[camera.fx, camera.fy, camera.cx, camera.cy] for camera in (first, second)]
    return bool(np.allclose(*values, rtol=1e-9, atol=1e-6))
