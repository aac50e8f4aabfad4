"""What is said on standard error, whatever ``--quiet`` says."""

from __future__ import annotations

import sys
from contextlib import suppress

from warpprior.support.errors import MOST_CHARACTERS, shorten

_KIND = 20  # characters of "error: " and the like, which stand before a message


def complain(text: str) -> None:
    """Print an error, a warning or how the program ended, in one line."""
    with suppress(OSError):  # the terminal was closed, or the reader of our errors has gone
        print(f"warpprior: {shorten(text, MOST_CHARACTERS + _KIND)}", file=sys.stderr, flush=True)
