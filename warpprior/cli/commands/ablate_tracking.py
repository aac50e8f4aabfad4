"""``warpprior ablate-tracking``: track simulated scenes in every way of the study, and make its tables."""

from __future__ import annotations

from dataclasses import dataclass

from warpprior.cli.options import argument, option
from warpprior.cli.studies import Study, changed_settings, seeds
from warpprior.support.limits import MOST_WHOLE, number

PLACE = 7
SUMMARY = "track simulated scenes with other filters, observations and troubles, and make tables of the results"


@dataclass(frozen=True, kw_only=True)
class Options(Study):
    """Options of ``ablate-tracking``; settings hold for our filter, and for the others but for what makes them."""

    names: tuple[str, ...] = argument("NAME", "scenes of a human hand, such as grasp_lift", nargs="+")
    seeds: tuple[int, ...] = seeds(20)
    assignments: tuple[str, ...] = changed_settings("our filter")
    num_frames: int | None = option("simulate only N frames", number(None, 1, MOST_WHOLE), metavar="N")


def run(options: Options) -> int:
    """Track the scenes in every way, keep the runs, and write and print the tables."""
    from warpprior.ablation.sources import collect_tracking_sources
    from warpprior.ablation.tracking_runs import track_cases
    from warpprior.ablation.tracking_table import TABLE_FILE, format_study, write_study
    from warpprior.cli.running import say, start_warp
    from warpprior.cli.studies import report_refused, runs_in
    from warpprior.support.overrides import apply_overrides
    from warpprior.support.progress import progress_bar
    from warpprior.tracking.settings import TrackSettings

    folder = options.output_dir
    settings = apply_overrides(TrackSettings(), options.assignments)
    sources = collect_tracking_sources(
        options.names, options.seeds, object_name=options.object, frame_count=options.num_frames
    )
    with runs_in(folder, options.overwrite):
        device = start_warp(options.device, options.quiet)
        with progress_bar("track", quiet=options.quiet) as progress:
            records = track_cases(sources, settings, folder, device=device, jobs=options.jobs, progress=progress)
        found = write_study(folder, records, settings.as_dict(), device)
    say(options.quiet, format_study(found), f"{len(records)} scenes; tables in {folder / TABLE_FILE}")
    return report_refused(f"{one['scene']}, seed {one['seed']}: {one['error']}" for one in records if "error" in one)
