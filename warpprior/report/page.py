"""report.html: one page that says what came out, without network or other files but the video beside it."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path

import numpy as np

from warpprior.checks.first import note_of
from warpprior.io.fingerprint import flat_settings
from warpprior.report.checked import checked_parts
from warpprior.report.figures import (
    OF_PAIRS,
    Quantity,
    contact_share,
    series,
    subjects,
    true_median,
    true_share,
)
from warpprior.report.findings import FACT, GOOD, POOR, Finding, findings
from warpprior.report.frame import scrolled, write_page
from warpprior.report.overlay import draw_stills, encoded
from warpprior.report.picture import VERDICTS
from warpprior.report.plots import render_plots
from warpprior.report.uncertainty import SIGMAS
from warpprior.result import Result
from warpprior.support.environment import versions
from warpprior.support.errors import MissingExtraError
from warpprior.support.progress import Progress
from warpprior.support.tables import CONTACT_STATES, ROWS
from warpprior.support.wording import frame_list

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
_MOST_ITEMS, _FEW = 8, 3  # of a list; more are folded, unless they are few
_MOST_ROWS = 36  # of all tables of numbers together; more are folded


def write_report(
    result: Result,
    folder: str | os.PathLike,
    *,
    plots: dict[str, bytes] | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Path:
    """Write ``report.html`` into a result folder: pictures, what they show in words, numbers, plots and settings.

    Pictures are inside the page; the video is shown from ``overlay.mp4`` beside it if that is there.  Without OpenCV
    the page comes without pictures, and says so.

    Args:
        result: what to report.
        folder: the result folder.
        plots: what :func:`warpprior.report.plots.render_plots` made of this result, if it was called already.
        device: Warp device that draws the masks.
        progress: called with parts done, parts in all, and what is being done.

    Returns:
        the page's path.

    Raises:
        RunError: the file could not be written.
    """
    folder = Path(folder)
    remarks: list[str] = []
    pictures = [*_pictures(result, folder, device, remarks)]
    if progress is not None:
        progress(1, 2, "writing the report")
    curves = [*_plots(result, plots)]
    parts = [*_heading(result), *pictures, *_words(findings(result))]
    parts += _verdicts(result)
    if result.findings:
        parts += checked_parts(result.findings, "What the check of the scene found")
    parts += _notes(list(dict.fromkeys([*result.scene.warnings, *_without_findings(result), *remarks])))
    parts += [*_numbers(result), *curves]
    parts += _files(folder, _FILES | _TRACKED if "frame" in result.history else _FILES)
    parts += _settings(result)
    path = folder / REPORT_FILE
    write_page(path, f"{result.scene.name} - warpprior", parts)
    if progress is not None:
        progress(2, 2, "writing the report")
    return path


def _heading(result: Result) -> Iterator[str]:
    scene = result.scene
    bodies = ", ".join(f"{body.name} ({'given' if body.known else 'estimated'})" for body in scene.bodies)
    camera = f"{scene.camera.width} x {scene.camera.height} px"
    yield f"<h1>{escape(scene.name)}</h1>"
    yield f'<p class="lead">{scene.frame_count} frames at {scene.fps:g} per second, {camera}: {escape(bodies)}</p>'
    if not result.complete:
        yield '<p class="alert">Interrupted: this is the best motion found so far, not a finished one.</p>'


def _verdicts(result: Result) -> Iterator[str]:
    """A strip of each body: a frame's colour says whether it is believed, its title why not."""
    if not result.verdicts:
        return
    yield "<h2>Whether it is believed</h2>"
    for name, verdict in result.verdicts.items():
        doubted = verdict.status != "ok"
        words = f"in doubt in {frame_list(np.flatnonzero(doubted))}" if doubted.any() else "in all frames"
        yield f'<p class="lead">{escape(name)}: {escape(words)}</p>'
        cells = "".join(
            f'<rect x="{frame}" width="1" height="1" fill="rgb{VERDICTS[str(status)]}">'
            f"<title>{escape(f'frame {frame}: {status}, doubt {doubt:.2f}. {reason}')}</title></rect>"
            for frame, (status, doubt, reason) in enumerate(
                zip(verdict.status, verdict.doubt, verdict.reasons, strict=True)
            )
        )
        size = f'viewBox="0 0 {len(doubted)} 1" preserveAspectRatio="none" width="100%" height="14"'
        yield f'<svg {size} role="img" aria-label="{escape(f"{name}: {words}")}">{cells}</svg>'


def _pictures(result: Result, folder: Path, device: str, remarks: list[str]) -> Iterator[str]:
    """The video, if it is there, and the strip, which is inside the page."""
    scene = result.scene
    video = (folder / "overlay.mp4").is_file()
    if scene.labels is None and scene.read_rgb is None and not video:
        return
    try:
        stills = draw_stills(result, device=device)
    except MissingExtraError as error:
        remarks.append(str(error))
        stills = None
    yield "<h2>Before and after</h2>"
    if video:
        poster = "" if stills is None else f' poster="{_inline(encoded(stills.poster, ".jpg"), "jpeg")}"'
        what = "The whole motion over the images: left the poses that it started from, right what came out"
        source = f'src="overlay.mp4" aria-label="{what}"'
        yield f'<video controls loop muted playsinline preload="metadata" {source}{poster}></video>'
    if stills is None:
        return
    shown = " and ".join(filter(None, [", ".join(map(str, stills.frames[:-1])), str(stills.frames[-1])]))
    alt = f"Frames {shown} of {scene.frame_count}: above the poses that it started from, below what came out"
    yield scrolled(f'<img class="wide" src="{_inline(encoded(stills.strip, ".jpg"), "jpeg")}" alt="{alt}">', alt)
    yield f'<p class="lead">{escape(_legend(result))}</p>'


def _legend(result: Result) -> str:
    """What the pictures show, in words."""
    parts = ["Above: the poses that it started from. Below: what came out. Lines: the outline of each body."]
    if result.scene.keypoints2d:
        parts.append("Rings: detected keypoints; dots: the body's own.")
    if result.contacts:
        parts.append("Yellow: contact.")
    if any(poses.covariance is not None for poses in result.poses.values()):
        parts.append(f"Ellipses: {SIGMAS:g} standard deviations of the place of a body or fingertip.")
    return " ".join(parts)


def _words(found: list[Finding]) -> Iterator[str]:
    """What went well, what to look at and what is good to know, in words."""
    titles = {GOOD: "What went well", POOR: "What to look at", FACT: "Good to know"}
    if found:
        yield "<h2>In short</h2>"
    for tone, title in titles.items():
        texts = [finding.text for finding in found if finding.tone == tone]
        if texts:
            yield f"<h3>{title}</h3>\n{_list(texts, tone)}"


def _numbers(result: Result) -> Iterator[str]:
    """A table for each body and pair: medians and tails, before and after."""
    tables = {name: [*_rows(result, name, quantities)] for name, quantities in subjects(result).items()}
    tables = {name: rows for name, rows in tables.items() if rows}
    if not tables:
        return
    opened = " open" if sum(map(len, tables.values())) <= _MOST_ROWS else ""
    head = (
        '<tr><th scope="col" rowspan="2">metric</th><th scope="colgroup" colspan="2">median</th>'
        '<th scope="colgroup" colspan="2">worst 5 %</th><th scope="col" rowspan="2">frames within</th></tr>'
        "<tr>" + '<th scope="col">before</th><th scope="col">after</th>' * 2 + "</tr>"
    )
    yield "<h2>Numbers</h2>"
    for name, rows in tables.items():
        table = f'<table class="numbers"><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table>'
        title = f"<summary><h3>{escape(name)}</h3></summary>"
        yield f"<details{opened}>{title}{scrolled(table, f'Numbers of {name}')}</details>"


def _rows(result: Result, name: str, quantities: tuple[Quantity, ...]) -> Iterator[str]:
    """The rows of a body or a pair."""
    for quantity in quantities:
        before, after = (series(result, turn, name, quantity.key) for turn in (0, 1))
        if before is None and after is None:
            continue
        title = quantity.title + (f" [{quantity.unit}]" if quantity.unit else "")
        cells = [cell for pair in zip(_cells(quantity, before), _cells(quantity, after), strict=True) for cell in pair]
        truth = true_median(result, name, quantity.key)
        true = "" if truth is None else f"{truth:.{quantity.digits}f} in truth"
        yield _row(title, cells, "<br>".join(filter(None, [_reached(quantity, after), true])))
    if any(quantity.key in OF_PAIRS for quantity in quantities):
        for key in CONTACT_STATES:
            ratios, true = [contact_share(result, turn, name, key) for turn in (0, 1)], true_share(result, name, key)
            shares = ["" if ratio is None else f"{100.0 * ratio:.0f} %" for ratio in ratios]
            if any(shares):
                beside = "" if true is None else f"{100.0 * true:.0f} % in truth"
                yield _row(ROWS[key][0], [*shares, "", ""], beside)


def _row(title: str, cells: list[str], reached: str) -> str:
    """One row of a table: the metric, medians before and after, tails before and after, and what was reached."""
    marks = ["", ' class="after"'] * 2
    numbers = "".join(f"<td{mark}>{cell}</td>" for mark, cell in zip(marks, cells, strict=True))
    return f'<tr><th scope="row">{escape(title)}</th>{numbers}<td>{reached}</td></tr>'


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


def _plots(result: Result, plots: dict[str, bytes] | None) -> Iterator[str]:
    plots = render_plots(result) if plots is None else plots
    titles = {
        "errors": ("Frame by frame", "Plots of each metric over the frames, before and after"),
        "uncertainty": ("Errors within their uncertainty", "Plots of errors within bands of three sigmas"),
        "sensors": ("What the sensors said", "Plots of the innovations of each sensor"),
        "loss": ("Optimisation", "Plot of the cost of each term over the iterations"),
    }
    for name, (title, alt) in titles.items():
        if name in plots:
            picture = f'<img class="wide plot" src="{_inline(plots[name], "svg+xml")}" alt="{alt}">'
            yield f"<h2>{title}</h2>\n{scrolled(picture, title)}"


def _without_findings(result: Result) -> list[str]:
    """The notes of a result but those that say what its findings do."""
    said = {note_of(finding) for finding in result.findings}
    return [note for note in result.notes if note not in said]


def _notes(notes: list[str]) -> Iterator[str]:
    """Warnings and remarks."""
    if notes:
        yield f"<h2>Notes</h2>\n{_list(notes, FACT)}"


def _list(texts: list[str], tone: str) -> str:
    """A list of sentences; what goes on for long is folded."""
    if len(texts) <= _MOST_ITEMS + _FEW:
        return _items(texts, tone)
    shown, folded = texts[:_MOST_ITEMS], texts[_MOST_ITEMS:]
    more = f"<details><summary>{len(folded)} more</summary>{_items(folded, tone)}</details>"
    return _items(shown, tone) + more


def _items(texts: list[str], tone: str) -> str:
    return f'<ul class="{tone}">' + "".join(f"<li>{escape(text)}</li>" for text in texts) + "</ul>"


def _files(folder: Path, kinds: Mapping[str, str]) -> Iterator[str]:
    rows = [
        f'<tr><th scope="row"><a href="{name}">{name}</a></th><td>{escape(what)}</td></tr>'
        for name, what in kinds.items()
        if name == _WRITTEN_LAST or (folder / name).is_file()
    ]
    yield f'<h2>Files</h2>\n<table class="pairs">{"".join(rows)}</table>'


def _settings(result: Result) -> Iterator[str]:
    settings = {key: str(value) for key, value in flat_settings(result.settings)}
    tables = {"Settings": settings, "Versions": {k: v for k, v in versions().items() if v}}
    for title, pairs in tables.items():
        rows = "".join(f'<tr><th scope="row">{escape(k)}</th><td>{escape(v)}</td></tr>' for k, v in pairs.items())
        if rows:
            yield f'<details><summary>{title}</summary><table class="pairs">{rows}</table></details>'


def _inline(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
