"""From single runs to the figures of the table: one value per sequence and body, then medians over them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from warpprior.ablation.statistics import holm, median_interval, paired_difference, wilson
from warpprior.ablation.variants import FULL

START = "start"  # the row of the poses that everything starts from
OBJECT = ("chamfer_mm", "chamfer_2d_mm", "add_mm", "add_s_mm", "rotation_deg", "translation_mm", "mask_iou")
HAND = ("keypoint_mm", "keypoint_root_mm", "keypoint_pa_mm")
PAIR = ("penetration_mm", "slip_mm", "shared_volume_cm3", "contact_f1")
COMPARED = ("chamfer_mm", "add_mm", "keypoint_mm", "keypoint_pa_mm", "penetration_mm", "slip_mm")
TOUCH_MM = 2.0

Sample = tuple[str, str]  # scene, and body or pair


class Samples:
    """What one row of the table is made of: figures by scene and body, and all frames of each metric."""

    def __init__(self) -> None:
        self.values: dict[str, dict[Sample, float]] = {}
        self.frames: dict[str, list[float]] = {}

    def add(self, name: str, sample: Sample, value: float | None) -> None:
        """One figure of one sequence; None and NaN are left out."""
        if value is not None and np.isfinite(value):
            self.values.setdefault(name, {})[sample] = float(value)

    def add_frames(self, name: str, sample: Sample, values: Sequence[float | None] | None) -> None:
        """A metric at each frame: the sequence counts with its median."""
        found = [value for value in values or () if value is not None]
        if found:
            self.add(name, sample, float(np.median(found)))
            self.frames.setdefault(name, []).extend(found)

    def figures(self) -> dict[str, dict]:
        """Of each figure: median over sequences, its 95 % interval, p95 of all frames, and the worst sequence."""
        found = {}
        for name, by_sample in self.values.items():
            values = list(by_sample.values())
            low, high = median_interval(values)
            found[name] = {"median": float(np.median(values)), "low": low, "high": high, "sequences": len(values)}
            worst = min if name in ("mask_iou", "contact_f1") or name.endswith(("_reduction", "_ratio")) else max
            found[name]["worst"] = float(worst(values))
            if name in self.frames:
                rank = 5 if name in ("mask_iou", "contact_f1") else 95
                found[name][f"p{rank:02d}"] = float(np.percentile(self.frames[name], rank))
        return found


def summarise_runs(runs: Sequence[dict]) -> dict[str, dict]:
    """Rows of the table: figures by variant, beginning with the start.

    Failures are the share of all frames that are more than 5 cm off, with Wilson's interval for as many trials as
    there are sequences: frames of one sequence are anything but independent, so the interval is on the safe side.

    Args:
        runs: of :func:`warpprior.ablation.ablate`.

    Returns:
        ``{variant: {figure: {"median", "low", "high", "p95", "worst", "sequences"}, "failures": {...}, ...}}``.
    """
    rows: dict[str, dict] = {}
    samples: dict[str, Samples] = {}
    for variant in dict.fromkeys(run["variant"] for run in runs):
        own = [run for run in runs if run["variant"] == variant]
        if START not in rows:
            begun = [run for run in own if "before" in run]
            samples[START] = _collect(begun, "before")
            rows[START] = samples[START].figures() | _failures(begun, "before")
        good = [run for run in own if "after" in run]
        samples[variant] = _collect(good, "after")
        rows[variant] = samples[variant].figures() | _failures(good, "after")
        rows[variant]["errors"] = [f"{run['scene']}: {run['error']}" for run in own if "error" in run]
    _compare(rows, samples)
    return rows


def _collect(runs: Sequence[dict], turn: str) -> Samples:
    samples = Samples()
    for run in runs:
        found, before = run[turn], run["before"]
        for body, summary in found["summary"].items():
            if "acceleration_mm" not in summary:
                continue  # known
            sample = run["scene"], body
            per_frame = found["per_frame"][body]
            names = HAND if "keypoint_mm" in per_frame else OBJECT
            for name in names:
                samples.add_frames(name, sample, per_frame.get(name))
            kind = "hand" if names is HAND else "object"
            _add_acceleration(samples, kind, sample, summary, before["summary"][body])
            if turn == "after":
                for name in HAND if names is HAND else ("chamfer_mm", "add_mm"):
                    _add_reduction(samples, name, sample, per_frame, before["per_frame"][body])
        for key, pair in found["pairs"].items():
            truth = pair["summary"].get("truth", {})
            if truth.get("distance_mm", {}).get("min", 0.0) > TOUCH_MM:
                continue  # they never touch
            sample = run["scene"], key
            for name in PAIR:
                samples.add_frames(name, sample, pair["per_frame"].get(name))
                samples.add(f"{name}_truth", sample, truth.get(name, {}).get("median"))
        if turn == "after":
            samples.add("seconds_per_frame", (run["scene"], ""), run["seconds"] / run["frames"])
    return samples


def _add_acceleration(samples: Samples, kind: str, sample: Sample, summary: dict, before: dict) -> None:
    """Error of the acceleration [mm/frame^2], the truth's own acceleration, and how many times smaller it became."""
    errors = [side.get("acceleration_error_mm", {}).get("mean") for side in (before, summary)]
    samples.add(f"{kind}_acceleration_error_mm", sample, errors[1])
    samples.add(f"{kind}_acceleration_truth_mm", sample, summary.get("truth_acceleration_mm", {}).get("mean"))
    if errors[0] is not None and errors[1]:
        samples.add(f"{kind}_acceleration_ratio", sample, errors[0] / errors[1])


def _add_reduction(samples: Samples, name: str, sample: Sample, after: dict, before: dict) -> None:
    """By how many per cent a sequence's median became smaller."""
    medians = [[value for value in side.get(name) or () if value is not None] for side in (before, after)]
    if all(medians) and np.median(medians[0]) > 0.0:
        share = 1.0 - np.median(medians[1]) / np.median(medians[0])
        samples.add(f"{name.removesuffix('_mm')}_reduction", sample, 100.0 * share)


def _failures(runs: Sequence[dict], turn: str) -> dict[str, dict]:
    found = {}
    for kind in ("object", "hand"):
        counts = []
        for run in runs:
            for summary in run[turn]["summary"].values():
                if "failures" in summary and ("keypoint_mm" in summary) == (kind == "hand"):
                    counts.append((summary["failures"]["failed"], summary["failures"]["frames"]))
        if counts:
            failed, frames = (sum(column) for column in zip(*counts, strict=True))
            low, high = wilson(failed / frames, len(counts))
            found[f"{kind}_failures"] = {
                "share": failed / frames,
                "low": low,
                "high": high,
                "failed": failed,
                "frames": frames,
                "sequences": len(counts),
            }
    return found


def _compare(rows: dict[str, dict], samples: dict[str, Samples]) -> None:
    """Add to each figure its ratio to the full method's, sequence by sequence, and whether they differ."""
    if FULL not in samples:
        return
    for name in COMPARED:
        full = samples[FULL].values.get(name, {})
        found = {}
        for variant, own in samples.items():
            shared = [key for key in own.values.get(name, {}) if full.get(key, 0.0) > 0.0]
            if variant not in (FULL, START) and shared:
                values, others = [own.values[name][key] for key in shared], [full[key] for key in shared]
                ratios = [value / other for value, other in zip(values, others, strict=True)]
                found[variant] = paired_difference(values, others)
                low, high = median_interval(ratios)
                rows[variant][name]["to_full"] = {"median": float(np.median(ratios)), "low": low, "high": high}
        for variant, probability in holm(found).items():
            rows[variant][name]["to_full"]["probability"] = probability
