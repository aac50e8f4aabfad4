"""``warpprior ablate``: refine scenes with parts left out, and make tables; see :mod:`warpprior.ablation`."""

from __future__ import annotations

from dataclasses import dataclass

from warpprior.cli.options import argument, option
from warpprior.cli.shared import as_place
from warpprior.cli.studies import Study, changed_settings, seeds
from warpprior.formats.place import Place
from warpprior.support.limits import MOST_WHOLE, number

PLACE = 6
SUMMARY = "refine scenes with parts left out, and make a table of the results"


def _levels() -> str:
    from warpprior.scenes.noise import MASK_NOISE

    return f"errors of the simulated labels: one of {', '.join(MASK_NOISE)}"


@dataclass(frozen=True, kw_only=True)
class Options(Study):
    """Options of ``ablate``."""

    scenes: tuple[Place, ...] = argument(
        "SCENE", "scenes with truth: folders, FORMAT:PATH", (), read=as_place, nargs="*"
    )
    simulate: str | None = option("simulate this scene with each of --seeds, too", metavar="NAME")
    seeds: tuple[int, ...] = seeds(10)
    mask_noise: str = option(_levels, "M1", metavar="LEVEL")
    variant: tuple[str, ...] = option('only these, such as "without sliding"', (), metavar="TEXT")
    assignments: tuple[str, ...] = changed_settings("every variant")
    num_frames: int | None = option("use or simulate only N frames", number(None, 1, MOST_WHOLE), metavar="N")


def run(options: Options) -> int:
    """Refine the scenes with every variant, keep the runs, and write and print the tables."""
    from warpprior.ablation import ablate
    from warpprior.ablation.sources import collect_sources
    from warpprior.ablation.study_table import TABLE_FILE, format_tables, write_tables
    from warpprior.ablation.variants import choose_variants
    from warpprior.cli.running import say, start_warp
    from warpprior.cli.studies import report_refused, runs_in
    from warpprior.support.progress import progress_bar

    folder = options.output_dir
    settings = choose_variants(options.variant, options.assignments)
    sources = collect_sources(
        options.scenes,
        options.simulate,
        options.seeds,
        object_name=options.object,
        mask_noise=options.mask_noise,
        frame_count=options.num_frames,
    )
    with runs_in(folder, options.overwrite, [scene.path for scene in options.scenes]):
        device = start_warp(options.device, options.quiet)
        with progress_bar("ablate", quiet=options.quiet) as progress:
            runs = ablate(sources, settings, folder, device=device, jobs=options.jobs, progress=progress)
        rows = write_tables(folder, runs, {name: one.as_dict() for name, one in settings.items()}, device)
    say(options.quiet, format_tables(rows), f"{len(runs)} runs; tables in {folder / TABLE_FILE}")
    return report_refused(error for row in rows.values() for error in row.get("errors", ()))
