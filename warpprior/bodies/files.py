"""Reading files that come from outside: one way to open them, one way for a parser to fail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from warpprior.errors import InputError

MAX_BYTES = 256 * 2**20


def read_bytes(path: Path | str, what: str, *, limit: int = MAX_BYTES) -> bytes:
    """The whole file.

    Args:
        path: the file.
        what: what it should be, for messages: ``"a mesh"``.
        limit: largest accepted size [bytes].

    Raises:
        InputError: missing, not a file, unreadable, empty or too large.
    """
    path = Path(path)
    try:
        if not path.is_file():
            found = "is not a file" if path.exists() else "does not exist"
            raise InputError(str(path), found, f"give the path of {what}")
        size = path.stat().st_size
        if size > limit:
            raise InputError(str(path), f"has {size / 2**20:.0f} MiB", f"{what} may have up to {limit / 2**20:.0f} MiB")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(str(path), f"cannot be read ({reason})", f"give the path of {what}") from None
    if not data:
        raise InputError(str(path), "is empty", f"give the path of {what}")
    return data


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
