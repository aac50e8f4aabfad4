"""``warpprior formats``: what can be read and written."""

from __future__ import annotations

from dataclasses import dataclass

from warpprior.cli.options import argument, option
from warpprior.cli.shared import Common

PLACE = 12
SUMMARY = "list others' formats that are read and written, with their options"


@dataclass(frozen=True, kw_only=True)
class Options(Common):
    """Options of ``formats``."""

    names: tuple[str, ...] = argument("NAME", "only these (default: all)", (), nargs="*")
    markdown: bool = option("as the table of docs/formats.md", False)


def run(options: Options) -> int:
    """Print the table."""
    from warpprior.cli.running import OK
    from warpprior.formats.table import format_table, markdown_table

    print((markdown_table if options.markdown else format_table)(options.names))
    return OK
