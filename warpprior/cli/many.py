"""Refining many scenes in one process, which imports and compiles once: a result folder each, whatever others do."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from warpprior.cli.interrupts import INTERRUPTED
from warpprior.cli.messages import explained
from warpprior.formats.place import Place
from warpprior.settings import RefineSettings
from warpprior.support.errors import InputError

_GRAVITY = (0, 3, 2, 1, INTERRUPTED)  # exit codes, the worst last


@dataclass(frozen=True)
class RefinedFolder:
    """What became of one scene of several.

    Attributes:
        scene: its folder, or ``FORMAT:PATH``.
        output_dir: the result folder.
        exit_code: 0 done, 1 failed while running, 2 bad input, 3 fits badly (where strict), 130 interrupted.
        said: one line: how it fits, or what went wrong.
    """

    scene: Path
    output_dir: Path
    exit_code: int
    said: str


def refine_folders(
    scenes: Sequence[str | Path | Place],
    output_dir: str | Path,
    settings: RefineSettings | None = None,
    *,
    num_frames: int | None = None,
    device: str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    check_first: bool = True,
    strict: bool = False,
    memory: str | None = None,
    debug: bool = False,
    told: Callable[[RefinedFolder], None] | None = None,
) -> list[RefinedFolder]:
    """Refine scene folders one after the other, as ``warpprior refine`` does, each into a folder of its own.

    What goes wrong with one does not keep the others from being refined.  Ctrl-C ends all of it: the scene that is
    being refined leaves its best so far.

    Args:
        scenes: scene folders, or texts ``FORMAT:PATH``.
        output_dir: where result folders are made, with the names of the scenes' folders, and as much of what is above
            these as tells them apart.
        settings: of all; defaults work.
        num_frames: use only the first frames of each.
        device: as of :func:`warpprior.refine`.
        overwrite: results that are there are replaced.
        resume: runs that were interrupted go on, and complete results stay.
        check_first, strict, memory: as of :func:`warpprior.refine`; what is strict ends with exit code 3 where it fits
            badly.
        debug: print the traceback of what went wrong.
        told: called with what became of each scene, as soon as it is known.

    Returns:
        What became of each, in order; after Ctrl-C, of those that were begun.

    Raises:
        InputError: a scene is given twice.
    """
    from warpprior.cli.refining import refine_folder

    settings = RefineSettings() if settings is None else settings
    found: list[RefinedFolder] = []
    for scene, name in folder_names(scenes).items():
        folder = Path(output_dir) / name
        how = {"num_frames": num_frames, "device": device, "overwrite": overwrite, "resume": resume}
        how |= {"check_first": check_first, "strict": strict, "memory": memory}
        try:
            code, said = refine_folder(scene, folder, settings, **how, quiet=True)
        except BrokenPipeError:
            raise
        except Exception as error:  # of a library, too: the next scene may be well
            if debug:
                traceback.print_exc()
            code, said = explained(error)
        found.append(RefinedFolder(Path(str(scene)), folder, code, said))
        if told is not None:
            told(found[-1])
        if code == INTERRUPTED:
            break
        gc.collect()  # before the next scene takes as much memory
    return found


def worst(codes: Sequence[int]) -> int:
    """The exit code of several runs."""
    return max(codes, key=_GRAVITY.index, default=0)


def folder_names(scenes: Sequence[str | Path | Place]) -> dict[Place, str]:
    """A name for the result of each scene folder: the folder's own, with those above it where they tell two apart.

    Raises:
        InputError: a scene is given twice.
    """
    parts: dict[Place, tuple[str, ...]] = {}
    for scene in map(Place.parse, scenes):
        whole = scene.path.resolve().parts[1:] or ("scene",)
        if whole in parts.values():
            raise InputError(str(scene), "is given twice", "each scene once")
        parts[scene] = whole
    for length in range(1, max(map(len, parts.values()), default=1) + 1):
        names = {scene: "-".join(whole[-length:]) for scene, whole in parts.items()}
        if len(set(names.values())) == len(names):
            return names
    return {scene: f"{number}-{whole[-1]}" for number, (scene, whole) in enumerate(parts.items())}
