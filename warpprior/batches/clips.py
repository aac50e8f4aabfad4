"""The clips of a batch: what a folder, a manifest or a list of places names, and which of them are a shard's."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from warpprior.io.scene_file import SCENE_FILE
from warpprior.support.errors import InputError

RESERVED = ("journal", "logs", "summary.csv", "summary.parquet", "index.html")  # in the folder of a batch
_LONGEST = 200  # characters of a name
_FORMAT = re.compile(r"([a-z][a-z0-9_]+):(.+)")
_COUNT = re.compile(r"^\[frames\][^\[]*?^\s*count\s*=\s*(\d{1,7})\s*(?:#.*)?$", re.MULTILINE)


@dataclass(frozen=True)
class Clip:
    """One sequence of a batch.

    Attributes:
        name: of its result folder, and of the clip in every table.
        scene: what a worker opens: a scene folder, or ``FORMAT:PATH``.
        num_frames: use only the first frames; None: as many as the batch.
        initial: result folder or pose file to start from; None: the scene's own initial poses.
        settings: ``key=value`` each, on top of those of the batch.
        where: it is named, for messages.
    """

    name: str
    scene: str
    num_frames: int | None = None
    initial: str | None = None
    settings: tuple[str, ...] = ()
    where: str = field(default="", compare=False)


def clips_of(source: str | Path | Sequence[str | Path]) -> list[Clip]:
    """The clips that a source names, in the order in which they are refined.

    Args:
        source: a folder in which scene folders are, at any depth; a manifest (:mod:`warpprior.batches.manifest`);
            ``FORMAT:ROOT``; or a sequence of scene folders and ``FORMAT:PATH``.

    Raises:
        InputError: there is no such place, it names no clip, or two have one name.
    """
    if not isinstance(source, (str, os.PathLike)):
        return checked(_named([Clip("", str(scene)) for scene in source], Path.cwd()), "the list of scenes")
    text, path = os.fspath(source), Path(source)
    if path.is_dir():
        found = [Clip("", str(folder)) for folder in scene_folders(path)]
        root = path.parent if [clip.scene for clip in found] == [str(path)] else path
    elif path.exists():
        from warpprior.batches.manifest import read_manifest

        found, root = read_manifest(path), path.parent
    else:
        found, root = list(_of_format(text)), Path.cwd()
    return checked(_named(found, root), text)


def of_shard(clips: Sequence[Clip], shard: tuple[int, int] | None) -> list[Clip]:
    """Every n-th clip: shards of one source are disjoint, and are all of it together."""
    number, count = shard or (1, 1)
    return list(clips[number - 1 :: count])


def read_shard(text: str) -> tuple[int, int]:
    """Number and count of ``i/n``, numbered from 1.

    Raises:
        InputError: it is something else.
    """
    found = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", text)
    number, count = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= number <= count:
        raise InputError("--shard", repr(text), "i/n, from 1/n to n/n")
    return number, count


def scene_folders(root: Path) -> Iterator[Path]:
    """Scene folders at or below a folder, in the order of their names; links are followed, once each."""
    seen: set[str] = set()

    def walk(folder: Path) -> Iterator[Path]:
        place = os.path.realpath(folder)
        if place in seen:
            return
        seen.add(place)
        if (folder / SCENE_FILE).exists():
            yield folder
            return
        try:
            inside = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
        except OSError:  # not ours to read
            return
        for name in inside:
            if not name.startswith("."):
                yield from walk(folder / name)

    return walk(root)


def checked(clips: list[Clip], source: str) -> list[Clip]:
    """The clips, whose names are good for folders and differ.

    Raises:
        InputError: they are not, or there is no clip at all.
    """
    if not clips:
        raise InputError(source, f"names no clip: no {SCENE_FILE} was found", "scene folders, or a list of them")
    seen: dict[str, Clip] = {}
    for clip in clips:
        where, name = clip.where or source, clip.name
        if name in RESERVED or name.startswith(".") or len(name) > _LONGEST or re.search(r"[/\\\0\n]", name):
            raise InputError(where, f"the name {name!r}", "a name for a folder, of its own: give one")
        other = seen.setdefault(name.casefold(), clip)
        if other is not clip:
            found = f"{clip.scene} and {other.scene} would both be {name!r}"
            raise InputError(where, found, "give them names, in a manifest with a column 'name'")
    return clips


def _named(clips: Iterable[Clip], root: Path) -> list[Clip]:
    """A name for each clip that has none, of where it is below the root, or below what those elsewhere share."""
    clips = list(clips)
    places = {clip: Path(os.path.abspath(path_of(clip.scene))) for clip in clips if not clip.name}
    root = Path(os.path.abspath(root))
    parents = [place.parent for place in places.values() if not place.is_relative_to(root)]
    shared = _shared(parents)

    def name(clip: Clip) -> str:
        place = places[clip]
        above = root if place.is_relative_to(root) else shared
        parts = [part.lstrip(".") for part in (place.relative_to(above) if above else place).parts]
        return "-".join(filter(None, parts)).replace(os.sep, "") or place.name

    return [clip if clip.name else replace(clip, name=name(clip)) for clip in clips]


def path_of(scene: str) -> str:
    """The path of what a worker opens."""
    found = _FORMAT.fullmatch(scene)
    return found[2] if found and not os.path.exists(scene) else scene


def is_folder(scene: str) -> bool:
    """Whether it is a scene folder, and not of a format."""
    return path_of(scene) == scene


def frames_of(clip: Clip, at_most: int | None = None) -> int | None:
    """Frames of a clip as its scene file has it, but not more than are asked for; None where it does not say so."""
    asked = at_most if clip.num_frames is None else clip.num_frames
    if not is_folder(clip.scene):
        return asked
    try:
        with open(Path(clip.scene) / SCENE_FILE, "rb") as stream:
            text = stream.read(1 << 20).decode("utf-8", "replace")
    except OSError:
        return None
    found = _COUNT.search(text)
    counts = [count for count in (int(found[1]) if found else None, asked) if count is not None]
    return min(counts, default=None)


def _shared(parents: list[Path]) -> Path | None:
    try:
        return Path(os.path.commonpath(parents)) if parents else None
    except ValueError:  # on several drives
        return None


def _of_format(text: str) -> Iterator[Clip]:
    """The clips of ``FORMAT:ROOT``: the root itself, or what its format knows below it."""
    found = _FORMAT.fullmatch(text)
    if found is None or not Path(found[2]).exists():
        raise InputError(text, "does not exist", "a folder of scene folders, a manifest, or FORMAT:ROOT")
    raise InputError(text, f"there is no format {found[1]!r}", "a folder of scene folders, or a manifest")
