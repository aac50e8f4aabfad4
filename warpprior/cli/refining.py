"""Refining from the command line: settings from options, and a run that leaves checkpoints in its folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from warpprior.cli.own_terms import load_term, programs_of
from warpprior.cli.results import run_into
from warpprior.cli.shared import Refined
from warpprior.result import Result
from warpprior.scene import Scene
from warpprior.support.progress import Progress

if TYPE_CHECKING:
    from warpprior.settings import RefineSettings


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


def refine_into(
    folder: Path,
    scene: Scene,
    settings: RefineSettings,
    device: str,
    *,
    resume: bool = False,
    quiet: bool = False,
    brief: bool = False,
) -> Result:
    """Refine, from the checkpoint on if ``resume``, write the result folder and say what came out."""
    from warpprior.io import fingerprint, load_checkpoint, save_checkpoint
    from warpprior.refinement.run import refine

    inputs = fingerprint(scene, {**settings.as_dict(), "programs": programs_of(settings.terms)})
    found = load_checkpoint(folder, expected_fingerprint=inputs) if resume else None

    def run(progress: Progress) -> Result:
        return refine(
            scene,
            settings,
            device=device,
            progress=progress,
            keep=lambda arrays: save_checkpoint(folder, arrays, {"fingerprint": inputs}),
            resume_from=None if found is None else found[0],
        )

    remedy = ", continue with --resume"
    return run_into(folder, scene, run, "refine", device, settings.seed, remedy=remedy, quiet=quiet, brief=brief)
