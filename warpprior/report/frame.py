"""The frame that all pages have: head, style and foot; each page is one file that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path

import warpprior
from warpprior.io.atomic import atomic_write
from warpprior.report.style import STYLE


def write_page(path: Path, title: str, parts: Iterable[str], *, refresh_s: int | None = None) -> None:
    """Write a page as a whole.

    Args:
        path: of the file.
        title: plain text.
        parts: HTML, one below the other.
        refresh_s: seconds after which a browser reads it again; None where it stays as it is.
    """
    again = "" if refresh_s is None else f'<meta http-equiv="refresh" content="{refresh_s}">\n'
    page = (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'{again}<meta name="color-scheme" content="light dark">\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n'
        + "\n".join(parts)
        + f"\n<footer>warpprior {escape(warpprior.__version__)}</footer>\n</main>\n</body>\n</html>\n"
    )
    with atomic_write(path, "w") as file:
        file.write(page)


def scrolled(content: str, label: str) -> str:
    """What is too wide for a narrow screen, in a box of its own that scrolls, by keys as well."""
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(label)}">{content}</div>'
