"""The table of formats, for a terminal and for the docs."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Sequence

from warpprior.formats.format import Format
from warpprior.formats.registry import all_formats, find_format
from warpprior.support.options import OPTION

_WIDTH = 100


def format_table(names: Sequence[str] = ()) -> str:
    """A paragraph for each format, with its options.

    Args:
        names: of formats; none for all.

    Raises:
        InputError: there is no format of that name.
    """
    lines = []
    for format in _chosen(names):
        lines += [f"{format.name}: {format.title}"]
        for word, text in (("reads", format.reads), ("writes", format.writes), ("verified", format.verified)):
            if text:
                lines += textwrap.wrap(f"{word}: {text}", _WIDTH, initial_indent="  ", subsequent_indent="    ")
        lines += [
            line
            for flag, meaning in option_lines(format)
            for line in textwrap.wrap(f"{flag}: {meaning}", _WIDTH, initial_indent="  ", subsequent_indent="    ")
        ]
    return "\n".join(lines)


def markdown_table(names: Sequence[str] = ()) -> str:
    """A row for each format; see :func:`format_table`."""
    rows = ["| format | what it is | read | written | verified against |", "|---|---|---|---|---|"]
    for format in _chosen(names):
        cells = (f"`{format.name}`", format.title, format.reads or "no", format.writes or "no", format.verified)
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _chosen(names: Sequence[str]) -> list[Format]:
    return [find_format(name) for name in names] or list(all_formats())


def option_lines(format: Format) -> list[tuple[str, str]]:
    """Flag and meaning of each option of a format."""
    found = []
    for field in dataclasses.fields(format.Options):
        spec = field.metadata[OPTION]
        meaning = spec["meaning"]() if callable(spec["meaning"]) else spec["meaning"]
        default = "" if field.default in (None, False, ()) else f" (default: {spec['shown'] or field.default})"
        found.append((spec["flag"] or "--" + field.name.replace("_", "-"), meaning + default))
    return found
