"""How likely a body is wrong in a frame, told from its traces: weights that simulated faults calibrate.

Traces become signs, 0 where all is well, and their weighted sum is the logarithm of the odds that the body is wrong.
Where something measured says where the body is, signs weigh otherwise than where pictures alone do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import numpy as np

from warpprior.finding import Finding
from warpprior.verdicts.traces import Traces
from warpprior.verdicts.weights import WEIGHTS

SUSPECT, LOST = 0.5, 0.9  # doubt from which a body is

# What traces of good frames are like: signs are logarithms of one plus the square of how many times this they are, in
# the frame and in most frames ("usually").
SEEN = {
    "border_mm": 3.0,
    "size_mm": 10.0,
    "middle_mm": 2.0,
    "unmet": 0.15,
    "residual of contour": 0.5,
    "residual of image": 5.0,
}
DETECTED = {"keypoints_mm": 8.0, "keypoints_apart_mm": 3.0, "keypoints_size_mm": 30.0, "residual of keypoints": 0.7}
PLACED = {"measured_mm": 14.0, "measured_middle_mm": 14.0, "depth_mm": 14.0}  # any of these says where a body is
MEASURED = {**PLACED, "measured_deg": 14.0}  # to the fourth power: what is wrong itself, 20 mm or degrees, less noise
GOOD = {
    **SEEN,
    **DETECTED,
    **MEASURED,
    "hue": 0.06,
    "unseen": 1.0,
    "sigma_mm": 5.0,
    "sigma_deg": 2.0,
    "inside_mm": 3.0,
    "gap_mm": 3.0,
    "free_mm": 10.0,
    "jump_mm": 5.0,
    "jump_deg": 3.0,
    "break_mm": 10.0,
    "break_deg": 10.0,
    "residual of pose": 0.03,
    "residual of boxes": 1.0,
    "residual of smoothness": 1.0,
    "residual of sliding": 0.5,
    "residual of penetration": 10.0,
    "residual of consistency": 0.02,
}
MOST = 6.0  # of a sign
IS = 4.0  # a sign that is there or not
USUALLY = " usually"
UNMEASURED = "unmeasured"  # nothing says where the body is but pictures: these frames have weights of their own

FINDINGS = {
    "camera or size": ("intrinsics_scale", "principal_point", "mesh_scale", "mesh_units"),
    "first guess": (
        *("quaternion_order", "rotation_transposed", "pose_inverse", "opengl_axes", "euler_or_degrees"),
        *("initial_missing", "depth_of_crop_camera"),
    ),
    "hand or labels": ("hand_side", "labels_swapped", "label_instance", "label_values", "frame_offset"),
    "detections": (
        *("keypoints_swapped_uv", "keypoints_mirrored", "keypoint_order", "keypoints_normalised"),
        *("keypoints_missing_marker", "depth_scale", "frame_rate"),
    ),
}
WRONG_POINTS = FINDINGS["detections"][:4]  # findings by which keypoints say nothing of the estimate
Signs = dict[str, np.ndarray]


def signs(name: str, traces: Traces, findings: Iterable[Finding], left_out: Mapping[str, Collection[int]]) -> Signs:
    """What the odds are made of (frame,) each, 0 where there is no sign that a body is wrong.

    Args:
        name: of the body.
        traces: of the body.
        findings: of a check of the scene.
        left_out: frames whose evidence of it was left out, by channel.
    """
    count = len(traces["jump_mm"])
    findings = [each for each in findings if each.level != "note"]
    errors = {each.code for each in findings if each.level == "error" and each.body in (None, name)}
    unlabelled, undetected = (np.isin(np.arange(count), list(left_out.get(c, ()))) for c in ("labels", "keypoints2d"))
    found: Signs = {}
    placed = np.zeros(count, dtype=bool)
    for trace, good in GOOD.items():
        values = np.asarray(traces.get(trace, np.full(count, np.nan)), dtype=np.float64)
        if trace in SEEN:
            values = np.where(unlabelled, np.nan, values)
        if trace in DETECTED:
            values = np.where(undetected | bool(errors & set(WRONG_POINTS)), np.nan, values)
        if trace == "depth_mm" and "depth_scale" in errors:
            values = np.full(count, np.nan)
        if trace in PLACED:
            placed |= np.isfinite(values)
        if trace == "free_mm":
            values = np.where(placed, np.nan, values)
        sign = np.minimum(np.log1p((values / good) ** (4 if trace in MEASURED else 2)), MOST)
        found[trace], found[f"{trace}{USUALLY}"] = np.nan_to_num(sign), np.full(count, _median(sign))
    found[UNMEASURED] = IS * ~placed
    found["untold"] = IS * ~np.isfinite(traces["sigma_mm"])
    found["uncoloured"] = IS * ~np.isfinite(traces.get("hue", np.full(count, np.nan)))
    found["unfitted"] = np.full(count, IS * all(not trace.startswith("residual of ") for trace in traces))
    found["unlabelled"] = np.full(count, IS * ("unmet" not in traces))
    found["label left out"], found["points left out"] = IS * unlabelled, IS * undetected
    found[f"label left out{USUALLY}"] = np.full(count, IS * unlabelled.mean() if count else 0.0)
    for kind, codes in FINDINGS.items():
        for level in ("error", "warning"):
            whose = {each.body in (None, name) for each in findings if each.code in codes and each.level == level}
            found[f"{level}: {kind}"] = np.full(count, IS * (True in whose))
            found[f"{level}: {kind} of another"] = np.full(count, IS * (False in whose))
    return found


def contributions(found: Signs) -> Signs:
    """How much each sign adds to the logarithm of the odds (frame,), and ``""`` what they are without any."""
    unplaced = found[UNMEASURED] > 0.0
    with_place, without = WEIGHTS["placed"], WEIGHTS["unplaced"]
    names = dict.fromkeys((*with_place, *without))
    weights = {name: np.where(unplaced, without.get(name, 0.0), with_place.get(name, 0.0)) for name in names}
    return {name: weight * (found[name] if name else 1.0) for name, weight in weights.items()}


def doubt_of(found: Signs) -> np.ndarray:
    """Probability of being wrong (frame,) where signs are these."""
    odds = sum(contributions(found).values(), np.zeros_like(found[UNMEASURED]))
    return 1.0 / (1.0 + np.exp(-odds))


def _median(values: np.ndarray) -> float:
    seen = values[np.isfinite(values)]
    return float(np.median(seen)) if len(seen) else 0.0
