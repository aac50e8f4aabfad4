"""A scene from a USD stage: of a file, which is read in a process with limits, or one that is open."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from warpprior.bodies.body import Body
from warpprior.bodies.readers.usd_layers import ACCEPTED
from warpprior.io.gaps import filled_in_world
from warpprior.io.standing_camera import standing_camera
from warpprior.scene import SYMMETRIES, Camera, Scene, SceneBody
from warpprior.support.errors import InputError, MissingExtraError
from warpprior.support.openusd import ENDINGS
from warpprior.support.separate_process import Limits, run_separately
from warpprior.usd.camera import WORLD_FROM_CAMERA
from warpprior.usd.reading.bodies import BodyBuilder, BuiltBody, camera_from_world, matter_of, quaternions
from warpprior.usd.reading.motion import inverse, over, transforms
from warpprior.usd.reading.named import NamedBody, name_bodies
from warpprior.usd.reading.observed import Observed, observe, picture_size
from warpprior.usd.reading.opening import MOST_BYTES
from warpprior.world import CameraPath, World

if TYPE_CHECKING:
    from pxr import Usd

_STAND = 1e-6  # from where a stage of ours puts a camera that stands


@dataclass(frozen=True, eq=False)
class StageScene:
    """What a stage holds.

    Attributes:
        scene: camera, bodies and their motion; its ``warnings`` say what was guessed and left out.
        frames: named frames below bodies whose surface is given at every frame, as joints of hands:
            camera_from_frame (frame, 7), position [m] then quaternion xyzw, by body and name.
        paths: of the bodies' prims, by name.
    """

    scene: Scene
    frames: dict[str, dict[str, np.ndarray]]
    paths: dict[str, str]


def read_stage(
    stage: str | os.PathLike[str] | Usd.Stage,
    *,
    camera: str | None = None,
    bodies: Mapping[str, str | Body | None] | None = None,
    known: Iterable[str] | None = None,
    intrinsics: Camera | None = None,
    fps: float | None = None,
    num_frames: int | None = None,
    name: str | None = None,
    **observed: Any,
) -> StageScene:
    """A scene of what a stage shows: bodies, their motion as first poses, and the camera.

    Bodies are rigid bodies and components (``mesh``), surfaces whose points move (``vertices``, always known),
    characters of UsdSkel (``skin``) and articulations of UsdPhysics (``urdf``, known unless it is said otherwise).
    Those that are not named are guessed, and the notes say which and why.  Meshes below a prim are one surface,
    instances and simple solids among them, in metres, whatever units, axes and sizes the stage has.  Frame i
    is i / fps seconds after the stage's start; what lies between samples is interpolated as USD does it.

    A file is read in a process of its own with limits; it may be composed of files in its own folder.  A stage that is
    open is read as it is, and not changed.

    Args:
        stage: a ``.usd``, ``.usda``, ``.usdc`` or ``.usdz`` file, or a stage.
        camera: path of the camera's prim; None: the only one.  Without one, one is made up that sees everything.
        bodies: what prims are, by path: how they are read (``mesh``, ``vertices``, ``skin``, ``urdf``), a model by its
            kind and file (``hand:right``, ``mano:FILE``, ``smpl:FILE``, ``urdf:FILE``...), a :class:`Body` whose links
            are called as frames of the stage, or None where that is to be found.
        known: names or paths of bodies whose poses are given, not estimated; None as the stage or their kind says.
        intrinsics: of the camera, instead of the stage's.
        fps: frames per second; None: the stage's.
        num_frames: how many; None: the stage's.
        name: of the scene; None: the stage's.
        observed: files beside the stage, as :class:`Observed` has them: ``labels="labels/{:06d}.png"``.

    Raises:
        InputError: damaged, composed of what is elsewhere, or nothing in it is what was asked for.
        MissingExtraError: OpenUSD is not installed.
        RunError: no Python can be started to read a file.
    """
    if find_spec("pxr") is None:
        raise MissingExtraError("reading USD stages", "usd")
    named = name_bodies(bodies)
    folder, where = _place(stage)
    beside = Observed(**observed)
    size = (intrinsics.width, intrinsics.height) if intrinsics is not None else picture_size(beside, folder)
    asked = {
        "bodies": None if named is None else {path: one.form for path, one in named.items()},
        "camera": camera,
        "size": size,
        "fps": fps,
        "frame_count": num_frames,
    }
    arrays, told = _extract(stage, where, asked)
    return _Maker(where, folder, arrays, told, intrinsics).make(named or {}, known, beside, name)


def _place(stage: Any) -> tuple[Path, str]:
    """The folder that observations are relative to, and the stage's name in messages."""
    if isinstance(stage, (str, os.PathLike)):
        return Path(stage).absolute().parent, os.fspath(stage)
    path = stage.GetRootLayer().realPath
    return (Path(path).parent if path else Path.cwd()), stage.GetRootLayer().identifier


def _extract(stage: Any, where: str, asked: dict[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    if not isinstance(stage, (str, os.PathLike)):
        from warpprior.usd.reading.extract import extract_open

        return extract_open(stage, where, asked)
    path = Path(stage)
    if path.suffix.lower() not in ENDINGS:
        raise InputError(where, f"{path.suffix!r} files are not read", f"give one of {', '.join(ENDINGS)}")
    if not path.is_file() or path.stat().st_size > MOST_BYTES:
        found = "is not a file" if not path.is_file() else f"has {path.stat().st_size / 2**20:.0f} MiB"
        raise InputError(where, found, f"give a USD file of up to {MOST_BYTES >> 20} MiB")
    near = [path] if path.suffix.lower() == ".usdz" else [*path.parent.glob("*.usd*")]
    size = min(sum(file.stat().st_size for file in near if file.is_file()), MOST_BYTES)
    seconds = size / 2**20
    return run_separately(
        "warpprior.usd.reading.extract:read_file",
        {"path": str(path.resolve()), "where": where, **asked},
        where=where,
        accepted=ACCEPTED,
        limits=Limits(10.0 + seconds, (2 << 30) + 4 * size, 150.0 + seconds, 4 << 30),
    )


class _Maker:
    """Makes a scene of what was extracted."""

    def __init__(
        self, where: str, folder: Path, arrays: dict[str, np.ndarray], told: dict[str, Any], intrinsics: Camera | None
    ):
        self.where, self.folder, self.arrays, self.told = where, folder, arrays, told
        self.intrinsics, self.count = intrinsics, int(told["count"])
        self.notes: list[str] = list(told["notes"])

    def make(
        self, named: dict[str, NamedBody], known: Iterable[str] | None, observed: Observed, name: str | None
    ) -> StageScene:
        """The scene; arguments as of :func:`read_stage`."""
        camera, view, world = self._camera()
        builder = BodyBuilder(self.where, view, float(self.told["unit"]))
        built: list[tuple[dict[str, Any], BuiltBody]] = []
        for said in self.told["bodies"]:
            model = named.get(said["path"], NamedBody()).model
            try:
                built.append((said, builder.build(said, self._parts(said["key"]), model)))
            except InputError as error:
                if named:
                    raise
                self.notes.append(f"{said['path']} was left out: {error.found}")
        if not built:
            raise InputError(self.where, f"none of its bodies can be used: {self.notes[-1]}", ACCEPTED)
        labels = self._labels([said for said, _ in built])
        chosen = self._known(built, known)
        items = []
        for (said, one), label, is_known in zip(built, labels, chosen, strict=True):
            symmetry = said["symmetry"] if said["symmetry"] in SYMMETRIES else "none"
            source = named.get(said["path"], NamedBody()).source
            items.append(
                SceneBody(one.body, label, is_known, one.poses, None, symmetry, source, matter=matter_of(said))
            )
            self.notes += [f"{one.body.name}: {note}" for note in one.notes]
            if one.frames and one.body.animation is not None:
                self.notes.append(
                    f"{one.body.name}: a surface at every frame, with {len(one.frames)} named frames; name its model, "
                    "as hand:right, to have joints"
                )
        seen = observe(observed, self.folder, camera, self._lens(), items, self.count, self.told["fps"], self.notes)
        scene = Scene(
            name=name or self.told["name"] or Path(self.where).stem or "stage",
            camera=camera,
            fps=float(self.told["fps"]),
            bodies=tuple(items),
            world=world,
            warnings=tuple(self.notes),
            **seen,
        )
        frames = {one.body.name: one.frames for _, one in built if one.frames and one.body.animation is not None}
        paths = {one.body.name: said["path"] for said, one in built}
        return StageScene(filled_in_world(scene), frames, paths)

    def _parts(self, key: str) -> dict[str, np.ndarray]:
        return {name[len(key) + 1 :]: values for name, values in self.arrays.items() if name.startswith(f"{key}/")}

    def _camera(self) -> tuple[Camera, np.ndarray, World | None]:
        """The camera, camera_from_world (frame, 4, 4), and the world."""
        found, down = self.told["camera"], np.array(self.told["gravity"])
        if "camera" not in self.arrays:
            return self._made_up(down)
        view = over(camera_from_world(self.arrays["camera"], self.where), self.count)
        camera = self.intrinsics or Camera(*(found[key] for key in ("width", "height", "fx", "fy", "cx", "cy")))
        stand = inverse(view)
        path = CameraPath(stand[:, :3, 3].copy(), quaternions(stand))
        usual = np.array(WORLD_FROM_CAMERA)
        apart = np.abs(path.position[0] - usual[:3]).max()
        aligned = 1.0 - abs(float(path.rotation[0] @ usual[3:]))
        nobody_knows = self.told["own"] and apart < _STAND and aligned < _STAND  # where our own stages put it then
        if path.moves:
            return camera, view, World(path, None if nobody_knows else down)
        view = np.repeat(view[:1], self.count, axis=0)
        return camera, view, None if nobody_knows else World(None, view[0, :3, :3] @ down)

    def _made_up(self, down: np.ndarray) -> tuple[Camera, np.ndarray, World]:
        """A camera that stands and sees everything."""
        from scipy.spatial.transform import Rotation

        places = []
        for name, values in self.arrays.items():
            part = name.rpartition("/")[2]
            if part.startswith(("placed", "link", "own", "frame")) and values.ndim == 3:
                places.append(values[:, :3, 3])
                points = self.arrays.get(name.replace("placed", "points")) if part.startswith("placed") else None
                if points is not None and points.size:
                    moved = points.reshape(-1, 3).astype(np.float64)
                    ends = np.stack([moved.min(axis=0), moved.max(axis=0)])
                    places.append(ends @ values[0, :3, :3].T + values[0, :3, 3])
        level = Rotation.align_vectors([[0.0, 0.0, -1.0]], [down])[0]
        camera, path = standing_camera(level.apply(np.concatenate(places)), self.count)
        stand = transforms(
            (level.inv() * Rotation.from_quat(path.rotation)).as_matrix(), level.inv().apply(path.position)
        )
        view = inverse(stand)
        self.notes.append("there is no camera: one was made up that stands and sees everything")
        return self.intrinsics or camera, view, World(None, view[0, :3, :3] @ down)

    def _lens(self) -> list[Any] | None:
        return None if self.intrinsics is not None or not self.told["camera"] else self.told["camera"]["lens"]

    def _labels(self, bodies: list[dict[str, Any]]) -> list[int]:
        """Labels as the stage says them, or 1, 2, ... in order."""
        said = [body["about"].get("label") for body in bodies]
        good = [label for label in said if isinstance(label, int) and 0 < label < 255]
        return good if len(set(good)) == len(bodies) else list(range(1, len(bodies) + 1))

    def _known(self, built: list[tuple[dict[str, Any], BuiltBody]], known: Iterable[str] | None) -> list[bool]:
        """Which bodies are known, as is said, or as the stage or their kind says."""
        asked = None if known is None else set(known)
        found = []
        for said, one in built:
            given = one.body.animation is not None
            if asked is not None:
                mine = {one.body.name, said["path"]} & asked
                asked -= mine
                found.append(given or bool(mine))
            elif isinstance(said["about"].get("known"), bool):
                found.append(given or said["about"]["known"])
            else:
                found.append(given or one.body.kind == "urdf")
                if one.body.kind == "urdf":
                    self.notes.append(f"{one.body.name}: taken as known, as robots are; known=() has it estimated")
        if asked:
            there = ", ".join(one.body.name for _, one in built)
            raise InputError("known", f"{sorted(asked)[0]!r} is no body", f"bodies are {there}")
        return found
