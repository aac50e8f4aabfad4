"""The clips of a batch: what a folder, a manifest or a list of places names, and which of them are a shard's."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warpprior.batches.names import RESERVED
from warpprior.formats.place import ANY, Place
from warpprior.io.scene_file import SCENE_FILE
from warpprior.support.errors import InputError

if TYPE_CHECKING:
    from warpprior.formats.format import Format

_LONGEST = 200  # characters of a name
_COUNT = re.compile(r"^\[frames\][^\[]*?^\s*count\s*=\s*(\d{1,7})\s*(?:#.*)?$", re.MULTILINE)


@dataclass(frozen=True)
class Clip:
    """One sequence of a batch.

    Attributes:
        name: of its result folder, and of the clip in every table.
        place: what a worker opens: a scene folder, or something of a format.
        num_frames: use only the first frames; None: as many as the batch.
        initial: result folder or pose file to start from; None: the scene's own initial poses.
        settings: ``key=value`` each, on top of those of the batch.
        where: it is named, for messages.
    """

    name: str
    place: Place
    num_frames: int | None = None
    initial: str | None = None
    settings: tuple[str, ...] = ()
    where: str = field(default="", compare=False)

    @property
    def scene(self) -> str:
        """The place as text."""
        return str(self.place)

    @property
    def is_folder(self) -> bool:
        """Whether it is a scene folder."""
        return self.place.format == ANY


def clips_of(
    source: str | Path | Place | Sequence[str | Path | Place],
    format_options: Mapping[str, Any] | None = None,
    *,
    subset: str | None = None,
) -> list[Clip]:
    """The clips that a source names, in the order in which they are refined.

    Args:
        source: a folder in which scene folders are, at any depth; a manifest (:mod:`warpprior.batches.manifest`);
            ``FORMAT:ROOT``, at or below which things of the format are; or a sequence of scene folders and
            ``FORMAT:PATH``.
        format_options: options of formats by their names, for places that do not bring their own.
        subset: only what belongs to this split of the data set; None: all.

    Raises:
        InputError: there is no such place, it names no clip, or two have one name; or nothing is of the split.
    """
    if not isinstance(source, (str, os.PathLike)):
        found, root, said = [Clip("", Place.parse(scene)) for scene in source], Path.cwd(), "the list of scenes"
    else:
        place, said = Place.parse(source), str(source)
        root = place.path
        if not root.exists():
            raise InputError(said, "does not exist", "a folder of scene folders, a manifest, or FORMAT:ROOT")
        if place.format == ANY and root.is_file():
            from warpprior.batches.manifest import read_manifest

            found, root = read_manifest(root), root.parent
        else:
            found = [Clip("", replace(place, path=path)) for path in _known(place)]
            root = root.parent if [clip.place.path for clip in found] == [root] else root
    found = found if subset is None else _of_split(found, subset, said)
    options = format_options or {}
    given = [
        replace(clip, place=replace(clip.place, options=options[clip.place.format]))
        if clip.place.options is None and options.get(clip.place.format) is not None
        else clip
        for clip in found
    ]
    return checked(_named(given, root), said)


def _of_split(clips: Sequence[Clip], split: str, said: str) -> list[Clip]:
    """Those that the data set counts to a split."""
    from warpprior.formats.registry import find_format

    splits = [find_format(clip.place.format).splits_of(clip.place.path) for clip in clips]
    kept = [clip for clip, names in zip(clips, splits, strict=True) if split in names]
    if not kept:
        there = ", ".join(sorted({name for names in splits for name in names})[:20]) or "no splits that are known"
        raise InputError(f"--subset {split}", f"nothing of {said} belongs to it", f"there are {there}")
    return kept


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


def _known(root: Place) -> Iterator[Path]:
    """What the format of a place knows at it or below, in the order of names; links are followed, once each."""
    seen: set[str] = set()
    if root.format == ANY:
        known = lambda path: (path / SCENE_FILE).exists()  # noqa: E731 - though it may be a broken one
    else:
        from warpprior.formats.registry import find_format

        known = partial(_may_be, find_format(root.format))

    def walk(path: Path) -> Iterator[Path]:
        real = os.path.realpath(path)
        if real in seen:
            return
        seen.add(real)
        if known(path):
            yield path
        elif path.is_dir():
            for name in _inside(path, files=root.format != ANY):
                yield from walk(path / name)

    return walk(root.path)


def _may_be(format: Format, path: Path) -> bool:
    """Whether a path is a clip of a format, though perhaps a damaged one: that is named when it is read."""
    try:
        return bool(format.recognises(path))
    except (InputError, OSError):
        return True


def _inside(folder: Path, *, files: bool) -> list[str]:
    """Names in a folder but hidden ones; none where it is not ours to read."""
    try:
        with os.scandir(folder) as entries:
            found = [entry.name for entry in entries if files or entry.is_dir()]
    except OSError:
        return []
    return sorted(name for name in found if not name.startswith("."))


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
    places = {index: Path(os.path.abspath(clip.place)) for index, clip in enumerate(clips) if not clip.name}
    root = Path(os.path.abspath(root))
    parents = [place.parent for place in places.values() if not place.is_relative_to(root)]
    shared = _shared(parents)

    def name(place: Path) -> str:
        above = root if place.is_relative_to(root) else shared
        parts = [part.lstrip(".") for part in (place.relative_to(above) if above else place).parts]
        return "-".join(filter(None, parts)).replace(os.sep, "") or place.name

    return [replace(clip, name=name(places[index])) if index in places else clip for index, clip in enumerate(clips)]


def frames_of(clip: Clip, at_most: int | None = None) -> int | None:
    """Frames of a clip as its scene file has it, but not more than are asked for; None where it does not say so."""
    asked = at_most if clip.num_frames is None else clip.num_frames
    if not clip.is_folder:
        return asked
    try:
        with open(clip.place.path / SCENE_FILE, "rb") as stream:
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
