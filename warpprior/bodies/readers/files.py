"""Reading files that come from outside: one way to open them, one way for a parser to fail."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager

from warpprior.support.errors import InputError, WarppriorError, shorten
from warpprior.support.files import read_bytes

__all__ = ["read_bytes", "refuse_unreadable"]

MOST_REASON = 120  # characters of what a parser says


@contextmanager
def refuse_unreadable(where: str, accepted: str) -> Iterator[None]:
    """Turn whatever a parser raises on damaged data into an :class:`InputError`; ours pass unchanged."""
    try:
        yield
    except WarppriorError:
        raise
    except Exception as error:
        raise InputError(where, what_is_wrong(error), accepted) from error


def what_is_wrong(error: Exception) -> str:
    """What is wrong with a file as far as a parser's exception tells, for those who do not know the parser."""
    text = shorten(" ".join(str(error).split()), MOST_REASON)
    if isinstance(error, MemoryError):
        return "asks for more memory than there is"
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return f"is not {error.encoding} text at byte {error.start}"
    if isinstance(error, KeyError):  # whose text is the key
        return f"cannot be read (it has no {text}, which it refers to or needs)"
    if isinstance(error, (EOFError, struct.error)):
        return "cannot be read (it ends too early, or is damaged)"
    if isinstance(error, (TypeError, AttributeError, IndexError, AssertionError)):  # of the parser's own insides
        return "cannot be read (its parts are missing, or not what the format has there)"
    return f"cannot be read ({text or 'it is damaged'})"
