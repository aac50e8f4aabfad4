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


QUANTITIES = (
    Quantity("add_mm", "ADD", "mm", 1, limits=(3.0, 10.0)),
    Quantity("add_s_mm", "ADD-S", "mm", 1, limits=(3.0, 10.0), plotted=False),
    Quantity("rotation_deg", "rotation error", "deg", 2, limits=(2.0,)),
    Quantity("translation_mm", "position error", "mm", 1, limits=(3.0, 10.0)),
    Quantity("joint_deg", "joint error", "deg", 2, limits=(2.0,)),
    Quantity("mask_iou", "mask IoU", "", 3, rises=True, limits=(0.97,)),
    Quantity("penetration_mm", "penetration", "mm", 1, limits=(2.0,)),
    Quantity("slip_mm", "slip per frame", "mm", 2),
    Quantity("acceleration_mm", "acceleration", "mm/frame\u00b2", 2, plotted=False),
    Quantity("acceleration_error_mm", "acceleration error", "mm/frame\u00b2", 2, plotted=False),
)


def contact_ratio(result: Result, turn: int, body: str) -> float | None:
    """The share of frames in which a body is in contact, or None where it was not measured."""
    return result.metrics.get(TURNS[turn], {}).get("summary", {}).get(body, {}).get("contact_ratio")


def series(result: Result, turn: int, body: str, key: str) -> np.ndarray | None:
    """A metric of a body at each frame (frame,) float64, NaN where it has no value; None where it was not measured.

    Args:
        result: its ``metrics`` hold ``{"before" | "after": {"per_frame": {body: {key: [frame]}}}}``.
        turn: 0 for before, 1 for after.
        body: name of the body.
        key: name of the metric.
    """
    values = result.metrics.get(TURNS[turn], {}).get("per_frame", {}).get(body, {}).get(key)
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
        for key in ("add_mm", "add_s_mm", "translation_mm"):
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
