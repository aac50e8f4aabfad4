"""Refining from the command line: settings from options, and a run that leaves checkpoints in its folder."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from warpprior.cli.own_terms import load_term, programs_of
from warpprior.cli.results import exit_code, exit_code_of, in_one_line, places_of, read_start, run_into
from warpprior.cli.running import say, start_warp
from warpprior.cli.shared import Refined
from warpprior.formats.place import Place
from warpprior.io import prepare_output
from warpprior.result import Result
from warpprior.scene import Scene
from warpprior.support.errors import InputError
from warpprior.support.progress import Progress

if TYPE_CHECKING:
    import numpy as np

    from warpprior.settings import RefineSettings

COMPLETE = "complete: nothing to resume"
CONTINUE = ", continue with --resume"


def chosen_settings(options: Refined) -> RefineSettings:
    """The default settings with what the options change.

    Raises:
        InputError: a setting, value or term that there is not.
    """
    from warpprior.settings import RefineSettings
    from warpprior.support.overrides import apply_overrides

    direct = [f"seed={options.seed}"] + ([] if options.iterations is None else [f"iterations={options.iterations}"])
    start = RefineSettings.paper_literal() if options.paper_literal else RefineSettings()
    if options.own_terms:
        start = replace(start, terms=(*start.terms, *map(load_term, options.own_terms)))
    settings = apply_overrides(start, [*direct, *options.assignments])
    return settings.leaving_out(options.without)


@dataclass(frozen=True, kw_only=True)
class How:
    """How a scene folder is refined into a result folder.

    Attributes:
        num_frames, initial, device, overwrite, resume, check_first, strict, memory, quiet: options of ``refine``.
        table: print what came out as a table, unless quiet.
    """

    num_frames: int | None = None
    initial: Path | None = None
    device: str | None = None
    overwrite: bool = False
    resume: bool = False
    check_first: bool = True
    strict: bool = False
    memory: str | float | None = None
    quiet: bool = False
    table: bool = False


def refine_folder(place: str | Path | Place, folder: Path, settings: RefineSettings, how: How) -> tuple[int, str]:
    """Refine a scene folder, or ``FORMAT:PATH``, into a result folder.

    Returns:
        The exit code, and how the result fits in one line.
    """
    work = folder_work(place, folder, settings, how)
    try:
        asked = next(work)
        work.send((asked.refined, 0.0))
    except StopIteration as end:
        return end.value
    raise AssertionError("it asks once")


@dataclass(frozen=True)
class Asked:
    """A scene that is to be refined for a result folder.

    Attributes:
        scene: as it was read.
        settings, device, how: of the refinement.
        state: of the checkpoint to go on from, None for the beginning.
        keep: takes arrays for a checkpoint.
    """

    scene: Scene
    settings: RefineSettings
    device: str
    how: How
    state: dict[str, np.ndarray] | None
    keep: Callable[[dict[str, np.ndarray]], None]

    def refined(self, progress: Progress) -> Result:
        """The scene refined by itself."""
        from warpprior.refinement.run import refine

        return refine(
            self.scene,
            self.settings,
            device=self.device,
            progress=progress,
            keep=self.keep,
            resume_from=self.state,
            check_first=self.how.check_first,
            strict=self.how.strict,
            memory=self.how.memory,
        )


Refining = tuple[Callable[[Progress], Result], float]


def folder_work(
    place: str | Path | Place, folder: Path, settings: RefineSettings, how: How
) -> Generator[Asked, Refining, tuple[int, str]]:
    """All of :func:`refine_folder` but the refinement, which it asks for once.

    It is sent what refines, and the seconds that a part of it took which is done already.  Unless nothing is to be
    refined, for the result is there.
    """
    protect, quiet = places_of(place, how.initial), how.quiet
    with prepare_output(folder, overwrite=how.overwrite, resume=how.resume, protect=protect):
        device = start_warp(how.device, quiet)
        began = time.perf_counter()
        scene = read_start(place, how.initial, how.num_frames, quiet=quiet)
        state, inputs = None, inputs_of(scene, settings)
        if how.resume:
            state, complete = state_to_resume(folder, inputs, or_begin=how.overwrite)
            if complete:
                say(quiet or not how.table, f"{folder}: {COMPLETE}")
                return exit_code_of(folder, strict=how.strict), COMPLETE
        read = time.perf_counter() - began
        run, seconds = yield Asked(scene, settings, device, how, state, checkpoints_of(folder, inputs))
        began = time.perf_counter()
        said = {"remedy": CONTINUE, "quiet": quiet, "source": Place.parse(place)}
        result = run_into(folder, scene, run, "refine", device, settings.seed, inputs=inputs, **said)
    seconds += read + time.perf_counter() - began
    return exit_code(result, strict=how.strict), in_one_line(result, seconds)


def checkpoints_of(folder: Path, inputs: dict[str, str]) -> Callable[[dict[str, np.ndarray]], None]:
    """What writes checkpoints of a run into its result folder."""
    from warpprior.io import save_checkpoint

    return lambda arrays: save_checkpoint(folder, arrays, {"inputs": inputs})


def inputs_of(scene: Scene, settings: RefineSettings) -> dict[str, str]:
    """Everything that the result depends on, part by part."""
    from warpprior.io import fingerprint

    return fingerprint(scene, {**settings.as_dict(), "programs": programs_of(settings.terms)})


def state_to_resume(
    folder: Path, inputs: dict[str, str], *, or_begin: bool = False
) -> tuple[dict[str, np.ndarray] | None, bool]:
    """Where an earlier run had come to, None for its beginning; and whether its result is complete.

    A checkpoint is of the last run that began; a complete result may be an earlier one's.

    Args:
        folder: result folder, held.
        inputs: what the run that goes on is made from.
        or_begin: where the earlier run cannot be continued, say so in a warning and begin again.

    Raises:
        InputError: the earlier run was made from something else, which is named, or its files do not belong together.
    """
    try:
        return _state_to_resume(folder, inputs)
    except InputError as error:
        if not or_begin:
            raise
        warnings.warn(f"{error.where}: {error.found}; beginning again", stacklevel=2)
        return None, False


def _state_to_resume(folder: Path, inputs: dict[str, str]) -> tuple[dict[str, np.ndarray] | None, bool]:
    from warpprior.io.checkpoint import check_same_inputs, load_checkpoint
    from warpprior.io.result_folder import CONFIG_FILE, checked_poses_file, read_record

    record = read_record(folder) or {}
    complete = record.get("complete") is True
    if complete and record.get("inputs") == inputs:
        checked_poses_file(folder)
        return None, True
    found = load_checkpoint(folder, expected=inputs)
    if found is not None:
        return found[0], False
    if record:
        check_same_inputs(folder / CONFIG_FILE, record.get("inputs"), inputs)
    return None, False


def refine_into(
    folder: Path,
    scene: Scene,
    settings: RefineSettings,
    device: str,
    inputs: dict[str, str],
    *,
    quiet: bool = False,
    brief: bool = False,
) -> Result:
    """Refine, write the result folder and say what came out; ``inputs`` are those of :func:`inputs_of`."""
    asked = Asked(scene, settings, device, How(), None, checkpoints_of(folder, inputs))
    said = {"remedy": CONTINUE, "quiet": quiet, "brief": brief}
    return run_into(folder, scene, asked.refined, "refine", device, settings.seed, inputs=inputs, **said)
