"""One pinhole camera for images whose intrinsics or lenses are stated one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from warpprior.formats.parts.fisheye624 import NAME, fisheye624
from warpprior.formats.parts.intrinsics import note_half_pixel
from warpprior.formats.parts.text_files import entry, numbers
from warpprior.io.rectify import Rectifier, Rectifiers
from warpprior.scene import Camera
from warpprior.support.errors import InputError
from warpprior.support.wording import frame_list

_SAME_K = 0.5  # [px]
_MOST_AREA = 4.0  # of what all images see together, in images
_PINHOLES = ("PINHOLE", "LINEAR")
_FOCAL = (1e-2, 1e3)  # of the size of the pictures


@dataclass(frozen=True)
class ImageCamera:
    """The camera of one image as BOP's ``scene_camera.json`` states it; the first pixel's centre is (0, 0).

    Attributes:
        matrix: fx, fy, cx, cy [px].
        model: numbers of FISHEYE624 (15 or 16), or None for a pinhole.
        size: of the picture, where it is stated.
        where: for messages.
    """

    matrix: tuple[float, float, float, float]
    model: tuple[float, ...] | None
    size: tuple[int, int] | None
    where: str

    @staticmethod
    def of(tree: Any, where: str) -> ImageCamera:
        """Of ``cam_K``, or of ``cam_model``, as HOT3D has it.

        Raises:
            InputError: neither, or a lens of another kind.
        """
        model = tree.get("cam_model") if isinstance(tree, dict) else None
        if model is None:
            k = numbers(entry(tree, "cam_K", where), (9,), f"{where}: cam_K")
            return ImageCamera((k[0], k[4], k[2], k[5]), None, None, where)
        where = f"{where}: cam_model"
        kind = str(entry(model, "projection_model_type", where)).rpartition(".")[2]
        values = numbers(entry(model, "projection_params", where), (None,), f"{where}: projection_params")
        size = None
        if "image_width" in model and "image_height" in model:
            wide, high = (float(numbers(model[key], (), where)) for key in ("image_width", "image_height"))
            if not (2 <= wide <= 16384 and 2 <= high <= 16384):
                raise InputError(where, f"pictures of {wide:g} x {high:g}", "needs their size")
            size = int(wide), int(high)
        short = (kind == NAME and len(values) == 15) or (kind in _PINHOLES and len(values) == 3)
        four = [values[0], *values[:3]] if short else values[:4]
        if len(four) != 4 or kind not in (NAME, *_PINHOLES):
            raise InputError(where, f"{len(values)} numbers of {kind[:30]}", f"{NAME}, or {' or '.join(_PINHOLES)}")
        lens = tuple(float(value) for value in values) if kind == NAME else None
        fx, fy, cx, cy = (float(value) for value in four)
        return ImageCamera((fx, fy, cx, cy), lens, size, where)

    def rectifier(self, size: tuple[int, int]) -> Rectifier:
        """What makes a picture of this size one of the pinhole camera of the same focal length and middle."""
        if self.model is not None:
            return fisheye624(np.array(self.model), *size, self.where)
        fx, fy, cx, cy = self.matrix
        return Rectifier(Camera(*size, fx, fy, cx + 0.5, cy + 0.5), None, self.where)


def usual_camera(cameras: Mapping[int, ImageCamera]) -> tuple[np.ndarray, list[int]]:
    """Median fx, fy, cx, cy, and the images that are more than half a pixel off, or seen through a lens."""
    matrices = np.array([camera.matrix for camera in cameras.values()])
    usual = np.median(matrices, axis=0)
    off = np.abs(matrices - usual).max(axis=1) > _SAME_K
    return usual, [image for image, far in zip(cameras, off, strict=True) if far or cameras[image].model is not None]


def common_view(
    cameras: Mapping[int, ImageCamera], size: tuple[int, int], where: str, notes: list[str]
) -> tuple[Camera, dict[int, Rectifier]]:
    """A pinhole camera that sees what all images see, and what makes each picture one of it.

    Args:
        cameras: by image.
        size: of the pictures.
        where: names the file in messages.
        notes: what was done is appended.

    Raises:
        InputError: no focal length for such pictures, or images that look at places far apart.
    """
    own = {}
    for image, camera in cameras.items():
        fx, fy = camera.matrix[:2]
        if camera.size not in (None, size):
            found = f"says {camera.size}, the pictures have {size[0]} x {size[1]} pixels"
            raise InputError(camera.where, found, "needs pictures of their camera's size")
        if not (_FOCAL[0] * size[0] < fx < _FOCAL[1] * size[0] and _FOCAL[0] * size[1] < fy < _FOCAL[1] * size[1]):
            found = f"focal lengths {fx:.4g} and {fy:.4g} px for pictures of {size[0]} x {size[1]}"
            raise InputError(camera.where, found, "needs fx, fy, cx, cy [px]")
        own[image] = camera.rectifier(size)
    note_half_pixel(where, notes)
    bent = [image for image, camera in cameras.items() if camera.model is not None]
    if bent:
        notes.append(f"{where}: pictures and masks are rectified from {NAME} in {frame_list(bent)}")
    if len({(made.camera, made.lens) for made in own.values()}) == 1:
        return next(iter(own.values())).camera, own
    camera = _that_sees_all([made.camera for made in own.values()], where)
    said = f"{camera.width} x {camera.height} pixels and a focal length of {camera.fx:.4g} px"
    notes.append(f"{where}: intrinsics differ between images; all were brought to one camera of {said}")
    return camera, {image: Rectifier(camera, made.lens, made.where, made.camera) for image, made in own.items()}


def by_frame(made: Mapping[int, Rectifier]) -> Rectifier | Rectifiers:
    """Of a frame, or of all frames alike."""
    first = next(iter(made.values()))
    same = all((one.camera, one.lens, one.source) == (first.camera, first.lens, first.source) for one in made.values())
    return first if same else Rectifiers(made, first)


def _that_sees_all(cameras: list[Camera], where: str) -> Camera:
    fx, fy = (float(np.median([getattr(camera, key) for camera in cameras])) for key in ("fx", "fy"))
    left, top = (min(-getattr(c, f"c{a}") / getattr(c, f"f{a}") for c in cameras) for a in "xy")
    right = max((c.width - c.cx) / c.fx for c in cameras)
    bottom = max((c.height - c.cy) / c.fy for c in cameras)
    width, height = (int(np.ceil(round(length, 6))) for length in ((right - left) * fx, (bottom - top) * fy))
    area = width * height / (cameras[0].width * cameras[0].height)
    if not area <= _MOST_AREA:
        found = f"images that see {area:.3g} times as much together as one alone"
        raise InputError(where, found, f"at most {_MOST_AREA:g} times: crops of a few places, not a panorama")
    return Camera(width, height, fx, fy, -left * fx, -top * fy)
