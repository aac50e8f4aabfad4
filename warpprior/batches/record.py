"""What became of a clip: the row of every table, and the line of the journal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from warpprior.io.result_folder import METRICS_FILE, read_record
from warpprior.io.results import plain
from warpprior.result import STATUSES
from warpprior.support.files import read_bytes
from warpprior.verdicts.judge import is_bad

DONE, FAILED, DIED, LATE = "done", "failed", "died", "timed out"
_METRICS_BYTES = 1 << 30
# Of each body the median, and of each pair the worst frame or the share of frames: before and after.
_OF_BODIES = {"add_mm": ("median",), "keypoint_mm": ("median",), "mask_iou": ("median",)}
_OF_PAIRS = {"penetration_mm": ("max",), "contact_ratio": (), "overlap_ratio": ()}


@dataclass(frozen=True)
class RefinedClip:
    """What became of one clip of a batch.

    Attributes:
        clip: its name.
        scene: its scene folder, or ``FORMAT:PATH``.
        output_dir: its result folder.
        status: ``done``, ``failed`` (what went wrong is said), ``died`` (its process ended without a word) or ``timed
            out``.
        exit_code: 0 done, 1 failed while running, 2 bad input, 3 fits badly (where strict).
        said: one line: how it fits, or what went wrong.
        attempts: how often it was begun.
        frames: of the result; None without one.
        seconds: that the last attempt took; None where a result was there already and nobody knows.
        work_seconds: of these, what refining alone took, from reading the scene to the last file.
        fits_badly: some body is lost in some frame, or doubtful in more than a tenth of them.
        bodies: of each estimated body, how many frames are ``ok``, ``suspect`` and ``lost``, the ``reason`` of its most
            doubtful frame, and pairs [before, after]: median ``add_mm`` and ``keypoint_mm`` where truth exists, and
            median ``mask_iou``.
        pairs: of each pair of bodies [before, after]: ``penetration_mm`` of the worst frame, ``contact_ratio`` and
            ``overlap_ratio``, shares of frames.
        versions: of warpprior and what it computes with.
        device, host: where it was refined.
        peak_mib: the most that its process had in memory until then [MiB]; 0 where the system does not say.
        ended: when, as ISO 8601 in UTC.
        written: when the result was, as its record has it.
        stamp: of the scene's files, the settings and the version; None where files alone do not tell.
    """

    clip: str
    scene: str
    output_dir: str
    status: str
    exit_code: int
    said: str
    attempts: int = 1
    frames: int | None = None
    seconds: float | None = None
    work_seconds: float | None = None
    fits_badly: bool = False
    bodies: dict[str, dict[str, Any]] = field(default_factory=dict)
    pairs: dict[str, dict[str, Any]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    device: str = ""
    host: str = ""
    peak_mib: int = 0
    ended: str = ""
    written: str = ""
    stamp: str | None = None

    @property
    def verdict(self) -> str:
        """The worst status that a body has in some frame; empty without a result."""
        found = [status for status in STATUSES for body in self.bodies.values() if body.get(status)]
        return max(found, key=STATUSES.index, default="")

    def line(self) -> str:
        """The record as one line of JSON."""
        return json.dumps(plain(asdict(self)), ensure_ascii=True, allow_nan=False, separators=(",", ":"))

    @staticmethod
    def of_line(line: str | bytes) -> RefinedClip | None:
        """The record of a line; None where the line is torn or something else."""
        try:
            found = json.loads(line)
            known = {one.name for one in fields(RefinedClip)}
            return RefinedClip(**{key: value for key, value in found.items() if key in known})
        except (ValueError, TypeError, AttributeError, RecursionError):
            return None


def counted(body: Mapping[str, Any]) -> str:
    """``"14 ok, 2 suspect"``: how many frames of a body of :attr:`RefinedClip.bodies` are of which status."""
    return ", ".join(f"{body[status]} {status}" for status in STATUSES if body.get(status))


def read_numbers(folder: Path) -> dict[str, Any]:
    """Fields of a record that a complete result folder tells.

    Raises:
        InputError: its files are damaged or missing.
    """
    config = read_record(folder) or {}
    metrics = json.loads(read_bytes(folder / METRICS_FILE, "metrics", limit=_METRICS_BYTES))
    turns = [metrics.get(turn, {}) for turn in ("before", "after")]
    verdicts = metrics.get("verdicts", {})
    bodies = {name: _counts(verdict) for name, verdict in verdicts.items()}
    for name, found in bodies.items():
        found.update(_of_turns([turn.get("summary", {}).get(name, {}) for turn in turns], _OF_BODIES))
    statuses = [np.asarray(verdict.get("status", []), dtype=np.str_) for verdict in verdicts.values()]
    names = turns[1].get("pairs", {})
    pairs = {
        name: _of_turns([turn.get("pairs", {}).get(name, {}).get("summary", {}) for turn in turns], _OF_PAIRS)
        for name in names
    }
    return {
        "frames": config.get("scene", {}).get("frames"),
        "fits_badly": any(map(is_bad, statuses)),
        "bodies": bodies,
        "pairs": pairs,
        "versions": {name: str(value) for name, value in config.get("versions", {}).items()},
        "device": str(config.get("device", "")),
        "written": str(config.get("written", "")),
    }


def _counts(verdict: Mapping) -> dict[str, Any]:
    """How many frames are of each status, and why the most doubtful is in doubt."""
    found: dict[str, Any] = {status: int(verdict.get("frames", {}).get(status, 0)) for status in STATUSES}
    doubts, reasons = verdict.get("doubt") or [], verdict.get("reasons") or []
    worst = max(range(min(len(doubts), len(reasons))), key=lambda frame: doubts[frame] or 0.0, default=None)
    if worst is not None and reasons[worst]:
        found["reason"] = f"frame {worst}: {reasons[worst]}"
    return found


def _of_turns(turns: list[Mapping], wanted: Mapping[str, tuple[str, ...]]) -> dict[str, list]:
    """Numbers before and after, those that there are."""
    found = {}
    for key, path in wanted.items():
        values = []
        for turn in turns:
            value = turn.get(key)
            for step in path:
                value = value.get(step) if isinstance(value, Mapping) else None
            values.append(value)
        if any(value is not None for value in values):
            found[key] = values
    return found
