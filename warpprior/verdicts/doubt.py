"""How likely a body is wrong in a frame, told from its traces: weights that simulated faults calibrate."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import numpy as np

from warpprior.finding import Finding
from warpprior.verdicts.traces import Traces

# What traces of good frames are like: they enter as logarithms of one plus how many times this they are.
GOOD = {
    "border_mm": 3.0,
    "size_mm": 10.0,
    "middle_mm": 2.0,
    "unmet": 0.15,
    "unseen": 1.0,
    "keypoints_mm": 8.0,
    "keypoints_apart_mm": 3.0,
    "keypoints_size_mm": 30.0,
    "measured_mm": 5.0,
    "measured_deg": 5.0,
    "measured_middle_mm": 8.0,
    "depth_mm": 5.0,
    "sigma_mm": 5.0,
    "sigma_deg": 2.0,
    "moved_along": 0.05,
    "moved_across_mm": 10.0,
    "turned_deg": 5.0,
    "inside_mm": 3.0,
    "gap_mm": 3.0,
    "jump_mm": 5.0,
    "jump_deg": 3.0,
    "residual of contour": 0.5,
    "residual of image": 5.0,
    "residual of keypoints": 0.7,
    "residual of pose": 0.03,
    "residual of smoothness": 1.0,
    "residual of sliding": 0.5,
    "residual of penetration": 10.0,
    "residual of consistency": 0.02,
}
THINGS = {"moved_along": 0.7, "moved_across_mm": 40.0, "turned_deg": 25.0}  # of first guesses of rigid bodies
MOST = 4.0  # of a sign
MEASURED = ("measured_mm", "measured_middle_mm", "depth_mm")  # any of these says where a body is
SEEN = ("border_mm", "size_mm", "middle_mm", "unmet", "residual of contour", "residual of image")
DETECTED = ("keypoints_mm", "keypoints_apart_mm", "keypoints_size_mm", "residual of keypoints")

KINDS = {
    "camera or size": ("intrinsics_scale", "principal_point", "mesh_scale", "mesh_units", "depth_of_crop_camera"),
    "convention": (
        *("quaternion_order", "rotation_transposed", "pose_inverse", "opengl_axes", "euler_or_degrees"),
        "initial_missing",
    ),
    "hand or labels": ("hand_side", "labels_swapped", "label_instance", "label_values", "frame_offset"),
    "detections": (
        *("keypoints_swapped_uv", "keypoints_mirrored", "keypoint_order", "keypoints_normalised"),
        *("keypoints_missing_marker", "depth_scale", "frame_rate"),
    ),
}
WRONG_POINTS = KINDS["detections"][:4]  # findings by which keypoints say nothing of the estimate

SUSPECT, LOST = 0.5, 0.9  # doubt from which a body is

# Logarithm of the odds, by ``python -m warpprior.bench.verdicts --calibrate``.
BEFORE = 0.0  # where there is no sign at all
WEIGHTS: dict[str, float] = {}


def signs(
    name: str,
    traces: Traces,
    findings: Iterable[Finding],
    left_out: Mapping[str, Collection[int]],
    *,
    rigid: bool,
) -> dict[str, np.ndarray]:
    """What the odds are made of (frame,) each, 0 where there is no sign that a body is wrong.

    Args:
        name: of the body.
        traces: of the body.
        findings: of a check of the scene.
        left_out: frames whose evidence of it was left out, by channel.
        rigid: whether the body is.
    """
    count = len(traces["jump_mm"])
    findings = [each for each in findings if each.level != "note"]
    errors = {each.code for each in findings if each.level == "error"}
    unlabelled, undetected = (np.isin(np.arange(count), list(left_out.get(c, ()))) for c in ("labels", "keypoints2d"))
    found: dict[str, np.ndarray] = {}
    where_measured = np.zeros(count, dtype=bool)
    for trace, good in GOOD.items():
        values = np.asarray(traces.get(trace, np.full(count, np.nan)), dtype=np.float64)
        if trace in SEEN:
            values = np.where(unlabelled, np.nan, values)
        if trace in DETECTED:
            values = np.where(undetected | bool(errors & set(WRONG_POINTS)), np.nan, values)
        if trace == "depth_mm" and "depth_scale" in errors:
            values = np.full(count, np.nan)
        if trace in MEASURED:
            where_measured |= np.isfinite(values)
        if rigid:
            good = THINGS.get(trace, good)
        sign = np.minimum(np.log1p(values / good), MOST)
        kind = f"{trace} of a thing" if rigid and trace in THINGS else trace
        if trace in THINGS:
            other = trace if rigid else f"{trace} of a thing"
            found[other] = found[f"{other} usually"] = np.zeros(count)
        found[kind], found[f"{kind} usually"] = np.nan_to_num(sign), np.full(count, _median(sign))
    found["unmeasured"] = (~where_measured).astype(float)
    found["label left out"], found["points left out"] = unlabelled.astype(float), undetected.astype(float)
    found["label left out usually"] = np.full(count, unlabelled.mean() if count else 0.0)
    for kind, codes in KINDS.items():
        for level in ("error", "warning"):
            own = [e for e in findings if e.code in codes and e.level == level and e.body in (None, name)]
            other = [e for e in findings if e.code in codes and e.level == level and e.body not in (None, name)]
            found[f"{level}: {kind}"] = np.full(count, float(bool(own)))
            found[f"{level}: {kind} of another"] = np.full(count, float(bool(other)))
    return found


def contributions(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """How much each sign adds to the logarithm of the odds (frame,)."""
    return {name: WEIGHTS[name] * values for name, values in found.items() if name in WEIGHTS}


def doubt_of(found: dict[str, np.ndarray]) -> np.ndarray:
    """Probability of being wrong (frame,) where signs are these."""
    odds = BEFORE + sum(contributions(found).values(), np.zeros_like(found["unmeasured"]))
    return 1.0 / (1.0 + np.exp(-odds))


def _median(values: np.ndarray) -> float:
    seen = values[np.isfinite(values)]
    return float(np.median(seen)) if len(seen) else 0.0
