"""Plots of a result as SVG: loss curves, metrics per frame before and after, and how sure a tracker was.

The background is transparent and the ink a middle grey, so that they read on light and on dark pages.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from warpprior.io.atomic import atomic_write
from warpprior.report.axes import INK, LINES, Figure, Line, Panel, new_figure, svg
from warpprior.report.bands import band_figure, name_frames, sensor_figure
from warpprior.report.figures import Quantity, series, subjects
from warpprior.result import Result
from warpprior.support.progress import Progress

_BEFORE = "#8b949e"
_KEYS = ("iteration", "stage")  # columns of the history that are no terms
_MOST_POINTS = 600  # of a curve; more are not visible
_DECADES = 15.0  # before and after this many times apart are shown on a logarithmic scale


def write_plots(result: Result, folder: str | os.PathLike, *, progress: Progress | None = None) -> list[Path]:
    """Write the plots to a folder as SVG files; a plot without data is left out.

    Args:
        result: what to plot.
        folder: where to.
        progress: called with plots done, plots in all, and what is being done.

    Returns:
        the files written.

    Raises:
        RunError: a file could not be written.
    """
    written = []
    for name, data in render_plots(result, progress=progress).items():
        path = Path(folder) / f"{name}.svg"
        with atomic_write(path) as file:
            file.write(data)
        written.append(path)
    return written


def render_plots(result: Result, *, progress: Progress | None = None) -> dict[str, bytes]:
    """The plots as SVG files, those of them for which there are data.

    ``loss``: terms over iterations; ``errors``: metrics over frames; ``uncertainty``: errors within their bands, of
    motions with a covariance; ``sensors``: innovations of a tracker, whose history has a row per frame.
    """
    drawn = {}
    makers = {"loss": _loss_figure, "errors": _error_figure, "uncertainty": band_figure, "sensors": sensor_figure}
    for number, (name, make) in enumerate(makers.items()):
        figure = make(result)
        if figure is not None:
            drawn[name] = svg(figure)
        if progress is not None:
            progress(number + 1, len(makers), "drawing plots")
    return drawn


def _loss_figure(result: Result) -> Figure | None:
    """Every term and the total over the iterations, on a logarithmic scale; terms that are always zero are left out.

    None for a history over frames.
    """
    if "frame" in result.history:
        return None
    history = {name: np.asarray(column, np.float64) for name, column in result.history.items()}
    columns = {name: column for name, column in history.items() if name not in _KEYS and np.any(column > 0.0)}
    if not columns:
        return None
    figure = new_figure(245.0, right=112.0)
    (panel,) = figure.axes
    colors = iter(LINES * (len(columns) // len(LINES) + 1))
    for name, column in sorted(columns.items(), key=lambda item: item[0] != "total"):  # which lies behind all others
        iteration = history.get("iteration", np.arange(len(column)))
        picked = np.unique(np.linspace(0, len(column) - 1, _MOST_POINTS).round().astype(int))
        heights = np.where(column > 0.0, column, np.nan)[picked]
        color, width = (INK, 2.4) if name == "total" else (next(colors), 1.3)
        panel.lines.append(Line(iteration[picked], heights, color, width, name))
    stage = np.nan_to_num(history.get("stage", np.zeros(1)))  # the descent has no stages
    places = history.get("iteration", np.arange(len(stage)))
    panel.uprights = [float(places[turn + 1]) for turn in np.flatnonzero(np.diff(stage))]
    panel.logarithmic, panel.legend = True, "beside"
    panel.title, panel.across, panel.up = "Energy by term", "iteration", "cost"
    return figure


def _error_figure(result: Result) -> Figure | None:
    """One panel per metric of an estimated body or pair: before, after, and the levels to reach."""
    panels: list[tuple[str, Quantity, np.ndarray | None, np.ndarray | None]] = []
    shown = subjects(result)
    for name, quantities in shown.items():
        for quantity in filter(lambda quantity: quantity.plotted, quantities):
            before, after = (series(result, turn, name, quantity.key) for turn in (0, 1))
            if before is not None or after is not None:
                panels.append((name, quantity, before, after))
    if not panels:
        return None
    rows = (len(panels) + 1) // 2
    figure = new_figure(36.0 + 137.0 * rows, rows, 2)
    for panel, (name, quantity, before, after) in zip(figure.axes, panels, strict=False):
        _draw_quantity(panel, quantity, before, after)
        panel.title = quantity.title if len(shown) == 1 else f"{name}: {quantity.title}"
        panel.up = quantity.unit
    name_frames(figure, len(panels))
    figure.axes[0].legend = "inside"
    return figure


def _draw_quantity(panel: Panel, quantity: Quantity, before: np.ndarray | None, after: np.ndarray | None) -> None:
    for values, label, color, width in ((before, "before", _BEFORE, 1.2), (after, "after", LINES[0], 1.8)):
        if values is not None:
            dots = 3.0 if len(values) < 12 else 0.0
            panel.lines.append(Line(np.arange(len(values)), values, color, width, label, dots))
    drawn = np.concatenate([line.up for line in panel.lines])
    panel.reach = (-0.5, max(len(line.up) for line in panel.lines) - 0.5)
    drawn = drawn[np.isfinite(drawn)]
    usual = np.median(drawn if after is None else after)
    panel.logarithmic = bool(quantity.unit and drawn.min() > 0.0 and drawn.max() > _DECADES * usual)
    panel.from_zero = not quantity.rises
    panel.levels = quantity.limits
