"""Mask bias: by how much label borders lie too far out, as bodies show whose poses are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from warpprior.system.label_fields import distance_to

REACH = 6.0  # borders farther apart than this are not the same border [px]
APART = 10.0  # labels of other bodies nearer than this make a border something else [px]
FEWEST = 200  # border pixels that are enough for an estimate
FRAMES = 24  # frames looked at


@dataclass(frozen=True)
class MaskBias:
    """How far label borders lie outside the true ones, on average over the sequence.

    Attributes:
        pixels: positive where labels are too large [px].
        count: border pixels it was measured on.
    """

    pixels: float
    count: int


def frames_looked_at(count: int) -> np.ndarray:
    """Those of so many frames that a bias is measured on (frame,) int; all, where there are few."""
    return np.unique(np.linspace(0, count - 1, FRAMES).astype(int)) if count else np.zeros(0, dtype=int)


def measure_mask_bias(labels: np.ndarray, drawn: np.ndarray) -> MaskBias | None:
    """Compare the borders of drawn, known bodies with those of their labels, where both meet the background.

    Args:
        labels: label images (frame, height, width) uint8.
        drawn: label of the known body drawn in each pixel, 0 elsewhere (frame, height, width) uint8.

    Returns:
        The bias, or None where too little open border is in sight.
    """
    found = []
    for frame in frames_looked_at(len(labels)):
        known = drawn[frame] > 0
        values = np.unique(drawn[frame][known])
        if len(values) == 0:
            continue
        labelled = np.isin(labels[frame], values)
        others = (labels[frame] != 0) & ~labelled
        inside, outside, drawn_inside = distance_to(~labelled), distance_to(labelled), distance_to(~known)
        border = known & (drawn_inside < 1.5)
        border[:2] = border[-2:] = False
        border[:, :2] = border[:, -2:] = False
        open_border = border & (distance_to(others) > APART)
        depth = np.where(labelled, inside - 0.5, 0.5 - outside)[open_border] - (drawn_inside[open_border] - 0.5)
        found.append(depth[np.abs(depth) < REACH])
    values = np.concatenate(found) if found else np.zeros(0)
    if len(values) < FEWEST:
        return None
    return MaskBias(float(np.mean(values)), len(values))
