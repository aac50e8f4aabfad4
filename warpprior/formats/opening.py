"""Reading and writing by the table of formats: what the command line and Python call."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from warpprior.bodies.size_prior import SizePrior
from warpprior.formats.place import ANY, Place, make_options, plain_options
from warpprior.formats.recording import Origin, Recording
from warpprior.formats.registry import all_formats, find_format, guess_format
from warpprior.io.gaps import filled_in_world
from warpprior.io.scene_file import SCENE_FILE
from warpprior.scene import Scene
from warpprior.support.errors import InputError
from warpprior.support.progress import Progress


def read(source: str | os.PathLike[str] | Place, format: str | None = None, **options: Any) -> Recording:
    """Read a file or folder of any format of the table.

    Args:
        source: a path, or ``FORMAT:PATH``.
        format: its name; None takes the one that is named before the path, or guesses and says so in a note.
        options: of the format, as ``warpprior import FORMAT --help`` lists them.

    Returns:
        the recording; its ``notes`` say what was changed, guessed and left out.

    Raises:
        InputError: no such format, the path is not of it, or nothing recognises the path.
    """
    place = Place.parse(source) if format is None else Place(Path(source), format)
    guessed = None
    if format is None and place.format == ANY and not str(source).startswith(f"{ANY}:"):
        place, guessed = guess_place(place.path)
    chosen = place.options if not options and place.options is not None else make_options(place.format, options)
    recording = read_place(Place(place.path, place.format, chosen))
    return recording if guessed is None else noted(recording, guessed, first=True)


def guess_place(path: Path) -> tuple[Place, str | None]:
    """A path with the format that is guessed, and what is to be said of it; nothing of a scene folder.

    Raises:
        InputError: no format recognises it, or several do.
    """
    found, why = guess_format(path)
    said = None if found.name == ANY else f"taken for {found.name}: {found.title} ({why})"
    return Place(path, found.name), said


def read_place(place: Place) -> Recording:
    """What is at a place, with its origin."""
    format = find_format(place.format)
    if not format.reads:
        raise InputError(str(place), f"{format.name} is written only", "name a format that is read: warpprior formats")
    if not place.path.exists():
        raise InputError(str(place), "does not exist", f"needs {format.title}")
    options = format.Options() if place.options is None else place.options
    recording = format.read(place.path, options)
    recording = recording.with_scene(filled_in_world(recording.scene))
    if recording.origin is not None:
        return recording
    return replace(recording, origin=Origin(format.name, place.path.absolute(), plain_options(options)))


def noted(recording: Recording, *notes: str, first: bool = False) -> Recording:
    """The recording with more notes."""
    before = recording.scene.warnings
    return recording.with_scene(replace(recording.scene, warnings=(*notes, *before) if first else (*before, *notes)))


def with_unknown_sizes(recording: Recording, names: Sequence[str]) -> Recording:
    """The recording with the sizes of some objects to be estimated, as ``scale = "estimate"`` in scene.toml.

    Raises:
        InputError: there is no such body, or it is none whose size can be estimated.
    """
    rigid = [item.name for item in recording.scene.bodies if item.body.is_rigid and not item.known]
    for name in names:
        if name not in rigid:
            raise InputError(
                f"--unknown-size {name}", "names no estimated rigid body", ", ".join(rigid) or "there is none"
            )
    bodies = [replace(item, size=SizePrior()) if item.name in names else item for item in recording.scene.bodies]
    return recording.with_scene(replace(recording.scene, bodies=tuple(bodies)))


def open_recording(
    place: str | os.PathLike[str] | Place,
    *,
    num_frames: int | None = None,
    progress: Progress | None = None,
    to_check: bool = False,
) -> Recording:
    """A scene folder, or what ``FORMAT:PATH`` names, for commands that take a scene.

    Args:
        place: the folder or text.
        num_frames, progress, to_check: as of :func:`warpprior.io.load_scene`.

    Raises:
        InputError: as of :func:`warpprior.io.load_scene`, or of the format.
    """
    place = Place.parse(place)
    if place.format != ANY:
        recording = read_place(place)
        if num_frames is not None and not 1 <= num_frames <= recording.scene.frame_count:
            accepted = f"the recording has {recording.scene.frame_count} frames"
            raise InputError(f"{place}: number of frames", f"{num_frames} asked for", accepted)
        return recording if num_frames is None else recording.first_frames(num_frames)
    from warpprior.formats.scene import read_folder

    _hint_at_format(place.path)
    return read_folder(place.path, num_frames=num_frames, progress=progress, to_check=to_check)


def open_scene(place: str | os.PathLike[str] | Place, **how: Any) -> Scene:
    """The scene of :func:`open_recording`."""
    return open_recording(place, **how).scene


def _hint_at_format(path: Path) -> None:
    """InputError that names the format of what is no scene folder."""
    if not path.exists() or (path / SCENE_FILE).exists():
        return
    try:
        format, why = guess_format(path)
    except InputError:
        return  # what is no scene folder is refused by the reader of scene folders
    if format.name != ANY:
        accepted = f"give {format.name}:{path}, or import it: warpprior import {format.name} {path} --output-dir SCENE"
        raise InputError(str(path), f"is no scene folder but looks like {format.name}: {why}", accepted)


def write(
    recording: Recording | Sequence[Recording],
    folder: str | os.PathLike[str],
    format: str | None = None,
    *,
    overwrite: bool = False,
    **options: Any,
) -> tuple[str, ...]:
    """Write a recording, or several into one file; the folder appears as a whole.

    Args:
        recording: what to write, in its scene's initial poses; several where a file of the format holds several.
        folder: must not exist, or be empty.
        format: its name; None writes back into the format that the recording was read from.
        overwrite: replace a folder that is there as a whole.
        options: of the format; None of them given, those that the recording was read with.

    Returns:
        what is to be said, one sentence each.

    Raises:
        InputError: no such format, it is read only, or the recording has not what it needs.
        RunError: the file system refused.
    """
    several = (recording,) if isinstance(recording, Recording) else tuple(recording)
    if not several:
        raise InputError("recordings", "there is none", "one at least")
    name, origin = check_writable(several[0], format), several[0].origin
    chosen = dict(origin.options) if origin is not None and origin.format == name and not options else options
    return write_into(several, Path(folder), name, make_options(name, chosen), overwrite=overwrite)


def check_writable(recording: Recording, format: str | None = None) -> str:
    """The format that a recording is to be written in: the one that is named, or the one it was read from.

    Raises:
        InputError: there is none, or it is read only.
    """
    if format is None and recording.origin is None:
        raise InputError("recording", "was read from no file", "name the format to write")
    name = format or recording.origin.format  # type: ignore[union-attr]
    if not find_format(name).writes:
        written = ", ".join(one.name for one in all_formats() if one.writes)
        raise InputError(f"format {name}", "is read only", f"formats that are written: {written}")
    origin = recording.origin
    if origin is not None and name == origin.format != ANY and not origin.path.exists():
        raise InputError(str(origin.path), "is not there any more", "writing back needs what was read")
    return name


def write_into(
    recordings: Sequence[Recording], folder: Path, name: str, options: Any, *, overwrite: bool = False
) -> tuple[str, ...]:
    """Write recordings with options of the format, whole or not at all."""
    from warpprior.io.atomic import atomic_folder

    for recording in recordings:
        check_writable(recording, name)
        _check_apart(recording, folder)
    if overwrite:
        _check_replaceable(folder, name)
    with atomic_folder(folder, overwrite=overwrite) as target:
        if len(recordings) == 1:
            said = find_format(name).write(recordings[0], target, options)
        else:
            said = find_format(name).write_several(recordings, target, options)
        return (*said, *(sentence for recording in recordings for sentence in _sizes_said(recording, name)))


def _sizes_said(recording: Recording, name: str) -> tuple[str, ...]:
    """What becomes of the sizes that bodies were found to have, one sentence each."""
    words = find_format(name).sizes
    return tuple(
        f"{item.name}: {item.initial.scale:.4g} times as large as its mesh, {words}"
        for item in recording.scene.bodies
        if item.size is not None
    )


def _check_replaceable(folder: Path, name: str) -> None:
    """InputError where replacing a folder would delete what is not of the format."""
    from warpprior.io.scene_writer import check_replaceable

    if name == ANY:
        check_replaceable(folder)
    elif folder.is_dir() and any(folder.iterdir()) and not find_format(name).recognises(folder):
        raise InputError(str(folder), f"holds something that is not {name}", "choose another folder")


def _check_apart(recording: Recording, folder: Path) -> None:
    """InputError where writing would replace what was read."""
    if recording.origin is None:
        return
    source, target = Path(os.path.realpath(recording.origin.path)), Path(os.path.realpath(folder))
    inside = target.is_relative_to(source) and target.is_dir() and any(target.iterdir())
    if source.is_relative_to(target) or inside:
        raise InputError(str(folder), f"holds what was read: {recording.origin.path}", "choose another folder")
