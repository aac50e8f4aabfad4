"""The look of plots: figures, margins, axes and files."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from warpprior.support.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, INK_ON_DARK, FAINT = "#57606a", "#a3adb8", "#7d859055"
LINES = ("#0e9bd8", "#e0559a", "#45a847", "#d98a16", "#8f6fe0", "#c9502e", "#1aa39a", "#9c8a3f")
WIDTH = 8.8  # of a figure [inch]


def new_figure(height: float) -> Figure:
    """A figure of the plots' width and this height [inch]; MissingExtraError without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("drawing plots", "cv") from error
    return Figure(figsize=(WIDTH, height))


def set_margins(figure: Figure, *, right: float, rows: int = 1) -> None:
    """Margins in inches; matplotlib's own layouts draw everything twice to find them."""
    height = figure.get_figheight()
    panel = (height - 0.75 - 0.45 * (rows - 1)) / rows
    figure.subplots_adjust(
        left=0.62 / WIDTH,
        right=1.0 - right / WIDTH,
        bottom=0.45 / height,
        top=1.0 - 0.3 / height,
        wspace=0.2,
        hspace=0.45 / panel,
    )


def set_logarithmic(axes: Axes) -> None:
    """A logarithmic height axis with whole powers of ten only, or 1-2-5 where it spans little."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0,) if high > 1.0e3 * low else (1.0, 2.0, 5.0), numticks=12))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(_short))


def dress(axes: Axes, title: str, across: str, up: str) -> None:
    """Title, names of the axes, grid and ink."""
    axes.set_title(title, loc="left", fontsize=9, color=INK, fontweight="bold")
    axes.set_xlabel(across, color=INK, fontsize=8)
    axes.set_ylabel(up, color=INK, fontsize=8)
    axes.set_facecolor("none")
    axes.grid(True, which="major", color=FAINT, linewidth=0.6)
    axes.tick_params(which="both", colors=INK, labelsize=8)
    axes.margins(x=0.01)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(INK)


def svg(figure: Figure) -> bytes:
    """Text stays text in a font the reader has; no date and fixed ids, so that equal results give equal files.

    On a dark page its ink is light.
    """
    import matplotlib

    stream = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "warpprior", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    ink = "".join(f'[style*="{use}: {INK}"]{{{use}:{INK_ON_DARK} !important}}' for use in ("fill", "stroke"))
    on_dark = f"<style>@media (prefers-color-scheme: dark){{{ink}}}</style>\n".encode()
    return stream.getvalue().replace(b" <metadata>", on_dark + b" <metadata>", 1)


def plain(text: str) -> str:
    """Text that matplotlib does not take for formulas, without a leading underscore, which would hide its label."""
    return text.replace("$", r"\$").lstrip("_")


def _short(value: float, _position: int) -> str:
    """A power of ten, or a few of it, in few characters."""
    return f"{value:g}" if 1.0e-3 <= value < 1.0e5 else f"{value:.0e}".replace("e+0", "e").replace("e-0", "e-")
