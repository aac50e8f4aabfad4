"""Reading files that come from outside: one way to open them, one way for a parser to fail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from warpprior.support.errors import InputError
from warpprior.support.files import read_bytes

__all__ = ["read_bytes", "refuse_unreadable"]


@contextmanager
def refuse_unreadable(where: str, accepted: str) -> Iterator[None]:
    """Turn whatever a parser raises on damaged data into an :class:`InputError`; ours pass unchanged."""
    try:
        yield
    except InputError:
        raise
    except MemoryError:
        raise InputError(where, "asks for more memory than there is", accepted) from None
    except Exception as error:
        text = " ".join(str(error).split())[:160]
        found = f"cannot be read ({type(error).__name__}{': ' if text else ''}{text})"
        raise InputError(where, found, accepted) from error
