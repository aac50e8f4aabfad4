"""``warpprior import``: read others' files and write a scene folder, or several."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from warpprior.cli.options import argument, option
from warpprior.cli.shared import Common, IntoFolder, NamingFormats, folder

PLACE = 13
SUMMARY = "write others' files as a scene folder, and say what was changed, guessed and left out"


@dataclass(frozen=True, kw_only=True)
class Options(NamingFormats, IntoFolder, Common):
    """Options of ``import``."""

    sources: tuple[str, ...] = argument(
        "[FORMAT] SOURCE", "name of a format (see warpprior formats) and files or folders of it", nargs="+"
    )
    unknown_size: tuple[str, ...] = option(
        "the mesh of this object has no size of its own: it is estimated; repeatable", (), metavar="OBJECT"
    )
    output_dir: Path = folder("scene folder to write; of several sources, the one that their scene folders are in")


def run(options: Options) -> int:
    """Import; the format is guessed where none is named."""
    from warpprior.cli.many import folder_names
    from warpprior.cli.running import OK, say
    from warpprior.formats import write
    from warpprior.formats.opening import with_unknown_sizes
    from warpprior.formats.place import Place
    from warpprior.io import prepare_folder

    places = _places(options)
    names = folder_names(places) if len(places) > 1 else {Place.parse(places[0]): ""}
    for place, name in names.items():
        target = options.output_dir / name if name else options.output_dir
        with prepare_folder(target, overwrite=options.overwrite):
            recording = with_unknown_sizes(_read(place, options), options.unknown_size)
            say(options.quiet, *(f"  {note}" for note in recording.notes))
            write(recording, target, "scene", overwrite=options.overwrite)
        bodies = ", ".join(item.name for item in recording.scene.bodies)
        say(options.quiet, f"{recording.scene.frame_count} frames of {bodies} in {target}")
    say(options.quiet, f"next: warpprior check {target}")
    return OK


def _places(options: Options) -> list:
    """The sources, each with the format that is named first, or before its own path."""
    from warpprior.formats.place import Place
    from warpprior.formats.registry import is_format
    from warpprior.support.errors import InputError

    first, *others = options.sources
    if others and is_format(first):
        return [Place(Path(source), first) for source in others]
    if is_format(first) and not Path(first).exists():
        raise InputError("warpprior import", f"{first} of nothing", f"warpprior import {first} SOURCE --output-dir DIR")
    return [Place.parse(source) for source in options.sources]


def _read(place, options: Options):
    from dataclasses import replace

    from warpprior.formats.opening import guess_place, noted, read_place
    from warpprior.formats.place import ANY

    guessed = None
    if place.format == ANY:
        place, guessed = guess_place(place.path)
    recording = read_place(replace(place, options=options.format_options.get(place.format)))
    return recording if guessed is None else noted(recording, guessed, first=True)
