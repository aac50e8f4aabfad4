"""Colour and depth pictures of a scene folder: found when the folder is read, decoded when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from warpprior.io.images import decode_image, import_cv2, read_image_file
from warpprior.io.numbering import note_numbering
from warpprior.io.rectify import Rectifier, Rectifiers
from warpprior.io.scene_file import SceneFile
from warpprior.scene import Camera
from warpprior.support.errors import InputError
from warpprior.support.wording import frame_list

KEPT_BYTES = 64 << 20  # of decoded colour pictures


@dataclass(frozen=True)
class Pictures:
    """The pictures of one channel; a plain object, so that a scene can go to another process.

    Attributes:
        camera: whose size they must have, where there is no rectifier.
        paths: by frame, of those that are there.
        places: what messages call them, by frame.
        rectifier: takes lens distortion out, and differences between frames, or None.
    """

    camera: Camera
    paths: dict[int, Path]
    places: dict[int, str]
    rectifier: Rectifier | Rectifiers | None

    def _decoded(self, frame: int, *, color: bool = False) -> np.ndarray | None:
        """The picture of one frame as it is stored, or as RGB; None where there is none."""
        if frame not in self.paths:
            return None
        where = self.places[frame]
        camera = self.camera if self.rectifier is None else self.rectifier.at(frame).seen_by
        header, data = read_image_file(self.paths[frame], where, camera)
        return decode_image(header, data, where, color=color)


@dataclass(frozen=True)
class ColorPictures(Pictures):
    """``Scene.read_rgb`` of a scene folder.

    Attributes:
        kept: the first pictures that were asked for, as many as fit into KEPT_BYTES: estimates, verdicts and videos
            look at each, and decoding takes longer than looking.
    """

    kept: dict[int, np.ndarray] = field(default_factory=dict, compare=False, repr=False)

    def __call__(self, frame: int) -> np.ndarray | None:
        """Colour picture (height, width, 3) uint8 RGB of one frame, or None where there is none."""
        image = self.kept.get(frame)
        if image is not None:
            return image.copy()
        image = self._decoded(frame, color=True)
        if image is None:
            return None
        image = image if self.rectifier is None else self.rectifier.at(frame).linear(image)
        if (len(self.kept) + 1) * image.nbytes <= KEPT_BYTES:
            self.kept[frame] = image.copy()
        return image

    def __getstate__(self) -> dict:
        return self.__dict__ | {"kept": {}}


@dataclass(frozen=True)
class DepthPictures(Pictures):
    """``Scene.read_depth`` of a scene folder.

    Attributes:
        scale: metres per unit.
    """

    scale: float

    def __call__(self, frame: int) -> np.ndarray | None:
        """Depth (height, width) float32 [m] of one frame, 0 where nothing was measured, or None where there is none."""
        stored = self._decoded(frame)
        if stored is None:
            return None
        depth = stored.astype(np.float32) * np.float32(self.scale)
        return depth if self.rectifier is None else self.rectifier.at(frame).nearest(0)(depth)


def find_pictures(
    scene_file: SceneFile, frame_count: int, rectifier: Rectifier | None, notes: list[str]
) -> tuple[ColorPictures | None, DepthPictures | None]:
    """Colour and depth pictures of a scene folder, each of them whole; None for those that ``scene.toml`` names not.

    Args:
        scene_file: names them.
        frame_count: frames that are read.
        rectifier: takes lens distortion out, or None.
        notes: receives which frames have none.

    Raises:
        InputError: a picture is damaged or of another size or kind, or there is none at all.
        MissingExtraError: there are pictures and OpenCV is not installed.
    """
    camera, scale = scene_file.camera, scene_file.depth_scale
    colors = _find(scene_file, "rgb", frame_count, notes)
    depths = _find(scene_file, "depth", frame_count, notes)
    return (
        None if colors is None else ColorPictures(camera, *colors, rectifier),
        None if depths is None else DepthPictures(camera, *depths, rectifier, scale),
    )


def _find(
    scene_file: SceneFile, key: str, frame_count: int, notes: list[str]
) -> tuple[dict[int, Path], dict[int, str]] | None:
    """Path and place of each frame that has a picture; None when ``scene.toml`` names none."""
    template = getattr(scene_file, key)
    if template is None:
        return None
    import_cv2()
    paths, places = {}, {}
    for frame in range(frame_count):
        path = scene_file.frame_path(template, frame)
        if not path.exists():
            continue
        where = f"{scene_file.folder / template.format(frame)} (frame {frame})"
        header, _ = read_image_file(path, where, scene_file.camera)
        if key == "depth" and (header.format != "png" or header.bits != 16 or header.channels != 1):
            found = f"is a {header.bits}-bit {header.format.upper()} of {header.channels} channels"
            raise InputError(where, found, "depth needs 16-bit grey PNG; set depth_scale to the metres per unit")
        paths[frame], places[frame] = path, where
    if not paths:
        raise InputError(str(scene_file.folder / template.format(0)), "no picture was found", "frames start at 0")
    note_numbering(scene_file, key, template, paths, notes)
    missing = sorted(set(range(frame_count)) - set(paths))
    if missing:
        notes.append(f"{key}: {frame_list(missing)} missing")
    return paths, places
