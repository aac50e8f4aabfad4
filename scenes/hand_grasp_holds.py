"""Where a hand may take hold of an object nobody has described: slices of it that a hand can span."""

from __future__ import annotations

import numpy as np

from warpprior.scenes.objects.spec import Hold

WIDEST = 0.085  # what a hand spans with room to spare [m]
_SLICES = np.array([0.5, 0.35, 0.65, 0.2, 0.8])  # shares of the object's extent
_COMFORTABLE = 0.045  # width that is best held [m]
_ROUND = 1.5  # ratio of a slice's widths up to which the palm may come from any side
_MOST = 8
_ANGLES = np.arange(12) * (np.pi / 12.0)


def find_holds(surface: np.ndarray) -> tuple[Hold, ...]:
    """Places where fingers can close around an object, the most comfortable first; none if it is too large.

    Args:
        surface: points all over the object as it stands, z up (point, 3) [m].
    """
    middle = 0.5 * (surface.min(axis=0) + surface.max(axis=0))
    flat = surface[:, :2] - middle[:2]
    along = np.linalg.svd(flat, full_matrices=False)[2][0]
    lying = np.array([along[0], along[1], 0.0])
    up = np.array([0.0, 0.0, 1.0])
    found = []
    for axis in (up, lying, np.cross(up, lying)):
        heights = (surface - middle) @ axis
        low, extent = heights.min(), np.ptp(heights)
        for share in _SLICES:
            level = low + share * extent
            near = surface[np.abs(heights - level) < max(0.012, 0.06 * extent)]
            if len(near) >= 20:
                found += _across(near, middle, axis, level, min(0.3 * extent, 0.04))
    found = [pair for pair in found if pair[1].width <= WIDEST]
    return tuple(hold for _, hold in sorted(found, key=lambda pair: pair[0])[:_MOST])


def _across(near: np.ndarray, middle: np.ndarray, axis: np.ndarray, level: float, length: float):
    """The hold of one slice, with its discomfort."""
    first = np.cross(axis, [1.0, 0.0, 0.0] if abs(axis[0]) < 0.7 else [0.0, 1.0, 0.0])
    first /= np.linalg.norm(first)
    second = np.cross(axis, first)
    directions = np.cos(_ANGLES)[:, None] * first + np.sin(_ANGLES)[:, None] * second
    spans = (near - middle) @ directions.T
    widths = np.ptp(spans, axis=0)
    thin = int(widths.argmin())
    center = middle + level * axis
    for direction in (first, second):
        span = (near - middle) @ direction
        center = center + 0.5 * (span.min() + span.max()) * direction
    width = float(widths[thin])
    discomfort = abs(width - _COMFORTABLE) + 0.5 * np.linalg.norm(center - middle)
    if widths.max() < _ROUND * width:
        return [(discomfort, Hold("around", center, axis, length, width))]
    across = np.cross(axis, directions[thin])
    # A long slice is held near either end, from outside.
    reach = max(0.5 * float(np.ptp((near - middle) @ across)) - 0.035, 0.0)
    return [
        (discomfort + 0.3 * reach, Hold("edge", center - sign * reach * across, axis, length, width, sign * across))
        for sign in (1.0, -1.0)
    ]
