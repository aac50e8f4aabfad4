"""Plots of a result as SVG: loss curves, and metrics per frame before and after.

The background is transparent and the ink a middle grey, so that they read on light and on dark pages.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from warpprior.errors import MissingExtraError
from warpprior.io.atomic import atomic_write
from warpprior.report.figures import Quantity, series, subjects
from warpprior.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _FAINT = "#7d8590", "#7d859055"
_BEFORE = "#8b949e"
_LINES = ("#0e9bd8", "#e0559a", "#45a847", "#d98a16", "#8f6fe0", "#c9502e", "#1aa39a", "#9c8a3f")
_KEYS = ("iteration", "stage")  # columns of the history that are no terms
_WIDTH = 8.8  # of a figure [inch]
_MOST_POINTS = 600  # of a curve; more are not visible
_DECADES = 15.0  # before and after this many times apart are shown on a logarithmic scale


def write_plots(result: Result, folder: str | os.PathLike) -> list[Path]:
    """Write ``loss.svg`` and ``errors.svg`` to a folder; a plot without data is left out.

    Returns:
        the files written.

    Raises:
        MissingExtraError: matplotlib is not installed.
        RunError: a file could not be written.
    """
    written = []
    for name, data in render_plots(result).items():
        path = Path(folder) / f"{name}.svg"
        with atomic_write(path) as file:
            file.write(data)
        written.append(path)
    return written


def render_plots(result: Result) -> dict[str, bytes]:
    """The plots as SVG files: ``loss`` and ``errors``, those of them for which there are data.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figures = {"loss": _loss_figure(result), "errors": _error_figure(result)}
    return {name: _svg(figure) for name, figure in figures.items() if figure is not None}


def _loss_figure(result: Result) -> Figure | None:
    """Every term and the total over the iterations, on a logarithmic scale; terms that are always zero are left out."""
    history = {name: np.asarray(column, np.float64) for name, column in result.history.items()}
    columns = {name: column for name, column in history.items() if name not in _KEYS and np.any(column > 0.0)}
    if not columns:
        return None
    figure = _figure(3.4)
    axes = figure.add_subplot()
    _place(figure, right=1.55)
    colors = iter(_LINES * (len(columns) // len(_LINES) + 1))
    for name, column in columns.items():
        iteration = history.get("iteration", np.arange(len(column)))
        picked = np.unique(np.linspace(0, len(column) - 1, _MOST_POINTS).round().astype(int))
        heights = np.where(column > 0.0, column, np.nan)[picked]
        total = name == "total"
        style = {"color": _INK, "linewidth": 2.4} if total else {"color": next(colors), "linewidth": 1.3}
        axes.plot(iteration[picked], heights, label=_plain(name), zorder=1 if total else 2, **style)
    stage = np.nan_to_num(history.get("stage", np.zeros(1)))  # the descent has no stages
    for turn in np.flatnonzero(np.diff(stage)):
        axes.axvline(history.get("iteration", np.arange(len(stage)))[turn + 1], color=_FAINT, linewidth=3.0, zorder=0)
    _logarithmic(axes)
    _dress(axes, "Energy by term", "iteration", "cost")
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=8, labelcolor=_INK)
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
    figure = _figure(0.5 + 1.9 * rows)
    grid = figure.subplots(rows, 2, squeeze=False)
    _place(figure, right=0.1, rows=rows)
    for axes, (name, quantity, before, after) in zip(grid.flat, panels, strict=False):
        _draw_quantity(axes, quantity, before, after)
        title = quantity.title if len(shown) == 1 else f"{_plain(name)}: {quantity.title}"
        _dress(axes, title, "", quantity.unit)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for axes in grid.flat[max(0, len(panels) - 2) : len(panels)]:
        axes.set_xlabel("frame", color=_INK, fontsize=8)
    grid.flat[0].legend(loc="best", frameon=False, fontsize=8, labelcolor=_INK)
    return figure


def _draw_quantity(axes: Axes, quantity: Quantity, before: np.ndarray | None, after: np.ndarray | None) -> None:
    for values, label, color, width in ((before, "before", _BEFORE, 1.2), (after, "after", _LINES[0], 1.8)):
        if values is not None:
            few = len(values) < 12
            axes.plot(values, label=label, color=color, linewidth=width, marker="o" if few else "", markersize=3)
    drawn = np.concatenate([values for values in (before, after) if values is not None])
    axes.set_xlim(-0.5, max(len(values) for values in (before, after) if values is not None) - 0.5)
    drawn = drawn[np.isfinite(drawn)]
    if quantity.unit and drawn.min() > 0.0 and drawn.max() > _DECADES * np.median(drawn if after is None else after):
        _logarithmic(axes)
    elif not quantity.rises:
        axes.set_ylim(bottom=0.0)
    low, high = axes.get_ylim()
    for limit in quantity.limits:
        if low < limit < high:
            axes.axhline(limit, color=_INK, linewidth=0.8, linestyle=(0, (4, 3)))


def _short(value: float, _position: int) -> str:
    """A power of ten, or a few of it, in few characters."""
    return f"{value:g}" if 1.0e-3 <= value < 1.0e5 else f"{value:.0e}".replace("e+0", "e").replace("e-0", "e-")


def _figure(height: float) -> Figure:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("drawing plots", "cv") from error
    return Figure(figsize=(_WIDTH, height))


def _place(figure: Figure, *, right: float, rows: int = 1) -> None:
    """Margins in inches; matplotlib's own layouts draw everything twice to find them."""
    height = figure.get_figheight()
    panel = (height - 0.75 - 0.45 * (rows - 1)) / rows
    figure.subplots_adjust(
        left=0.62 / _WIDTH,
        right=1.0 - right / _WIDTH,
        bottom=0.45 / height,
        top=1.0 - 0.3 / height,
        wspace=0.2,
        hspace=0.45 / panel,
    )


def _logarithmic(axes: Axes) -> None:
    """A logarithmic height axis with whole powers of ten only, or 1-2-5 where it spans little."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0,) if high > 1.0e3 * low else (1.0, 2.0, 5.0), numticks=12))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(_short))


def _dress(axes: Axes, title: str, across: str, up: str) -> None:
    axes.set_title(title, loc="left", fontsize=9, color=_INK, fontweight="bold")
    axes.set_xlabel(across, color=_INK, fontsize=8)
    axes.set_ylabel(up, color=_INK, fontsize=8)
    axes.set_facecolor("none")
    axes.grid(True, which="major", color=_FAINT, linewidth=0.6)
    axes.tick_params(which="both", colors=_INK, labelsize=8)
    axes.margins(x=0.01)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(_INK)


def _svg(figure: Figure) -> bytes:
    """Text stays text in a font the reader has; no date and fixed ids, so that equal results give equal files."""
    import matplotlib

    stream = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "warpprior", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return stream.getvalue()


def _plain(text: str) -> str:
    """Text that matplotlib does not take for formulas, without a leading underscore, which would hide its label."""
    return text.replace("$", r"\$").lstrip("_")
