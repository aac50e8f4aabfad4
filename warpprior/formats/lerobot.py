"""``lerobot``: episodes of a LeRobot data set, v3 or v2.1, by a mapping that says which columns are what.

Hands and objects have no standard columns there.  A mapping is a JSON file::

    {"frame": "world", "gravity": [0, 0, -1],
     "bodies": {"mug": {"mesh": "mug.obj", "position": "observation.state[0:3]", "rotation": "observation.state[3:7]",
                        "form": "xyzw"},
                "hand_right": {"side": "right", "keypoints": "observation.keypoints"}}}

Data sets that we wrote have one, ``meta/warpprior.json``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from warpprior.bodies.hand_parts import KEYPOINT_NAMES
from warpprior.bodies.posing import posed_keypoints
from warpprior.bodies.readers.hand import read_hand
from warpprior.bodies.readers.mesh import read_mesh
from warpprior.bodies.readers.urdf import read_urdf
from warpprior.formats.format import Format
from warpprior.formats.parts.lerobot_files import INFO, Episodes
from warpprior.formats.parts.lerobot_mapping import (
    FILE,
    WIDTHS,
    Columns,
    Mapped,
    from_quaternions,
    read_mapping,
    to_quaternions,
)
from warpprior.formats.parts.lerobot_writer import write_data_set
from warpprior.formats.parts.mano_hands import find_mano, hand_of
from warpprior.formats.parts.motion import complete, filled
from warpprior.formats.parts.own_files import inside
from warpprior.formats.parts.text_files import numbers
from warpprior.formats.parts.virtual_camera import into_camera, into_world, points_into_camera, points_into_world, still
from warpprior.formats.recording import Recording
from warpprior.io.standing_camera import standing_camera
from warpprior.io.world import CameraPath, World
from warpprior.scene import Camera, Poses, Scene, SceneBody
from warpprior.support.errors import InputError
from warpprior.support.limits import MOST_WHOLE, number
from warpprior.support.options import option

_FINGERS = 15  # joints of a MANO hand


@dataclass(frozen=True)
class LeRobotOptions:
    """Options of ``lerobot``."""

    mapping: Path | None = option(f"which columns are what, JSON (default: {FILE} of the data set)", metavar="FILE")
    episode: int = option("number of the episode", number(0, 0, MOST_WHOLE), metavar="N")
    mano: Path | None = option("folder of the MANO models (default: $WARPPRIOR_MANO)", metavar="DIR")
    pose_sigma: float = option(
        "how far given poses are off, in metres: they are held to that", number(0.005, 1e-5, 1.0)
    )
    task: str | None = option("what is done, in words, to write (default: what is moved)", metavar="TEXT")
    no_video: bool = option("write a data set without pictures", False)


class LeRobotFormat(Format):
    """Episodes of LeRobot."""

    name = "lerobot"
    title = "an episode of a LeRobot data set (v3, v2.1)"
    reads = (
        "what a mapping file says: objects with meshes, hands by 3D keypoints or MANO, robots with URDF, camera poses; "
        "extra `formats`"
    )
    writes = "back in place: the data file with the mapped columns changed; or v3 anew, an episode of each recording"
    verified = (
        "tables, tasks, statistics and times of pictures by lerobot 0.4.4's own reader; data sets made by pyarrow in "
        "its layout"
    )
    Options = LeRobotOptions

    def recognises(self, path: Path) -> str:
        there = (path / INFO).is_file() and (
            (path / "meta/episodes").is_dir() or (path / "meta/episodes.jsonl").is_file()
        )
        return INFO if there else ""

    def read(self, source: Path, options: LeRobotOptions) -> Recording:
        return _Reader(source, options).read()

    def write(self, recording: Recording, folder: Path, options: LeRobotOptions) -> tuple[str, ...]:
        if recording.origin is not None and recording.origin.format == self.name:
            return _write_back(recording, folder, options)
        return self.write_several((recording,), folder, options)

    def write_several(self, recordings: Sequence[Recording], folder: Path, options: LeRobotOptions) -> tuple[str, ...]:
        return write_data_set(recordings, folder, options.task, not options.no_video)


FORMAT = LeRobotFormat()


class _Reader:
    """One episode being read."""

    def __init__(self, source: Path, options: LeRobotOptions):
        self.options, self.notes = options, []
        self.episodes = Episodes(source)
        path = options.mapping or source / FILE
        if not path.is_file():
            accepted = "--mapping FILE.json, which says what columns are (docs/formats.md)"
            raise InputError(str(path), "does not exist: columns of LeRobot have no standard", accepted)
        self.map = read_mapping(path)
        self.file, self.rows = self.episodes.find(options.episode)
        self.count = len(self.rows)
        self.camera, self.path = self._camera()

    def values(self, columns: Columns, width: int | None = None) -> np.ndarray:
        """Values (frame, n) of the episode."""
        return columns.read(self.file, self.rows, width)

    def placed(self, columns: Columns) -> np.ndarray:
        """Places (frame, n, 3) [m]."""
        found = self.values(columns)
        if found.shape[1] % 3 or not found.shape[1]:
            raise InputError(f"{self.file.path}: {columns}", f"has {found.shape[1]} values", "three for each place")
        return found.reshape(self.count, -1, 3) * self.map.unit

    def turns(self, body: Mapped) -> np.ndarray:
        """Quaternions (frame, 4) xyzw."""
        columns, form = body.needed("rotation"), body.form()
        return to_quaternions(self.values(columns, WIDTHS[form]), form, f"{self.file.path}: {columns}")

    def _camera(self) -> tuple[Camera, CameraPath | None]:
        keys, given = self.map.camera.keys, ("width", "height", "fx", "fy", "cx", "cy")
        camera, path = None, None
        if any(key in keys for key in given):
            where = self.map.camera.where
            read = {key: float(numbers(keys.get(key), (), f"{where}: {key}")) for key in given}
            lens = (read[key] for key in given[2:])
            camera = Camera(int(read["width"]), int(read["height"]), *lens)
        if self.map.frame == "world" and "position" in keys:
            position = self.placed(self.map.camera.needed("position"))[:, 0]
            rotation = self.turns(self.map.camera)
            if not (complete(position) & complete(rotation)).all():
                raise InputError(self.map.camera.where, "has frames without a pose", "a pose of the camera in each")
            path = CameraPath(position, rotation)
        if camera is None or (path is None and self.map.frame == "world"):
            stand, standing = standing_camera(self._seen(), self.count)
            camera = camera or stand
            if path is None and self.map.frame == "world":
                path = standing
                self.notes.append("no camera is mapped: one was made up that stands and sees everything")
        return camera, path

    def _seen(self) -> np.ndarray:
        found = [
            self.placed(columns).reshape(-1, 3)
            for body in self.map.bodies
            for key in ("position", "keypoints")
            if (columns := body.columns(key)) is not None
        ]
        if not found:
            raise InputError(str(self.map.path), "maps no position and no keypoints", "position of each body")
        places = np.concatenate(found)
        places = places[complete(places) & (np.abs(places).max(axis=1) > 0.0)]
        return places if len(places) else np.zeros((1, 3))

    def read(self) -> Recording:
        keypoints: dict[str, np.ndarray] = {}
        bodies = [self.body(body, label, keypoints) for label, body in enumerate(self.map.bodies, start=1)]
        self.notes.append(
            f"no picture is read: given poses are held to {1000 * self.options.pose_sigma:g} mm, and physics mends them"
        )
        gravity = self.map.gravity if self.path is not None else None
        if self.path is not None and gravity is None:
            self.notes.append("the direction of gravity is not known: the mapping does not name it")
        scene = Scene(
            name=f"{self.episodes.root.resolve().name} {self.options.episode}",
            camera=self.camera,
            fps=self.episodes.fps,
            bodies=tuple(bodies),
            keypoints3d=keypoints,
            warnings=tuple(self.notes),
            noise={"poses": self.options.pose_sigma},
        )
        return Recording(scene, World(self.path, gravity))

    def valid(self, body: Mapped) -> np.ndarray:
        """Frames (frame,) in which the body has a pose."""
        columns = body.columns("valid")
        return np.ones(self.count, dtype=bool) if columns is None else self.values(columns, 1)[:, 0] > 0.5

    def body(self, body: Mapped, label: int, keypoints: dict[str, np.ndarray]) -> SceneBody:
        """One body of the mapping."""
        keys, known = body.keys, bool(body.keys.get("known", False))
        kinds = [key for key in ("mesh", "urdf", "keypoints", "mano") if keys.get(key)]
        if len(kinds) != 1:
            raise InputError(
                body.where, f"has {' and '.join(kinds) or 'no kind'}", "one of mesh, urdf, keypoints, mano"
            )
        (kind,), side = kinds, str(keys.get("side"))
        if kind in ("keypoints", "mano") and side not in ("left", "right"):
            raise InputError(f"{body.where}: side", f"is {side[:20]!r}", "left or right")
        if kind == "keypoints":
            keypoints[body.name] = self._keypoints(body)
            return SceneBody(read_hand(side, name=body.name), label, False)  # its start is fitted
        position, rotation = self.placed(body.needed("position"))[:, 0], self.turns(body)
        valid = self.valid(body) & complete(position) & complete(rotation)
        if kind == "mano":
            hand = find_mano(self.options.mano, side)
            shape = self._shape(body, valid)
            position = position if keys.get("wrist", True) else position + hand.root(shape)
            joints = hand.full_pose(
                self._fingers(body), pca=False, flat_hand_mean=bool(keys.get("flat_hand_mean", True))
            )
            return hand.scene_body(
                body.name, label, self._poses(body, position, rotation, valid, joints, shape), known=known
            )
        source = self._file(body, kind)
        if kind == "urdf":
            made = read_urdf(source, body.name)
            joints = self.values(body.needed("joints"), made.coordinate_count) if made.coordinate_count else None
            self.notes += [f"{source.name}: {warning}" for warning in made.warnings]
        else:
            scale = float(numbers(keys.get("mesh_scale", 1.0), (), f"{body.where}: mesh_scale"))
            if not 1e-6 <= scale <= 1e3:
                raise InputError(f"{body.where}: mesh_scale", f"is {scale:g}", "metres per unit of the mesh")
            made, joints = read_mesh(source, body.name, scale=scale), None
            self.notes += [f"{source.name}: {warning}" for warning in made.warnings]
            made = replace(made, warnings=())
        poses = self._poses(body, position, rotation, valid, joints)
        return SceneBody(made, label, known, poses, source=source)

    def _poses(
        self,
        body: Mapped,
        position: np.ndarray,
        rotation: np.ndarray,
        valid: np.ndarray,
        joints: np.ndarray | None = None,
        shape: np.ndarray | None = None,
    ) -> Poses:
        rotation = np.where(valid[:, None], rotation, [0.0, 0.0, 0.0, 1.0])
        if self.path is not None:
            position, rotation = into_camera(self.path, position, rotation)
        return filled(self.file.path, body.name, position, rotation, valid, self.notes, joints=joints, shape=shape)

    def _file(self, body: Mapped, key: str) -> Path:
        """The mesh or URDF file, beside the mapping or in the data set."""
        text, where = body.keys[key], f"{body.where}: {key}"
        if not isinstance(text, str) or not 0 < len(text) < 500:
            raise InputError(where, "is no path", "a file beside the mapping or in the data set")
        name = text.replace("{episode:06d}", f"{self.options.episode:06d}")
        for root in (self.map.path.parent, self.episodes.root):
            if (root / name).is_file():
                return inside(root / name, root)
        raise InputError(where, f"{name} is not there", f"a file below {self.map.path.parent} or {self.episodes.root}")

    def _keypoints(self, body: Mapped) -> np.ndarray:
        columns, rows = body.needed("keypoints"), body.points()
        places = self.placed(columns)
        if places.shape[1] != body.point_count():
            found = f"has {places.shape[1]} points"
            raise InputError(f"{self.file.path}: {columns}", found, f"{body.point_count()}, as points says")
        there = np.isfinite(places).all(axis=2) & (np.abs(places).max(axis=2) > 0.0) & self.valid(body)[:, None]
        trust, given = there.astype(np.float64), body.columns("confidence")
        if given is not None:
            confidence = self.values(given)
            if confidence.shape[1] not in (1, places.shape[1]):
                raise InputError(
                    f"{self.file.path}: {given}", f"has {confidence.shape[1]} values", "1, or one for each point"
                )
            trust = trust * np.clip(np.nan_to_num(confidence), 0.0, 1.0)
        places = np.where(there[..., None], places, 0.0)
        places = places if self.path is None else points_into_camera(self.path, places)
        seen = np.zeros((self.count, len(KEYPOINT_NAMES), 4))
        for ours, theirs in rows.items():
            seen[:, ours, :3], seen[:, ours, 3] = places[:, theirs], trust[:, theirs]
        self.notes.append(f"{body.name}: our own hand, fitted to {len(rows)} keypoints")
        return seen

    def _shape(self, body: Mapped, valid: np.ndarray) -> np.ndarray:
        given = body.keys.get("shape")
        if isinstance(given, list):
            return numbers(given, (10,), f"{body.where}: shape")
        values = self.values(body.needed("shape"), 10)[valid]
        values = values[complete(values)]
        if not len(values):
            raise InputError(f"{self.file.path}: {body.needed('shape')}", "is finite in no frame", "ten numbers")
        return values[0]

    def _fingers(self, body: Mapped) -> np.ndarray:
        """Rotation vectors (frame, 45) of the fingers; frames without one are flat, and never used."""
        from scipy.spatial.transform import Rotation

        columns, form = body.needed("joints"), body.form("joints_form", "rotvec")
        values = self.values(columns, _FINGERS * WIDTHS[form])
        if form == "rotvec":
            return np.where(np.isfinite(values), values, 0.0)
        turns = to_quaternions(values.reshape(-1, WIDTHS[form]), form, f"{self.file.path}: {columns}")
        turns = np.where(np.isfinite(turns), turns, [0.0, 0.0, 0.0, 1.0])
        return Rotation.from_quat(turns).as_rotvec().reshape(self.count, -1)


def _write_back(recording: Recording, folder: Path, options: LeRobotOptions) -> tuple[str, ...]:
    """The data file with the episode's mapped columns in the poses of the recording, at the frames that had some."""
    assert recording.origin is not None
    reader = _Reader(recording.origin.path, options)
    recording.check_frames(reader.count, reader.file.path)
    path = recording.world.camera or still(reader.count)
    new: dict[str, np.ndarray] = {}

    def put(columns: Columns, values: np.ndarray, frames: np.ndarray) -> None:
        stored = reader.file.numbers(columns.name)[reader.rows]
        now = new.setdefault(columns.name, stored)
        now[np.ix_(frames, np.arange(now.shape[1])[columns.of_rows(now.shape[1], "")])] = values[frames]

    items, written = {item.name: item for item in recording.scene.bodies}, []
    for body in reader.map.bodies:
        item = items.get(body.name)
        if item is None or item.known:
            continue
        poses, valid, written = item.initial, reader.valid(body), [*written, body.name]
        if body.keys.get("keypoints"):
            columns, rows = body.needed("keypoints"), body.points()
            places = reader.values(columns).reshape(reader.count, -1, 3)
            moved = points_into_world(path, posed_keypoints(item.body, poses).astype(np.float64)) / reader.map.unit
            there = np.isfinite(places).all(axis=2) & (np.abs(places).max(axis=2) > 0.0)
            after = places.copy()
            for ours, theirs in rows.items():
                after[:, theirs] = np.where(there[:, theirs, None], moved[:, ours], places[:, theirs])
            put(columns, after.reshape(reader.count, -1), np.flatnonzero(valid))
            continue
        columns = body.needed("rotation")
        before, form = reader.values(columns), body.form()
        turned = reader.turns(body)
        frames = np.flatnonzero(valid & complete(turned) & complete(reader.placed(body.needed("position"))[:, 0]))
        position, rotation = into_world(path, poses.position, poses.rotation)
        if body.keys.get("mano") and not body.keys.get("wrist", True):
            position = position - hand_of(item).root(poses.shape)
        put(body.needed("position"), position / reader.map.unit, frames)
        put(columns, from_quaternions(rotation, form, before), frames)
        if body.keys.get("mano"):
            put(body.needed("joints"), _fingers_of(item, body, reader), frames)
        elif poses.joints.shape[1]:
            put(body.needed("joints"), poses.joints, frames)
    target = reader.file.path.relative_to(reader.episodes.root)
    reader.file.write(folder / target, reader.rows, new)
    said = f"{target}: {', '.join(written) or 'nothing'} in {reader.count} frames of episode {options.episode}"
    return (f"{said}; all else is as it was", "statistics in meta are those of the motion before")


def _fingers_of(item: SceneBody, body: Mapped, reader: _Reader) -> np.ndarray:
    """Finger rotations in the form that they came in."""
    from scipy.spatial.transform import Rotation

    form, columns = body.form("joints_form", "rotvec"), body.needed("joints")
    vectors = item.initial.joints
    if not body.keys.get("flat_hand_mean", True):
        vectors = vectors - hand_of(item).model.full_pose(
            np.zeros((1, vectors.shape[1])), pca=False, flat_hand_mean=False
        )
    if form == "rotvec":
        return vectors
    before = reader.values(columns).reshape(-1, WIDTHS[form])
    turns = Rotation.from_rotvec(vectors.reshape(-1, 3)).as_quat()
    return from_quaternions(turns, form, before).reshape(reader.count, -1)
