"""The table of an ablation: for people as Markdown, for programs as CSV and JSON."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from warpprior.ablation.run_figures import summarise_runs
from warpprior.ablation.study_files import write_study_files

TABLE_FILE, CSV_FILE, JSON_FILE = "table.md", "table.csv", "table.json"
EMPTY = ""


@dataclass(frozen=True)
class Column:
    """One column: its heading, the figure it shows, and how."""

    title: str
    figure: str
    show: Callable[[dict], str]


def tailed(digits: int) -> Callable[[dict], str]:
    """Median and, in brackets, p95 of all frames."""
    return lambda figure: f"{figure['median']:.{digits}f} ({figure['p95']:.{digits}f})"


def _plain(digits: int, unit: str = "") -> Callable[[dict], str]:
    return lambda figure: f"{figure['median']:.{digits}f}{unit}"


def _share(figure: dict) -> str:
    """Failures and their interval, in per cent."""
    return f"{100 * figure['share']:.1f} ({100 * figure['low']:.1f} to {100 * figure['high']:.1f})"


def _to_full(figure: dict) -> str:
    """Times the full method's, with a star where that is certain: interval and test agree."""
    ratio = figure.get("to_full")
    if ratio is None:
        return EMPTY
    outside = ratio["low"] > 1.0 or ratio["high"] < 1.0
    certain = outside and (ratio["probability"] or 1.0) < 0.05
    return f"{ratio['median']:.2f}{'*' if certain else ''}"


TABLES: dict[str, tuple[Column, ...]] = {
    "Object": (
        Column("3D Chamfer [mm]", "chamfer_mm", tailed(1)),
        Column("x full", "chamfer_mm", _to_full),
        Column("2D Chamfer [mm]", "chamfer_2d_mm", tailed(1)),
        Column("ADD [mm]", "add_mm", tailed(1)),
        Column("rotation [deg]", "rotation_deg", tailed(1)),
        Column("Chamfer above 5 cm [%]", "object_failures", _share),
        Column("mask IoU", "mask_iou", _plain(3)),
        Column("acceleration error, times smaller", "object_acceleration_ratio", _plain(1)),
    ),
    "Hand": (
        Column("joints [mm]", "keypoint_mm", tailed(1)),
        Column("x full", "keypoint_mm", _to_full),
        Column("less than at the start", "keypoint_reduction", _plain(0, " %")),
        Column("aligned [mm]", "keypoint_pa_mm", tailed(1)),
        Column("less than at the start", "keypoint_pa_reduction", _plain(0, " %")),
        Column("joints above 5 cm [%]", "hand_failures", _share),
        Column("acceleration error, times smaller", "hand_acceleration_ratio", _plain(1)),
    ),
    "Contact": (
        Column("penetration [mm]", "penetration_mm", tailed(1)),
        Column("in truth", "penetration_mm_truth", _plain(1)),
        Column("shared volume [cm3]", "shared_volume_cm3", tailed(2)),
        Column("in truth", "shared_volume_cm3_truth", _plain(2)),
        Column("slip [mm/frame]", "slip_mm", tailed(2)),
        Column("in truth", "slip_mm_truth", _plain(2)),
        Column("contact F1", "contact_f1", _plain(2)),
        Column("s per frame", "seconds_per_frame", _plain(2)),
    ),
}
_MEANING = """\
Medians over sequences of each sequence's median over frames; in brackets p95 of all frames. Above 5 cm: share of
all frames, with Wilson's 95 % interval for as many trials as sequences. x full: the median of the ratios to the
full method, sequence by sequence; a star where its 95 % interval excludes 1 and Wilcoxon's test, corrected by Holm,
agrees. In truth: the same figure of the true motion."""


def format_tables(rows: dict[str, dict]) -> str:
    """The tables as Markdown; columns and tables without any value are left out."""
    parts = []
    for title, columns in TABLES.items():
        shown = [column for column in columns if any(column.figure in row for row in rows.values())]
        if not shown:
            continue
        cells = [[title, *(column.title for column in shown)]]
        for variant, row in rows.items():
            cells.append(
                [variant, *(column.show(row[column.figure]) if column.figure in row else EMPTY for column in shown)]
            )
        parts.append(align(cells))
    return "\n\n".join(parts)


def write_tables(folder: Path, runs: Sequence[dict], settings: dict[str, dict], device: str) -> dict[str, dict]:
    """Write ``table.md``, ``table.csv`` and ``table.json``, and give the rows.

    Args:
        folder: where to.
        runs: of :func:`warpprior.ablation.ablate`.
        settings: of each variant, as plain data.
        device: for the record.
    """
    rows = summarise_runs(runs)
    scenes = list(dict.fromkeys(run["scene"] for run in runs))
    record = {
        "rows": rows,
        "scenes": scenes,
        "settings": settings,
        "device": device,
    }
    text = f"{len(scenes)} sequences on {device}.\n\n{_MEANING}\n\n{format_tables(rows)}\n"
    write_study_files(folder, (TABLE_FILE, CSV_FILE, JSON_FILE), text, lambda stream: _write_csv(stream, rows), record)
    return rows


def _write_csv(stream, rows: dict[str, dict]) -> None:
    """One row per variant and figure."""
    statistics = ("median", "low", "high", "p95", "p05", "worst", "share", "sequences")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["variant", "figure", *statistics, "to_full", "to_full_low", "to_full_high", "probability"])
    for variant, row in rows.items():
        for name, figure in row.items():
            if not isinstance(figure, dict):
                continue
            ratio = figure.get("to_full", {})
            compared = [ratio.get(key, EMPTY) for key in ("median", "low", "high", "probability")]
            writer.writerow([variant, name, *(figure.get(key, EMPTY) for key in statistics), *compared])


def align(cells: list[list[str]]) -> str:
    """A Markdown table whose columns line up."""
    widths = [max(len(row[k]) for row in cells) for k in range(len(cells[0]))]
    lines = []
    for number, row in enumerate(cells):
        padded = [
            cell.ljust(width) if k == 0 else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(f"| {' | '.join(padded)} |")
        if number == 0:
            rules = ["-" * width if k == 0 else "-" * (width - 1) + ":" for k, width in enumerate(widths)]
            lines.append(f"| {' | '.join(rules)} |")
    return "\n".join(lines)
