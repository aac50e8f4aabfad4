"""Files that are either whole or not there: written beside their place, flushed to disk, then moved over it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from warpprior.io.leftovers import (
    ASIDE,
    TEMPORARY,
    clear,
    flush_folder,
    label_of,
    leftovers_beside,
    move,
    new_token,
    put_back,
    remove_tree,
)
from warpprior.io.locks import LOCK_FILE, holding
from warpprior.support.errors import InputError, RunError


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
    temporary = path.with_name(f"{TEMPORARY}{label_of(path)}-{new_token()}{path.suffix}")
    try:
        yield temporary
        descriptor = os.open(temporary, os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        move(temporary, path)
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

    What a run killed while doing so had left is removed first, or put back where it is all that is left.

    Raises:
        InputError: ``folder`` exists and ``overwrite`` is false, or is not a folder; or another run is writing it.
        RunError: the file system refused.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise InputError(str(folder), "is a file", "give the path of a folder")
    parent = folder.absolute().parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{folder}: cannot write it: {error.strerror or error}") from error
    with writing_alone(folder):
        if folder.is_dir() and any(folder.iterdir()) and not overwrite:
            accepted = "choose another folder, or overwrite it (--overwrite)"
            raise InputError(str(folder), "exists and is not empty", accepted)
        name = f"{label_of(folder)}-{new_token()}"
        temporary, aside = parent / f"{TEMPORARY}{name}", parent / f"{ASIDE}{name}"
        try:
            temporary.mkdir()
            yield temporary
            _flush_files(temporary)
            if folder.is_dir():
                move(folder, aside)
            move(temporary, folder)
            flush_folder(parent)
        except OSError as error:
            raise RunError(f"{folder}: cannot write it: {error.strerror or error}") from error
        finally:
            if aside.is_dir() and not folder.exists():
                move(aside, folder)
            remove_tree(temporary)
            remove_tree(aside)


def lock_beside(path: Path) -> Path:
    """The lock of a file, or of a folder that is replaced as a whole."""
    return path.absolute().with_name(f"{LOCK_FILE}-{label_of(path)}")


@contextmanager
def writing_alone(path: Path) -> Iterator[None]:
    """Hold a file, or a folder that is replaced as a whole, without what a killed run left beside it.

    Raises:
        InputError: another run is writing it, or its folder cannot be written to.
    """
    with holding(path, lock=lock_beside(path)):
        recover(path)
        yield


def recover(path: Path) -> None:
    """Clear, or put back, what a killed run left beside its output; call while that is held."""
    put_back(path)
    clear(path, leftovers_beside(path))


def find_again(folder: Path) -> None:
    """Put a folder back that a killed run had moved aside, so that it can be read."""
    if not folder.exists() and leftovers_beside(folder):
        with suppress(InputError, OSError), holding(folder, lock=lock_beside(folder)):
            put_back(folder)


def _flush_files(folder: Path) -> None:
    """Have every file below a folder on disk."""
    for place, _, names in os.walk(folder):
        for name in names:
            descriptor = os.open(os.path.join(place, name), os.O_RDWR)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        flush_folder(Path(place))
