"""``warpprior batch``: refine many clips side by side, whatever becomes of some of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from warpprior.cli.options import argument, option
from warpprior.cli.shared import Checked, Common, IntoFolder, NamingFormats, OnDevice, Refined, folder
from warpprior.support.limits import MOST_WHOLE, number

PLACE = 2
SUMMARY = "refine many clips side by side; one that fails, hangs or dies costs itself alone"


@dataclass(frozen=True, kw_only=True)
class Options(NamingFormats, Refined, Checked, IntoFolder, OnDevice, Common):
    """Options of ``batch``."""

    source: str = argument(
        "SOURCE", "folder in which scene folders are, FORMAT:ROOT, or a list of scenes: text, .csv or .jsonl"
    )
    output_dir: Path = folder("folder of the result folders, of summary.csv and index.html")
    num_frames: int | None = option("use only the first N frames of each", number(None, 1, MOST_WHOLE), metavar="N")
    jobs: int | None = option(
        "clips side by side (default: one for each GPU, or as many as cores and memory have room for)",
        number(None, 1, 4096),
        metavar="N",
    )
    subset: str | None = option(
        "only sequences of this split, as the data set defines it: s0_test, p1_val, evaluation", metavar="NAME"
    )
    shard: str | None = option("take every n-th clip, from the i-th: i/n, from 1/n to n/n", metavar="I/N")
    resume: bool = option("go on with an earlier batch: finished clips stay", False)
    clip_timeout: float = option("seconds after which a clip is given up", number(3600.0, 0.01), metavar="SECONDS")
    retries: int = option(
        "how often a clip is begun again that failed, died or was given up", number(1, 0, 100), metavar="N"
    )
    memory: str | None = option(
        "what all may take together on a CPU, or on each GPU, as 16GiB (default: most of what is free)", metavar="SIZE"
    )
    ray: str | None = option(
        "use a Ray cluster: its address, auto, or local for one on this machine", metavar="ADDRESS"
    )


def run(options: Options) -> int:
    """Refine the clips; a line for each, and at the end how many are done."""
    from warpprior.batches.clips import clips_of, of_shard, read_shard
    from warpprior.batches.run import Plan, run_batch
    from warpprior.batches.telling import Teller
    from warpprior.batches.work import Work
    from warpprior.cli.interrupts import INTERRUPTED, WATCH
    from warpprior.cli.many import worst
    from warpprior.cli.messages import complain
    from warpprior.cli.refining import chosen_settings
    from warpprior.support.memory import read_size

    shard = None if options.shard is None else read_shard(options.shard)
    clips = clips_of(options.source, options.format_options, subset=options.subset)
    work = Work(
        options.output_dir,
        chosen_settings(options),
        num_frames=options.num_frames,
        overwrite=options.overwrite,
        resume=options.resume,
        check_first=not options.no_check,
        strict=options.strict,
        clip_timeout_s=options.clip_timeout,
        own_terms=options.own_terms,
    )
    plan = Plan(
        jobs=options.jobs,
        shard=shard,
        device=options.device,
        retries=options.retries,
        memory=None if options.memory is None else read_size(options.memory, "--memory"),
        ray=options.ray,
    )
    total = len(of_shard(clips, shard))
    with WATCH.stake() as at_stake, Teller(total, quiet=options.quiet) as teller:
        at_stake(True)  # the first Ctrl-C has workers ended and the tables written
        try:
            found = run_batch(clips, work, plan, teller)
        except KeyboardInterrupt:
            teller.close()
            complain(f"interrupted; {teller.done} of {total} clips are done, go on with --resume")
            return INTERRUPTED
    teller.sum_up(found, options.output_dir)
    return worst([record.exit_code for record in found])
