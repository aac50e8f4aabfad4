"""Observations beside a stage: pictures by frame and files of keypoints, as scene folders have them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warpprior.bodies.readers.kinds import NoKeys, find_kind
from warpprior.io.keypoints import load_detections
from warpprior.io.label_images import read_labels
from warpprior.io.lens import make_lens
from warpprior.io.pictures import find_pictures
from warpprior.io.rectify import Rectifier, point_rectifier
from warpprior.io.scene_file import BodyEntry, SceneFile
from warpprior.scene import IGNORE_LABEL, Camera, SceneBody
from warpprior.support.errors import InputError
from warpprior.support.files import MAX_BYTES, read_bytes
from warpprior.support.picture_headers import read_header

_LOOKED_AT = 1000  # frames whose picture may be the first


@dataclass(frozen=True)
class Observed:
    """Files beside a stage; relative ones lie in its folder or below.

    Attributes:
        labels, rgb, depth: of pictures, with the number of the frame: ``labels/{:06d}.png``, the first one 0.
        depth_scale: metres per unit of depth pictures.
        keypoints: an ``.npz`` file of keypoints and boxes.
    """

    labels: str | None = None
    rgb: str | None = None
    depth: str | None = None
    depth_scale: float = 0.001
    keypoints: str | None = None

    def templates(self) -> dict[str, str]:
        """Names of pictures by channel, of those that are given."""
        given = {"labels": self.labels, "rgb": self.rgb, "depth": self.depth}
        return {key: value for key, value in given.items() if value is not None}


def picture_size(observed: Observed, folder: Path) -> tuple[int, int] | None:
    """Width and height of the first picture that is there; None without pictures."""
    for key, template in observed.templates().items():
        _check_template(key, template)
        for frame in range(_LOOKED_AT):
            path = folder / template.format(frame)
            if path.is_file():
                header = read_header(read_bytes(path, "a picture", limit=MAX_BYTES))
                if header is not None:
                    return header.width, header.height
                break
    return None


def observe(
    observed: Observed,
    folder: Path,
    camera: Camera,
    lens: list[Any] | None,
    bodies: Sequence[SceneBody],
    frame_count: int,
    fps: float,
    notes: list[str],
) -> dict[str, Any]:
    """Fields of a scene that are observed, rectified where the camera has a lens.

    Raises:
        InputError: files that are not there, damaged, or of another size than the camera's.
    """
    entries = tuple(
        BodyEntry(item.name, find_kind(item.body.kind), None, item.label, item.known, item.symmetry, NoKeys())  # type: ignore[arg-type]
        for item in bodies
    )
    bent = None if lens is None else make_lens(lens[0], lens[1], "the camera's lens")
    found: dict[str, Any] = {}
    templates = observed.templates()
    if bent is not None and templates:
        notes.append("pictures were rectified to a pinhole camera")
    rectifier = None if bent is None or not templates else Rectifier(camera, bent, "the camera's lens")
    for key, template in templates.items():
        place, name = _split(folder, template)
        given = {"labels": None, "rgb": None, "depth": None} | {key: name}
        file = SceneFile(
            folder=place,
            camera=camera,
            lens=bent,
            count=frame_count,
            fps=fps,
            rgb=given["rgb"],
            labels=given["labels"],
            depth=given["depth"],
            depth_scale=observed.depth_scale,
            bodies=entries,
            initial=None,
            truth=None,
            keypoints=None,
            timestamps=None,
            warnings=(),
        )
        if key == "labels":
            found["labels"] = read_labels(file, frame_count, rectifier and rectifier.nearest(IGNORE_LABEL), notes)
        else:
            colors, depths = find_pictures(file, frame_count, rectifier, notes)
            found |= {"read_rgb": colors} if key == "rgb" else {"read_depth": depths}
    if observed.keypoints is not None:
        rectify = None if bent is None else point_rectifier(camera, bent, "the camera's lens")
        path = folder / observed.keypoints
        models = [item.body for item in bodies]
        found |= load_detections(path, models, camera, frame_count=frame_count, rectify=rectify, notes=notes)
    return found


def _check_template(key: str, template: str) -> None:
    """InputError for a name without one frame number."""
    try:
        good = template.format(0) != template.format(1) and template.count("{") == 1
    except (ValueError, IndexError, KeyError, AttributeError):
        good = False
    if not good:
        raise InputError(key, repr(template[:80]), 'one frame number in the name, as "labels/{:06d}.png"')


def _split(folder: Path, template: str) -> tuple[Path, str]:
    """The folder that pictures have to be in, and their names in it."""
    if not os.path.isabs(template):
        return folder, template
    place, name = os.path.split(template)
    if "{" in place:
        raise InputError("pictures", repr(template[:80]), "the frame number in the name of the file")
    return Path(place), name
