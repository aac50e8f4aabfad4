"""What is said on standard error, whatever ``--quiet`` says."""

from __future__ import annotations

import sys
from contextlib import suppress

from warpprior.support.errors import MOST_CHARACTERS, WarppriorError, shorten

_KIND = 20  # characters of "error: " and the like, which stand before a message


def complain(text: str) -> None:
    """Print an error, a warning or how the program ended, in one line."""
    with suppress(OSError):  # the terminal was closed, or the reader of our errors has gone
        print(f"warpprior: {shorten(text, MOST_CHARACTERS + _KIND)}", file=sys.stderr, flush=True)


def explained(error: Exception) -> tuple[int, str]:
    """The exit code of what went wrong, and a sentence for people."""
    if isinstance(error, WarppriorError):
        return error.exit_code, str(error)
    if isinstance(error, MemoryError):
        return 1, "out of memory; try fewer frames with --num-frames"
    if isinstance(error, OSError):  # a full disk, a vanished folder, a closed terminal
        place = "the output" if error.filename is None else error.filename
        return 1, f"{place}: {error.strerror or error}"
    from warpprior.cli.own_terms import place_in_own_terms

    summary = shorten(" ".join(str(error).split()) or "no message", 160)
    place = place_in_own_terms(error)
    said = f"{type(error).__name__}: {summary}"
    if place is None:
        return 1, f"unexpected {said}; please report it with the output of --debug"
    return 1, f"{place}: {said}; --debug shows the way there"
