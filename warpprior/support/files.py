"""Reading files that come from outside: regular files only, and never more of them than was asked for."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from warpprior.support.errors import InputError

MAX_BYTES = 256 * 2**20
_CHUNK = 1 << 20
# A pipe that takes the file's place after it was looked at must not keep the reader waiting.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)


def read_bytes(
    path: Path | str, what: str, *, limit: int = MAX_BYTES, where: str | None = None, accepted: str | None = None
) -> bytes:
    """The whole file.

    Args:
        path: the file.
        what: what it should be, for messages: ``"a mesh"``.
        limit: largest accepted size [bytes].
        where: names the file in messages; its path by default.
        accepted: what to do about it; by default to give the path of what it should be.

    Raises:
        InputError: missing, not a regular file, unreadable, empty, too large, or written to meanwhile.
    """
    where, accepted = str(path) if where is None else where, accepted or f"give the path of {what}"
    with open_regular(path, where, accepted) as stream:
        before = os.fstat(stream.fileno())
        check_size(before.st_size, where, what, limit)
        parts, size = [], 0
        while size <= limit:  # files of the kernel have no size, and others may grow
            part = stream.read(max(_CHUNK, before.st_size - size))
            if part is None:
                raise InputError(where, "cannot be read (it has nothing to give yet)", accepted)
            if not part:
                break
            parts.append(part)
            size += len(part)
        check_size(size, where, what, limit)
        after = os.fstat(stream.fileno())
        if before.st_size and (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise InputError(where, "was written to while it was read", "wait until it is complete")
    if not parts:
        raise InputError(where, "is empty", accepted)
    return parts[0] if len(parts) == 1 else b"".join(parts)


@contextmanager
def open_regular(path: Path | str, where: str, accepted: str) -> Iterator[FileIO]:
    """A regular file, open for reading; what the file system refuses is an :class:`InputError`, also inside."""
    descriptor = None
    try:
        _check_kind(os.stat(path), where, accepted)  # opening a device can already do something
        descriptor = os.open(path, _FLAGS)
        _check_kind(os.fstat(descriptor), where, accepted)
        with FileIO(descriptor, closefd=False) as stream:
            yield stream
    except (OSError, ValueError) as error:
        if isinstance(error, (FileNotFoundError, NotADirectoryError)):
            raise InputError(where, "does not exist", accepted) from None
        reason = getattr(error, "strerror", None) or error
        raise InputError(where, f"cannot be read ({reason})", accepted) from None
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _check_kind(status: os.stat_result, where: str, accepted: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = "not a file but a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise InputError(where, f"is {kind}", accepted)


def check_size(size: int, where: str, what: str, limit: int) -> None:
    """InputError for a file of more than ``limit`` bytes; arguments as of :func:`read_bytes`."""
    if size > limit:
        found = f"has {size / 2**20:.0f} MiB" if size >= 2**20 else f"has {size} bytes"
        most = f"{limit / 2**20:.0f} MiB" if limit >= 2**20 else f"{limit} bytes"
        raise InputError(where, found, f"{what} may have up to {most}")
