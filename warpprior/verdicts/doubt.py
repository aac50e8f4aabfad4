"""How likely a body is wrong in a frame, told from its traces: weights that simulated faults calibrate."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from warpprior.verdicts.traces import Traces

# What half of good frames stay well below: traces enter as logarithms of one plus how many times this they are.
SHARE = 0.03  # of the root of a label's area, or of the box around keypoints
BORDER_PX, DEEP_MM, GAP_MM, JUMP_MM, JUMP_DEG = 2.0, 5.0, 10.0, 10.0, 10.0

SUSPECT, LOST = 0.5, 0.9  # doubt from which a body is

# Logarithm of the odds, by ``python -m warpprior.bench.verdicts --calibrate``.
BEFORE = 0.0  # where there is no sign at all
WEIGHTS: dict[str, float] = {}


def signs(traces: Traces, left_out: Collection[int], errors: int) -> dict[str, np.ndarray]:
    """What the odds are made of (frame,) each, 0 where there is no sign that a body is wrong.

    Args:
        traces: of the body.
        left_out: frames in which some of its evidence was left out.
        errors: how many errors a check of the scene found.
    """
    count = len(traces["jump_mm"])
    border = np.log1p(np.minimum(traces["border"] / SHARE, traces["border_px"] / BORDER_PX))
    keypoints = np.log1p(traces["keypoints"] / SHARE)
    doubtful = np.isin(np.arange(count), list(left_out))
    found = {
        "border": border,
        "border usually": np.full(count, _median(border)),
        "unseen": np.isnan(border),
        "keypoints": keypoints,
        "keypoints usually": np.full(count, _median(keypoints)),
        "inside": np.log1p(traces["inside_mm"] / DEEP_MM),
        "inside usually": np.full(count, _median(np.log1p(traces["inside_mm"] / DEEP_MM))),
        "gap": np.log1p(traces["gap_mm"] / GAP_MM),
        "gap usually": np.full(count, _median(np.log1p(traces["gap_mm"] / GAP_MM))),
        "jump": np.log1p(traces["jump_mm"] / JUMP_MM) + np.log1p(traces["jump_deg"] / JUMP_DEG),
        "jumps usually": np.full(count, _median(np.log1p(traces["jump_mm"] / JUMP_MM))),
        "left out": doubtful,
        "left out usually": np.full(count, doubtful.mean() if count else 0.0),
        "error in the data": np.full(count, float(min(errors, 1))),
    }
    return {name: np.nan_to_num(np.asarray(values, dtype=np.float64)) for name, values in found.items()}


def contributions(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """How much each sign adds to the logarithm of the odds (frame,)."""
    return {name: WEIGHTS[name] * values for name, values in found.items() if name in WEIGHTS}


def doubt_of(found: dict[str, np.ndarray]) -> np.ndarray:
    """Probability of being wrong (frame,) where signs are these."""
    odds = BEFORE + sum(contributions(found).values(), np.zeros_like(found["border"]))
    return 1.0 / (1.0 + np.exp(-odds))


def _median(values: np.ndarray) -> float:
    seen = values[np.isfinite(values)]
    return float(np.median(seen)) if len(seen) else 0.0
