"""scene.toml: what a scene folder says about itself, parsed and checked; no other file is opened here."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from warpprior.io.conventions import MOST_COMPONENTS, TRANSLATIONS
from warpprior.io.images import PIXEL_LIMIT
from warpprior.io.table import Table, read_table
from warpprior.io.wording import shown
from warpprior.scene import IGNORE_LABEL, SYMMETRIES, Camera
from warpprior.support.errors import InputError

SCENE_FILE = "scene.toml"
READABLE_KINDS = ("mesh", "urdf", "hand", "mano", "smpl", "skin", "vertices")
FRAME_LIMIT = 1_000_000
FPS_RANGE = (0.01, 10_000.0)
FOCAL_RANGE = (0.01, 1000.0)  # of focal lengths, in sizes of the picture
NAME_LIMIT = 200
NO_LABEL = 0  # stands for a label still to be chosen
SIDES = ("left", "right")

# One integer field; anything else a format string can do (attributes, nesting, huge widths) stays out.
_TEMPLATE = re.compile(r"[^{}]*\{(:0?[1-9]?d)?\}[^{}]*")


@dataclass(frozen=True)
class BodyEntry:
    """One ``[[body]]`` table; ``path`` is resolved and inside the scene folder, None for the kind ``hand``.

    A body that is not ``labelled`` has a label that is given to no other, and is in no label image.
    """

    name: str
    kind: str
    path: Path | None
    label: int
    known: bool
    symmetry: str
    mesh_scale: float = 1.0
    side: str | None = None
    correct_left_shape: bool = False
    pca: int | None = None
    flat_hand_mean: bool = True
    translation: str = "root"
    prim: str | None = None
    camera: str | None = None
    labelled: bool = True


@dataclass(frozen=True)
class SceneFile:
    """scene.toml as typed values; image entries are templates with one frame number, relative to ``folder``."""

    folder: Path
    camera: Camera
    distortion: tuple[float, ...] | None
    count: int
    fps: float
    rgb: str | None
    labels: str | None
    depth: str | None
    depth_scale: float
    bodies: tuple[BodyEntry, ...]
    initial: Path
    truth: Path | None
    keypoints: Path | None
    timestamps: Path | None
    warnings: tuple[str, ...]

    def frame_path(self, template: str, frame: int) -> Path:
        """The image of one frame; InputError when it leads out of the scene folder, through links too."""
        return resolve_inside(self.folder, template.format(frame), f"{self.folder / SCENE_FILE}: [frames]")


def resolve_inside(folder: Path, relative: str, where: str) -> Path:
    """``folder / relative`` with links followed; InputError unless it lies inside ``folder``."""
    resolved = os.path.realpath(folder / relative)
    root = os.path.realpath(folder)
    if os.path.isabs(relative) or os.path.commonpath([root, resolved]) != root:
        raise InputError(
            where, f"{shown(relative)} leads out of the scene folder", "use a path inside the scene folder"
        )
    return Path(resolved)


def model_root(folder: Path, model: Path) -> Path:
    """The folder a model's own files must lie in: the topmost one below the scene folder that holds the model.

    Robots often come as ``robot/urdf/robot.urdf`` with meshes in ``robot/meshes``.
    """
    parts = model.relative_to(os.path.realpath(folder)).parts
    return model.parents[len(parts) - 2] if len(parts) > 1 else model.parent


def read_scene_file(folder: str | Path) -> SceneFile:
    """Parse and check ``scene.toml`` of a scene folder.

    Raises:
        InputError: the folder or file is missing, or a key is missing, unknown, of a wrong type or out of range.
    """
    folder = Path(folder)
    if not folder.is_dir():
        accepted = f"give the folder that holds {SCENE_FILE}"
        raise InputError(str(folder), "is a file" if folder.exists() else "does not exist", accepted)
    path = folder / SCENE_FILE
    if not path.is_file():
        raise InputError(str(folder), f"has no {SCENE_FILE}", f"a scene folder is described by its {SCENE_FILE}")
    resolve_inside(folder, SCENE_FILE, str(folder))
    root = read_table(path)
    notes: list[str] = []
    camera, distortion = _read_camera(root.table("camera"), notes)
    frames = root.table("frames")
    count = frames.integer("count", 1, FRAME_LIMIT)
    fps = frames.number_within("fps", *FPS_RANGE)
    rgb, labels, depth = (_read_template(frames, folder, key) for key in ("rgb", "labels", "depth"))
    depth_scale = frames.number("depth_scale", 0.001, positive=True)
    timestamps = _resolve_if_any(frames, folder, "timestamps")
    frames.finish()
    bodies = tuple(_read_body(table, folder) for table in root.tables("body"))
    _check_unique(bodies, path)
    bodies = _with_labels(bodies, path)
    poses = root.table("poses")
    initial = _resolve(poses, folder, "initial")
    truth = _resolve_if_any(poses, folder, "truth")
    poses.finish()
    keypoints = None
    detections = root.table("keypoints", required=False)
    if detections is not None:
        keypoints = _resolve(detections, folder, "file")
        detections.finish()
    root.finish()
    return SceneFile(
        folder=folder,
        camera=camera,
        distortion=distortion,
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
        warnings=tuple(notes),
    )


def _read_camera(table: Table, notes: list[str]) -> tuple[Camera, tuple[float, ...] | None]:
    width, height = table.integer("width", 2, 100_000), table.integer("height", 2, 100_000)
    if width * height > PIXEL_LIMIT:
        accepted = f"at most {PIXEL_LIMIT // 1_000_000} megapixels"
        raise InputError(table.place("width, height"), f"{width} x {height} pixels", accepted)
    low, high = FOCAL_RANGE
    fx = table.number_within("fx", low * width, high * width)
    fy = table.number_within("fy", low * height, high * height)
    cx, cy = table.number("cx"), table.number("cy")
    distortion = table.numbers("distortion", 5, "k1, k2, p1, p2, k3; rectify images of other lens models first")
    table.finish()
    for key, centre, size in (("cx", cx, width), ("cy", cy, height)):
        if not -size <= centre <= 2 * size:
            found = f"is {centre:g} for an image of {width} x {height}"
            raise InputError(table.place(key), found, "these look like the intrinsics of another resolution")
        if not 0 <= centre <= size:
            notes.append(f"scene.toml: [camera], {key} is {centre:g}: the principal point is outside the image")
    if not 0.5 <= fx / fy <= 2.0:
        notes.append(f"scene.toml: [camera], fx is {fx:g} and fy {fy:g}: pixels this far from square are rare")
    if not 0.1 <= fx / width <= 50.0:
        notes.append(f"scene.toml: [camera], fx is {fx:g} for a width of {width}: an unusual field of view")
    return Camera(width, height, fx, fy, cx, cy), distortion if distortion and any(distortion) else None


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
    kind = table.choice("kind", READABLE_KINDS)
    entry = BodyEntry(
        name=name,
        kind=kind,
        path=None if kind == "hand" else _resolve(table, folder, "path"),
        label=_read_label(table, kind),
        known=_read_known(table, kind),
        symmetry=table.choice("symmetry", SYMMETRIES, "none"),
        **_read_kind_keys(table, kind),
    )
    table.finish()
    return entry


def _read_label(table: Table, kind: str) -> int:
    """The body's label; NO_LABEL where one that is given as vertices has none."""
    if kind == "vertices" and table.value("label", None) is None:
        return NO_LABEL
    return table.integer("label", 1, IGNORE_LABEL - 1)


def _read_known(table: Table, kind: str) -> bool:
    known = table.boolean("known", kind == "vertices")
    if kind == "vertices" and not known:
        raise InputError(table.place("known"), "is false", "vertices at every frame are given, not estimated")
    return known


def _with_labels(bodies: tuple[BodyEntry, ...], path: Path) -> tuple[BodyEntry, ...]:
    """Labels that no body has, the highest ones, for bodies that need none."""
    if len(bodies) >= IGNORE_LABEL:
        raise InputError(f"{path}: [[body]]", f"{len(bodies)} bodies", f"at most {IGNORE_LABEL - 1}")
    free = sorted(set(range(1, IGNORE_LABEL)) - {body.label for body in bodies})
    return tuple(replace(body, label=free.pop(), labelled=False) if body.label == NO_LABEL else body for body in bodies)


def _read_kind_keys(table: Table, kind: str) -> dict:
    """Keys that only some kinds have."""
    if kind == "mesh":
        return {"mesh_scale": table.number("mesh_scale", 1.0, positive=True)}
    if kind == "hand":
        return {"side": table.choice("side", SIDES, "right")}
    if kind == "vertices":
        return {key: table.text(key, None) for key in ("prim", "camera")}
    keys = {}
    if kind in ("mano", "smpl"):
        keys["translation"] = table.choice("translation", TRANSLATIONS, "root")
    if kind == "mano":
        keys["side"] = None if table.value("side", None) is None else table.choice("side", SIDES)
        keys["correct_left_shape"] = table.boolean("correct_left_shape", False)
        keys["flat_hand_mean"] = table.boolean("flat_hand_mean", True)
        if table.value("pca", None) is not None:
            keys["pca"] = table.integer("pca", 1, MOST_COMPONENTS)
    return keys


def _check_unique(bodies: tuple[BodyEntry, ...], path: Path) -> None:
    for key in ("name", "label"):
        values = [getattr(body, key) for body in bodies]
        for value in values:
            if values.count(value) > 1 and value != NO_LABEL:
                raise InputError(f"{path}: [[body]], {key}", f"{value!r} is used twice", "every body needs its own")
