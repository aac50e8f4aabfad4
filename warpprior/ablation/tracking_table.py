"""The tables of the tracker's study: for people as Markdown, for programs as CSV and JSON."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from warpprior.ablation.study_files import write_study_files
from warpprior.ablation.study_table import EMPTY, Column, align, tailed
from warpprior.ablation.tracking_claims import judge_claims
from warpprior.ablation.tracking_figures import summarise_tracking
from warpprior.ablation.tracking_trials import (
    BOTH,
    CONTROLS,
    HIDDEN,
    IRREGULAR,
    LAG,
    OBSERVED,
    OURS,
    OUTLIERS,
    SMOOTHED,
    VARIANTS,
    Case,
)

TABLE_FILE, CSV_FILE, JSON_FILE = "tracking.md", "tracking.csv", "tracking.json"
STATISTICS = ("median", "low", "high", "p95", "worst", "mean", "share", "inside", "above", "below", "rho", "rejected")
COUNTS = ("failed", "frames", "sequences", "unhidden")


def _number(key: str, digits: int, scale: float = 1.0) -> Callable[[dict], str]:
    return lambda figure: f"{scale * figure[key]:.{digits}f}" if key in figure else EMPTY


def _ratio(figure: dict) -> str:
    return f"{figure['to_ours']['median']:.2f}" if "to_ours" in figure else EMPTY


def _in_band(figure: dict) -> str:
    """Share of frames in the band, and above it, in per cent."""
    return f"{100 * figure['inside']:.0f} ({100 * figure['above']:.0f})"


def _worse(figure: dict) -> str:
    return f"{figure['failed']} of {figure['sequences']} ({figure['worst']:.2f})"


ACCURACY = (
    Column("position [mm]", "translation_mm", tailed(1)),
    Column("rotation [deg]", "rotation_deg", tailed(1)),
    Column("2D [px]", "chamfer_2d_px", tailed(1)),
    Column("2D [cm]", "chamfer_2d_mm", _number("median", 2, 0.1)),
    Column("3D [mm]", "chamfer_mm", tailed(1)),
    Column("worst 3D [mm]", "worst_chamfer_mm", _number("worst", 1)),
    Column("ADD [mm]", "add_mm", tailed(1)),
    Column("x ours", "add_mm", _ratio),
    Column("diverged [%]", "diverged", _number("share", 0, 100.0)),
)
SURENESS = (
    Column("NEES / dof", "nees", _number("mean", 2)),
    Column("in band (above) [%]", "nees", _in_band),
)
PARTS = (
    Column("of position", "nees_position", _number("mean", 2)),
    Column("in band", "nees_position", _in_band),
    Column("of rotation", "nees_rotation", _number("mean", 2)),
    Column("in band", "nees_rotation", _in_band),
    Column("stated [deg]", "stated_rotation_deg", _number("median", 1)),
)
COST = (Column("ms per step", "milliseconds", _number("median", 1)),)
CONTACT = (
    Column("contact kept [%]", "contact_kept", _number("mean", 0, 100.0)),
    Column("least", "contact_kept", _number("worst", 0, 100.0)),
    Column("touches where it should [%]", "touching", _number("mean", 0, 100.0)),
    Column("depth [mm]", "depth_mm", _number("median", 1)),
)
SMOOTHING = (
    Column("position [mm]", "translation_mm", tailed(1)),
    Column("rotation [deg]", "rotation_deg", tailed(1)),
    Column("3D [mm]", "chamfer_mm", tailed(1)),
    Column("ADD [mm]", "add_mm", tailed(1)),
    Column("x ours", "add_mm", _ratio),
    *SURENESS,
    Column("seeds worse in rms position (most)", "worse/rms/translation_mm", _worse),
    Column("in rms ADD", "worse/rms/add_mm", _worse),
)
TROUBLE = (*ACCURACY, *SURENESS)
HIDING = (
    Column("held [%]", "held", _number("share", 0, 100.0)),
    Column("within 3 sigmas [%]", "within/size", _number("share", 1, 100.0)),
    Column("each axis", "within/position", _number("share", 1, 100.0)),
    Column("turned", "within/rotation", _number("share", 1, 100.0)),
)
MOMENTS = {"before": "before", "end": "at the end", "after": "10 frames after"}
_MEANING = """\
Errors are medians over seeds of each seed's median over all frames, in brackets p95 of all frames; 2D and 3D are
Chamfer distances. Worst: over all seeds, once the tenth frame has passed. Diverged: ADD beyond 10 cm after that.
x ours: median ratio of ADD to that of our plain filter with the same observations, seed by seed. NEES / dof: mean
over seeds and frames, 1 is ideal, more is too sure; in band: frames whose mean over seeds lies in the 95 % band of
such a mean, in brackets above it. Control as supposed: the hand's poses err exactly as the filter supposes; network:
as the simulated scenes have it."""


def study_tables(rows: dict[str, dict], control: str) -> dict[str, list[list[str]]]:
    """Cells of the tables about one scene, by title.

    Args:
        rows: figures by case.
        control: which of :data:`CONTROLS`.
    """
    plain = rows[Case(OURS, BOTH, control).name]
    every = {f"{v}, {o}": rows[Case(v, o, control).name] for v in VARIANTS for o in OBSERVED}
    picked = lambda trials: {trial: rows[Case(OURS, BOTH, control, trial).name] for trial in trials}  # noqa: E731
    hidden = picked([HIDDEN])
    tables = {
        "Tracking": _cells("observed", every, (*ACCURACY, *COST)),
        "Sureness": _cells("observed", every, (*SURENESS, *PARTS, *CONTACT)),
        "Sensors": _sensor_cells(plain),
        "Smoothing": _cells("estimate", {"filter": plain} | picked([SMOOTHED, LAG]), SMOOTHING),
        "Trouble": _cells("trouble", {"none": plain} | picked([*OUTLIERS, IRREGULAR]), TROUBLE),
        "Hidden for 20 frames": _cells("", hidden, HIDING),
        "Around that": _hidden_cells(hidden[HIDDEN]),
        "Claims": [["claim", "wanted", "found", "holds"]],
    }
    for claim in judge_claims(rows, control):
        tables["Claims"].append([claim.text, claim.wanted, claim.found, "yes" if claim.holds else "NO"])
    return tables


def _cells(title: str, rows: dict[str, dict], columns: Sequence[Column]) -> list[list[str]]:
    cells = [[title, *(column.title for column in columns)]]
    for name, row in rows.items():
        shown = [column.show(row[column.figure]) if column.figure in row else EMPTY for column in columns]
        cells.append([name, *shown])
    return cells


def _sensor_cells(row: dict) -> list[list[str]]:
    columns = (
        Column("NIS / dof", "", _number("mean", 2)),
        Column("in band (above) [%]", "", _in_band),
        Column("correlation with the next frame", "", _number("rho", 3)),
        Column("rejected [%]", "", _number("rejected", 1, 100.0)),
    )
    cells = [["sensor", *(column.title for column in columns)]]
    for name, figure in row.items():
        if name.startswith("nis/") and figure.get("frames"):
            cells.append([name.removeprefix("nis/"), *(column.show(figure) for column in columns)])
    return cells


def _hidden_cells(row: dict) -> list[list[str]]:
    cells = [["moment", "position [mm]", "never hidden", "ADD [mm]", "never hidden"]]
    for key, name in MOMENTS.items():
        both = [row.get(f"{key}/{metric}", {}) for metric in ("translation_mm", "add_mm")]
        shown = [f"{figure[k]:.1f}" if figure else EMPTY for figure in both for k in ("median", "unhidden")]
        cells.append([name, *shown])
    return cells


def format_study(found: dict[str, dict]) -> str:
    """All tables as Markdown, scene by scene."""
    parts = []
    for scene, rows in found.items():
        for control in CONTROLS:
            count = rows[Case(OURS, BOTH, control).name]["diverged"]["sequences"]
            parts.append(f"## {scene}, {count} seeds, control {control}")
            for title, cells in study_tables(rows, control).items():
                parts.append(f"### {title}\n\n{align(cells)}")
    return "\n\n".join(parts)


def write_study(folder: Path, records: Sequence[dict], settings: dict, device: str) -> dict[str, dict]:
    """Write ``tracking.md``, ``tracking.csv`` and ``tracking.json``, and give the figures.

    Args:
        folder: where to.
        records: of :func:`warpprior.ablation.tracking_runs.track_cases`; those with an error are left out.
        settings: of our filter, as plain data.
        device: for the record.
    """
    records = [one for one in records if "error" not in one]
    found = summarise_tracking(records)
    record = {
        "rows": found,
        "claims": {
            scene: {control: [asdict(claim) for claim in judge_claims(rows, control)] for control in CONTROLS}
            for scene, rows in found.items()
        },
        "seeds": {scene: [one["seed"] for one in records if one["scene"] == scene] for scene in found},
        "settings": settings,
        "device": device,
    }
    text = f"{_MEANING}\n\n{format_study(found)}\n"
    write_study_files(folder, (TABLE_FILE, CSV_FILE, JSON_FILE), text, lambda stream: _write_csv(stream, found), record)
    return found


def _write_csv(stream, found: dict[str, dict]) -> None:
    """One row per scene, case and figure."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["scene", "case", "figure", *STATISTICS, *COUNTS, "to_ours", "to_ours_low", "to_ours_high"])
    for scene, rows in found.items():
        for case, row in rows.items():
            for name, figure in row.items():
                ratio = figure.get("to_ours", {})
                compared = [ratio.get(key, EMPTY) for key in ("median", "low", "high")]
                shown = [figure.get(key, EMPTY) for key in (*STATISTICS, *COUNTS)]
                writer.writerow([scene, case, name, *shown, *compared])
