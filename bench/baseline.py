"""The committed baseline: what each case took on a named device, to compare a run with."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import platform
from pathlib import Path

from warpprior.bench.harness import Measurement
from warpprior.support.environment import versions
from warpprior.support.errors import InputError

BASELINE = Path(__file__).resolve().parent / "baseline.json"


def device_title(device: str) -> str:
    """What the baseline is filed under: ``cpu`` or the name of the GPU."""
    import warp as wp

    return "cpu" if device == "cpu" else wp.get_device(device).name


def as_data(results: list[Measurement]) -> dict:
    """The run as plain data for JSON; a time that could not be measured is null."""
    cases = [dataclasses.asdict(result) for result in results]
    for row in cases:
        row.update({key: None for key in ("median", "low", "high") if math.isnan(row[key])})
    return {"machine": _machine(), "versions": versions(), "cases": cases}


def read_baseline(path: Path, device: str) -> dict[str, float]:
    """Median of each case on this kind of device, by case name; empty when the baseline has no such device.

    Raises:
        InputError: the file is missing or not a baseline.
    """
    try:
        devices = json.loads(path.read_text(encoding="utf-8"))["devices"]
        cases = devices.get(device_title(device), {}).get("cases", {})
        return {name: float(row["median"]) for name, row in cases.items()}
    except FileNotFoundError:
        raise InputError(str(path), "there is no such file", "write one with --update-baseline") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(str(path), f"not a baseline ({error})", "write one with --update-baseline") from error


def write_baseline(path: Path, results: list[Measurement], device: str) -> None:
    """Replace the medians of these cases on this kind of device; other devices and cases are kept."""
    stored = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"devices": {}}
    entry = stored["devices"].setdefault(device_title(device), {"cases": {}})
    entry["machine"], entry["versions"] = _machine(), versions()
    for result in results:
        if result.problem is None:
            entry["cases"][result.name] = {"median": float(f"{result.median:.4g}"), "unit": result.unit}
    entry["cases"] = dict(sorted(entry["cases"].items()))
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(stored, indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def format_header(compared: bool) -> str:
    """Column titles of the table."""
    titles = f"{'case':40} {'median':>10} {'quartiles':>19} {'target':>9}"
    return titles + (f" {'baseline':>9} {'ratio':>6}" if compared else "")


def format_row(result: Measurement, baseline: dict[str, float] | None) -> str:
    """One line of the table: times, target, and the baseline when comparing."""
    target = f"{result.target:g}" if result.target is not None else "-"
    spread = f"{result.low:.3g} .. {result.high:.3g}"
    line = f"{result.name:40} {result.median:7.3g} {result.unit:>2} {spread:>19} {target:>9}"
    if baseline is not None:
        known = baseline.get(result.name)
        line += f" {known:9.3g} {result.median / known:6.2f}" if known else f" {'-':>9} {'-':>6}"
    if result.problem is not None:
        return f"{line}  WRONG: {result.problem}"
    late = result.target is not None and result.median > result.target
    return f"{line}{'  over target' if late else ''}"


def slower_cases(results: list[Measurement], baseline: dict[str, float], ratio: float) -> list[str]:
    """Names of the cases that took more than ``ratio`` times their baseline."""
    return [r.name for r in results if baseline.get(r.name) and r.median > ratio * baseline[r.name]]


def _machine() -> dict:
    return {"system": platform.platform(), "processor": _processor(), "cpu_cores": os.cpu_count()}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
