"""``hot3d``: recordings of HOT3D in their raw layout, and its clips (one tar archive each).

Hands are UmeTrack's, which need no licence, or MANO's.  Cameras are fisheye and move with a head; poses are in the
world.  Quaternions are w first everywhere, times are nanoseconds.  The raw layout keeps its pictures in VRS files,
which are not read (facebookresearch/hot3d:hot3d/data_loaders, hot3d/clips/README.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from warpprior.bodies.readers.mesh import read_mesh
from warpprior.bodies.readers.umetrack import JOINTS, read_umetrack, umetrack_body
from warpprior.formats.format import Format
from warpprior.formats.parts.hot3d_back import write_tables
from warpprior.formats.parts.hot3d_clip import is_clip, read_clip
from warpprior.formats.parts.hot3d_files import HandTrack, Hot3d, read_folder
from warpprior.formats.parts.intrinsics import note_half_pixel
from warpprior.formats.parts.mano_hands import find_mano
from warpprior.formats.parts.motion import camera_path, complete, filled, note_camera
from warpprior.formats.parts.own_files import find_model, inside
from warpprior.formats.parts.pictures import hide_unlabelled
from warpprior.formats.parts.text_files import read_json
from warpprior.formats.parts.virtual_camera import into_world
from warpprior.formats.recording import Recording
from warpprior.io.world import World
from warpprior.scene import Poses, Scene, SceneBody
from warpprior.support.errors import InputError
from warpprior.support.limits import number
from warpprior.support.options import option

SIDES = ("left", "right")


@dataclass(frozen=True)
class Hot3dOptions:
    """Options of ``hot3d``."""

    stream: str | None = option("camera to take, as 214-1 or 1201-1 (default: the first)", metavar="STREAM")
    hands: str = option("model of the hands", "umetrack", choices=("umetrack", "mano", "none"))
    mano: Path | None = option("folder of the MANO models, for --hands mano (default: $WARPPRIOR_MANO)", metavar="DIR")
    meshes: Path | None = option("folder of the objects' GLB files (default: object_library near it)", metavar="DIR")
    pose_sigma: float = option(
        "how far given poses are off, in metres, where there are no masks; they are held to it",
        number(0.005, 1e-5, 1.0),
    )


class Hot3dFormat(Format):
    """Recordings and clips of HOT3D."""

    name = "hot3d"
    title = "a recording of HOT3D, or one of its clips (tar)"
    reads = (
        "objects, both hands (UmeTrack, or MANO), poses of the moving camera; of clips also pictures and masks of one "
        "camera, rectified from FISHEYE624"
    )
    writes = "back in place, of recordings: objects and UmeTrack hands in their tables; clips are not"
    verified = (
        "the genuine sample of its repository (Quest 3, Aria): the right hand on the mouse, 2D boxes; clips made in "
        "their layout"
    )
    Options = Hot3dOptions

    def recognises(self, path: Path) -> str:
        if path.is_file():
            return f"frames in {path.name}" if is_clip(path) else ""
        files = "dynamic_objects.csv", "headset_trajectory.csv"
        return files[1] if all((path / file).is_file() for file in files) else ""

    def splits_of(self, path: Path) -> tuple[str, ...]:
        """The folder of a clip, as ``train_quest3``, and what ``clip_splits.json`` beside it says of its number."""
        if path.is_dir():
            return ()
        folder = path.absolute().parent
        found = [folder.name] if folder.name.startswith(("train_", "test_")) else []
        file, number_of = folder.parent / "clip_splits.json", path.stem.rpartition("-")[2]
        tree = read_json(inside(file, file.parent), "splits of HOT3D") if file.is_file() else {}
        for name, listed in tree.items() if isinstance(tree, dict) else ():
            if number_of.isdigit() and int(number_of) in _whole_numbers(listed):
                found.append(str(name))
        return tuple(found)

    def read(self, source: Path, options: Hot3dOptions) -> Recording:
        notes: list[str] = []
        found = (
            read_clip(source, options.stream, notes) if source.is_file() else read_folder(source, options.stream, notes)
        )
        return _Maker(source, found, options, notes).recording()

    def write(self, recording: Recording, folder: Path, options: Hot3dOptions) -> tuple[str, ...]:
        origin = self.origin_of(recording, "a recording", "poses go back into its tables")
        if origin.path.is_file():
            raise InputError(str(origin.path), "is a clip, which is not written", "a recording, or another format")
        found = read_folder(origin.path, options.stream, [])
        path = recording.world.camera
        recording.check_frames(len(found.times), origin.path)
        assert path is not None, "reading made one"
        objects, hands, said = {}, {}, []
        for item in recording.scene.bodies:
            position, rotation = into_world(path, item.initial.position, item.initial.rotation)
            poses = np.concatenate([position, rotation], axis=1)
            side = item.name.removeprefix("hand_")
            uid = next((uid for uid in found.objects if found.names.get(uid, f"object_{uid}") == item.name), None)
            if item.known:
                continue
            if uid is not None:
                poses[~complete(found.objects[uid])] = np.nan
                objects[uid] = poses
            elif side in found.umetrack and item.body.kind == "umetrack":
                poses[~complete(found.umetrack[side].poses)] = np.nan
                hands[side] = poses, item.initial.joints
            else:
                said.append(f"{item.name} stays as it was: 15 numbers of MANO do not hold its pose")
        written = write_tables(origin.path, folder, options.stream, objects, hands)
        return (f"{', '.join(written) or 'nothing'} in {len(found.times)} frames; all else is as it was", *said)


def _whole_numbers(tree: object) -> set[int]:
    """Those of a list, or of lists by names."""
    parts = tree.values() if isinstance(tree, dict) else [tree]
    return {value for part in parts if isinstance(part, list) for value in part if type(value) is int}


class _Maker:
    """A recording of what was read."""

    def __init__(self, source: Path, found: Hot3d, options: Hot3dOptions, notes: list[str]):
        self.source, self.found, self.options, self.notes = source, found, options, notes
        note_half_pixel(str(source), notes)
        matrices = np.where(np.isfinite(found.world_from_camera), found.world_from_camera, 0.0)
        valid = complete(found.world_from_camera)
        path = camera_path(matrices, valid, f"{source}: poses of the camera", notes)
        if path is None:
            raise InputError(str(source), "has no pose of its camera", "needs the headset's trajectory")
        self.path, self.to_camera = path, np.linalg.inv(path.matrices())

    def recording(self) -> Recording:
        found, notes, options = self.found, self.notes, self.options
        bodies = self._objects()
        masked = {item.name for item in bodies if item.name in found.masks}
        hands = [] if options.hands == "none" else [item for side in SIDES if (item := self._hand(side, len(bodies)))]
        labels = None
        noise: dict[str, float] = {}
        if masked:
            labels = found.labels(bodies, notes)
            bodies = [replace(item, known=item.name not in masked) for item in bodies]
            hands = [replace(item, known=True) for item in hands]
            if hands:
                notes.append("hands have no masks: they are known")
        else:
            noise = {"poses": options.pose_sigma}
            held = f"given poses are held to {1000 * options.pose_sigma:g} mm"
            notes.append(f"there are no masks: {held}, and physics mends them")
        note_camera(self.path, notes)
        scene = Scene(
            name=found.name,
            camera=found.lens.camera,
            fps=found.fps,
            bodies=(*bodies, *hands),
            labels=labels,
            read_rgb=found.pictures,
            timestamps=found.times,
            warnings=tuple(notes),
            noise=noise,
        )
        return Recording(hide_unlabelled(scene, [item.name for item in hands]), World(self.path))

    def _in_camera(self, name: str, poses: np.ndarray, **more) -> Poses:
        """Poses (frame, 7) of the world, quaternions xyzw and NaN where there is none, in the camera's frame."""
        from scipy.spatial.transform import Rotation

        valid = complete(poses)
        usable = np.where(valid[:, None], poses, [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0])
        turns = self.to_camera[:, :3, :3]
        position = np.einsum("fab,fb->fa", turns, usable[:, :3]) + self.to_camera[:, :3, 3]
        rotation = (Rotation.from_matrix(turns) * Rotation.from_quat(usable[:, 3:])).as_quat()
        return filled(self.source, name, position, rotation, valid, self.notes, **more)

    def _objects(self) -> list[SceneBody]:
        folders = self._libraries()
        items, missing = [], []
        for uid, poses in sorted(self.found.objects.items()):
            mesh = find_model(folders, self.found.mesh_names(uid), self.notes)
            if mesh is None or not complete(poses).any():
                missing.append(uid)
                continue
            name = self.found.names.get(uid, f"object_{uid}")
            body = read_mesh(mesh, name)
            self.notes += [f"{mesh.name}: {warning}" for warning in body.warnings]
            items.append(SceneBody(body, len(items) + 1, False, self._in_camera(name, poses), source=mesh))
        if missing:
            self.notes.append(f"objects without a mesh or a pose were left out: {', '.join(missing)}")
        if not items:
            raise InputError(str(self.source), "no mesh of its objects is near it", "name their folder: --meshes DIR")
        return items

    def _libraries(self) -> list[Path]:
        """Folders that may hold meshes: the one that is named, or those near the recording."""
        if self.options.meshes is not None:
            return [self.options.meshes]
        names = ("object_library", "assets", "object_models", "object_models_eval")
        above = self.source.absolute().parents[:3]
        return [place / name for place in above for name in names if (place / name).is_dir()]

    def _hand(self, side: str, labels: int) -> SceneBody | None:
        name, label = f"hand_{side}", labels + 1 + SIDES.index(side)
        tracks = self.found.umetrack if self.options.hands == "umetrack" else self.found.mano
        track = tracks.get(side)
        if track is None or not complete(track.poses).any():
            self.notes.append(f"{name} has no pose; it was left out")
            return None
        return (
            self._umetrack(name, label, track) if self.options.hands == "umetrack" else self._mano(name, label, track)
        )

    def _umetrack(self, name: str, label: int, track: HandTrack) -> SceneBody:
        profile = self.found.profile
        if profile is None:
            raise InputError(str(self.source), "has no profile of its UmeTrack hands", "--hands mano, or none")
        side, file = name.removeprefix("hand_"), profile if isinstance(profile, Path) else None
        body = read_umetrack(file, name, side=side) if file else umetrack_body(profile, name, side=side, where=name)
        joints = np.where(complete(track.poses)[:, None], track.joints[:, :JOINTS], 0.0)
        poses = self._in_camera(name, track.poses, joints=joints)
        return SceneBody(body, label, False, poses, source=file)

    def _mano(self, name: str, label: int, track: HandTrack) -> SceneBody:
        hand = find_mano(self.options.mano, name.removeprefix("hand_"), correct_left_shape=True)
        shape = self.found.betas
        if shape is None:
            raise InputError(str(self.source), "does not say the shape of its hands", "--hands umetrack, or none")
        valid = complete(track.poses)
        joints = hand.full_pose(np.where(valid[:, None], track.joints, 0.0), pca=True, flat_hand_mean=False)
        wrist = track.poses.copy()
        wrist[:, :3] += hand.root(shape)  # its translation is added to the turned hand: it is not the wrist
        return hand.scene_body(name, label, self._in_camera(name, wrist, joints=joints, shape=shape))


FORMAT = Hot3dFormat()
