"""What hands of networks a path holds, told by names in it; and read, whichever program left them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from warpprior.formats.parts.dynhamr_files import dynhamr_file, read_dynhamr
from warpprior.formats.parts.hand_arrays import HandRecord
from warpprior.formats.parts.hand_keys import KEYS, MARKS
from warpprior.formats.parts.hand_records import ENDINGS, hand_files, read_hand_records, side_in
from warpprior.formats.parts.hands_scene import hands_scene
from warpprior.formats.parts.hawor_files import is_hawor, read_hawor
from warpprior.formats.parts.intrinsics import Intrinsics
from warpprior.formats.parts.network_back import write_network_hands
from warpprior.formats.parts.network_hands import HandChoices, NetworkHand, network_hands, numbers_of
from warpprior.formats.parts.pictures import color_pictures, numbered
from warpprior.formats.parts.timeline import Timeline
from warpprior.formats.parts.world_back import write_world_hands
from warpprior.formats.parts.world_hands import WorldHands
from warpprior.formats.recording import Recording
from warpprior.io.world import CameraPath
from warpprior.scene import Camera
from warpprior.support.errors import InputError
from warpprior.support.npz import NpzArrays

_LOOK = 1 << 16  # bytes in which a file names what it holds
# What lies in a folder of these programs beside pictures and what others put there.
OWN_FILES = {
    "hawor": ("tracks_", "SLAM", "cam_space", "world_space_res", "est_focal", "vis_", "aria_", "metric_"),
    "dyn_hamr": (
        "track_info",
        "cameras",
        "smooth_fit",
        "root_fit",
        "prior",
        "init",
        "track_preds",
        "input_poses",
        "phalp",
    ),
}


def kind_of_hands(path: Path) -> str:
    """``hawor``, ``dyn_hamr`` or ``records``, or empty where a file or folder holds no hands of a network."""
    if path.is_dir():
        if is_hawor(path):
            return "hawor"
        if dynhamr_file(path) is not None:
            return "dyn_hamr"
        files = hand_files(path)
        named = [number is not None or side_in(file.stem) is not None for file, number in files.items()]
        return "records" if files and all(named) and _names_hands(next(iter(files))) else ""
    if path.suffix.lower() not in ENDINGS or not path.is_file():
        return ""
    if dynhamr_file(path) is not None:
        return "dyn_hamr"
    return "records" if _names_hands(path) else ""


def _names_hands(path: Path) -> bool:
    """Does a file mention parameters or keypoints as networks name them?"""
    if path.suffix.lower() == ".npz":
        try:
            names = set(NpzArrays(path, "hands", "", limit=1 << 40, unpacked=1 << 20))
        except InputError:
            return False
        return bool(names & set(KEYS["pose"]) and names & set(KEYS["orient"])) or bool(names & set(MARKS))
    with open(path, "rb") as stream:
        start = stream.read(_LOOK)
    if path.suffix.lower() == ".npy" and (not start.startswith(b"\x93NUMPY") or b"|O" not in start[:128]):
        return False
    return any(mark.encode() in start for mark in MARKS)


@dataclass(eq=False)
class HandSources:
    """Hands of networks that a folder holds.

    Attributes:
        records: what HaMeR and WiLoR saw, by path.
        worlds: what Dyn-HaMR and HaWoR left.
    """

    records: dict[Path, list[HandRecord]] = field(default_factory=dict)
    worlds: list[WorldHands] = field(default_factory=list)

    @staticmethod
    def read(paths: Sequence[Path], notes: list[str]) -> HandSources:
        """Read files and folders.

        Raises:
            InputError: one holds no hands, or is damaged.
        """
        found = HandSources()
        for path in paths:
            kind = kind_of_hands(path)
            if kind == "hawor":
                found.worlds.append(read_hawor(path))
            elif kind == "dyn_hamr":
                found.worlds.append(read_dynhamr(path))
            else:
                records = found.records[path] = read_hand_records(path)
                sides = " and ".join(sorted({record.side for record in records}))
                notes.append(f"{path.name}: {len(records)} hands, {sides}, in {len(numbers_of(records))} pictures")
        for world in found.worlds:
            notes += world.notes
        return found

    def timeline(self, notes: list[str]) -> Timeline | None:
        """The frames that hands are of, where nothing else says it."""
        for world in self.worlds:
            return Timeline(tuple(range(world.count)))
        for path, records in self.records.items():
            return Timeline.of(numbers_of(records), str(path), notes)
        return None

    def intrinsics(self) -> tuple[Intrinsics, str] | None:
        """Of the camera, as a program states them, and which file said it."""
        for world in self.worlds:
            if world.intrinsics is not None:
                fx, fy, cx, cy = world.intrinsics
                size = world.size or (max(2, round(2 * cx)), max(2, round(2 * cy)))
                return Intrinsics(fx, fy, cx, cy, size), world.where.name
        return None

    def hands(self, camera: Camera, timeline: Timeline, choices: HandChoices, notes: list[str]) -> list[NetworkHand]:
        """All hands in the camera's frame.

        Raises:
            InputError: two files have a hand of one side, or a model is missing.
        """
        found: dict[str, NetworkHand] = {}
        for path, records in self.records.items():
            made = network_hands(records, path.name, camera, timeline, choices, notes)
            _add(found, {hand.item.name: hand for hand in made}, path)
        for world in self.worlds:
            fitting = _on(world, timeline, notes)
            bodies = fitting.bodies(choices.mano, notes, alone=choices.alone)
            _add(found, {item.name: NetworkHand(item) for item in bodies}, world.where)
        return list(found.values())

    def write(
        self, folder: Path, recording: Recording, timeline: Timeline, choices: HandChoices
    ) -> tuple[list[str], list[str]]:
        """Write files of hands with those of a recording; names of the files, and what is to be said.

        Args:
            folder: of the new files.
            recording: has the hands, and the camera that they were read for.
            timeline, choices: as they were read.
        """
        items = {item.name: item for item in recording.scene.bodies}
        written: list[str] = []
        said: list[str] = []
        for path in self.records:
            names, more = write_network_hands(path, folder, items, recording.scene.camera, timeline, choices)
            written, said = written + names, said + more
        for world in self.worlds:
            camera = recording.world.camera if world.camera is not None else None
            names, more = write_world_hands(world, folder, items, camera, timeline, choices.mano)
            written, said = written + names, said + more
        return written, said

    def camera(self, timeline: Timeline, notes: list[str]) -> CameraPath | None:
        """The camera's poses in the world, where a program left them."""
        for world in self.worlds:
            if world.camera is not None:
                return _on(world, timeline, []).camera
        return None

    def pictures(self) -> Path | None:
        """The folder of pictures that a program made of a video."""
        return next((world.pictures for world in self.worlds if world.pictures is not None), None)


def _add(found: dict[str, NetworkHand], new: dict[str, NetworkHand], path: Path) -> None:
    twice = sorted(set(found) & set(new))
    if twice:
        raise InputError(str(path), f"a second {twice[0]}", "--hands PATH decides")
    found |= new


def _on(world: WorldHands, timeline: Timeline, notes: list[str]) -> WorldHands:
    """The same at the frames of a timeline: one by one where there are as many, else by their places in it.

    Raises:
        InputError: none of its frames is there.
    """
    if world.count == timeline.count:
        return world
    chosen = np.arange(timeline.count) - world.begin
    chosen[(chosen < 0) | (chosen >= world.count)] = -1
    if not (chosen >= 0).any():
        found = f"begins at frame {world.begin}, of {timeline.count}"
        raise InputError(str(world.where), found, "hands and pictures of one clip")
    notes.append(
        f"{world.where.name}: hands in {world.count} frames, the clip has {timeline.count}; they begin at {world.begin}"
    )
    there = chosen >= 0
    tracks = {}
    for side, track in world.tracks.items():
        values = [np.asarray(part)[chosen] for part in (track.orient, track.joints, track.transl, track.shapes)]
        tracks[side] = replace(
            track,
            **dict(zip(("orient", "joints", "transl", "shapes"), values, strict=True)),
            valid=track.valid[chosen] & there,
            guessed=track.guessed[chosen] & there,
        )
    camera = None
    if world.camera is not None:
        given = np.ones(world.count, dtype=bool) if world.camera.valid is None else world.camera.valid
        nearest = np.clip(np.interp(np.arange(timeline.count), np.flatnonzero(there), chosen[there]).round(), 0, None)
        part = world.camera.frames(nearest.astype(int))
        camera = CameraPath(part.position, part.rotation, given[chosen] & there)
    return replace(world, count=timeline.count, tracks=tracks, camera=camera)


def world_recording(found: WorldHands, name: str, mano: Path | None, fps: float, sigma: float) -> Recording:
    """What Dyn-HaMR or HaWoR left, by itself.

    Raises:
        InputError: it states no intrinsics, or a model is missing.
    """
    sources, notes = HandSources(worlds=[found]), list(found.notes)
    stated = sources.intrinsics()
    if stated is None:
        raise InputError(str(found.where), "has no intrinsics", "put it into a folder with cam_K.txt: clip")
    intrinsics, said = stated
    assert intrinsics.size is not None
    camera = intrinsics.camera(intrinsics.size, None, said, notes)
    hands = sources.hands(camera, Timeline(tuple(range(found.count))), HandChoices(mano, alone=True), notes)
    pictures = None
    if found.pictures is not None:
        files = numbered(found.pictures, root=found.pictures.parent)
        pictures = color_pictures({number - found.first: path for number, path in files.items()}, camera)
    notes.append(f"frame rate: {fps:g} per second, which the files do not say")
    return hands_scene(name, camera, fps, hands, notes, pose_sigma=sigma, path=found.camera, pictures=pictures)


def write_back(source: Path, recording: Recording, folder: Path, mano: Path | None) -> tuple[str, ...]:
    """Write what Dyn-HaMR or HaWoR left with the hands of a recording; what is to be said, one sentence each."""
    sources = HandSources.read([source], [])
    (world,) = sources.worlds
    recording.check_frames(world.count, world.where)
    timeline = Timeline(tuple(range(world.count)))
    return hands_written(*sources.write(folder, recording, timeline, HandChoices(mano, alone=True)))


def hands_written(written: list[str], said: list[str]) -> tuple[str, ...]:
    """Sentences of what was written of hands alone."""
    return (f"{', '.join(written) or 'nothing'} written; all else is as it was", *said)
