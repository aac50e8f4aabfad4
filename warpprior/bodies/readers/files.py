"""Reading files that come from outside: one way to open them, one way for a parser to fail."""

from __future__ import annotations

import zipfile
from collections.abc import Container, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np

from warpprior.support.errors import InputError
from warpprior.support.file_starts import not_what

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


def read_npz(path: Path, what: str, accepted: str, keys: Container[str], *, limit: int, unpacked: int) -> dict:
    """Arrays of an ``.npz`` file by name, those of ``keys`` only; pickled objects in it are not read.

    Args:
        path: the file.
        what: what it should be, for messages about the file: ``"a mesh"``.
        accepted: what to do, for messages about its contents.
        keys: names of the wanted arrays.
        limit, unpacked: largest accepted size of the file and of what is in it [bytes].

    Raises:
        InputError: missing, too large, damaged, or of pickled objects.
    """
    data = read_bytes(path, what, limit=limit)
    if not data.startswith(b"PK"):
        raise InputError(str(path), not_what(data, "an .npz archive"), accepted)
    with refuse_unreadable(str(path), accepted):
        with zipfile.ZipFile(BytesIO(data)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > unpacked:
            raise InputError(str(path), f"unpacks to {size} bytes", f"at most {unpacked} bytes")
        with np.load(BytesIO(data), allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files if key in keys}


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
