"""What the metrics of a result are called and how they are written, for captions, plots and tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from warpprior.result import Result

TURNS = ("before", "after")


@dataclass(frozen=True)
class Quantity:
    """One per-frame metric.

    Attributes:
        key: its name in the metrics.
        title: its name for people.
        unit: ``mm``, ``deg`` or nothing.
        digits: decimals to show.
        rises: larger is better.
        limits: levels worth a line in a plot.
        plotted: has a panel among the plots; all are in the table.
    """

    key: str
    title: str
    unit: str
    digits: int
    rises: bool = False
    limits: tuple[float, ...] = ()
    plotted: bool = True


OF_PAIRS = ("penetration_mm", "slip_mm", "shared_volume_cm3", "contact_f1")
QUANTITIES = (
    Quantity("add_mm", "ADD", "mm", 1, limits=(3.0, 10.0)),
    Quantity("add_s_mm", "ADD-S", "mm", 1, limits=(3.0, 10.0), plotted=False),
    Quantity("chamfer_mm", "Chamfer", "mm", 1, limits=(3.0, 10.0), plotted=False),
    Quantity("keypoint_mm", "keypoint error", "mm", 1, limits=(5.0, 10.0)),
    Quantity("keypoint_pa_mm", "keypoints, aligned", "mm", 1, limits=(5.0,)),
    Quantity("rotation_deg", "rotation error", "deg", 2, limits=(2.0,)),
    Quantity("translation_mm", "position error", "mm", 1, limits=(3.0, 10.0)),
    Quantity("position_sigmas", "position error / sigma", "", 2, limits=(3.0,), plotted=False),
    Quantity("rotation_sigmas", "rotation error / sigma", "", 2, limits=(3.0,), plotted=False),
    Quantity("joint_deg", "joint error", "deg", 2, limits=(2.0,)),
    Quantity("mask_iou", "mask IoU", "", 3, rises=True, limits=(0.97,)),
    Quantity("penetration_mm", "penetration", "mm", 1, limits=(2.0,)),
    Quantity("slip_mm", "slip per frame", "mm", 2),
    Quantity("shared_volume_cm3", "shared volume", "cm\u00b3", 2),
    Quantity("contact_f1", "contacts found again, F1", "", 2, rises=True, plotted=False),
    Quantity("acceleration_mm", "acceleration", "mm/frame\u00b2", 2, plotted=False),
    Quantity("acceleration_error_mm", "acceleration error", "mm/frame\u00b2", 2, plotted=False),
)


def subjects(result: Result) -> dict[str, tuple[Quantity, ...]]:
    """What has metrics to show: estimated bodies, and the pairs they are part of; and which metrics those are.

    Where pairs are measured they show contact; else the bodies do.
    """
    names = [body.name for body in result.scene.bodies]
    estimated = [body.name for body in result.scene.bodies if not body.known]
    measured = [key for turn in TURNS for key in result.metrics.get(turn, {}).get("pairs", {})]
    parts = {f"{one}+{other}": (one, other) for one in names for other in names}
    pairs = [key for key in dict.fromkeys(measured) if set(parts.get(key, ())) & set(estimated)]
    own = tuple(quantity for quantity in QUANTITIES if quantity.key not in OF_PAIRS or not pairs)
    return dict.fromkeys(estimated, own) | {
        key: tuple(quantity for quantity in QUANTITIES if quantity.key in OF_PAIRS) for key in pairs
    }


def contact_share(result: Result, turn: int, name: str, key: str) -> float | None:
    """The share of frames of a body or pair in one of the ``CONTACT_STATES``, or None where it was not measured."""
    return _measured(result, turn, name, "summary").get(key)


def true_median(result: Result, name: str, key: str) -> float | None:
    """The median of a metric of a body or pair in the true motion, or None where it is not known."""
    summary = _measured(result, 1, name, "summary")
    truth = {"acceleration_mm": summary.get("truth_acceleration_mm", {})} | summary.get("truth", {})
    return truth.get(key, {}).get("median")


def true_share(result: Result, name: str, key: str) -> float | None:
    """That share in the true motion, or None where it is not known."""
    return _measured(result, 1, name, "summary").get("truth", {}).get(key)


def _measured(result: Result, turn: int, name: str, what: str) -> dict:
    """``per_frame`` or ``summary`` of a body or pair; empty where it was not measured."""
    metrics = result.metrics.get(TURNS[turn], {})
    return metrics.get(what, {}).get(name) or metrics.get("pairs", {}).get(name, {}).get(what, {})


def series(result: Result, turn: int, name: str, key: str) -> np.ndarray | None:
    """A metric of a body or pair at each frame (frame,) float64, NaN where it has no value; None where not measured.

    Args:
        result: its ``metrics`` hold ``{"before" | "after": {"per_frame": {body: {key: [frame]}}}}``.
        turn: 0 for before, 1 for after.
        name: of the body, or of the pair.
        key: name of the metric.
    """
    values = _measured(result, turn, name, "per_frame").get(key)
    if values is None:
        return None
    numbers = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    return numbers if np.isfinite(numbers).any() else None


def frame_caption(result: Result, turn: int, frame: int) -> str:
    """The main error and the mask overlap of the estimated bodies at a frame, as one line; empty without metrics."""
    estimated = [body.name for body in result.scene.bodies if not body.known]
    parts = []
    for name in estimated:
        words = [f"{name}:"] if len(estimated) > 1 else []
        for key in ("keypoint_mm", "add_mm", "add_s_mm", "translation_mm"):
            values = series(result, turn, name, key)
            if values is not None:
                words.append(_worded(key, values, frame))
                break
        values = series(result, turn, name, "mask_iou")
        if values is not None:
            words.append(_worded("mask_iou", values, frame))
        if any(word and not word.endswith(":") for word in words):
            parts.append("  ".join(word for word in words if word))
    return "    ".join(parts)


def _worded(key: str, values: np.ndarray, frame: int) -> str:
    quantity = next(quantity for quantity in QUANTITIES if quantity.key == key)
    if not np.isfinite(values[frame]):
        return ""
    return f"{quantity.title} {values[frame]:.{quantity.digits}f} {quantity.unit}".strip()
