"""From a scene folder to a result folder: what every command that estimates motion does."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from warpprior.cli.interrupts import INTERRUPTED, WATCH
from warpprior.cli.messages import complain
from warpprior.cli.running import FITS_BADLY, OK, first_frames, read_scene, say, say_warnings
from warpprior.formats.place import Place
from warpprior.result import STATUSES, Result
from warpprior.scene import Scene
from warpprior.support.device import self_healing
from warpprior.support.progress import Course, Progress, progress_bar
from warpprior.support.tables import format_before_after, format_verdicts

if TYPE_CHECKING:
    import numpy as np

# Seconds per frame of tracking, of measuring a body, and of drawing; and of what is written once.
_TRACK_S, _MEASURE_S, _DRAW_S, _WRITE_S = 0.03, 0.025, 0.035, 1.0


def read_start(
    place: str | Path | Place, initial: Path | None, frame_count: int | None, *, quiet: bool = False
) -> Scene:
    """The scene, cut to ``frame_count`` frames, with the poses to start from.

    Args:
        place: folder with ``scene.toml``, or ``FORMAT:PATH``.
        initial: result folder or pose file whose poses replace the scene's initial ones, except those of known bodies;
            None keeps them all.
        frame_count: how many frames to use; None takes all.
        quiet: no progress bar.

    Raises:
        InputError: see :func:`warpprior.formats.open_recording` and :func:`warpprior.io.load_result_poses`.
    """
    if initial is None:
        return read_scene(place, quiet, frame_count)
    scene, poses = first_frames(read_scene(place, quiet), initial, frame_count)
    return scene.with_poses({name: poses[name] for name in _estimated(scene)})


def places_of(place: str | Path | Place, initial: Path | None) -> list[Path]:
    """The folders that are read from, none of which may be written to."""
    return [path if path.is_dir() else path.parent for path in (Place.parse(place).path, initial) if path is not None]


def run_into(
    folder: Path,
    scene: Scene,
    run: Callable[[Progress], Result],
    title: str,
    device: str,
    seed: int,
    *,
    inputs: dict[str, str] | None = None,
    source: Place | None = None,
    remedy: str = "",
    quiet: bool = False,
    brief: bool = False,
) -> Result:
    """Estimate, measure, write the result folder and say what came out.

    Args:
        folder: result folder, prepared.
        scene: what is estimated from.
        run: estimates.
        title: of the progress bar.
        device: of the metrics and the drawings.
        seed: for the record.
        inputs: for the record, what is estimated from.
        source: for the record, where the scene was read from.
        remedy: how to continue an interrupted run.
        quiet: no progress bar and no table.
        brief: a short table.

    Returns:
        The result with its numbers and contacts; not complete when it was interrupted.
    """
    from warpprior.io import save_result

    say_warnings(scene)
    start = time.perf_counter()
    with WATCH.stake() as at_stake, progress_bar(title, quiet=quiet) as progress:
        course = Course(progress, _shares(scene, title))
        estimated, written = course.part(title), course.part("write")

        def report(done: float, total: float, text: str) -> None:
            at_stake(done > 0.0)
            estimated(done, total, text)

        result = self_healing(lambda: run(report))
        at_stake(not result.complete)  # what is complete can be had again, from the last checkpoint
        result = self_healing(lambda: _measured(result, device, course.part("measure")))
        kept = {"device": device, "seed": seed, "inputs": inputs}
        kept["source"] = None if source is None else source.record()
        result = self_healing(lambda: save_result(result, folder, **kept, progress=written))
    seconds = time.perf_counter() - start
    counts = format_verdicts({name: verdict.counts() for name, verdict in result.verdicts.items()})
    table = format_before_after(result.metrics, _estimated(scene), brief=brief)
    say(quiet, table, *([counts] if counts else []), *result.notes)
    say(quiet, f"{scene.frame_count} frames in {seconds:.1f} s on {device}", _files_to_open(folder))
    if not result.complete:
        complain(f"interrupted; the best so far is in {folder}{remedy}")
    return result


def in_one_line(result: Result, seconds: float) -> str:
    """How a result fits, in few words."""
    doubted = []
    for name, verdict in result.verdicts.items():
        counts = [f"{count} {status}" for status, count in verdict.counts().items() if count and status != STATUSES[0]]
        doubted += [f"{name} {' and '.join(counts)}"] if counts else []
    fits = "; ".join(doubted) or "all believed"
    cut = "" if result.complete else ", interrupted, the best so far"
    return f"{result.scene.frame_count} frames in {seconds:.1f} s{cut}: {fits}"


def exit_code(result: Result, *, strict: bool = False) -> int:
    """What a command returns that ended with this result; strict, a result that fits badly is told from a good one."""
    if not result.complete:
        return INTERRUPTED
    return _code_of({name: verdict.status for name, verdict in result.verdicts.items()}) if strict else OK


def exit_code_of(folder: Path, *, strict: bool) -> int:
    """What a command returns that found a complete result in a folder, as :func:`exit_code` has it."""
    from warpprior.io.result_folder import read_statuses

    return _code_of(read_statuses(folder)) if strict else OK


def _code_of(statuses: Mapping[str, np.ndarray]) -> int:
    """What a strict command returns, having said why it is not 0, even where it is to be quiet."""
    from warpprior.verdicts.judge import is_bad

    bad = [name for name, status in statuses.items() if is_bad(status)]
    if not bad:
        return OK
    complain(f"fits badly: {', '.join(bad)}; the result is written, and by --strict the exit code is {FITS_BADLY}")
    return FITS_BADLY


def _shares(scene: Scene, title: str) -> dict[str, float]:
    """What the parts of a command take, roughly, in seconds of one core; only ratios matter."""
    from warpprior.refinement.pace import whole_seconds

    frames = scene.frame_count
    estimate = whole_seconds(scene) if title == "refine" else _TRACK_S * frames
    drawn = _DRAW_S * frames if scene.labels is not None or scene.read_rgb is not None else 0.0
    return {title: estimate, "measure": _MEASURE_S * frames * len(scene.bodies), "write": _WRITE_S + drawn}


def _measured(result: Result, device: str, progress: Progress) -> Result:
    """The result with the metrics of its start and of its end, and with its contacts."""
    from warpprior.contacts import find_contacts
    from warpprior.metrics import Evaluator
    from warpprior.support.kernel_loading import load_kernels

    load_kernels(("frame_distance", "shared_volume"), device)
    course = Course(progress, {"prepare": 0.25, "before": 0.35, "after": 0.35, "contacts": 0.05})
    evaluator = Evaluator(result.scene, device=device, progress=course.part("prepare"))
    start = {body.name: body.initial for body in result.scene.bodies}
    given = None if result.scene.world is None else result.scene.world.given
    before = evaluator(start, course.part("before"), camera=given)
    metrics = {"before": before, "after": evaluator(result.poses, course.part("after"))}
    contacts = result.contacts or find_contacts(result.scene, result.poses, device=device)
    return replace(result, metrics=metrics, contacts=contacts)


def _estimated(scene: Scene) -> list[str]:
    return [body.name for body in scene.bodies if not body.known]


def _files_to_open(folder: Path) -> str:
    """The files worth opening, those that were written, best first."""
    meanings = {
        "report.html": "numbers and pictures in one page",
        "overlay.mp4": "before and after, over the images",
        "contact.png": "contact as wanted, before and after",
        "scene.usdc": "the motion as a USD stage",
        "poses.npz": "the poses",
    }
    lines = [f"  {folder / name}  {meaning}" for name, meaning in meanings.items() if (folder / name).is_file()]
    return "\n".join(["open:", *lines])
