"""Metrics as text tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

# metric: (title, unit, digits, statistics worth showing)
ROWS = {
    "add_mm": ("ADD", "mm", 2, ("median", "p95", "max")),
    "chamfer_mm": ("Chamfer", "mm", 2, ("median", "p95")),
    "rotation_deg": ("rotation error", "deg", 2, ("median", "p95")),
    "translation_mm": ("translation error", "mm", 2, ("median", "p95")),
    "keypoint_mm": ("keypoint error", "mm", 2, ("median", "p95")),
    "keypoint_root_mm": ("keypoints from the root", "mm", 2, ("median",)),
    "keypoint_pa_mm": ("keypoints, aligned", "mm", 2, ("median", "p95")),
    "joint_deg": ("joint error", "deg", 2, ("median", "p95")),
    "joint_mm": ("sliding joint error", "mm", 2, ("median", "p95", "max")),
    "world_mm": ("error in the world", "mm", 2, ("median",)),
    "acceleration_error_mm": ("acceleration error", "mm/frame2", 2, ("mean",)),
    "shake_mm": ("shaking", "mm/frame2", 2, ("mean",)),
    "shake_deg": ("shaking of turns", "deg/frame2", 3, ("mean",)),
    "mask_iou": ("mask IoU", "", 4, ("median", "p05")),
    "failures_add": ("ADD above 5 cm", "", 3, ("share",)),
    "failures_chamfer": ("Chamfer above 5 cm", "", 3, ("share",)),
    "failures_keypoint": ("keypoint error above 5 cm", "", 3, ("share",)),
    "penetration_mm": ("penetration", "mm", 2, ("median", "max")),
    "slip_mm": ("slip", "mm/frame", 2, ("median", "p95")),
    "shared_volume_cm3": ("shared volume", "cm3", 3, ("median", "max")),
    "contact_f1_pooled": ("contacts found again, F1", "", 3, ("value",)),
    "map_f1": ("contact of the map met, F1", "", 3, ("median", "p05")),
    "map_mm": ("distances off the map", "mm", 2, ("median", "p95")),
    "contact_ratio": ("frames in contact, up to 5 mm deep", "", 3, ("value",)),
    "overlap_ratio": ("frames that overlap by 5 mm or more", "", 3, ("value",)),
    "apart_ratio": ("frames without contact", "", 3, ("value",)),
}


CONTACT_STATES = ("contact_ratio", "overlap_ratio", "apart_ratio")
"""Shares of frames that add up to 1."""

# The rows of a short table, each with its first statistic.
_BRIEF = (
    *("add_mm", "rotation_deg", "keypoint_mm", "keypoint_pa_mm", "acceleration_error_mm", "mask_iou"),
    *("penetration_mm", "slip_mm", "map_f1", *CONTACT_STATES),
)

# What two bodies do to each other; shown for the pair, not for each of the two.
_OF_PAIRS = ("penetration_mm", "slip_mm", "shared_volume_cm3", "contact_f1_pooled", *CONTACT_STATES)


def format_before_after(metrics: dict, bodies: Sequence[str], *, brief: bool = False) -> str:
    """The summaries of ``metrics["before"]`` and ``metrics["after"]``, one row per metric and statistic.

    What the true motion has of contact, penetration and slip stands beside them.

    Args:
        metrics: two answers of :func:`warpprior.metrics.evaluate`, under ``before`` and ``after``.
        bodies: names of the bodies to show, each with the pairs it is part of.
        brief: only what says most.
    """
    before, after = metrics.get("before", {}), metrics.get("after", {})
    lines = []
    for name, now in _summaries(after, bodies).items():
        start = _summaries(before, bodies).get(name, {})
        known = [_rows(summary, brief) for summary in (start, now, now.get("truth", {}))]
        shown = list(known[1])
        if shown:
            columns = ["before", "after", *(["in truth"] if any(row in known[2] for row in shown) else [])]
            lines.append(f"{name:38}" + "".join(f" {column:>10}" for column in columns))
            for row in shown:
                values = [side.get(row, "") for side in known[: len(columns)]]
                lines.append((f"  {row:36}" + "".join(f" {value:>10}" for value in values)).rstrip())
    return "\n".join(lines)


def format_verdicts(counts: Mapping[str, Mapping[str, int]]) -> str:
    """How many frames of each body are of each status, a row per body; empty without bodies."""
    if not counts:
        return ""
    columns = list(dict.fromkeys(status for found in counts.values() for status in found))
    lines = [f"{'whether it is believed, frames':38}" + "".join(f" {column:>10}" for column in columns)]
    lines += [
        f"  {name:36}" + "".join(f" {found.get(column, 0):>10}" for column in columns) for name, found in counts.items()
    ]
    return "\n".join(lines)


def format_summary(metrics: dict, bodies: Sequence[str]) -> str:
    """The summary of one answer of :func:`warpprior.metrics.evaluate`, one row per metric and statistic."""
    lines = []
    for name, summary in _summaries(metrics, bodies).items():
        rows, truth = _rows(summary), _rows(summary.get("truth", {}))
        if rows:
            lines.append(f"{name:38}" + (f" {'':>10} {'in truth':>10}" if truth else "").rstrip())
            lines += [f"  {row:36} {value:>10} {truth.get(row, ''):>10}".rstrip() for row, value in rows.items()]
    return "\n".join(lines)


def _summaries(metrics: dict, bodies: Sequence[str]) -> dict[str, dict]:
    """Summaries of the bodies, without what belongs to pairs, then of the pairs that they are part of."""
    names = list(metrics.get("summary", {}))
    pairs = {f"{one}+{other}" for one in names for other in names if one in bodies or other in bodies}
    measured = metrics.get("pairs", {})
    left_out = (*_OF_PAIRS, "truth") if measured else ()
    found = {}
    for body in bodies:
        summary = metrics.get("summary", {}).get(body, {})
        found[body] = {key: value for key, value in summary.items() if key not in left_out}
    if "camera" in metrics:
        found["the camera"] = metrics["camera"]["summary"]
    found |= {key: measured[key]["summary"] for key in measured if key in pairs}
    return found | {key: wanted["summary"] for key, wanted in metrics.get("maps", {}).items()}


def _rows(summary: dict, brief: bool = False) -> dict[str, str]:
    """``{"ADD median [mm]": "2.31", ...}`` of one summary, metrics without a value left out."""
    found = {}
    for key, (title, unit, digits, statistics) in ROWS.items():
        if brief:
            statistics = statistics[:1] if key in _BRIEF else ()
        values = summary.get(key)
        values = values if isinstance(values, dict) else {"value": values}
        for statistic in statistics:
            value = values.get(statistic)
            if value is not None:
                name = " ".join(filter(None, [title, "" if statistic == "value" else statistic, unit and f"[{unit}]"]))
                found[name] = f"{value:.{digits}f}"
    return found
