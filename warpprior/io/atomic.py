"""Files that are either whole or not there: written beside their place, flushed to disk, then moved over it."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from warpprior.support.errors import InputError, RunError

TEMPORARY = ".tmp-"


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path in the same folder that takes the place of ``path`` when the block succeeds.

    The temporary file keeps the suffix, because some writers choose their format by it.  When the block raises, the
    temporary file is removed and whatever was at ``path`` before is untouched.

    Raises:
        InputError: ``path`` is a folder, a pipe or a device: those are never replaced.
        RunError: the file system refused (disk full, folder gone, no permission).
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        found = "is a folder" if path.is_dir() else "is not a regular file"
        raise InputError(str(path), found, "give the path of a file")
    temporary = path.with_name(f"{TEMPORARY}{secrets.token_hex(6)}{path.suffix}")
    try:
        yield temporary
        descriptor = os.open(temporary, os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except OSError as error:
        raise RunError(f"{path}: cannot write it: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_write(path: str | os.PathLike[str], mode: str = "wb") -> Iterator[IO]:
    r"""Open a file for writing that appears at ``path`` only when the block succeeds; see :func:`atomic_path`.

    Args:
        path: where the file shall be.
        mode: ``"wb"`` for bytes, ``"w"`` for UTF-8 text with ``\\n`` line ends.

    Raises:
        RunError: the file system refused.
    """
    # Names of files may hold bytes that are no text; they are written as escapes.
    text = None if "b" in mode else ("utf-8", "backslashreplace", "\n")
    encoding, errors, newline = text or (None, None, None)
    with (
        atomic_path(path) as temporary,
        open(temporary, mode, encoding=encoding, errors=errors, newline=newline) as stream,
    ):
        yield stream
        stream.flush()


@contextmanager
def atomic_folder(folder: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield an empty temporary folder beside ``folder`` that takes its place when the block succeeds.

    Raises:
        InputError: ``folder`` exists and ``overwrite`` is false, or is not a folder.
        RunError: the file system refused.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise InputError(str(folder), "is a file", "give the path of a folder")
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise InputError(str(folder), "exists and is not empty", "choose another folder, or overwrite it (--overwrite)")
    token = secrets.token_hex(6)
    parent = folder.absolute().parent
    temporary, aside = parent / f"{TEMPORARY}{token}", parent / f".old-{token}"
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if folder.is_dir():
            os.replace(folder, aside)
        os.replace(temporary, folder)
    except OSError as error:
        if aside.is_dir() and not folder.exists():
            os.replace(aside, folder)
        raise RunError(f"{folder}: cannot write it: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(aside, ignore_errors=True)
