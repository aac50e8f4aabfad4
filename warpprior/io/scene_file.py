"""scene.toml: what a scene folder says about itself, parsed and checked; no other file is opened here."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from warpprior.bodies.mass import UNKNOWN, Matter
from warpprior.bodies.readers.kinds import KINDS, BodyKind, find_kind
from warpprior.io.atomic import find_again
from warpprior.io.lens import LENSES, BrownLens, Lens, make_lens
from warpprior.io.toml_table import Table, read_table
from warpprior.observations import CHANNELS, LEAST_SIGMA, MOST_SIGMA
from warpprior.scene import IGNORE_LABEL, SYMMETRIES, Camera
from warpprior.support.errors import InputError
from warpprior.support.limits import ABOVE_ZERO
from warpprior.support.picture_headers import PIXEL_LIMIT
from warpprior.support.wording import shown
from warpprior.world import CameraNoise

SCENE_FILE = "scene.toml"
FRAME_LIMIT = 1_000_000
FPS_RANGE = (0.01, 10_000.0)
FOCAL_RANGE = (0.01, 1000.0)  # of focal lengths, in sizes of the picture
NAME_LIMIT = 200
NEAR_MIDDLE = 0.1  # so near to the middle of an image are principal points
LONGEST_NAME, LONGEST_PATH = 255, 2000  # in a path of scene.toml: what file systems take
KNOWN = "known"  # poses of the camera
CAMERA_MODES = (KNOWN, "estimate")
NO_LABEL = 0  # stands for a label still to be chosen

# One integer field; anything else a format string can do (attributes, nesting, huge widths) stays out.
_TEMPLATE = re.compile(r"[^{}]*\{(:0?[1-9]?d)?\}[^{}]*")


@dataclass(frozen=True)
class BodyEntry:
    """One ``[[body]]`` table; ``path`` is resolved and inside the scene folder, None for kinds without a file.

    ``keys`` are those of its kind alone.  A body that is not ``labelled`` has a label that is given to no other, and is
    in no label image.
    """

    name: str
    kind: BodyKind
    path: Path | None
    label: int
    known: bool
    symmetry: str
    keys: Any
    labelled: bool = True
    matter: Matter = UNKNOWN


@dataclass(frozen=True)
class SourceEntry:
    """The table ``[source]``: what the scene was imported from, and what was said then.

    Attributes:
        format: name of the format (:mod:`warpprior.formats`).
        path: absolute, of the file or folder.
        options: of the format.
        notes: one sentence each.
    """

    format: str
    path: str
    options: dict[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class WorldEntry:
    """The table ``[world]``: files of the camera's poses, given and true; how far they are off; where things fall.

    ``noise`` is None where poses of the camera are known.
    """

    camera_poses: Path | None = None
    camera_truth: Path | None = None
    noise: CameraNoise | None = None
    gravity: tuple[float, ...] | None = None


@dataclass(frozen=True)
class SceneFile:
    """scene.toml as typed values; image entries are templates with one frame number, relative to ``folder``."""

    folder: Path
    camera: Camera
    lens: Lens | None
    count: int
    fps: float
    rgb: str | None
    labels: str | None
    depth: str | None
    depth_scale: float
    bodies: tuple[BodyEntry, ...]
    initial: Path | None
    truth: Path | None
    keypoints: Path | None
    timestamps: Path | None
    warnings: tuple[str, ...]
    noise: dict[str, float] = field(default_factory=dict)
    world: WorldEntry = field(default_factory=lambda: WorldEntry())
    source: SourceEntry | None = None
    contact_maps: Path | None = None

    def frame_path(self, template: str, frame: int) -> Path:
        """The image of one frame; InputError when it leads out of the scene folder, through links too."""
        return resolve_inside(self.folder, template.format(frame), f"{self.folder / SCENE_FILE}: [frames]")


def resolve_inside(folder: Path, relative: str, where: str) -> Path:
    """``folder / relative`` with links followed; InputError for what is too long or leads out of ``folder``."""
    longest = max(len(part.encode("utf-8", "surrogatepass")) for part in relative.split("/"))
    if longest > LONGEST_NAME or len(relative) > LONGEST_PATH:
        accepted = f"names of at most {LONGEST_NAME} bytes, and {LONGEST_PATH} characters in all"
        raise InputError(where, f"is a path of {len(relative)} characters", accepted)
    resolved = os.path.realpath(folder / relative)
    if os.path.isabs(relative) or not Path(resolved).is_relative_to(os.path.realpath(folder)):
        raise InputError(
            where, f"{shown(relative)} leads out of the scene folder", "use a path inside the scene folder"
        )
    return Path(resolved)


def read_scene_file(folder: str | Path) -> SceneFile:
    """Parse and check ``scene.toml`` of a scene folder.

    Raises:
        InputError: the folder or file is missing, or a key is missing, unknown, of a wrong type or out of range.
    """
    folder = Path(folder)
    find_again(folder)
    if not folder.is_dir():
        accepted = f"give the folder that holds {SCENE_FILE}"
        raise InputError(str(folder), "is a file" if folder.exists() else "does not exist", accepted)
    path = folder / SCENE_FILE
    if not path.is_file():
        raise InputError(str(folder), f"has no {SCENE_FILE}", f"a scene folder is described by its {SCENE_FILE}")
    resolve_inside(folder, SCENE_FILE, str(folder))
    root = read_table(path)
    notes: list[str] = []
    camera, lens = _read_camera(root.table("camera"), notes)
    frames = root.table("frames")
    count = frames.integer("count", 1, FRAME_LIMIT)
    fps = frames.number_within("fps", *FPS_RANGE)
    rgb, labels, depth = (_read_template(frames, folder, key) for key in ("rgb", "labels", "depth"))
    depth_scale = frames.number("depth_scale", 0.001, limits=ABOVE_ZERO)
    timestamps = _resolve_if_any(frames, folder, "timestamps")
    frames.finish()
    bodies = tuple(_read_body(table, folder) for table in root.tables("body"))
    _check_unique(bodies, path)
    bodies = _with_labels(bodies, path)
    poses = root.table("poses", required=False)
    initial = truth = None
    if poses is not None:
        initial = _resolve_if_any(poses, folder, "initial")
        truth = _resolve_if_any(poses, folder, "truth")
        poses.finish()
    keypoints = None
    detections = root.table("keypoints", required=False)
    if detections is not None:
        keypoints = _resolve(detections, folder, "file")
        detections.finish()
    contact_maps = None
    contact = root.table("contact_maps", required=False)
    if contact is not None:
        contact_maps = _resolve(contact, folder, "file")
        contact.finish()
    noise = _read_noise(root.table("noise", required=False))
    world = _read_world(root.table("world", required=False), folder)
    source = _read_source(root.table("source", required=False))
    root.finish()
    return SceneFile(
        folder=folder,
        camera=camera,
        lens=lens,
        count=count,
        fps=fps,
        rgb=rgb,
        labels=labels,
        depth=depth,
        depth_scale=depth_scale,
        bodies=bodies,
        initial=initial,
        truth=truth,
        keypoints=keypoints,
        timestamps=timestamps,
        contact_maps=contact_maps,
        warnings=tuple(notes),
        noise=noise,
        world=world,
        source=source,
    )


def _read_world(table: Table | None, folder: Path) -> WorldEntry:
    """What is known of the world."""
    if table is None:
        return WorldEntry()
    gravity = table.numbers("gravity", 3, "x, y, z of the direction in which things fall")
    if gravity is not None and not any(gravity):
        raise InputError(table.place("gravity"), "is zero", "needs a direction")
    paths = [_resolve_if_any(table, folder, key) for key in ("camera_poses", "camera_truth")]
    estimated = table.choice("camera", CAMERA_MODES, KNOWN) != KNOWN
    given = {}
    for key in ("jitter", "drift"):
        numbers = table.numbers(f"camera_{key}", 2, "one sigma, [m] and [rad]")
        if numbers is not None:
            given |= {f"{key}_m": numbers[0], f"{key}_rad": numbers[1]}
    if given and not estimated:
        found = f"is given, and camera is {KNOWN!r}"
        raise InputError(
            table.place(f"camera_{'jitter' if 'jitter_m' in given else 'drift'}"), found, 'camera = "estimate"'
        )
    if estimated and paths[0] is None:
        raise InputError(table.place("camera"), "is given without camera_poses", "needs measured poses of the camera")
    try:
        noise = CameraNoise(**given) if estimated else None
    except InputError as error:
        raise InputError(table.place("camera"), str(error), error.accepted) from error
    table.finish()
    return WorldEntry(paths[0], paths[1], noise, gravity)


def _read_source(table: Table | None) -> SourceEntry | None:
    """Where the scene was imported from."""
    if table is None:
        return None
    notes, options = table.value("notes", []), table.value("options", {})
    if not isinstance(notes, list) or not all(isinstance(note, str) and note.isprintable() for note in notes):
        raise InputError(table.place("notes"), f"is {shown(notes)}", "needs a list of sentences")
    if not isinstance(options, dict):
        raise InputError(table.place("options"), f"is {shown(options)}", "needs a table, [source.options]")
    entry = SourceEntry(table.text("format"), table.text("path"), options, tuple(notes))
    table.finish()
    return entry


def _read_noise(table: Table | None) -> dict[str, float]:
    """One sigma of each channel that is named, in the channel's unit."""
    if table is None:
        return {}
    given = {name: table.value(name, None) for name in CHANNELS}
    noise = {
        name: table.number_within(name, LEAST_SIGMA, MOST_SIGMA) for name, value in given.items() if value is not None
    }
    table.finish()
    return noise


def _read_lens(table: Table) -> Lens | None:
    """The lens that the pictures were taken through; None for a pinhole."""
    kind = table.choice("lens", tuple(LENSES), BrownLens.name)
    counts = LENSES[kind].counts
    numbers = table.numbers("distortion", counts, LENSES[kind].order)
    if numbers is None and kind != BrownLens.name:
        raise InputError(table.place("distortion"), "is missing", f"a lens of kind {kind} has {LENSES[kind].order}")
    return make_lens(kind, numbers or (), table.place("distortion"))


def _read_camera(table: Table, notes: list[str]) -> tuple[Camera, Lens | None]:
    width, height = table.integer("width", 2, 100_000), table.integer("height", 2, 100_000)
    if width * height > PIXEL_LIMIT:
        accepted = f"at most {PIXEL_LIMIT // 1_000_000} megapixels"
        raise InputError(table.place("width, height"), f"{width} x {height} pixels", accepted)
    low, high = FOCAL_RANGE
    fx = table.number_within("fx", low * width, high * width)
    fy = table.number_within("fy", low * height, high * height)
    cx, cy = table.number("cx"), table.number("cy")
    lens = _read_lens(table)
    table.finish()
    for key, centre, size in (("cx", cx, width), ("cy", cy, height)):
        if not -size <= centre <= 2 * size:
            found = f"is {centre:g} for an image of {width} x {height}"
            raise InputError(table.place(key), found, "these look like the intrinsics of another resolution")
        if not 0 <= centre <= size:
            notes.append(f"scene.toml: [camera], {key} is {centre:g}: the principal point is outside the image")
    _note_other_resolution(cx / width, cy / height, notes)
    if not 0.5 <= fx / fy <= 2.0:
        notes.append(f"scene.toml: [camera], fx is {fx:g} and fy {fy:g}: pixels this far from square are rare")
    if not 0.1 <= fx / width <= 50.0:
        notes.append(f"scene.toml: [camera], fx is {fx:g} for a width of {width}: an unusual field of view")
    return Camera(width, height, fx, fy, cx, cy), lens


def _note_other_resolution(right: float, down: float, notes: list[str]) -> None:
    """Note a principal point that is as far from the middle, in both directions alike, as resized images have it.

    Args:
        right, down: cx / width and cy / height, near 0.5 as a rule.
        notes: warnings are appended.
    """
    for factor, words in ((2.0, "twice"), (1.5, "1.5 times"), (0.5, "half")):
        if all(abs(part / (0.5 * factor) - 1.0) < NEAR_MIDDLE for part in (right, down)):
            notes.append(
                f"scene.toml: [camera], cx and cy are {words} the middle of the image: are these the intrinsics of "
                f"another resolution? Then divide fx, fy, cx and cy by {factor:g}"
            )


def _read_template(table: Table, folder: Path, key: str) -> str | None:
    template = table.text(key, None)
    if template is None:
        return None
    if not _TEMPLATE.fullmatch(template):
        accepted = 'needs one frame number, for example "labels/{:06d}.png"'
        raise InputError(table.place(key), f"is {shown(template)}", accepted)
    resolve_inside(folder, template.format(0), table.place(key))
    return template


def _resolve(table: Table, folder: Path, key: str) -> Path:
    relative = table.text(key)
    path = resolve_inside(folder, relative, table.place(key))
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "does not exist"
        raise InputError(table.place(key), f"{shown(relative)} {found}", "needs a file inside the scene folder")
    return path


def _resolve_if_any(table: Table, folder: Path, key: str) -> Path | None:
    return None if table.text(key, None) is None else _resolve(table, folder, key)


def _read_body(table: Table, folder: Path) -> BodyEntry:
    name = table.text("name")
    if "/" in name:
        raise InputError(
            table.place("name"), f"is {shown(name)}", "needs a name without '/': it is a key in the pose files"
        )
    if len(name) > NAME_LIMIT:
        raise InputError(table.place("name"), f"has {len(name)} characters", f"at most {NAME_LIMIT}")
    kind = find_kind(table.choice("kind", tuple(KINDS)))
    assert kind is not None  # it is one of the table
    entry = BodyEntry(
        name=name,
        kind=kind,
        path=_resolve(table, folder, "path") if kind.has_file else None,
        label=_read_label(table, kind),
        known=_read_known(table, kind),
        symmetry=table.choice("symmetry", SYMMETRIES, "none"),
        keys=table.fields(kind.Keys),
        matter=table.fields(Matter),
    )
    table.finish()
    return entry


def _read_label(table: Table, kind: BodyKind) -> int:
    """The body's label; NO_LABEL where one whose motion is given has none."""
    if kind.given and table.value("label", None) is None:
        return NO_LABEL
    return table.integer("label", 1, IGNORE_LABEL - 1)


def _read_known(table: Table, kind: BodyKind) -> bool:
    known = table.boolean("known", kind.given)
    if kind.given and not known:
        raise InputError(table.place("known"), "is false", f"{kind.name} at every frame are given, not estimated")
    return known


def _with_labels(bodies: tuple[BodyEntry, ...], path: Path) -> tuple[BodyEntry, ...]:
    """Labels that no body has, the highest ones, for bodies that need none."""
    if len(bodies) >= IGNORE_LABEL:
        raise InputError(f"{path}: [[body]]", f"{len(bodies)} bodies", f"at most {IGNORE_LABEL - 1}")
    free = sorted(set(range(1, IGNORE_LABEL)) - {body.label for body in bodies})
    return tuple(replace(body, label=free.pop(), labelled=False) if body.label == NO_LABEL else body for body in bodies)


def _check_unique(bodies: tuple[BodyEntry, ...], path: Path) -> None:
    for key in ("name", "label"):
        values = [getattr(body, key) for body in bodies]
        for value in values:
            if values.count(value) > 1 and value != NO_LABEL:
                raise InputError(f"{path}: [[body]], {key}", f"{value!r} is used twice", "every body needs its own")
