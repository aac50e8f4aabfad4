"""Locks on what is being written: one run at a time, whatever the system, and never for a process that is dead."""

from __future__ import annotations

import atexit
import os
import tempfile
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from warpprior.support.errors import InputError
from warpprior.support.files import read_bytes
from warpprior.support.interrupts import postponed

LOCK_FILE = ".lock"
OWNER_SUFFIX = ".pid"  # of the file that names the holder; on Windows nobody else can read the locked one
_ATTEMPTS = 5

_held: dict[str, OutputLock] = {}  # by place of the lock: what this process holds
if hasattr(os, "register_at_fork"):  # a copy of this process holds nothing, and releases nothing when it ends
    os.register_at_fork(after_in_child=_held.clear)


class OutputLock:
    """Holds an output for this run; released by :meth:`release`, by ``with``, or when the process ends.

    The operating system drops the lock of a process that dies, so a file left behind by one never blocks the next.
    Where a file system has no locks, a warning says that two runs would not notice each other.

    Args:
        place: the existing folder that is held, or a file, which messages name.
        made: folders that were made for this run; those still empty when it ends are removed again.
        lock: place of the lock; None takes ``.lock`` in the folder.

    Attributes:
        inside: held by the thread that writes, see :func:`holding`.

    Raises:
        InputError: another run holds it, or the folder cannot be written to.
    """

    def __init__(self, place: Path, made: Sequence[Path] = (), *, lock: Path | None = None):
        import filelock

        _check_writable(place, (place / LOCK_FILE if lock is None else lock).parent)
        self.inside = threading.RLock()
        self._place, self._made = place, tuple(made)
        self._path = place / LOCK_FILE if lock is None else lock
        self._lock: filelock.BaseFileLock | None = filelock.FileLock(str(self._path), thread_local=False)
        _remove_link(self._path)
        self._key = _key(self._path)
        with postponed():  # what is locked and not noted would be left behind
            self._lock_now()
            _held[self._key] = self
            # Made anew: a link or a pipe of that name, which a copied folder may hold, is not opened.
            with suppress(OSError):
                self._owner_file.unlink(missing_ok=True)
                with open(self._owner_file, "x", encoding="ascii") as stream:
                    stream.write(str(os.getpid()))
        atexit.register(self.release)

    def __enter__(self) -> OutputLock:
        return self

    def __exit__(self, *_) -> None:
        self.release()

    def release(self) -> None:
        """Let the next run in; harmless when called twice."""
        with postponed():
            if _held.get(self._key) is not self:
                return
            del _held[self._key]
            atexit.unregister(self.release)
            # Removed while still held, so that nobody else's can be removed by mistake.
            for path in (self._owner_file, self._path):
                with suppress(OSError):  # Windows does not remove open files; there the lock does it
                    path.unlink(missing_ok=True)
            if self._lock is not None:
                self._lock.release()
            with suppress(OSError):  # folders that hold results stay
                for folder in self._made:
                    folder.rmdir()

    def _lock_now(self) -> None:
        """Take the lock, or go on without where there are none."""
        import filelock

        try:
            self._acquire(self._lock)
        except filelock.Timeout as error:
            owner = self._owner()
            found = "is being written by another run" + (f" (process {owner})" if owner else "")
            raise InputError(str(self._place), found, "wait for it, or choose another place") from error
        except (OSError, NotImplementedError) as error:
            reason = getattr(error, "strerror", None) or error
            warnings.warn(f"{self._place}: cannot be locked ({reason}); let no other run write to it", stacklevel=4)
            self._lock = None

    def _acquire(self, lock) -> None:
        from filelock import FileLock, UnixFileLock

        for _ in range(_ATTEMPTS):
            before = _identity(self._path)
            lock.acquire(timeout=0)
            # The holder before us may have removed the file between our open and our lock, which then locks nothing.
            if FileLock is not UnixFileLock or (before is not None and before == _identity(self._path)):
                return
            lock.release()
        lock.acquire(timeout=0)

    @property
    def _owner_file(self) -> Path:
        return self._path.with_name(self._path.name + OWNER_SUFFIX)

    def _owner(self) -> str:
        """The process that holds the lock, in digits; empty where it does not say."""
        try:
            text = read_bytes(self._owner_file, "a number", limit=20).decode("ascii", "replace").strip()
        except InputError:
            return ""
        return text if text.isdigit() else ""


@contextmanager
def holding(place: Path, *, lock: Path | None = None) -> Iterator[None]:
    """Hold an output during a block, or what this process holds already; of its threads one at a time.

    Raises:
        InputError: as :class:`OutputLock`.
    """
    key = _key(place / LOCK_FILE if lock is None else lock)
    while (held := _held.get(key)) is not None:
        with held.inside:
            if _held.get(key) is held:  # not released while we waited
                yield
                return
    held = OutputLock(place, lock=lock)
    with held.inside:
        try:
            yield
        finally:
            held.release()


def is_held_here(place: Path) -> bool:
    """Whether this process holds the folder."""
    return _key(place / LOCK_FILE) in _held


def _check_writable(place: Path, folder: Path) -> None:
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        found = f"cannot be written to: {error.strerror or error}"
        raise InputError(str(place), found, "choose a folder you may write to") from error


def _remove_link(path: Path) -> None:
    """No lock of ours is a link, and what one points to shall not be opened for writing."""
    if path.is_symlink():
        with suppress(OSError):
            path.unlink()


def _key(path: Path) -> str:
    return os.path.normcase(os.path.realpath(path))


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        state = os.stat(path)
    except OSError:
        return None
    return state.st_dev, state.st_ino


def release_all() -> None:
    """Release what this process holds, for one that ends without unwinding."""
    for lock in [*_held.values()]:
        lock.release()
