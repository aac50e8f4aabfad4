"""Plots of a result as SVG: loss curves, metrics per frame before and after, and how sure a tracker was.

The background is transparent and the ink a middle grey, so that they read on light and on dark pages.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from warpprior.io.atomic import atomic_write
from warpprior.report.axes import FAINT, INK, LINES, dress, new_figure, plain, set_logarithmic, set_margins, svg
from warpprior.report.bands import band_figure, sensor_figure
from warpprior.report.figures import Quantity, series, subjects
from warpprior.result import Result
from warpprior.support.progress import Progress

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
        MissingExtraError: matplotlib is not installed.
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

    Raises:
        MissingExtraError: matplotlib is not installed.
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
    figure = new_figure(3.4)
    axes = figure.add_subplot()
    set_margins(figure, right=1.55)
    colors = iter(LINES * (len(columns) // len(LINES) + 1))
    for name, column in columns.items():
        iteration = history.get("iteration", np.arange(len(column)))
        picked = np.unique(np.linspace(0, len(column) - 1, _MOST_POINTS).round().astype(int))
        heights = np.where(column > 0.0, column, np.nan)[picked]
        total = name == "total"
        style = {"color": INK, "linewidth": 2.4} if total else {"color": next(colors), "linewidth": 1.3}
        axes.plot(iteration[picked], heights, label=plain(name), zorder=1 if total else 2, **style)
    stage = np.nan_to_num(history.get("stage", np.zeros(1)))  # the descent has no stages
    places = history.get("iteration", np.arange(len(stage)))
    for turn in np.flatnonzero(np.diff(stage)):
        axes.axvline(float(places[turn + 1]), color=FAINT, linewidth=3.0, zorder=0)
    set_logarithmic(axes)
    dress(axes, "Energy by term", "iteration", "cost")
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=8, labelcolor=INK)
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
    figure = new_figure(0.5 + 1.9 * rows)
    grid = figure.subplots(rows, 2, squeeze=False)
    set_margins(figure, right=0.1, rows=rows)
    for axes, (name, quantity, before, after) in zip(grid.flat, panels, strict=False):
        _draw_quantity(axes, quantity, before, after)
        title = quantity.title if len(shown) == 1 else f"{plain(name)}: {quantity.title}"
        dress(axes, title, "", quantity.unit)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for axes in grid.flat[max(0, len(panels) - 2) : len(panels)]:
        axes.set_xlabel("frame", color=INK, fontsize=8)
    grid.flat[0].legend(loc="best", frameon=False, fontsize=8, labelcolor=INK)
    return figure


def _draw_quantity(axes: Axes, quantity: Quantity, before: np.ndarray | None, after: np.ndarray | None) -> None:
    for values, label, color, width in ((before, "before", _BEFORE, 1.2), (after, "after", LINES[0], 1.8)):
        if values is not None:
            few = len(values) < 12
            axes.plot(values, label=label, color=color, linewidth=width, marker="o" if few else "", markersize=3)
    drawn = np.concatenate([values for values in (before, after) if values is not None])
    axes.set_xlim(-0.5, max(len(values) for values in (before, after) if values is not None) - 0.5)
    drawn = drawn[np.isfinite(drawn)]
    if quantity.unit and drawn.min() > 0.0 and drawn.max() > _DECADES * np.median(drawn if after is None else after):
        set_logarithmic(axes)
    elif not quantity.rises:
        axes.set_ylim(bottom=0.0)
    low, high = axes.get_ylim()
    for limit in quantity.limits:
        if low < limit < high:
            axes.axhline(limit, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
