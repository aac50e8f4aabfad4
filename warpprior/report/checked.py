"""What a check found, as a part of a page: level, code, body, frames, numbers and cure of each finding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from warpprior.finding import Finding
from warpprior.support.wording import frame_list


def checked_parts(found: Sequence[Finding], title: str) -> Iterator[str]:
    """The findings under a heading, errors and warnings in full, notes folded.

    Args:
        found: in the order in which they are shown.
        title: of the part.
    """
    yield f"<h2>{escape(title)}</h2>"
    loud = [finding for finding in found if finding.level != "note"]
    quiet = [finding for finding in found if finding.level == "note"]
    if not loud:
        yield "<p>Nothing wrong was found: nothing that the scene shows contradicts what it says.</p>"
    for finding in loud:
        yield from _one(finding)
    if quiet:
        parts = "".join(part for finding in quiet for part in _one(finding))
        yield f"<details{'' if loud else ' open'}><summary>What cannot be told</summary>{parts}</details>"


def _one(finding: Finding) -> Iterator[str]:
    whose = "" if finding.body is None else f" of {finding.body}"
    when = f", {frame_list(finding.frames)}" if finding.frames else ""
    yield f"<h3>{escape(f'{finding.level}: {finding.code}{whose}{when}')}</h3>"
    tone = ' class="alert"' if finding.level == "error" else ""
    yield f"<p{tone}>{escape(finding.message)}</p>"
    if finding.cure:
        yield f"<p>Cure: {escape(finding.cure)}</p>"
    rows = finding.as_dict()["evidence"].items()
    if rows:
        cells = "".join(f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>" for name, value in rows)
        yield f'<details><summary>Numbers</summary><table class="pairs">{cells}</table></details>'
