"""Refining many scenes in one process, which imports and compiles once: a result folder each, whatever others do."""

from __future__ import annotations

import gc
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warpprior.cli.interrupts import INTERRUPTED, WATCH
from warpprior.cli.messages import explained
from warpprior.formats.place import Place
from warpprior.settings import RefineSettings
from warpprior.support.device import resolve_device
from warpprior.support.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from warpprior.cli.refining import Asked, How
    from warpprior.result import Result
    from warpprior.support.progress import Progress

AT_ONCE = 16  # scenes that are read before the first is refined, where they go together
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
    together: bool | None = None,
    debug: bool = False,
    told: Callable[[RefinedFolder], None] | None = None,
) -> list[RefinedFolder]:
    """Refine scene folders as ``warpprior refine`` does, each into a folder of its own.

    What goes wrong with one does not keep the others from being refined.  Ctrl-C ends all of it: what is being refined
    leaves its best so far.

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
        together: refine a few at a time, those that fit together in the same launches, as
            :func:`warpprior.refine_many` does; None does so on a GPU.
        debug: print the traceback of what went wrong.
        told: called with what became of each scene, as soon as it is known.

    Returns:
        What became of each, in order; after Ctrl-C, of those that were begun.

    Raises:
        InputError: a scene is given twice.
    """
    from warpprior.cli.refining import How

    how = How(
        num_frames=num_frames,
        device=device,
        overwrite=overwrite,
        resume=resume,
        check_first=check_first,
        strict=strict,
        memory=memory,
        quiet=True,
    )
    work = _Folders(RefineSettings() if settings is None else settings, how, debug, told)
    folders = [(scene, Path(output_dir) / name) for scene, name in folder_names(scenes).items()]
    at_once = AT_ONCE if _goes_together(together, device) else 1
    for first in range(0, len(folders), at_once):
        work.refine(folders[first : first + at_once])
        if any(one.exit_code == INTERRUPTED for one in work.found):
            break
        gc.collect()  # before the next scenes take as much memory
    return work.found


def _goes_together(together: bool | None, device: str | None) -> bool:
    if together is None:
        try:
            return resolve_device(device).startswith("cuda")
        except InputError:  # each scene says so
            return False
    return together


class _Folders:
    """What has become of scene folders so far.

    Args:
        settings, debug, told: as of :func:`refine_folders`.
        how: they are refined.

    Attributes:
        found: of each in turn.
    """

    def __init__(self, settings: RefineSettings, how: How, debug: bool, told: Callable[[RefinedFolder], None] | None):
        self.found: list[RefinedFolder] = []
        self._settings, self._how, self._debug, self._told = settings, how, debug, told

    def refine(self, folders: Sequence[tuple[Place, Path]]) -> None:
        """Refine some scenes into their folders, in the same launches where they go together."""
        from warpprior.cli.refining import folder_work
        from warpprior.refinement.many import NotBegunError

        works: dict[Place, Any] = {}
        asked: dict[Place, Asked] = {}

        def ask(place: Place) -> tuple[int, str] | None:
            try:
                asked[place] = next(works[place])
            except StopIteration as end:
                return end.value
            return None

        for place, folder in folders:
            works[place] = folder_work(place, folder, self._settings, self._how)
            self._close(place, folder, lambda place=place: ask(place))
        given: dict[Place, tuple[Result | Exception, float]] = {}
        fresh = [place for place, one in asked.items() if one.state is None]
        if len(fresh) > 1:
            with suppress(InputError):  # what is wrong for all is said of each
                given = dict(zip(fresh, self._together([asked[place] for place in fresh]), strict=True))

        def answer(place: Place) -> tuple[int, str]:
            one, seconds = given.get(place, (None, 0.0))

            def run(progress: Progress) -> Result:
                if isinstance(one, Exception):
                    raise one
                return asked[place].refined(progress) if one is None else one

            try:
                works[place].send((run, seconds))
            except StopIteration as end:
                return end.value
            raise AssertionError("it asks once")

        interrupted = any(not getattr(one, "complete", True) for one, _ in given.values())
        for place, folder in folders:
            one, _ = given.get(place, (NotBegunError() if interrupted else None, 0.0))
            if place in asked and not isinstance(one, NotBegunError):
                self._close(place, folder, lambda place=place: answer(place))

    def _together(self, asked: Sequence[Asked]) -> list[tuple[Result | Exception, float]]:
        """What came of several scenes, and each one's share of the time [s]."""
        from warpprior.refinement.many import refine_many

        began = time.perf_counter()
        scenes = [one.scene for one in asked]

        def keep(number: int, arrays: dict[str, np.ndarray]) -> None:
            at_stake(True)
            asked[number].keep(arrays)

        with WATCH.stake() as at_stake:
            found = refine_many(
                scenes,
                self._settings,
                device=asked[0].device,
                together=True,
                keep=keep,
                check_first=self._how.check_first,
                strict=self._how.strict,
                memory=self._how.memory,
            )
        share = (time.perf_counter() - began) / sum(scene.frame_count for scene in scenes)
        return [(one, share * scene.frame_count) for one, scene in zip(found, scenes, strict=True)]

    def _close(self, place: Place, folder: Path, work: Callable[[], tuple[int, str] | None]) -> None:
        """Do something for a scene, and say what became of it if that was all."""
        try:
            ended = work()
        except BrokenPipeError:
            raise
        except Exception as error:  # of a library, too: the next scene may be well
            if self._debug:
                traceback.print_exc()
            ended = explained(error)
        if ended is not None:
            self.found.append(RefinedFolder(Path(str(place)), folder, *ended))
            if self._told is not None:
                self._told(self.found[-1])


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
