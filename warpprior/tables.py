"""Metrics as text tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

# metric: (title, unit, digits, statistics worth showing)
ROWS = {
    "add_mm": ("ADD", "mm", 2, ("median", "p95", "max")),
    "rotation_deg": ("rotation error", "deg", 2, ("median", "p95", "max")),
    "translation_mm": ("translation error", "mm", 2, ("median", "p95", "max")),
    "joint_deg": ("joint error", "deg", 2, ("median", "p95", "max")),
    "joint_mm": ("sliding joint error", "mm", 2, ("median", "p95", "max")),
    "acceleration_error_mm": ("acceleration error", "mm/frame2", 2, ("mean",)),
    "mask_iou": ("mask IoU", "", 4, ("median", "p05")),
    "penetration_mm": ("penetration", "mm", 2, ("median", "max")),
    "slip_mm": ("slip", "mm/frame", 2, ("median", "p95")),
    "contact_ratio": ("frames in contact", "", 3, ("value",)),
}


def format_before_after(metrics: dict, bodies: Sequence[str]) -> str:
    """The summaries of ``metrics["before"]`` and ``metrics["after"]``, one row per metric and statistic.

    Args:
        metrics: two answers of :func:`warpprior.metrics.evaluate`, under ``before`` and ``after``.
        bodies: names of the bodies to show.
    """
    before, after = metrics.get("before", {}), metrics.get("after", {})
    lines = []
    for body in bodies:
        known = {"before": _rows(before, body), "after": _rows(after, body)}
        names = [name for name in known["after"] if name in known["before"]]
        if names:
            lines.append(f"{body:32} {'before':>10} {'after':>10}")
            lines += [f"  {name:30} {known['before'][name]:>10} {known['after'][name]:>10}" for name in names]
    return "\n".join(lines)


def format_summary(metrics: dict, bodies: Sequence[str]) -> str:
    """The summary of one answer of :func:`warpprior.metrics.evaluate`, one row per metric and statistic."""
    lines = []
    for body in bodies:
        rows = _rows(metrics, body)
        if rows:
            lines += [body, *(f"  {name:30} {value:>10}" for name, value in rows.items())]
    return "\n".join(lines)


def _rows(metrics: dict, body: str) -> dict[str, str]:
    """``{"ADD median [mm]": "2.31", ...}`` of one body, metrics without a value left out."""
    summary = metrics.get("summary", {}).get(body, {})
    found = {}
    for key, (title, unit, digits, statistics) in ROWS.items():
        values = summary.get(key)
        values = values if isinstance(values, dict) else {"value": values}
        for statistic in statistics:
            value = values.get(statistic)
            if value is not None:
                name = " ".join(filter(None, [title, "" if statistic == "value" else statistic, unit and f"[{unit}]"]))
                found[name] = f"{value:.{digits}f}"
    return found
