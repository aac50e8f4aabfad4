"""The picture of what was measured: time per frame above, memory below, a column for each axis."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from warpprior.bench.scaling.points import TITLES
from warpprior.report.axes import LINES, Line, new_figure, svg

ROWS = (("seconds_per_frame", 1.0, "CPU s per frame"), ("memory_mib", 1.0 / 1024.0, "memory [GiB]"))
HEIGHT = 280.0  # [pt]


def draw(found: Mapping[str, Mapping[int, dict]]) -> bytes:
    """The picture as SVG.

    Args:
        found: by axis and value, what :func:`warpprior.bench.scaling.measure.measure` returns; a point that was not
            reached has ``problem`` and is left out.
    """
    reached = {
        axis: [(value, row) for value, row in sorted(found.get(axis, {}).items()) if "problem" not in row]
        for axis in TITLES
    }
    axes = [axis for axis, points in reached.items() if points]
    figure = new_figure(HEIGHT, len(ROWS), max(len(axes), 1))
    panels = iter(figure.axes)
    for quantity, factor, name in ROWS:
        for axis, color in zip(axes, LINES, strict=False):
            panel, (title, unit) = next(panels), TITLES[axis]
            across = np.array([value / unit for value, _ in reached[axis]])
            up = np.array([factor * row[quantity] for _, row in reached[axis]])
            panel.lines.append(Line(across, up, color, 1.4, dots=4.0))
            panel.title = title if quantity == ROWS[0][0] else ""
            panel.up = name if axis == axes[0] else ""
            panel.reach, panel.range = (0.0, 1.05 * across.max()), (0.0, 1.1 * up.max())
    return svg(figure)
