"""What is said on standard error, whatever ``--quiet`` says."""

from __future__ import annotations

import sys

from warpprior.support.errors import MOST_CHARACTERS, shorten

_KIND = 20  # characters of "error: " and the like, which stand before a message


def complain(text: str) -> None:
    """Print an error, a warning or how the program ended, in one line."""
    print(f"warpprior: {shorten(text, MOST_CHARACTERS + _KIND)}", file=sys.stderr, flush=True)
