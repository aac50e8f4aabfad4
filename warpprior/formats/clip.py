"""``clip``: a folder of loose outputs: pictures, masks, poses, a mesh, intrinsics, hands, each as its program left it.

What each file is, is guessed from its name and its contents, and said in a note; an option decides where the guess is
not clear.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from warpprior.bodies.readers.hand import read_hand
from warpprior.bodies.readers.mesh import UNITS
from warpprior.formats.format import Format
from warpprior.formats.parts.clip_frames import ClipFrames
from warpprior.formats.parts.clip_hands import HandTrack, read_hand_tracks
from warpprior.formats.parts.clip_roles import ROLES, find_roles
from warpprior.formats.parts.keypoints import ORDERS
from warpprior.formats.parts.mask_sources import ONE, read_masks
from warpprior.formats.parts.mesh_units import read_mesh_of_any_unit
from warpprior.formats.parts.motion import camera_path, complete, filled, note_camera, split_transforms, transforms_of
from warpprior.formats.parts.network_hands import CONVENTIONS, HandChoices
from warpprior.formats.parts.pictures import (
    Masks,
    depth_pictures,
    known_without_masks,
    label_images,
)
from warpprior.formats.parts.pose_files import PoseTrack, read_pose_track
from warpprior.formats.parts.timeline import Timeline
from warpprior.formats.recording import Recording
from warpprior.io.world import World
from warpprior.scene import IGNORE_LABEL, Camera, Scene, SceneBody
from warpprior.support.errors import InputError
from warpprior.support.limits import number
from warpprior.support.options import option

_PLAIN_NAMES = ("mesh", "model", "textured", "textured_mesh", "object", "obj", "mesh_scaled", "final_mesh", "scan")


@dataclass(frozen=True)
class ClipOptions:
    """Options of ``clip``; paths are below the folder, or absolute."""

    rgb: Path | None = option("folder of colour pictures, or a video", metavar="PATH")
    depth_images: Path | None = option("folder of depth images, 16-bit", metavar="PATH")
    depth_unit: float = option("metres per unit of depth images", number(0.001, 1e-9, 1e3))
    masks: Path | None = option("folder, file or video of masks", metavar="PATH")
    labels: tuple[str, ...] = option(
        "which mask is of which body, as mug=1 or hand_right=2; repeatable", (), metavar="BODY=MASK"
    )
    intrinsics: Path | None = option("file of intrinsics", metavar="PATH")
    pixel_centers: str | None = option(
        "where the first pixel's centre is in the intrinsics (default: half for COLMAP, else integer)",
        choices=("integer", "half"),
    )
    object_poses: tuple[Path, ...] = option("folder or file of an object's poses; repeatable", (), metavar="PATH")
    inverse_poses: bool = option("poses are object_from_camera", False)
    opengl: bool = option("poses are of OpenGL's camera, y up and z backward", False)
    camera_poses: Path | None = option("trajectory of the camera, world_from_camera", metavar="PATH")
    mesh: tuple[Path, ...] = option("mesh of an object, in the order of --object-poses; repeatable", (), metavar="PATH")
    mesh_unit: str | None = option("unit of meshes (default: by their size)", choices=tuple(UNITS))
    hand_keypoints: tuple[Path, ...] = option("file of a hand's keypoints; repeatable", (), metavar="PATH")
    hands: tuple[Path, ...] = option(
        "file or folder of hands that a network gave: HaMeR, WiLoR, Dyn-HaMR, HaWoR, MANO npz; repeatable",
        (),
        metavar="PATH",
    )
    mano: Path | None = option("folder of the MANO models (default: $WARPPRIOR_MANO)", metavar="DIR")
    left_hands: str | None = option(
        "what rotations of left hands are of (default: what makes the keypoints in the file)", choices=CONVENTIONS
    )
    without_hands: bool = option("leave hands of networks out", False)
    keypoint_order: str | None = option("order of keypoints (default: by their distances)", choices=tuple(ORDERS))
    side: str | None = option("side of a hand whose file does not say it", choices=("right", "left"))
    fps: float = option("frames per second, where no trajectory says it", number(30.0, 0.01, 10_000.0))


class ClipFormat(Format):
    """A folder of loose outputs."""

    name = "clip"
    sizes = "which is in matrices, where poses are such"
    title = "a folder of loose outputs: pictures, masks, object poses, mesh, intrinsics, hands"
    reads = (
        "videos; masks: PNG by object, palettes and ids, npz, npy, COCO RLE JSON; poses: 4x4 text, JSON, npy, TUM, "
        "KITTI; intrinsics: 3x3 text, JSON, YAML, COLMAP; meshes of any unit; 21, 25 or 26 keypoints of hands; hands "
        "of HaMeR, WiLoR, Dyn-HaMR, HaWoR and MANO npz"
    )
    writes = (
        "the files of poses, of 3D keypoints and of hands of networks (JSON, npz, npy, plain pickles), corrected, in "
        "their own form, camera and convention"
    )
    verified = (
        "files made in the layouts of FoundationPose, SAM 2, COLMAP, TUM and the networks of hands; run lengths by "
        "pycocotools"
    )
    general = True
    Options = ClipOptions

    def recognises(self, path: Path) -> str:
        if not path.is_dir():
            return ""
        roles = find_roles(path, {})
        found = [
            role
            for role in ("intrinsics", "masks", "object_poses", "mesh", "hand_keypoints", "hands")
            if roles.found[role]
        ]
        return ", ".join(found) if {"intrinsics", "hands"} & set(found) and len(found) > 2 else ""

    def read(self, source: Path, options: ClipOptions) -> Recording:
        if not source.is_dir():
            raise InputError(str(source), "is a file", "give the folder that holds the clip")
        return _Reader(source, options).read()

    def write(self, recording: Recording, folder: Path, options: ClipOptions) -> tuple[str, ...]:
        origin = self.origin_of(recording, "a clip", "files of a clip are written back, not made anew")
        return _Reader(origin.path, options).write(recording, folder)


FORMAT = ClipFormat()


class _Reader(ClipFrames):
    """One folder being read, or written back."""

    def read(self) -> Recording:
        tracks = self._tracks()
        timeline = self.timeline(tracks)
        camera, rectifier = self.camera()
        objects = self._objects(tracks, timeline)
        bent = None if rectifier is None else rectifier.points
        choices = HandChoices(self.options.mano, self.options.left_hands, bent)
        whole = {hand.item.name: hand for hand in self.networks.hands(camera, timeline, choices, self.notes)}
        hands = self._hands(timeline, camera)
        if rectifier is not None:
            hands = [hand.rectified(rectifier.points) for hand in hands]
        if not objects and not hands and not whole:
            accepted = "poses of an object with its mesh, or keypoints of a hand"
            raise InputError(str(self.source), "holds nothing that can be estimated", accepted)
        alone = [hand for hand in hands if hand.name not in whole]
        named = [*(item.name for item in objects), *whole, *(hand.name for hand in alone)]
        labels = {name: label for label, name in enumerate(named, start=1)}
        images, masked = self._labels(timeline, camera, labels)
        if rectifier is not None and images is not None:
            nearest = rectifier.nearest(IGNORE_LABEL)
            for image in images:
                image[:] = nearest(image)
        bodies = [replace(item, label=labels[item.name]) for item in objects]
        bodies += [replace(hand.item, label=labels[name]) for name, hand in whole.items()]
        bodies += [
            SceneBody(read_hand(hand.side, name=hand.name), labels[hand.name], False)  # its start is fitted
            for hand in alone
        ]
        rgb, depth = self.one("rgb"), self.one("depth_images")
        depths, unit = self.frames(depth, timeline), self.options.depth_unit
        read_rgb, read_depth = (
            self.colors(rgb, timeline, camera),
            depth_pictures(depths, camera, partial(np.multiply, unit)),
        )
        if rectifier is not None:
            read_rgb = None if read_rgb is None else replace(read_rgb, rectifier=rectifier)
            read_depth = None if read_depth is None else replace(read_depth, rectifier=rectifier)
            self.notes.append("pictures, masks and keypoints in them were rectified to a pinhole camera")
        flat = {name: hand.keypoints2d for name, hand in whole.items() if hand.keypoints2d is not None}
        deep = {name: hand.keypoints3d for name, hand in whole.items() if hand.keypoints3d is not None}
        flat |= {hand.name: hand.values for hand in hands if hand.kind == "keypoints2d"}
        deep |= {hand.name: hand.values for hand in hands if hand.kind == "keypoints3d"}
        self._say_what_is_what()
        world = self._world(timeline)
        rate, times = self.times(timeline) or (self.fps(tracks), None)
        scene = Scene(
            name=self.source.resolve().name or "clip",
            camera=camera,
            fps=rate,
            timestamps=times,
            bodies=tuple(bodies),
            labels=images,
            read_rgb=read_rgb,
            read_depth=read_depth,
            keypoints2d=flat,
            keypoints3d=deep,
            warnings=tuple(self.notes),
        )
        return Recording(known_without_masks(scene, masked), world)

    def _tracks(self) -> dict[str, PoseTrack]:
        """Tracks of objects by the names that their paths suggest."""
        found: dict[str, PoseTrack] = {}
        for path in self.roles.found["object_poses"]:
            name = self.roles.names.get(path, path.stem if path.is_file() else path.name)
            if name in found:
                raise InputError(str(path), f"a second track called {name}", "--object-poses PATH decides")
            found[name] = read_pose_track(path, self.notes)
        return found

    def _objects(self, tracks: dict[str, PoseTrack], timeline: Timeline) -> list[SceneBody]:
        """Objects with their poses, labels still to be given."""
        meshes = self._meshes(list(tracks))
        return [self._object(name, track, meshes[key], timeline) for (key, track), name in self._named(tracks, meshes)]

    def _named(self, tracks: dict[str, PoseTrack], meshes: dict[str, Path]):
        for key, track in tracks.items():
            plain = key.lower() in _PLAIN_NAMES or len(tracks) == 1
            stem = meshes[key].stem
            name = (stem if stem.lower() not in _PLAIN_NAMES else "object") if plain else key
            yield (key, track), name

    def _meshes(self, names: list[str]) -> dict[str, Path]:
        """The mesh of each track.

        Raises:
            InputError: which it is cannot be told.
        """
        found, given = self.roles.found["mesh"], self.options.mesh
        if given or (len(found) == len(names) == 1):
            if len(found) != len(names):
                raise InputError(str(self.source), f"{len(found)} meshes, {len(names)} tracks", "--mesh for each track")
            return dict(zip(names, found, strict=True))
        chosen = {}
        for name in names:
            alike = [path for path in found if name in (path.stem, path.parent.name)]
            if len(alike) != 1:
                there = ", ".join(str(path.relative_to(self.source)) for path in found[:4]) or "there is no mesh"
                raise InputError(str(self.source), f"no one mesh for the poses {name}: {there}", "--mesh PATH decides")
            chosen[name] = alike[0]
        return chosen

    def _object(self, name: str, track: PoseTrack, mesh: Path, timeline: Timeline) -> SceneBody:
        matrices, valid = track.by_frame(timeline, self.notes)
        matrices = _turned(matrices, self.options)
        position, rotation, size = split_transforms(matrices, valid, str(track.path), self.notes)
        seen = position[valid, 2]
        if np.median(seen) <= 0.0:
            accepted = "--opengl for y up and z backward, or --inverse-poses"
            raise InputError(
                str(track.path), f"put {name} behind the camera (z {np.median(seen):.3g}, median)", accepted
            )
        poses = filled(track.path, name, position, rotation, valid, self.notes)
        body = read_mesh_of_any_unit(mesh, name, self.options.mesh_unit, self.notes)
        body = replace(body, vertices=(size * body.vertices).astype(np.float32)) if size != 1.0 else body
        return SceneBody(body, 1, False, poses, source=mesh)

    def _hands(self, timeline: Timeline, camera: Camera) -> list[HandTrack]:
        paths, options = self.roles.found["hand_keypoints"], self.options
        size = (camera.width, camera.height)
        hands = read_hand_tracks(paths, options.side, options.keypoint_order, size, self.notes)
        return [hand.on(timeline, self.notes) for hand in hands]

    def _labels(self, timeline: Timeline, camera: Camera, labels: dict[str, int]) -> tuple[np.ndarray | None, set[int]]:
        """Label images, and the labels that have masks."""
        path = self.one("masks")
        if path is None:
            self.notes.append("no masks: nothing holds objects to the pictures")
            return None, set()
        found = read_masks(path, timeline, camera, self.notes)
        of = self._owners(found, list(labels), path)
        masks = {labels[name]: mask for name, mask in of.items()}
        names = {label: name for name, label in labels.items()}
        return label_images(masks, timeline.count, camera, names, path.name, self.notes), set(masks)

    def _owners(self, found: dict[str, Masks], bodies: list[str], path: Path) -> dict[str, Masks]:
        """The mask of each body that has one.

        Raises:
            InputError: whose they are cannot be told.
        """
        chosen: dict[str, Masks] = {}
        for text in self.options.labels:
            body, _, mask = text.partition("=")
            if body not in bodies or mask not in found:
                accepted = f"bodies {', '.join(bodies)}, masks {', '.join(name or 'without a name' for name in found)}"
                raise InputError("--labels", repr(text), accepted)
            chosen[body] = found[mask]
        if chosen:
            return chosen
        if list(found) == [ONE] or (len(found) == len(bodies) == 1):
            rigid = [name for name in bodies if not name.startswith("hand")] or bodies
            if len(rigid) == 1:
                (mask,) = found.values()
                self.notes.append(f"{path.name}: the masks are taken to be of {rigid[0]}")
                return {rigid[0]: mask}
        alike = {body: mask for body in bodies for name, mask in found.items() if _same(name, body)}
        others = [name for name in found if not any(_same(name, body) for body in bodies)]
        left = [body for body in bodies if body not in alike]
        if alike and not (others and left):
            return alike
        if len(others) == len(left) == 1:
            self.notes.append(f"{path.name}: mask {others[0]} is taken to be of {left[0]}")
            return alike | {left[0]: found[others[0]]}
        there = ", ".join(name or "one without a name" for name in found)
        raise InputError(
            str(path), f"masks {there} of {', '.join(bodies)}: whose are they?", "--labels BODY=MASK decides"
        )

    def _world(self, timeline: Timeline) -> World:
        path = self.one("camera_poses")
        if path is None:
            way = self.networks.camera(timeline, self.notes)
            note_camera(way, self.notes)
            return World(way)
        matrices, valid = read_pose_track(path, self.notes).by_frame(timeline, self.notes)
        found = camera_path(matrices, valid, str(path), self.notes)
        note_camera(found, self.notes)
        return World(found)

    def _say_what_is_what(self) -> None:
        said = [
            f"{path.relative_to(self.source) if path.is_relative_to(self.source) else path} as {words}"
            for role, words in ROLES.items()
            for path in self.roles.found[role]
        ]
        self.notes.insert(0, f"taken: {'; '.join(said)}")
        if self.roles.unused:
            more = f" and {len(self.roles.unused) - 6} more" if len(self.roles.unused) > 6 else ""
            self.notes.append(f"not used: {', '.join(self.roles.unused[:6])}{more}")

    def write(self, recording: Recording, folder: Path) -> tuple[str, ...]:
        """Write the files of poses and of 3D keypoints with those of the recording; the rest is not copied."""
        tracks, written = self._tracks(), []
        timeline, meshes = self.timeline(tracks), self._meshes(list(tracks))
        for (_, track), name in self._named(tracks, meshes):
            item = recording.scene.body(name)
            raw, valid = track.by_frame(timeline, [])
            raw = _turned(raw, self.options)
            _, _, size = split_transforms(raw, valid, str(track.path), [])
            whole = transforms_of(item.initial.position, item.initial.rotation, size * item.initial.scale)
            rows = track.frames(timeline, [])
            given = track.matrices.copy()
            keep = (rows >= 0) & complete(given)
            given[keep] = _turned(whole, self.options, back=True)[rows[keep]]
            target = folder / self._below(track.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            track.save(target, given)
            written.append(str(self._below(track.path)))
        for hand in read_hand_tracks(
            self.roles.found["hand_keypoints"], self.options.side, self.options.keypoint_order, (1, 1), []
        ):
            if hand.kind == "keypoints3d" and hand.save is not None:
                target = folder / self._below(hand.path)
                target.parent.mkdir(parents=True, exist_ok=True)
                hand.save(target, recording.scene.body(hand.name), timeline)
                written.append(str(self._below(hand.path)))
        more: list[str] = []
        if self.networks.records or self.networks.worlds:
            _, rectifier = self.camera()
            bent = None if rectifier is None else rectifier.points
            choices = HandChoices(self.options.mano, self.options.left_hands, bent)
            names, more = self.networks.write(folder, recording, timeline, choices)
            written += names
        return (f"{', '.join(written) or 'nothing'} written; other files of {self.source} are not copied", *more)

    def _below(self, path: Path) -> Path:
        return path.relative_to(self.source) if path.is_relative_to(self.source) else Path(path.name)


def _same(mask: str, body: str) -> bool:
    """Is a mask's name that of a body: hand_right, right_hand, right?"""
    words = {word for word in mask.lower().replace("-", "_").split("_") if word}
    side = body.removeprefix("hand_")
    return mask.lower() == body.lower() or (body.startswith("hand") and side in words)


def _turned(matrices: np.ndarray, options: ClipOptions, *, back: bool = False) -> np.ndarray:
    """Poses of another camera or direction as camera_from_body of OpenCV, or the way back."""
    found = matrices.copy()
    there = complete(found)
    steps = [options.inverse_poses, options.opengl]
    for which in (1, 0) if back else (0, 1):
        if which == 0 and steps[0]:
            found[there] = np.linalg.inv(found[there])
        if which == 1 and steps[1]:
            found[there] = np.diag([1.0, -1.0, -1.0, 1.0]) @ found[there]
    return found
