"""The look of plots: panels with lines, bands and axes, written as SVG by ourselves.

Lines and bands over frames are all that plots of results are made of; a library that draws anything takes longer to
load and to draw them than some sequences take to estimate.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import escape

import numpy as np

INK, INK_ON_DARK, FAINT = "#57606a", "#a3adb8", "#7d859055"
LINES = ("#0e9bd8", "#e0559a", "#45a847", "#d98a16", "#8f6fe0", "#c9502e", "#1aa39a", "#9c8a3f")
WIDTH = 634.0  # of a figure [pt]

_LEFT, _BOTTOM, _TOP, _BETWEEN_ROWS, _BETWEEN_COLUMNS = 45.0, 32.0, 22.0, 32.0, 45.0  # space around panels [pt]
_TEXT, _ROW = 8.0, 11.0  # size of letters, and from one line of a legend to the next [pt]
_CHARACTER = 0.56  # of that size, how wide one is, roughly
_MARGINS = 0.01, 0.05  # beyond what is drawn, as shares of its extent
_DASHES = "4 3"
_UNPRINTABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what XML has no way to say


@dataclass(frozen=True, eq=False)  # arrays have no one answer to ==
class Line:
    """A line through points, broken where one is not finite.

    Attributes:
        across, up: of the points (point,).
        color, width: of the line; without width there are dots alone.
        label: in the legend, if any.
        dots: diameter of a dot at each point; 0 for none.
        dashed: with gaps.
    """

    across: np.ndarray
    up: np.ndarray
    color: str
    width: float
    label: str = ""
    dots: float = 0.0
    dashed: bool = False


@dataclass(frozen=True, eq=False)
class Band:
    """What lies between two heights (point,) each."""

    across: np.ndarray
    low: np.ndarray
    high: np.ndarray
    color: str
    label: str = ""


@dataclass(eq=False)
class Panel:
    """One plot: what is drawn in it, and its axes.

    Attributes:
        place: left, top, width and height [pt].
        title, across, up: words above, below and beside it.
        lines, bands: what is drawn, the first farthest back, bands behind lines.
        uprights, levels: where lines go all the way up, and across.
        logarithmic: the height axis.
        reach, range: of the axes; None: as far as what is drawn, and in height a little farther.
        from_zero: heights begin at 0 unless some lie below.
        legend: ``beside`` the panel, ``inside`` it, or nowhere.
        shown: it is drawn at all.
    """

    place: tuple[float, float, float, float]
    title: str = ""
    across: str = ""
    up: str = ""
    lines: list[Line] = field(default_factory=list)
    bands: list[Band] = field(default_factory=list)
    uprights: list[float] = field(default_factory=list)
    levels: tuple[float, ...] = ()
    logarithmic: bool = False
    reach: tuple[float, float] | None = None
    range: tuple[float, float] | None = None
    from_zero: bool = False
    legend: str = ""
    shown: bool = True

    def limits(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Where the axes begin and end: across, and up."""
        across = [each.across for each in (*self.lines, *self.bands)]
        up = [line.up for line in self.lines] + [side for band in self.bands for side in (band.low, band.high)]
        reach = self.reach or _extent(across, _MARGINS[0], False)
        low, high = self.range or _extent(up, _MARGINS[1], self.logarithmic)
        if self.from_zero and self.range is None and not self.logarithmic:
            low = min(low, 0.0) if low < 0.0 and any((side < 0.0).any() for side in up) else 0.0
        return reach, (low, high)


@dataclass(eq=False)
class Figure:
    """Panels beside and below one another.

    Attributes:
        height: of the whole [pt].
        axes: the panels, row by row.
    """

    height: float
    axes: list[Panel]


def new_figure(height: float, rows: int = 1, columns: int = 1, *, right: float = 7.0) -> Figure:
    """A figure of empty panels of one size.

    Args:
        height: of the whole [pt].
        rows, columns: of panels.
        right: space beside the last column [pt].
    """
    width = (WIDTH - _LEFT - right - _BETWEEN_COLUMNS * (columns - 1)) / columns
    tall = (height - _TOP - _BOTTOM - _BETWEEN_ROWS * (rows - 1)) / rows
    places = [
        (_LEFT + column * (width + _BETWEEN_COLUMNS), _TOP + row * (tall + _BETWEEN_ROWS), width, tall)
        for row in range(rows)
        for column in range(columns)
    ]
    return Figure(height, [Panel(place) for place in places])


def svg(figure: Figure) -> bytes:
    """The figure as a file; its text is text in a font the reader has, and its ink is light on a dark page."""
    size = f"{WIDTH:g} {figure.height:g}"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH:g}pt" height="{figure.height:g}pt" '
        f'viewBox="0 0 {size}" font-family="sans-serif" font-size="{_TEXT:g}">'
    )
    ink = ".t{{fill:{0}}}.i{{stroke:{0}}}".format
    style = f".f{{stroke:{FAINT}}}path,line{{fill:none}}{ink(INK)}"
    style = f"<style>{style}@media (prefers-color-scheme:dark){{{ink(INK_ON_DARK)}}}</style>"
    panels = [_drawn(panel, f"c{number}") for number, panel in enumerate(figure.axes) if panel.shown]
    return "\n".join([head, style, *panels, "</svg>\n"]).encode()


def _drawn(panel: Panel, clip: str) -> str:
    left, top, width, height = panel.place
    (start, stop), (low, high) = panel.limits()
    scaled = _log if panel.logarithmic else _same
    base, span = scaled(low), scaled(high) - scaled(low)

    def x(values):
        return left + width * (values - start) / (stop - start)

    def y(values):
        return top + height * (1.0 - (scaled(values) - base) / span)

    bottom = top + height
    ticks = [(x(tick), f"{tick:g}") for tick in _steps(start, stop, width / 45.0, whole=True)]
    heights = _powers(low, high, height) if panel.logarithmic else _steps(low, high, height / 20.0)
    marks = [(y(tick), _short(tick) if panel.logarithmic else f"{tick:g}") for tick in heights]
    parts = [f'<clipPath id="{clip}"><rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}"/>']
    parts.append("</clipPath>")
    parts += [_line(at, top, at, bottom, "f", 0.6) for at, _ in ticks]
    parts += [_line(left, at, left + width, at, "f", 0.6) for at, _ in marks]
    parts += [_line(left, top, left, bottom, "i", 0.8), _line(left, bottom, left + width, bottom, "i", 0.8)]
    parts += [_text(at, bottom + 11.0, words, "middle") for at, words in ticks]
    parts += [_text(left - 4.0, at + 2.8, words, "end") for at, words in marks]
    parts.append(f'<g clip-path="url(#{clip})">')
    parts += [_line(x(at), top, x(at), bottom, "f", 3.0) for at in panel.uprights]
    for band in panel.bands:
        sides = _points(x(band.across), y(band.high)), _points(x(band.across), y(band.low))
        known = _are_finite(sides[0]) & _are_finite(sides[1])
        for run in np.split(np.arange(len(known)), np.flatnonzero(np.diff(known)) + 1):
            if known[run].all():
                outline = np.concatenate([sides[0][run], sides[1][run][::-1]])
                corners = " ".join(f"{a:.1f},{b:.1f}" for a, b in outline)
                parts.append(f'<polygon points="{corners}" fill="{band.color}" fill-opacity="0.22"/>')
    parts += [_curve(_points(x(line.across), y(line.up)), line) for line in panel.lines]
    parts += [_line(left, y(at), left + width, y(at), "i", 0.8, dashed=True) for at in panel.levels if low < at < high]
    parts.append("</g>")
    parts.append(_text(left, top - 7.0, panel.title, "start", 'font-size="9" font-weight="bold"'))
    parts.append(_text(left + width / 2.0, bottom + 24.0, panel.across, "middle"))
    turn = f'transform="rotate(-90 {left - 34.0:.1f} {top + height / 2.0:.1f})"'
    parts.append(_text(left - 34.0, top + height / 2.0, panel.up, "middle", turn))
    return "\n".join([part for part in parts if part] + _legend(panel, x, y))


def _legend(panel: Panel, x, y) -> list[str]:
    """The legend: beside the panel, or in that corner of it where the fewest points lie."""
    named = [each for each in (*panel.bands, *panel.lines) if each.label]
    if not panel.legend or not named:
        return []
    left, top, width, height = panel.place
    wide = 24.0 + _CHARACTER * _TEXT * max(len(each.label) for each in named)
    tall = _ROW * len(named)
    if panel.legend == "beside":
        corner = (left + width + 8.0, top + max(height - tall, 0.0) / 2.0)
    else:
        points = np.concatenate([_points(x(line.across), y(line.up)) for line in panel.lines])
        corners = [(a, b) for b in (top + 3.0, top + height - tall - 3.0) for a in (left + width - wide, left + 5.0)]
        inside = [((points > each) & (points < np.add(each, (wide, tall)))).all(axis=1).sum() for each in corners]
        corner = corners[int(np.argmin(inside))]
    parts = []
    for row, each in enumerate(named):
        middle = corner[1] + _ROW * (row + 0.5)
        if isinstance(each, Band):
            spot = f'x="{corner[0]:.1f}" y="{middle - 3.0:.1f}" width="16" height="6"'
            parts.append(f'<rect {spot} fill="{each.color}" fill-opacity="0.22"/>')
        else:
            parts.append(_curve(np.array([[corner[0], middle], [corner[0] + 16.0, middle]]), each))
        parts.append(_text(corner[0] + 20.0, middle + 2.8, each.label, "start"))
    return parts


def _curve(points: np.ndarray, line: Line) -> str:
    """Points (point, 2) of a figure as a path, broken where one is not finite, and dots."""
    known, steps, pen = _are_finite(points), [], "M"
    for (a, b), there in zip(points, known, strict=True):
        if there:
            steps.append(f"{pen}{a:.1f} {b:.1f}")
        pen = "L" if there else "M"
    stroke = 'class="i"' if line.color == INK else f'stroke="{line.color}"'
    dashes = f' stroke-dasharray="{_DASHES}"' if line.dashed else ""
    found = ""
    if line.width and steps:
        found = f'<path d="{"".join(steps)}" {stroke} stroke-width="{line.width:g}" stroke-linejoin="round"{dashes}/>'
    fill = 'class="t"' if line.color == INK else f'fill="{line.color}"'
    for a, b in points[known] if line.dots else ():
        found += f'<circle cx="{a:.1f}" cy="{b:.1f}" r="{line.dots / 2.0:g}" {fill}/>'
    return found


def _line(x1: float, y1: float, x2: float, y2: float, kind: str, width: float, *, dashed: bool = False) -> str:
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    dashes = f' stroke-dasharray="{_DASHES}"' if dashed else ""
    return f'<line {ends} class="{kind}" stroke-width="{width:g}"{dashes}/>'


def _text(x: float, y: float, words: str, anchor: str, more: str = "") -> str:
    words = escape(_UNPRINTABLE.sub("?", words))
    return f'<text x="{x:.1f}" y="{y:.1f}" class="t" text-anchor="{anchor}" {more}>{words}</text>' if words else ""


def _points(across: np.ndarray, up: np.ndarray) -> np.ndarray:
    return np.stack([np.asarray(across, dtype=np.float64), np.asarray(up, dtype=np.float64)], axis=1)


def _are_finite(points: np.ndarray) -> np.ndarray:
    """Which of them (point,) are."""
    return np.isfinite(points).all(axis=1)


def _same(values):
    return values


def _log(values):
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.log10(values)


def _extent(values: list[np.ndarray], margin: float, logarithmic: bool) -> tuple[float, float]:
    """Of all finite values, with a margin; some extent where there are none, or all are one."""
    known = np.concatenate([np.ravel(each) for each in values]) if values else np.zeros(0)
    known = known[np.isfinite(known) & ((known > 0.0) | (not logarithmic))].astype(np.float64)
    if not len(known):
        return (1.0, 10.0) if logarithmic else (0.0, 1.0)
    known = np.log10(known) if logarithmic else known
    low, high = float(known.min()), float(known.max())
    space = margin * (high - low) or (0.1 if logarithmic else 0.05 * abs(high) or 0.05)
    return (10.0 ** (low - space), 10.0 ** (high + space)) if logarithmic else (low - space, high + space)


def _steps(low: float, high: float, most: float, *, whole: bool = False) -> np.ndarray:
    """Round numbers from ``low`` to ``high``, no more than ``most`` of them, or two."""
    step = (high - low) / max(most, 2.0)
    power = 10.0 ** np.floor(np.log10(step))
    step = power * next(factor for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= 0.999 * step)
    step = max(step, 1.0) if whole else step
    ticks = step * np.arange(np.ceil(low / step - 1e-6), np.floor(high / step + 1e-6) + 1.0)
    return np.where(np.abs(ticks) < 1e-9 * step, 0.0, ticks)


def _powers(low: float, high: float, height: float) -> np.ndarray:
    """Powers of ten from ``low`` to ``high``, and 2 and 5 of them where they are few."""
    powers = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1.0)
    every = int(np.ceil(len(powers) / max(height / 14.0, 2.0)))
    factors = np.array([1.0]) if high > 1.0e3 * low else np.array([1.0, 2.0, 5.0])
    ticks = np.outer(10.0 ** powers[powers % every == 0], factors).ravel()
    return ticks[(ticks >= low) & (ticks <= high)]


def _short(value: float) -> str:
    """A power of ten, or a few of it, in few characters."""
    return f"{value:g}" if 1.0e-3 <= value < 1.0e5 else f"{value:.0e}".replace("e+0", "e").replace("e-0", "e-")
