"""Result folders: poses, metrics, history, settings, and what people look at."""

from __future__ import annotations

import csv
import json
import math
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from warpprior.io.atomic import atomic_write
from warpprior.io.output import CHECKPOINT_FILE
from warpprior.io.poses import load_poses, save_poses
from warpprior.io.result_folder import (
    CONFIG_FILE,
    CONTACT_FILE,
    HISTORY_FILE,
    METRICS_FILE,
    OVERLAY_FILE,
    PLOT_FILES,
    POSES_FILE,
    REPORT_FILE,
    RESULT_FILES,
    STAGE_FILE,
    checked_poses_file,
    describe_parts,
)
from warpprior.io.result_meshes import former_mesh_files, mesh_files, write_meshes
from warpprior.io.staging import staged
from warpprior.result import Result
from warpprior.scene import Poses, Scene
from warpprior.support.environment import versions
from warpprior.support.errors import MissingExtraError, RunError
from warpprior.support.progress import Course, Progress

_DRAWN_BY = ("usd-core", "opencv-python-headless", "opencv-python")


def save_result(
    result: Result,
    folder: str | Path,
    *,
    video: bool = True,
    usd: bool = True,
    report: bool = True,
    device: str | None = None,
    seed: int | None = None,
    inputs: Mapping[str, str] | None = None,
    source: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Result:
    """Write a result folder, which appears as a whole: stopped at any moment, it holds the former result or this one.

    A picture or stage whose optional dependency is missing becomes a note, and so does one that could not be drawn or
    written; what went wrong there is raised when the rest is in its place.  Files of an earlier result that this one
    does not write are removed, those of others stay.

    Args:
        result: what to write.
        folder: made when it does not exist; see :func:`warpprior.io.prepare_output` for the checks before computing.
        video: write ``overlay.mp4``.
        usd: write ``scene.usdc``.
        report: write ``report.html`` and its plots, those for which there are data: ``loss.svg``, ``errors.svg``, and
            ``uncertainty.svg`` and ``sensors.svg`` of a tracker; and ``contact.png`` of a scene with contact maps.
        device: Warp device that draws the masks, also for the record; None draws on the CPU.
        seed: for the record in ``config.json``.
        inputs: for the record, what the estimate was made from (:func:`warpprior.io.fingerprint`).
        source: for the record, where the scene was read from.
        progress: called with how much is done, how much there is in all, and what is being done.

    Returns:
        the result with the notes that writing it added.

    Raises:
        InputError: another run writes to the folder.
        RunError: the file system refused, or a picture or stage could not be written.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{folder}: cannot be made: {error.strerror or error}") from error
    removed: list[str] = []
    meshes = [*mesh_files(result).values()]
    with staged(folder, (*meshes, *RESULT_FILES), removed) as staging:
        removed += [name for name in former_mesh_files(folder) if name not in meshes]
        seed = seed if seed is not None else result.settings.get("seed")
        result, failure = _write_parts(result, staging, (video, usd, report), device or "cpu", seed, progress)
        record = _describe_run(result, device, seed) | {"inputs": inputs, "parts": describe_parts(staging, meshes)}
        record["scene"]["source"] = source
        write_json(staging / CONFIG_FILE, record)
        if result.complete:
            removed.append(CHECKPOINT_FILE)
    if failure is not None:
        raise RunError(str(failure).replace(str(staging), str(folder))) from failure
    return result


def _write_parts(
    result: Result,
    folder: Path,
    wanted: tuple[bool, bool, bool],
    device: str,
    seed: int | None,
    progress: Progress | None,
) -> tuple[Result, RunError | None]:
    """Write all but the record; the result with the notes that came up, and the first failure to draw."""
    bodies = [item.body for item in result.scene.bodies]
    world = result.scene.world
    save_poses(folder / POSES_FILE, result.poses, bodies=bodies, verdicts=result.verdicts, world=world)
    write_meshes(result, folder)
    write_json(folder / METRICS_FILE, result.metrics | _verdicts(result))
    _write_history(folder / HISTORY_FILE, result.history | _doubts(result))
    video, usd, report = wanted
    drawable = result.scene.labels is not None or result.scene.read_rgb is not None
    failure, frames = None, result.scene.frame_count
    writers = (  # what each takes, roughly, in seconds
        (usd, STAGE_FILE, partial(_write_stage, seed=seed), 0.1 + 0.005 * frames),
        (video and drawable, OVERLAY_FILE, _write_overlay, 0.1 + 0.03 * frames),
        (report and bool(result.scene.contact_maps), CONTACT_FILE, _write_contact_sheet, 0.5),
        (report, PLOT_FILES[0], _write_plots, 0.02),
        (report, REPORT_FILE, _write_report, 0.3),
    )
    course = Course(progress, {name: seconds for asked, name, _, seconds in writers if asked})
    for asked, name, write, _ in writers:
        if not asked:
            continue
        try:
            write(result, folder / name, device, course.part(name))
        except MissingExtraError as error:
            result = _noted(result, f"{name} was not written: {error}")
        except RunError as error:  # numbers that took an hour are not lost for a picture
            failure = failure or error
            result = _noted(result, f"{name} was not written: {str(error).replace(str(folder / name), name)}")
    return result, failure


def _verdicts(result: Result) -> dict:
    """Of each body, how many frames are of each status, and status, doubt and reasons of each frame."""
    found = {}
    for name, verdict in result.verdicts.items():
        each = {"status": verdict.status, "doubt": verdict.doubt, "reasons": verdict.reasons}
        found[name] = {"frames": verdict.counts(), **each}
    return {"verdicts": found} if found else {}


def _doubts(result: Result) -> dict[str, np.ndarray]:
    """Columns of the history: of a tracker, doubt in each frame; else its mean, in the last row."""
    rows = max((len(column) for column in result.history.values()), default=0)
    found = {}
    for name, verdict in result.verdicts.items():
        column = np.full(rows, np.nan)
        if "frame" in result.history and rows == len(verdict.doubt):
            column[:] = verdict.doubt
        elif rows:
            column[-1] = verdict.doubt.mean()
        found[f"doubt/{name}"] = column
    return found


def _noted(result: Result, note: str) -> Result:
    return replace(result, notes=(*result.notes, note))


def load_result_poses(path: str | Path, scene: Scene, *, notes: list[str] | None = None) -> dict[str, Poses]:
    """Poses of a result folder, or of any pose file, for the bodies of ``scene``.

    Known bodies that the file leaves out keep the scene's poses.

    Args:
        path: a result folder or an ``.npz`` file.
        scene: whose bodies are wanted; the frame counts must agree.
        notes: warnings are appended; None issues them as Python warnings.

    Raises:
        InputError: as :func:`warpprior.io.load_poses`, or the files of the folder do not belong together.
    """
    path = Path(path)
    path = checked_poses_file(path, notes) if path.is_dir() else path
    known = {item.name: item.initial for item in scene.bodies if item.known}
    bodies = [item.body for item in scene.bodies]
    count = scene.frame_count
    return known | load_poses(path, bodies, frame_count=count, optional=known, known=known, notes=notes)


def write_json(path: str | Path, value: object) -> None:
    """Write plain data as JSON, atomically; NumPy values become plain, numbers that are not finite become null."""
    with atomic_write(path, "w") as stream:
        json.dump(plain(value), stream, indent=1, ensure_ascii=False, allow_nan=False)
        stream.write("\n")


def plain(value: object) -> object:
    """The same data in dicts, lists, texts, numbers and None."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return str(value)


def _write_history(path: Path, history: dict[str, np.ndarray]) -> None:
    columns = {name: np.asarray(column) for name, column in history.items()}
    rows = max((len(column) for column in columns.values()), default=0)
    first = "frame" if "frame" in columns else "iteration"  # a tracker has a row per frame
    with atomic_write(path, "w") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        names = [name for name in columns if name != first]
        writer.writerow([first, *names])
        numbers = columns.get(first, np.arange(rows))
        for row in range(rows):
            writer.writerow([numbers[row], *(columns[name][row] for name in names)])


def _write_stage(result: Result, path: Path, device: str, progress: Progress, *, seed: int | None) -> None:
    from warpprior.usd.export import export_take
    from warpprior.usd.take import Take

    export_take(Take.of(result, device=device, seed=seed), path, device=device, progress=progress)


def _write_overlay(result: Result, path: Path, device: str, progress: Progress) -> None:
    from warpprior.report import write_overlay

    write_overlay(result, path, device=device, progress=progress)


def _write_contact_sheet(result: Result, path: Path, device: str, _progress: Progress) -> None:
    from warpprior.report.contact_sheet import write_contact_sheet

    write_contact_sheet(result, path, device=device)


def _write_plots(result: Result, path: Path, _device: str, progress: Progress) -> None:
    from warpprior.report import write_plots

    write_plots(result, path.parent, progress=progress)


def _write_report(result: Result, path: Path, device: str, progress: Progress) -> None:
    from warpprior.report import write_report

    # The plots were just written; drawing them takes longer than reading them.
    files = [path.with_name(name) for name in PLOT_FILES]
    written = {file.stem: file.read_bytes() for file in files if file.is_file()}
    write_report(result, path.parent, plots=written or None, device=device, progress=progress)


def _describe_run(result: Result, device: str | None, seed: int | None) -> dict:
    return {
        "complete": result.complete,
        "scene": {
            "name": result.scene.name,
            "folder": None if result.scene.folder is None else str(result.scene.folder),
            "frames": result.scene.frame_count,
            "fps": result.scene.fps,
            "bodies": [item.name for item in result.scene.bodies],
            "camera": asdict(result.scene.camera),
        },
        "settings": result.settings,
        "seed": seed,
        "device": device if device is not None else result.settings.get("device"),
        "versions": {name: version for name, version in versions(*_DRAWN_BY).items() if version is not None},
        "platform": platform.platform(),
        "command": sys.argv,
        "written": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "notes": list(dict.fromkeys([*result.scene.warnings, *result.notes])),
        "findings": [finding.as_dict() for finding in result.findings],
        "left_out": {name: {c: list(frames) for c, frames in each.items()} for name, each in result.left_out.items()},
        "shared": result.shared,
    }
