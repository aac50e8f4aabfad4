"""``index.html`` of a batch: one page that needs nothing else, with a row and a link for each clip."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from warpprior.batches.names import INDEX_FILE, LOG_FOLDER
from warpprior.batches.record import DONE, RefinedClip, counted
from warpprior.batches.work import log_file
from warpprior.io.result_folder import REPORT_FILE
from warpprior.report.frame import scrolled, write_page
from warpprior.result import STATUSES

_RENEWED_S = 10
_MOST_OPEN = 200  # rows of a table that is not folded
_HEAD = (
    ("clip", ""),
    ("bodies", "frames by verdict"),
    ("error [mm]", "ADD of each body, median over frames"),
    ("penetration [mm]", "deepest of all frames"),
    ("contact", "share of frames in contact, up to 5 mm deep"),
    ("frames", ""),
    ("seconds", ""),
)


def write_index(folder: Path, records: Sequence[RefinedClip], total: int, running: int, *, ended: bool) -> Path:
    """Write the page.

    Args:
        folder: of the batch.
        records: what became of each clip.
        total: clips that there are.
        running: those that are being refined.
        ended: no more will come; else the page asks to be read again.

    Returns:
        its path.
    """
    path = folder / INDEX_FILE
    title = folder.absolute().name or "batch"
    refresh = None if ended else _RENEWED_S
    write_page(path, f"{title} - batch", [*_parts(folder, title, records, total, running, ended)], refresh_s=refresh)
    return path


def _parts(
    folder: Path, title: str, records: Sequence[RefinedClip], total: int, running: int, ended: bool
) -> Iterator[str]:
    failed = [record for record in records if record.status != DONE]
    done = [record for record in records if record.status == DONE]
    doubted = [record for record in done if record.verdict != STATUSES[0]]
    believed = [record for record in done if record.verdict == STATUSES[0]]
    yield f"<h1>{escape(title)}</h1>"
    yield f'<p class="lead">{escape(_standing(records, failed, doubted, total, running, ended))}</p>'
    if failed:
        yield f"<h2>Without a result: {len(failed)}</h2>"
        yield scrolled("".join(_failures(folder, failed)), "Clips without a result")
    for name, found in (("To look at", doubted), ("Believed", believed)):
        if found:
            yield f"<h2>{name}: {len(found)}</h2>"
            table = scrolled(_table(folder, found), name)
            yield table if len(found) <= _MOST_OPEN else f"<details><summary>all</summary>{table}</details>"
    yield '<p class="lead">The same as a table: <a href="summary.csv">summary.csv</a></p>'
    yield from _versions(records)


def _standing(
    records: Sequence[RefinedClip],
    failed: Sequence[RefinedClip],
    doubted: Sequence[RefinedClip],
    total: int,
    running: int,
    ended: bool,
) -> str:
    said = [f"{len(records) - len(failed)} of {max(total, len(records))} clips refined"]
    said += [f"{len(doubted)} of them to look at"] if doubted else []
    said += [f"{len(failed)} without a result"] if failed else []
    said += [f"{running} being refined"] if running else []
    left = total - len(records) - running
    said += [f"{left} to do"] if left > 0 else []
    timed = [record for record in records if record.status == DONE and record.seconds is not None]
    times = [record.seconds or 0.0 for record in timed]
    frames = sum(record.frames or 0 for record in timed)
    said += [f"{sum(times) / len(times):.1f} s each"] if times else []
    said += [f"{sum(times) / frames:.2f} s a frame"] if frames else []
    return ", ".join(said) + ("; what is to do, other shards do, or --resume" if ended and left > 0 else "")


def _failures(folder: Path, records: Sequence[RefinedClip]) -> Iterator[str]:
    head = "".join(f'<th scope="col">{name}</th>' for name in ("clip", "how", "attempts", "what"))
    yield f'<table class="numbers"><thead><tr>{head}</tr></thead><tbody>'
    for record in records:
        name, said = escape(record.clip), escape(record.said)
        log = log_file(folder, record.clip)
        more = f' (<a href="{quote(f"{LOG_FOLDER}/{log.name}")}">what it said</a>)' if log.is_file() else ""
        yield (
            f'<tr><th scope="row">{name}</th><td>{escape(record.status)}</td><td>{record.attempts}</td>'
            f'<td style="white-space: normal">{said}{more}</td></tr>'
        )
    yield "</tbody></table>"


def _table(folder: Path, records: Sequence[RefinedClip]) -> str:
    head = "".join(f'<th scope="col" title="{escape(what)}">{escape(name)}</th>' for name, what in _HEAD)
    rows = "".join(_row(folder, record) for record in records)
    return f'<table class="numbers"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _row(folder: Path, record: RefinedClip) -> str:
    bodies, errors = [], []
    for name, found in record.bodies.items():
        why = escape(str(found.get("reason", "")))
        bodies.append(f'<span title="{why}">{escape(name)}: {counted(found)}</span>')
        if found.get("add_mm"):
            errors.append(f"{escape(name)}: {_arrow(found['add_mm'], 1)}")
    pairs = record.pairs.values()
    depths = [_arrow(pair["penetration_mm"], 1) for pair in pairs if pair.get("penetration_mm")]
    contact = [_arrow(pair["contact_ratio"], 2) for pair in pairs if pair.get("contact_ratio")]
    place = quote(os.path.join(record.clip, REPORT_FILE))
    seconds = "" if record.seconds is None else f"{record.seconds:.1f}"
    cells = ["<br>".join(part) for part in (bodies, errors, depths, contact)]
    cells += ["" if record.frames is None else str(record.frames), seconds]
    link = f'<a href="{place}">{escape(record.clip)}</a>'
    return f'<tr><th scope="row">{link}</th>' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _arrow(pair: Sequence[float | None], digits: int) -> str:
    """``"12.3 &rarr; 1.4"``."""
    before, after = ("?" if value is None else f"{value:.{digits}f}" for value in pair)
    return f"{before} &rarr; {after}"


def _versions(records: Sequence[RefinedClip]) -> Iterator[str]:
    """With which versions and where, a row for each kind, with how many clips."""
    kinds = Counter(
        (", ".join(f"{name} {version}" for name, version in record.versions.items()), record.device, record.host)
        for record in records
        if record.status == DONE
    )
    if kinds:
        rows = "".join(
            f"<tr><th>{count} clips</th><td>{escape(f'{versions}; {device} of {host}')}</td></tr>"
            for (versions, device, host), count in kinds.most_common()
        )
        yield f'<details><summary>Versions</summary><table class="pairs">{rows}</table></details>'
