"""The tables of a batch: ``summary.csv``, ``summary.parquet`` and ``index.html``, made from the journals.

They are renewed while clips are refined, each as a whole, every few seconds at most and never for more than a small
share of the time.  Where several processes work into one folder, each writes the clips of all.
"""

from __future__ import annotations

import csv
import time
import warnings
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from warpprior.batches.journal import Journals
from warpprior.batches.names import CSV_FILE, PARQUET_FILE
from warpprior.batches.page import write_index
from warpprior.batches.record import RefinedClip, counted
from warpprior.io.atomic import atomic_path, atomic_write
from warpprior.support.errors import RunError

_EVERY_S = 3.0
_MOST_SHARE = 0.05  # of the time that goes into tables


class Summary:
    """Keeps the tables of a batch folder.

    Args:
        folder: of the batch.
        total: clips of the whole source, all shards together.
    """

    def __init__(self, folder: Path, total: int):
        self._folder, self._total = folder, total
        self._journals = Journals(folder)
        self._next = time.monotonic() + _EVERY_S
        self._said = False

    def __enter__(self) -> Summary:
        return self

    def __exit__(self, *what: object) -> None:
        if what[0] is not None:  # interrupted, or failed: what is done is told
            self._write(0, ended=True)

    def renew(self, running: int) -> None:
        """Write the tables where it is time.

        Args:
            running: clips that are being refined.
        """
        began = time.monotonic()
        if began >= self._next:
            self._write(running)
            took = time.monotonic() - began
            self._next = time.monotonic() + max(_EVERY_S, took / _MOST_SHARE)

    def finish(self) -> None:
        """Write them as they stay; again where another process noted something meanwhile."""
        for _ in range(5):
            size = self._journals.size()
            self._write(0, ended=True)
            if self._journals.size() == size:
                break

    def _write(self, running: int, *, ended: bool = False) -> None:
        try:
            records = sorted(self._journals.read().values(), key=lambda record: record.clip)
            rows = [row_of(record) for record in records]
            write_csv(rows, self._folder / CSV_FILE)
            if find_spec("pyarrow") is not None:
                write_parquet(rows, self._folder / PARQUET_FILE)
            write_index(self._folder, records, self._total, running, ended=ended)
        except (RunError, OSError) as error:  # clips are worth more than their table
            if not self._said:
                warnings.warn(f"the tables could not be written: {error}", stacklevel=2)
            self._said = True


def _bodies(record: RefinedClip) -> str:
    """``"hand: 16 ok; mug: 14 ok, 2 suspect"``."""
    return "; ".join(f"{name}: {counted(found)}" for name, found in record.bodies.items())


def _reasons(record: RefinedClip) -> str:
    return "; ".join(f"{name}, {found['reason']}" for name, found in record.bodies.items() if found.get("reason"))


def _worst(of: Mapping[str, Mapping], key: str, turn: int, pick: Callable = max) -> float | None:
    """The worst number of all bodies or pairs."""
    values = [found[key][turn] for found in of.values() if found.get(key) and found[key][turn] is not None]
    return pick(values) if values else None


# column: how it is made of a record, and its type.  Of several bodies or pairs the worst is told.
COLUMNS: dict[str, tuple[type, Callable[[RefinedClip], Any]]] = {
    "clip": (str, lambda record: record.clip),
    "status": (str, lambda record: record.status),
    "verdict": (str, lambda record: record.verdict),
    "fits_badly": (bool, lambda record: record.fits_badly if record.bodies else None),
    "bodies": (str, _bodies),
    "reasons": (str, _reasons),
    "add_mm_before": (float, lambda record: _worst(record.bodies, "add_mm", 0)),
    "add_mm_after": (float, lambda record: _worst(record.bodies, "add_mm", 1)),
    "keypoint_mm_before": (float, lambda record: _worst(record.bodies, "keypoint_mm", 0)),
    "keypoint_mm_after": (float, lambda record: _worst(record.bodies, "keypoint_mm", 1)),
    "mask_iou_before": (float, lambda record: _worst(record.bodies, "mask_iou", 0, min)),
    "mask_iou_after": (float, lambda record: _worst(record.bodies, "mask_iou", 1, min)),
    "penetration_mm_before": (float, lambda record: _worst(record.pairs, "penetration_mm", 0)),
    "penetration_mm_after": (float, lambda record: _worst(record.pairs, "penetration_mm", 1)),
    "contact_ratio_before": (float, lambda record: _worst(record.pairs, "contact_ratio", 0)),
    "contact_ratio_after": (float, lambda record: _worst(record.pairs, "contact_ratio", 1)),
    "overlap_ratio_before": (float, lambda record: _worst(record.pairs, "overlap_ratio", 0)),
    "overlap_ratio_after": (float, lambda record: _worst(record.pairs, "overlap_ratio", 1)),
    "frames": (int, lambda record: record.frames),
    "seconds": (float, lambda record: record.seconds),
    "attempts": (int, lambda record: record.attempts),
    "exit_code": (int, lambda record: record.exit_code),
    "said": (str, lambda record: record.said),
    "scene": (str, lambda record: record.scene),
    "result": (str, lambda record: record.output_dir),
    "device": (str, lambda record: record.device),
    "host": (str, lambda record: record.host),
    "peak_mib": (int, lambda record: record.peak_mib),
    "warpprior": (str, lambda record: record.versions.get("warpprior")),
    "warp": (str, lambda record: record.versions.get("warp-lang")),
    "ended": (str, lambda record: record.ended),
}


def row_of(record: RefinedClip) -> dict[str, Any]:
    """A row of the table; None where there is nothing to tell."""
    return {name: make(record) for name, (_, make) in COLUMNS.items()}


def write_csv(rows: list[dict[str, Any]], path: Path) -> None:
    """Write the table as text; an empty field stands for nothing."""
    with atomic_write(path, "w") as stream:
        writer = csv.DictWriter(stream, list(COLUMNS), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: _text(value) for name, value in row.items()})


def _text(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value


def write_parquet(rows: list[dict[str, Any]], path: Path) -> None:
    """Write the table for programs, with types."""
    import pyarrow  # pyright: ignore[reportMissingImports]
    from pyarrow import parquet  # pyright: ignore[reportMissingImports]

    kinds = {str: pyarrow.string(), float: pyarrow.float64(), int: pyarrow.int64(), bool: pyarrow.bool_()}
    schema = pyarrow.schema([(name, kinds[kind]) for name, (kind, _) in COLUMNS.items()])
    with atomic_path(path) as temporary:
        parquet.write_table(pyarrow.Table.from_pylist(rows, schema=schema), temporary)
