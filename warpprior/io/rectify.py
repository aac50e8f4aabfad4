"""Lens distortion is removed once, at the door, so that everything behind it sees a pinhole camera."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from warpprior.io.images import import_cv2
from warpprior.io.lens import BrownLens, Lens
from warpprior.scene import Camera
from warpprior.support.errors import InputError

_KEPT = 4  # maps of so many cameras
_NOWHERE = -1e4  # [px], a place outside of every picture


@dataclass(frozen=True)
class Rectifier:
    """Resamples pictures of a lens to a pinhole camera.

    Attributes:
        camera: the pinhole camera; the centre of the top-left pixel is (0.5, 0.5), where OpenCV has (0, 0).
        lens: what the pictures were taken through; None for a pinhole.
        where: file and key, for messages.
        source: size, focal length and principal point of the pictures as they are; None: those of ``camera``.

    Raises:
        InputError: on construction: the lens folds its image over inside the picture, so that no picture belongs to it.
    """

    camera: Camera
    lens: Lens | None
    where: str
    source: Camera | None = None

    def __post_init__(self) -> None:
        check_fold(self.seen_by, self.lens, self.camera, self.where)

    @property
    def seen_by(self) -> Camera:
        """Size, focal length and principal point of the pictures as they are."""
        return self.camera if self.source is None else self.source

    def at(self, frame: int) -> Rectifier:
        """That of a frame: the same for all."""
        return self

    def nearest(self, border: float) -> Callable[[np.ndarray], np.ndarray]:
        """A function that resamples labels or depth to the nearest value, ``border`` where nothing was seen."""
        interpolation = import_cv2().INTER_NEAREST
        return lambda image: self._resample(image, interpolation, border)

    def linear(self, image: np.ndarray) -> np.ndarray:
        """A colour picture resampled linearly, black where nothing was seen."""
        return self._resample(image, import_cv2().INTER_LINEAR, 0)

    def mask(self, mask: np.ndarray) -> np.ndarray:
        """A mask (height, width) bool resampled to the nearest value, empty where nothing was seen."""
        return self.nearest(0)(mask.astype(np.uint8)).astype(bool)

    def unseen(self) -> np.ndarray:
        """Pixels (height, width) bool of the pinhole camera in which nothing was seen."""
        return ~self.mask(np.ones((self.seen_by.height, self.seen_by.width), dtype=bool))

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) in which the lens shows points (..., 3) in front of the camera."""
        points = np.asarray(points, dtype=np.float64)
        ray, here = points[..., :2] / points[..., 2:], self.seen_by
        shown = ray if self.lens is None else self.lens.shown(ray)
        return shown * [here.fx, here.fy] + [here.cx, here.cy]

    def points(self, points: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) of the pictures as the pinhole camera sees them; NaN where no ray comes from."""
        return _unbent(self.seen_by, self.lens, self.camera, points)

    def _resample(self, image: np.ndarray, interpolation: int, border: float) -> np.ndarray:
        cv2 = import_cv2()
        maps = _maps(self.camera, self.lens, self.seen_by)
        return cv2.remap(image, *maps, interpolation, borderMode=cv2.BORDER_CONSTANT, borderValue=border)


@dataclass(frozen=True)
class Rectifiers:
    """One for each frame, to the same pinhole camera: pictures whose intrinsics differ.

    Attributes:
        by_frame: those of the frames that there are pictures of.
        usual: of all others.
    """

    by_frame: Mapping[int, Rectifier]
    usual: Rectifier

    def at(self, frame: int) -> Rectifier:
        """That of a frame."""
        return self.by_frame.get(frame, self.usual)


def point_rectifier(camera: Camera, lens: Lens, where: str) -> Callable[[np.ndarray], np.ndarray]:
    """A function from pixels (..., 2) seen through the lens to those of the pinhole camera of the same intrinsics.

    Pixels that no ray gives, beyond the edge of what the lens shows, become NaN.  Arguments and errors as
    :class:`Rectifier`.
    """
    check_fold(camera, lens, camera, where)
    return lambda points: _unbent(camera, lens, camera, points)


def check_fold(seen_by: Camera, lens: Lens | None, camera: Camera, where: str) -> None:
    """InputError where a lens turns its image back before that reaches the nearest side of the picture."""
    if lens is None:
        return
    fold = lens.fold(_reach(camera))
    if np.isinf(fold):
        return
    edge = np.array([[fold, 0.0], [0.0, fold], [-fold, 0.0], [0.0, -fold]])
    sides = np.array([seen_by.width - seen_by.cx, seen_by.height - seen_by.cy, seen_by.cx, seen_by.cy])
    shown = np.abs(lens.shown(edge)).max(axis=1) * [seen_by.fx, seen_by.fy, seen_by.fx, seen_by.fy]
    if shown.min() < sides.min():
        found = f"{[float(f'{value:.6g}') for value in _stated(lens)]} folds the image over at {fold:.2f} focal lengths"
        accepted = f"check the order {lens.order}, and the kind of the lens ({lens.name})"
        raise InputError(where, f"{found} from the centre", accepted)


def _stated(lens: Lens) -> tuple[float, ...]:
    if isinstance(lens, BrownLens):
        return lens.numbers if any(lens.numbers[5:]) else lens.numbers[:5]
    return (*lens.radial, *lens.tangential, *lens.prism)


def _reach(camera: Camera) -> float:
    """The longest ray that a pinhole camera sees."""
    x = np.array([0.0, camera.width]) - camera.cx
    y = np.array([0.0, camera.height]) - camera.cy
    return float(np.hypot(np.abs(x).max() / camera.fx, np.abs(y).max() / camera.fy))


@lru_cache(maxsize=_KEPT)
def _maps(camera: Camera, lens: Lens | None, seen_by: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel of the pinhole camera is in the picture, x and y (height, width), first centre at (0, 0)."""
    if lens is None or isinstance(lens, BrownLens):
        cv2 = import_cv2()
        numbers = np.zeros(5) if lens is None else np.array(_stated(lens))
        size, kind = (camera.width, camera.height), cv2.CV_32FC1
        x, y = cv2.initUndistortRectifyMap(_matrix(seen_by), numbers, None, _matrix(camera), size, kind)
    else:
        rays = pixel_rays(camera)
        pixels = lens.shown(rays) * [seen_by.fx, seen_by.fy] + [seen_by.cx - 0.5, seen_by.cy - 0.5]
        x, y = (np.ascontiguousarray(pixels[..., axis], dtype=np.float32) for axis in range(2))
    if lens is not None:
        fold = lens.fold(_reach(camera))
        if np.isfinite(fold):
            beyond = np.linalg.norm(pixel_rays(camera), axis=-1) >= fold
            x[beyond] = y[beyond] = _NOWHERE
    return x, y


def pixel_rays(camera: Camera) -> np.ndarray:
    """Rays (height, width, 2) through the pixels of a pinhole camera."""
    y, x = np.mgrid[0 : camera.height, 0 : camera.width] + 0.5
    return np.stack([(x - camera.cx) / camera.fx, (y - camera.cy) / camera.fy], axis=-1)


def _matrix(camera: Camera) -> np.ndarray:
    return np.array([[camera.fx, 0, camera.cx - 0.5], [0, camera.fy, camera.cy - 0.5], [0, 0, 1]])


def _unbent(seen_by: Camera, lens: Lens | None, camera: Camera, points: np.ndarray) -> np.ndarray:
    seen = np.asarray(points, dtype=np.float64) - [seen_by.cx, seen_by.cy]
    seen = seen / [seen_by.fx, seen_by.fy]
    ray = seen if lens is None else lens.rays(seen)
    return ray * [camera.fx, camera.fy] + [camera.cx, camera.cy]
