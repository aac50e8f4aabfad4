"""The commands that measure: motions, ingredients, this machine."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from warpprior.commands.running import OK, first_frames, refuse_existing, start_warp, tell, tell_warnings
from warpprior.support.device import self_healing
from warpprior.support.errors import InputError
from warpprior.support.progress import progress_bar
from warpprior.support.tables import format_summary


def evaluate(
    scene_folder: Path,
    poses_file: Path | None = None,
    *,
    output: Path | None = None,
    device: str | None = None,
    num_frames: int | None = None,
    overwrite: bool = False,
    quiet: bool = False,
) -> int:
    """Measure a pose file, or the scene's initial poses, and print a table; optionally write all numbers as JSON."""
    from warpprior import metrics
    from warpprior.io import load_scene, prepare_file
    from warpprior.io.results import write_json

    if output is not None:
        prepare_file(output, overwrite=overwrite)
    chosen = start_warp(device, quiet)
    scene, poses = first_frames(load_scene(scene_folder), poses_file, num_frames)
    tell_warnings(scene, quiet)
    found = self_healing(lambda: metrics.evaluate(scene, poses, device=chosen))
    if output is not None:
        write_json(output, found)
    tell(quiet, format_summary(found, [body.name for body in scene.bodies]))
    return OK


def ablate(
    scene_folders: Sequence[Path],
    output_dir: Path,
    *,
    simulated: str | None = None,
    seeds: Sequence[int] = range(10),
    object_name: str | None = None,
    mask_noise: str = "M1",
    variants: Sequence[str] = (),
    assignments: Sequence[str] = (),
    num_frames: int | None = None,
    jobs: int = 1,
    device: str | None = None,
    overwrite: bool = False,
    quiet: bool = False,
) -> int:
    """Refine scenes with every variant, keep the runs, and write and print the tables; see :mod:`warpprior.ablation`.

    Args:
        scene_folders: scenes with truth.
        output_dir: holds ``runs/`` and the tables; runs of the same scene and settings are used again.
        simulated: name of a scene that is simulated with each of ``seeds``, too.
        object_name, mask_noise, num_frames: of the simulated scenes.
        variants: none at all means all of the table.
        assignments: ``key=value`` texts that hold for every variant.
        jobs: processes side by side.
        overwrite: repeat runs that are there, and take a folder that holds something else.
    """
    from warpprior.ablation import ablate as run
    from warpprior.ablation.sources import collect_sources
    from warpprior.ablation.table import TABLE_FILE, format_tables, write_tables
    from warpprior.ablation.variants import choose_variants

    settings = choose_variants(variants, assignments)
    sources = collect_sources(
        scene_folders, simulated, seeds, object_name=object_name, mask_noise=mask_noise, frame_count=num_frames
    )
    with _runs_in(output_dir, overwrite, scene_folders):
        chosen = start_warp(device, quiet)
        with progress_bar("ablate", quiet=quiet) as progress:
            runs = run(sources, settings, output_dir, device=chosen, jobs=jobs, progress=progress)
        rows = write_tables(output_dir, runs, {name: one.as_dict() for name, one in settings.items()}, chosen)
    refused = [error for row in rows.values() for error in row.get("errors", ())]
    tell(quiet, format_tables(rows), *dict.fromkeys(refused), f"{len(runs)} runs; tables in {output_dir / TABLE_FILE}")
    return OK


def ablate_tracking(
    names: Sequence[str],
    output_dir: Path,
    *,
    seeds: Sequence[int] = range(20),
    object_name: str | None = None,
    assignments: Sequence[str] = (),
    num_frames: int | None = None,
    jobs: int = 1,
    device: str | None = None,
    overwrite: bool = False,
    quiet: bool = False,
) -> int:
    """Track simulated scenes in every way of the study, keep the runs, and write and print its tables.

    Args:
        names: of scenes of a human hand, each simulated with each of ``seeds``.
        output_dir: holds ``runs/`` and the tables; runs of the same scene and settings are used again.
        object_name, num_frames: of the simulated scenes.
        assignments: ``key=value`` texts that hold for our filter, and for the others but for what makes them.
        jobs: processes side by side.
        overwrite: repeat runs that are there, and take a folder that holds something else.
    """
    from warpprior.ablation.sources import collect_tracking_sources
    from warpprior.ablation.tracking_runs import track_cases
    from warpprior.ablation.tracking_table import TABLE_FILE, format_study, write_study
    from warpprior.support.overrides import apply_overrides
    from warpprior.tracking.settings import TrackSettings

    settings = apply_overrides(TrackSettings(), assignments)
    sources = collect_tracking_sources(names, seeds, object_name=object_name, frame_count=num_frames)
    with _runs_in(output_dir, overwrite):
        chosen = start_warp(device, quiet)
        with progress_bar("track", quiet=quiet) as progress:
            records = track_cases(sources, settings, output_dir, device=chosen, jobs=jobs, progress=progress)
        found = write_study(output_dir, records, settings.as_dict(), chosen)
    tell(quiet, format_study(found), f"{len(records)} scenes; tables in {output_dir / TABLE_FILE}")
    return OK


@contextmanager
def _runs_in(folder: Path, overwrite: bool, protect: Sequence[Path] = ()) -> Iterator[None]:
    """Prepare the folder of a study: runs that are in it stay, unless they are to be repeated."""
    import shutil

    from warpprior.ablation.runs import RUNS_FOLDER
    from warpprior.io import prepare_output

    if not (folder / RUNS_FOLDER).is_dir():
        refuse_existing(folder, overwrite)
    with prepare_output(folder, overwrite=True, protect=protect):
        if overwrite:
            shutil.rmtree(folder / RUNS_FOLDER, ignore_errors=True)
        yield


def info(*, as_json: bool = False) -> int:
    """Print versions, devices, extras and the kernel cache."""
    from warpprior import environment

    found = environment.info()
    print(json.dumps(found, indent=1) if as_json else environment.format_info(found))
    return OK


def bench(
    *,
    device: str | None = None,
    only: Sequence[str] = (),
    list_only: bool = False,
    compare: Path | None = None,
    max_ratio: float | None = None,
    update_baseline: bool = False,
    json_file: Path | None = None,
    quiet: bool = False,
) -> int:
    """Time the parts of the project; 1 when an answer is wrong or a case takes ``max_ratio`` times its baseline.

    Raises:
        InputError: not run from a source checkout, no such case, or no baseline.
    """
    try:
        program = importlib.import_module("warpprior.bench.program")
    except ModuleNotFoundError as error:
        if error.name not in ("warpprior.bench", "warpprior.bench.program"):
            raise
        where = "the benchmark is part of the source checkout only"
        raise InputError("warpprior bench", where, "clone the repository and run `make bench` in it") from None
    return program.run(
        start_warp(device, quiet),
        only=only,
        list_only=list_only,
        compare=compare,
        max_ratio=max_ratio,
        update_baseline=update_baseline,
        json_file=json_file,
        quiet=quiet,
    )
