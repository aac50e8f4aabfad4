"""Result folders: poses, metrics, history, settings, and what people look at."""

from __future__ import annotations

import csv
import json
import math
import platform
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

import numpy as np

import warpprior
from warpprior.io.atomic import atomic_write
from warpprior.io.checkpoint import remove_checkpoint
from warpprior.io.poses import load_poses, save_poses
from warpprior.result import Result
from warpprior.scene import Poses, Scene
from warpprior.support.errors import MissingExtraError, RunError
from warpprior.support.progress import Course, Progress

POSES_FILE = "poses.npz"
METRICS_FILE = "metrics.json"
HISTORY_FILE = "history.csv"
CONFIG_FILE = "config.json"
STAGE_FILE = "scene.usdc"
OVERLAY_FILE = "overlay.mp4"
REPORT_FILE = "report.html"
PLOT_FILES = ("loss.svg", "errors.svg", "uncertainty.svg", "sensors.svg")
Writer = Callable[[Result, Path, str, Progress], None]
VERSIONED = ("warp-lang", "numpy", "scipy", "trimesh", "usd-core", "opencv-python-headless", "opencv-python")


def save_result(
    result: Result,
    folder: str | Path,
    *,
    video: bool = True,
    usd: bool = True,
    report: bool = True,
    device: str | None = None,
    seed: int | None = None,
    progress: Progress | None = None,
) -> Result:
    """Write a result folder; every file is whole or absent, and numbers are on disk before pictures are drawn.

    A picture or stage whose optional dependency is missing becomes a note.  ``config.json`` comes last: a folder that
    has it is complete (its ``complete`` says whether the estimate is).  Files of an earlier result that this one does
    not write are removed.

    Args:
        result: what to write.
        folder: made when it does not exist; see :func:`warpprior.io.prepare_output` for the checks before computing.
        video: write ``overlay.mp4``.
        usd: write ``scene.usdc``.
        report: write ``report.html`` and its plots, those for which there are data: ``loss.svg``, ``errors.svg``, and
            ``uncertainty.svg`` and ``sensors.svg`` of a tracker.
        device: Warp device that draws the masks, also for the record; None draws on the CPU.
        seed: for the record in ``config.json``.
        progress: called with how much is done, how much there is in all, and what is being done.

    Returns:
        the result with the notes that writing it added.

    Raises:
        RunError: the file system refused.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{folder}: cannot be made: {error.strerror or error}") from error
    (folder / CONFIG_FILE).unlink(missing_ok=True)
    save_poses(folder / POSES_FILE, result.poses, bodies=[item.body for item in result.scene.bodies])
    write_json(folder / METRICS_FILE, result.metrics)
    _write_history(folder / HISTORY_FILE, result.history)
    drawable = result.scene.labels is not None or result.scene.read_rgb is not None
    drawn_on, frames = device or "cpu", result.scene.frame_count
    writers = (
        (usd, (STAGE_FILE,), _write_stage, 0.1 + 0.005 * frames),
        (video and drawable, (OVERLAY_FILE,), _write_overlay, 0.1 + 0.03 * frames),
        (report, PLOT_FILES, _write_plots, 0.6),
        (report, (REPORT_FILE,), _write_report, 0.3),
    )
    course = Course(progress, {names[0]: seconds for wanted, names, _, seconds in writers if wanted})
    for wanted, names, write, _ in writers:
        paths = [folder / name for name in names]
        if wanted:
            result = _attempt(result, paths, write, drawn_on, course.part(names[0]))
        else:
            _remove(paths)
    write_json(folder / CONFIG_FILE, _describe_run(result, device, seed))
    if result.complete:
        remove_checkpoint(folder)
    return result


def load_result_poses(path: str | Path, scene: Scene, *, notes: list[str] | None = None) -> dict[str, Poses]:
    """Poses of a result folder, or of any pose file, for the bodies of ``scene``.

    Known bodies that the file leaves out keep the scene's poses.

    Args:
        path: a result folder or an ``.npz`` file.
        scene: whose bodies are wanted; the frame counts must agree.
        notes: warnings are appended; None issues them as Python warnings.

    Raises:
        InputError: as :func:`warpprior.io.load_poses`.
    """
    path = Path(path)
    path = path / POSES_FILE if path.is_dir() else path
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


def _attempt(result: Result, paths: Sequence[Path], write: Writer, device: str, progress: Progress) -> Result:
    """The result, with a note when an optional dependency kept the files from being written."""
    try:
        write(result, paths[0], device, progress)
    except MissingExtraError as error:
        _remove(paths)
        return replace(result, notes=(*result.notes, f"{paths[0].name} was not written: {error}"))
    return result


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _write_stage(result: Result, path: Path, device: str, progress: Progress) -> None:
    from warpprior.usd import export_usd

    export_usd(result.scene, result.poses, path, contacts=result.contacts, device=device, progress=progress)


def _write_overlay(result: Result, path: Path, device: str, progress: Progress) -> None:
    from warpprior.report import write_overlay

    write_overlay(result, path, device=device, progress=progress)


def _write_plots(result: Result, path: Path, _device: str, progress: Progress) -> None:
    from warpprior.report import write_plots

    written = write_plots(result, path.parent, progress=progress)
    _remove(file for file in _plot_files(path.parent) if file not in written)


def _write_report(result: Result, path: Path, device: str, progress: Progress) -> None:
    from warpprior.report import write_report

    # The plots were just written; drawing them takes longer than reading them.
    plots = {file.stem: file.read_bytes() for file in _plot_files(path.parent) if file.is_file()}
    write_report(result, path.parent, plots=plots or None, device=device, progress=progress)


def _plot_files(folder: Path) -> list[Path]:
    return [folder / name for name in PLOT_FILES]


def _describe_run(result: Result, device: str | None, seed: int | None) -> dict:
    versions = {"warpprior": warpprior.__version__, "python": platform.python_version()}
    for name in VERSIONED:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
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
        "seed": seed if seed is not None else result.settings.get("seed"),
        "device": device if device is not None else result.settings.get("device"),
        "versions": versions,
        "platform": platform.platform(),
        "command": sys.argv,
        "written": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "notes": list(dict.fromkeys([*result.scene.warnings, *result.notes])),
    }
