"""The picture of what was measured: time per frame above, memory below, a column for each axis."""

from __future__ import annotations

from collections.abc import Mapping

from warpprior.bench.scaling.points import TITLES
from warpprior.report.axes import LINES, dress, new_figure, set_logarithmic, set_margins, svg

ROWS = (("seconds_per_frame", "CPU time per frame [s]"), ("memory_mib", "memory [MiB]"))


def draw(found: Mapping[str, Mapping[int, dict]]) -> bytes:
    """The picture as SVG.

    Args:
        found: by axis and value, what :func:`warpprior.bench.scaling.measure.measure` returns; a point that was not
            reached has ``problem`` and is left out.
    """
    axes = [axis for axis in TITLES if any("problem" not in row for row in found.get(axis, {}).values())]
    figure = new_figure(4.4)
    panels = figure.subplots(len(ROWS), max(len(axes), 1), squeeze=False)
    for panel_row, (quantity, name) in zip(panels, ROWS, strict=True):
        for panel, axis, colour in zip(panel_row, axes, LINES, strict=False):
            points = sorted((value, row[quantity]) for value, row in found[axis].items() if "problem" not in row)
            panel.plot(*zip(*points, strict=True), color=colour, marker="o", markersize=4)
            dress(panel, TITLES[axis], TITLES[axis], name if axis == axes[0] else "")
            panel.margins(0.08)
            if axis != "bodies":
                panel.set_xscale("log")
            set_logarithmic(panel)
    set_margins(figure, right=0.1, rows=len(ROWS))
    figure.subplots_adjust(wspace=0.35, hspace=0.6)
    return svg(figure)
