"""``warpprior refine``: refine a scene folder and write a result folder, or several."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from warpprior.cli.options import option
from warpprior.cli.shared import Checked, Common, IntoFolder, ManyScenes, OnDevice, Refined, Started, folder

if TYPE_CHECKING:
    from warpprior.cli.many import RefinedFolder

PLACE = 1
SUMMARY = "estimate the motion of every body that is not known"


@dataclass(frozen=True, kw_only=True)
class Options(ManyScenes, Refined, Started, Checked, IntoFolder, OnDevice, Common):
    """Options of ``refine``."""

    output_dir: Path = folder("result folder; of several scenes, the one that their result folders are in")
    resume: bool = option("continue an interrupted run in --output-dir", False)
    together: bool = option("refine scenes that fit together in the same launches, as is done on a GPU", False)
    memory: str | None = option(
        "what the process may take, or the run on a GPU, as 4GiB (default: most of what is free)", metavar="SIZE"
    )


def run(options: Options) -> int:
    """Refine; everything that can be refused is refused before computing.

    An interrupted run leaves its best so far, marked incomplete, and can be resumed.  Where the result is complete and
    of the same settings and inputs, resuming does nothing.
    """
    from warpprior.cli.refining import How, chosen_settings, refine_folder
    from warpprior.support.memory import read_size

    settings = chosen_settings(options)
    if options.memory is not None:
        read_size(options.memory, "--memory")
    how = {
        "num_frames": options.num_frames,
        "device": options.device,
        "overwrite": options.overwrite,
        "resume": options.resume,
        "check_first": not options.no_check,
        "strict": options.strict,
        "memory": options.memory,
    }
    scene, *others = options.scenes
    if others:
        return _refine_many(options, settings, how)
    alone = How(**how, initial=options.initial, quiet=options.quiet, table=True)
    code, _ = refine_folder(scene, options.output_dir, settings, alone)
    return code


def _refine_many(options: Options, settings, how: dict) -> int:
    """Refine several scenes, a line for each."""
    from warpprior.cli.many import refine_folders, worst
    from warpprior.cli.messages import complain
    from warpprior.cli.running import FITS_BADLY, OK, say
    from warpprior.support.errors import InputError

    if options.initial is not None:
        raise InputError(
            "--initial", f"given for {len(options.scenes)} scenes", "one scene, or their own initial poses"
        )

    def told(one: RefinedFolder) -> None:
        if one.exit_code in (OK, FITS_BADLY):
            say(options.quiet, f"{one.output_dir}: {one.said}")
        else:
            complain(f"error: {one.output_dir.name}: {one.said}")

    how |= {"together": options.together or None, "debug": options.debug, "told": told}
    found = refine_folders(options.scenes, options.output_dir, settings, **how)
    done = sum(one.exit_code in (OK, FITS_BADLY) for one in found)
    say(options.quiet, f"{done} of {len(options.scenes)} scenes refined")
    return worst([one.exit_code for one in found])
