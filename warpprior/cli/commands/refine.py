"""``warpprior refine``: refine a scene folder and write a result folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from warpprior.cli.options import option
from warpprior.cli.shared import Checked, Common, IntoFolder, OnDevice, OneScene, Refined, Started, folder

PLACE = 1
SUMMARY = "estimate the motion of every body that is not known"


@dataclass(frozen=True, kw_only=True)
class Options(OneScene, Refined, Started, Checked, IntoFolder, OnDevice, Common):
    """Options of ``refine``."""

    output_dir: Path = folder("result folder")
    resume: bool = option("continue an interrupted run in --output-dir", False)
    memory: str | None = option(
        "what the process may take, or the run on a GPU, as 4GiB (default: most of what is free)", metavar="SIZE"
    )


def run(options: Options) -> int:
    """Refine; everything that can be refused is refused before computing.

    An interrupted run leaves its best so far, marked incomplete, and can be resumed.  Where the result is complete and
    of the same settings and inputs, resuming does nothing.
    """
    from warpprior.cli.refining import chosen_settings, inputs_of, refine_into, state_to_resume
    from warpprior.cli.results import exit_code, exit_code_of, places_of, read_start
    from warpprior.cli.running import say, start_warp
    from warpprior.io import prepare_output
    from warpprior.support.memory import read_size

    settings = chosen_settings(options)
    if options.memory is not None:
        read_size(options.memory, "--memory")
    protect = places_of(options.scene, options.initial)
    with prepare_output(options.output_dir, overwrite=options.overwrite, resume=options.resume, protect=protect):
        device = start_warp(options.device, options.quiet)
        scene = read_start(options.scene, options.initial, options.num_frames, quiet=options.quiet)
        state, inputs = None, inputs_of(scene, settings)
        if options.resume:
            state, complete = state_to_resume(options.output_dir, inputs, or_begin=options.overwrite)
            if complete:
                say(options.quiet, f"{options.output_dir}: complete: nothing to resume")
                return exit_code_of(options.output_dir, strict=options.strict)
        chosen = {"check_first": not options.no_check, "strict": options.strict, "quiet": options.quiet}
        result = refine_into(
            options.output_dir, scene, settings, device, inputs, state=state, memory=options.memory, **chosen
        )
    return exit_code(result, strict=options.strict)
