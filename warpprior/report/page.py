"""report.html: one page that says what came out, without network or other files but the video beside it."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import warpprior
from warpprior.io.atomic import atomic_write
from warpprior.report.figures import OF_PAIRS, Quantity, contact_share, series, subjects, true_median
from warpprior.report.overlay import write_sheet
from warpprior.report.plots import render_plots
from warpprior.report.style import STYLE
from warpprior.report.uncertainty import SIGMAS
from warpprior.result import Result
from warpprior.support.errors import MissingExtraError
from warpprior.support.tables import CONTACT_STATES, ROWS

REPORT_FILE = "report.html"

# What a result folder may hold, and what for.
_FILES = {
    "overlay.mp4": "before and after over the images",
    "scene.usdc": "the motion for usdview, Omniverse, Isaac Sim and Blender",
    "poses.npz": "positions [m], rotations (x, y, z, w) and joint coordinates, camera_from_body",
    "metrics.json": "every metric before and after, per frame and in summary",
    "history.csv": "every term at every iteration",
    "config.json": "settings, versions, seed",
}
_TRACKED = {"history.csv": "what every sensor said at every frame"}
_WRITTEN_LAST = "config.json"


def write_report(
    result: Result, folder: str | os.PathLike, *, plots: dict[str, bytes] | None = None, device: str = "cpu"
) -> Path:
    """Write ``report.html`` into a result folder.

    Pictures are inside the page; the video is shown from ``overlay.mp4`` beside it if that is there.  Without
    matplotlib or OpenCV the page comes without plots or pictures, and says so.

    Args:
        result: what to report.
        folder: the result folder.
        plots: what :func:`warpprior.report.plots.render_plots` made of this result, if it was called already.
        device: Warp device that draws the masks.

    Returns:
        the page's path.

    Raises:
        RunError: the file could not be written.
    """
    folder = Path(folder)
    remarks: list[str] = []
    parts = [*_heading(result), *_summary(result)]
    parts += _pictures(result, folder, device, remarks)
    parts += _plots(result, plots, remarks)
    parts += _notes([*result.scene.warnings, *result.notes, *remarks])
    parts += _files(folder, _FILES | _TRACKED if "frame" in result.history else _FILES)
    parts += _settings(result)
    title = escape(f"{result.scene.name} - warpprior")
    page = (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n'
        + "\n".join(parts)
        + f"\n<footer>warpprior {escape(warpprior.__version__)}</footer>\n</main>\n</body>\n</html>\n"
    )
    path = folder / REPORT_FILE
    with atomic_write(path, "w") as file:
        file.write(page)
    return path


def _heading(result: Result) -> Iterator[str]:
    scene = result.scene
    bodies = ", ".join(f"{body.name} ({'given' if body.known else 'estimated'})" for body in scene.bodies)
    camera = f"{scene.camera.width} x {scene.camera.height} px"
    yield f"<h1>{escape(scene.name)}</h1>"
    yield f'<p class="lead">{scene.frame_count} frames at {scene.fps:g} per second, {camera}: {escape(bodies)}</p>'
    if not result.complete:
        yield '<p class="alert">Interrupted: this is the best motion found so far, not a finished one.</p>'


def _summary(result: Result) -> Iterator[str]:
    """The table of medians and tails, before and after."""
    rows = []
    for name, quantities in subjects(result).items():
        for quantity in quantities:
            before, after = (series(result, turn, name, quantity.key) for turn in (0, 1))
            if before is None and after is None:
                continue
            title = quantity.title + (f" [{quantity.unit}]" if quantity.unit else "")
            cells = [*_cells(quantity, before), *_cells(quantity, after)]
            truth = true_median(result, name, quantity.key)
            true = "" if truth is None else f"{truth:.{quantity.digits}f} in truth"
            rows.append(_row(name, title, cells, "<br>".join(filter(None, [_reached(quantity, after), true]))))
        if any(quantity.key in OF_PAIRS for quantity in quantities):
            for key in CONTACT_STATES:
                ratios = [contact_share(result, turn, name, key) for turn in (0, 1)]
                shares = ["" if ratio is None else f"{100.0 * ratio:.0f} %" for ratio in ratios]
                if any(shares):
                    rows.append(_row(name, ROWS[key][0], [shares[0], "", shares[1], ""], ""))
    if not rows:
        return
    yield "<h2>Before and after</h2>"
    yield '<div class="scroll"><table class="numbers"><thead>'
    yield '<tr><th></th><th></th><th colspan="2">before</th><th colspan="2">after</th><th></th></tr>'
    yield "<tr><th>body</th><th>metric</th>" + "<th>median</th><th>worst 5 %</th>" * 2 + "<th>frames within</th></tr>"
    yield "</thead><tbody>" + "\n".join(rows) + "</tbody></table></div>"


def _row(body: str, title: str, cells: list[str], reached: str) -> str:
    """One row of the table: names, two cells before, two after, and what was reached."""
    marks = ["", "", ' class="after"', ' class="after"']
    numbers = "".join(f"<td{mark}>{cell}</td>" for mark, cell in zip(marks, cells, strict=True))
    return f"<tr><th>{escape(body)}</th><th>{escape(title)}</th>{numbers}<td>{reached}</td></tr>"


def _cells(quantity: Quantity, values: np.ndarray | None) -> tuple[str, str]:
    """Median and the level that the worst twentieth of the frames passes."""
    if values is None:
        return "", ""
    tail = np.nanpercentile(values, 5 if quantity.rises else 95)
    return f"{np.nanmedian(values):.{quantity.digits}f}", f"{tail:.{quantity.digits}f}"


def _reached(quantity: Quantity, after: np.ndarray | None) -> str:
    """The share of frames within each of the metric's levels."""
    if after is None:
        return ""
    finite = after[np.isfinite(after)]
    sign = "&ge;" if quantity.rises else "&le;"
    shares = [np.mean(finite >= limit) if quantity.rises else np.mean(finite <= limit) for limit in quantity.limits]
    unit = escape(f" {quantity.unit}" if quantity.unit else "")
    pairs = zip(quantity.limits, shares, strict=True)
    return "<br>".join(f"{100.0 * share:.0f} % {sign} {limit:g}{unit}" for limit, share in pairs)


def _pictures(result: Result, folder: Path, device: str, remarks: list[str]) -> Iterator[str]:
    scene = result.scene
    video = (folder / "overlay.mp4").is_file()
    if scene.labels is None and scene.read_rgb is None and not video:
        return
    yield "<h2>Pictures</h2>"
    if video:
        yield '<video controls loop muted playsinline preload="metadata" src="overlay.mp4"></video>'
    try:
        with TemporaryDirectory() as scratch:
            sheet = Path(scratch) / "sheet.jpg"
            write_sheet(result, sheet, device=device)
            data = sheet.read_bytes()
    except MissingExtraError as error:
        remarks.append(str(error))
        return
    yield f'<img src="{_inline(data, "jpeg")}" alt="A few frames, before above after, with the outline of each body">'
    if any(poses.covariance is not None for poses in result.poses.values()):
        yield f'<p class="lead">Ellipses are {SIGMAS:g} standard deviations of the place of a body or fingertip.</p>'


def _plots(result: Result, plots: dict[str, bytes] | None, remarks: list[str]) -> Iterator[str]:
    try:
        plots = render_plots(result) if plots is None else plots
    except MissingExtraError as error:
        remarks.append(str(error))
        return
    titles = {
        "errors": "Frame by frame",
        "uncertainty": "Errors within their uncertainty",
        "sensors": "What the sensors said",
        "loss": "Optimisation",
    }
    for name, title in titles.items():
        if name in plots:
            yield f'<h2>{title}</h2>\n<img class="plot" src="{_inline(plots[name], "svg+xml")}" alt="{title}">'


def _notes(notes: list[str]) -> Iterator[str]:
    if notes:
        items = "".join(f"<li>{escape(note)}</li>" for note in notes)
        yield f'<h2>Notes</h2>\n<ul class="notes">{items}</ul>'


def _files(folder: Path, kinds: Mapping[str, str]) -> Iterator[str]:
    rows = [
        f'<tr><td><a href="{name}">{name}</a></td><td>{escape(what)}</td></tr>'
        for name, what in kinds.items()
        if name == _WRITTEN_LAST or (folder / name).is_file()
    ]
    yield f"<h2>Files</h2>\n<table>{''.join(rows)}</table>"


def _settings(result: Result) -> Iterator[str]:
    pairs = list(_flat(result.settings))
    if pairs:
        rows = "".join(f"<tr><td>{escape(key)}</td><td>{escape(value)}</td></tr>" for key, value in pairs)
        yield f"<details><summary>Settings</summary><table>{rows}</table></details>"


def _flat(settings: Mapping, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as dotted names and texts."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)


def _inline(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
