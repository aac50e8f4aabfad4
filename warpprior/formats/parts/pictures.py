"""Folders of numbered pictures, and label images made of masks."""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from warpprior.formats.parts.own_files import inside
from warpprior.io.images import BYTES_LIMIT, decode_image, decode_indices, read_image_file
from warpprior.io.label_images import check_label_memory, hide_under
from warpprior.io.pictures import ColorPictures, Pictures
from warpprior.io.rectify import Rectifier, Rectifiers
from warpprior.scene import IGNORE_LABEL, Camera, Scene
from warpprior.support.errors import InputError
from warpprior.support.files import read_bytes
from warpprior.support.picture_headers import read_header
from warpprior.support.stored import forget, stored_zeros
from warpprior.support.wording import frame_list

PICTURES = (".png", ".jpg", ".jpeg")
MOST_FILES = 1_000_000
_MIDDLE = 127


def numbered(
    folder: Path, endings: Sequence[str] = PICTURES, *, root: Path | None = None, strict: bool = True
) -> dict[int, Path]:
    """Files of a folder by the number that their name ends with or is; those without a number are passed over.

    Args:
        folder: may be missing.
        endings: of the names, in lower case.
        root: files that lead out of this folder through links are refused; None: out of ``folder``.
        strict: two files of one number are refused; else there are no numbered files then.

    Raises:
        InputError: two files have one number, or one leads out, or the folder does.
    """
    found: dict[int, Path] = {}
    if not folder.is_dir():
        return found
    within = folder if root is None else root
    inside(folder, within)
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        stem, ending = os.path.splitext(entry.name)
        if ending.lower() not in endings or entry.name.startswith("."):
            continue
        digits = stem[len(stem.rstrip("0123456789")) :]
        if not 1 <= len(digits) <= 20:
            continue
        path = Path(entry.path)
        if entry.is_symlink():
            inside(path, within)
        number = int(digits)
        if number in found and not strict:
            return {}
        if number in found:
            raise InputError(str(path), f"has the number of {found[number].name}", "one file for each frame")
        found[number] = path
        if len(found) > MOST_FILES:
            raise InputError(str(folder), f"holds more than {MOST_FILES} files", "a sequence of frames")
    return dict(sorted(found.items()))


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height that a picture's header states.

    Raises:
        InputError: it is no PNG or JPEG.
    """
    header = read_header(read_bytes(path, "a picture", limit=BYTES_LIMIT))
    if header is None or header.format not in ("png", "jpeg"):
        raise InputError(str(path), "is no picture that is read", "needs PNG or JPEG")
    return header.width, header.height


def color_pictures(
    paths: Mapping[int, Path], camera: Camera, rectifier: Rectifier | Rectifiers | None = None
) -> ColorPictures | None:
    """``Scene.read_rgb`` of files by frame; None without any."""
    return ColorPictures(camera, dict(paths), _places(paths), rectifier) if paths else None


def _places(paths: Mapping[int, Path]) -> dict[int, str]:
    return {frame: f"{path} (frame {frame})" for frame, path in paths.items()}


@dataclass(frozen=True)
class DepthFiles(Pictures):
    """``Scene.read_depth`` of pictures whose values ``to_metres`` makes metres, 0 for unmeasured.

    Attributes:
        to_metres: of 16-bit values (height, width), or of colours (height, width, 3) uint8 RGB.
        colored: the depth is in colours.
    """

    to_metres: Callable[[np.ndarray], np.ndarray]
    colored: bool = False

    def __call__(self, frame: int) -> np.ndarray | None:
        stored = self._decoded(frame, color=self.colored)
        if stored is None:
            return None
        if not self.colored and (stored.ndim != 2 or stored.dtype != np.uint16):
            raise InputError(self.places[frame], f"is {stored.dtype} of shape {stored.shape}", "needs 16-bit grey PNG")
        depth = self.to_metres(stored).astype(np.float32)
        return depth if self.rectifier is None else self.rectifier.at(frame).nearest(0)(depth)


def depth_pictures(
    paths: Mapping[int, Path],
    camera: Camera,
    to_metres: Callable[[np.ndarray], np.ndarray],
    *,
    colored: bool = False,
    rectifier: Rectifier | Rectifiers | None = None,
) -> DepthFiles | None:
    """``Scene.read_depth`` of files by frame; None without any."""
    return DepthFiles(camera, dict(paths), _places(paths), rectifier, to_metres, colored) if paths else None


def read_mask_values(path: Path, camera: Camera, where: str) -> np.ndarray:
    """Stored values of a mask or of indices (height, width): palettes as indices, colours as their grey value.

    Raises:
        InputError: damaged, of another size, or coloured.
    """
    header, data = read_image_file(path, where, camera)
    if header.palette or (header.bits < 8 and header.channels == 1):
        return decode_indices(header, data, where)
    image = decode_image(header, data, where)
    if image.ndim == 3:
        if np.any(image[..., 0] != image[..., 1]) or np.any(image[..., 0] != image[..., 2]):
            raise InputError(where, "is a colour picture", "needs a mask: 0, and 1 or 255")
        image = image[..., 0]
    return image


def mask_of(values: np.ndarray) -> np.ndarray:
    """A mask (height, width) bool of values 0 and 1, or from 0 to 255, or of numbers above and below zero."""
    if values.dtype.kind == "b":
        return values
    top = values.max(initial=0)
    return values > (_MIDDLE if values.dtype.kind in "iu" and top > 1 else 0)


Masks = Callable[[int], "np.ndarray | None"]


def label_images(
    masks: Mapping[int, Masks],
    frame_count: int,
    camera: Camera,
    names: Mapping[int, str],
    where: str,
    notes: list[str],
    *,
    rectifier: Rectifier | Rectifiers | None = None,
) -> np.ndarray | None:
    """Label images (frame, height, width) uint8 of masks by label.

    Pixels of several masks are don't-care, and so is the background of frames in which a body has no mask: where it
    is not seen, nobody said.

    Args:
        masks: of each label, what gives the mask (height, width) bool of a frame, or None.
        frame_count: frames.
        camera: whose size they have.
        names: of bodies by label.
        where: for messages.
        notes: what was done is appended.
        rectifier: what made the masks those of a pinhole camera: where it sees more than the pictures show, nobody
            knows what is there.
    """
    if not masks:
        return None
    check_label_memory(where, frame_count, camera)
    labels = stored_zeros((frame_count, camera.height, camera.width), np.uint8)
    missing: dict[int, list[int]] = {label: [] for label in masks}
    shared, torn = 0, []
    for frame in range(frame_count):
        taken = np.zeros((camera.height, camera.width), dtype=bool)
        twice = np.zeros_like(taken)
        unknown = False
        for label, mask_at in masks.items():
            mask = mask_at(frame)
            if mask is None:
                missing[label].append(frame)
                unknown = True
                continue
            twice |= taken & mask
            taken |= mask
            labels[frame][mask] = label
        labels[frame][twice] = IGNORE_LABEL
        if twice.any():
            shared += int(np.count_nonzero(twice))
            torn.append(frame)
        if unknown:
            labels[frame][labels[frame] == 0] = IGNORE_LABEL
        if rectifier is not None:
            labels[frame][rectifier.at(frame).unseen()] = IGNORE_LABEL
        forget(labels[frame])
    for label, frames in missing.items():
        if frames:
            said = f"{names[label]} has no mask in {frame_list(frames)}; nothing is known about the background there"
            notes.append(f"{where}: {said}")
    if shared:
        notes.append(f"{where}: {shared} pixels are of several masks, in {frame_list(torn)}; they are don't-care")
    return labels


def file_masks(paths: Mapping[int, Path], camera: Camera, rectifier: Rectifier | Rectifiers | None = None) -> Masks:
    """Masks of one object in files by frame, each 0 and 1 or 0 to 255."""

    def mask_at(frame: int) -> np.ndarray | None:
        path = paths.get(frame)
        if path is None:
            return None
        where = f"{path} (frame {frame})"
        if rectifier is None:
            return mask_of(read_mask_values(path, camera, where))
        here = rectifier.at(frame)
        return here.mask(mask_of(read_mask_values(path, here.seen_by, where)))

    return mask_at


def known_without_masks(scene: Scene, masked: Container[int]) -> Scene:
    """The scene in which, where some bodies have masks, those without are known and hide what they would cover."""
    if scene.labels is None:
        return scene
    bodies = tuple(item if item.label in masked else replace(item, known=True) for item in scene.bodies)
    return hide_unlabelled(replace(scene, bodies=bodies), [item.name for item in bodies if item.label not in masked])


def hide_unlabelled(scene: Scene, names: Sequence[str]) -> Scene:
    """The scene with the background don't-care, in place, where bodies without masks would cover it."""
    if scene.labels is None or not names:
        return scene
    for name in names:
        hide_under(scene.body(name), scene.camera, scene.fps, scene.labels)
    note = f"{' and '.join(names)}: no masks; known, and the background where drawn is don't-care"
    return replace(scene, warnings=(*scene.warnings, note))
