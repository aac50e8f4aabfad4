"""The folder results go to: refused before anything is computed, locked while one run writes to it."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from warpprior.io.atomic import TEMPORARY
from warpprior.support.errors import InputError

LOCK_FILE = ".lock"
CHECKPOINT_FILE = "checkpoint.npz"


class OutputLock:
    """Holds an output folder for this run; released by :meth:`release`, by ``with``, or when the process ends.

    The operating system drops the lock of a process that dies, so a file left behind by one never blocks the next.

    Args:
        folder: an existing folder.
        made: folders that were made for this run; those still empty when it ends are removed again.

    Raises:
        InputError: another run holds it, or the folder cannot be written to.
    """

    def __init__(self, folder: Path, made: Sequence[Path] = ()):
        self.folder, self._made = folder, tuple(made)
        self._path = folder / LOCK_FILE
        self._descriptor = self._acquire()
        atexit.register(self.release)

    def __enter__(self) -> OutputLock:
        return self

    def __exit__(self, *_) -> None:
        self.release()

    def release(self) -> None:
        """Let the next run in; harmless when called twice."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        atexit.unregister(self.release)
        # Removed while still held, so that nobody else's lock can be removed by mistake.
        with suppress(OSError):  # Windows does not remove open files
            self._path.unlink(missing_ok=True)
        os.close(descriptor)
        with suppress(OSError):  # folders that hold results stay
            for folder in self._made:
                folder.rmdir()

    def _acquire(self) -> int:
        while True:
            try:
                descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
            except OSError as error:
                found = f"cannot be written to: {error.strerror}"
                raise InputError(str(self.folder), found, "choose a folder you may write to") from error
            try:
                _lock(descriptor)
            except OSError as error:
                owner = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() if hasattr(os, "pread") else ""
                os.close(descriptor)
                found = "is being written by another run" + (f" (process {owner})" if owner else "")
                raise InputError(str(self.folder), found, "wait for it, or choose another folder") from error
            # The holder before us may have removed the file between our open and our lock.
            if self._is_current(descriptor):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, str(os.getpid()).encode("ascii"))
                return descriptor
            os.close(descriptor)

    def _is_current(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(descriptor))
        except FileNotFoundError:
            return False


def _lock(descriptor: int) -> None:
    """Take an exclusive lock without waiting; OSError when another holds it."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _check_text(path: Path) -> None:
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(str(path), "its name is not UTF-8", "OpenUSD can only write to names that are text") from error


def prepare_file(path: str | Path, *, overwrite: bool = False) -> None:
    """Make sure that a single file can be written to ``path``.  Call before computing.

    Args:
        path: where the file shall be; its folder is made when it does not exist.
        overwrite: an existing file is welcome.

    Raises:
        InputError: it exists, is a folder or a device, or its folder cannot be made or written to.
    """
    path = Path(path)
    _check_text(path)
    try:
        if path.is_dir() or (path.exists() and not path.is_file()):
            found = "is a folder" if path.is_dir() else "is not a regular file"
            raise InputError(str(path), found, "give the path of a file")
        if path.exists() and not overwrite:
            raise InputError(str(path), "exists", "choose another place, or overwrite it (--overwrite)")
        path.parent.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(str(path), f"cannot be made: {reason}", "choose a folder you may write to") from error
    if not os.access(path.parent, os.W_OK):
        raise InputError(str(path), "its folder cannot be written to", "choose a folder you may write to")


def prepare_output(
    folder: str | Path,
    *,
    overwrite: bool = False,
    resume: bool | None = None,
    protect: Iterable[str | Path] = (),
) -> OutputLock:
    """Make sure results can be written to ``folder``, and hold it.  Call before computing.

    Existing files are left alone: each is replaced when its successor is complete, and only files that a result
    consists of are ever replaced.

    Args:
        folder: made when it does not exist.
        overwrite: an existing folder with files in it is welcome.
        resume: an existing folder with a checkpoint or an earlier result in it is welcome; None where nothing can be
            resumed.
        protect: folders that are read from; none of them may be the output.

    Raises:
        InputError: the folder exists and holds files, is a file, is one of ``protect``, cannot be written to, or is
            held by another run.
    """
    folder = Path(folder)
    _check_text(folder)
    for source in protect:
        if os.path.realpath(source) == os.path.realpath(folder):
            raise InputError(str(folder), "is the input folder", "results need a folder of their own")
    try:
        if folder.exists() and not folder.is_dir():
            raise InputError(str(folder), "is a file", "give the path of a folder")
        entries = {entry.name for entry in folder.iterdir()} - {LOCK_FILE} if folder.is_dir() else set()
        entries = {name for name in entries if not name.startswith(TEMPORARY)}
        if entries and resume and not overwrite and not entries & {CHECKPOINT_FILE, "config.json"}:
            raise InputError(str(folder), "holds files but no earlier run", "there is nothing to resume here")
        if entries and not (overwrite or resume):
            if (folder / LOCK_FILE).exists():
                OutputLock(folder).release()  # refuses when another run is at it, which is the better answer
            accepted = "choose another folder, or say --overwrite" + (
                "" if resume is None else ", or --resume to continue"
            )
            raise InputError(str(folder), "exists and is not empty", accepted)
        made = [place for place in (folder, *folder.parents) if not place.exists()]
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(str(folder), f"cannot be made: {reason}", "choose a folder you may write to") from error
    lock = OutputLock(folder, made)
    # Nobody else writes here now, so these are what a killed run left.
    for debris in folder.glob(f"{TEMPORARY}*"):
        with suppress(OSError):
            debris.unlink()
    return lock
