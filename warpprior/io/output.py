"""The folder results go to: refused before anything is computed, locked while one run writes to it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from warpprior.io.atomic import lock_beside, recover
from warpprior.io.leftovers import ASIDE, TEMPORARY, clear, label_in, label_of
from warpprior.io.locks import LOCK_FILE, OutputLock, holding
from warpprior.io.result_folder import CONFIG_FILE, RESULT_FILES
from warpprior.io.staging import check_replaceable, finish, is_pending, unfinished
from warpprior.support.errors import InputError

CHECKPOINT_FILE = "checkpoint.npz"


def _check_text(path: Path) -> None:
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(str(path), "its name is not UTF-8", "OpenUSD can only write to names that are text") from error


def prepare_file(path: str | Path, *, overwrite: bool = False) -> OutputLock:
    """Make sure that a single file can be written to ``path``, and hold it.  Call before computing.

    Args:
        path: where the file shall be; its folder is made when it does not exist.
        overwrite: an existing file is welcome.

    Raises:
        InputError: it exists, is a folder or a device, its folder cannot be made or written to, or another run is
            writing it.
    """
    path = Path(path)
    _check_text(path)
    with _refused(path):
        if path.is_dir() or (path.exists() and not path.is_file()):
            found = "is a folder" if path.is_dir() else "is not a regular file"
            raise InputError(str(path), found, "give the path of a file")
        if path.exists() and not overwrite:
            raise InputError(str(path), "exists", "choose another place, or overwrite it (--overwrite)")
        made = _missing_folders(path.parent)
        path.parent.mkdir(parents=True, exist_ok=True)
    lock = OutputLock(path, made, lock=lock_beside(path))
    with _let_go(lock, path):
        recover(path)
    return lock


def prepare_folder(folder: str | Path, *, overwrite: bool = False) -> OutputLock:
    """Make sure that a folder can be replaced as a whole, and hold it.  Call before computing.

    One that a killed run had moved aside is put back first.

    Args:
        folder: made when it is written; its parent is made here.
        overwrite: an existing folder with files in it is welcome.

    Raises:
        InputError: it exists, the working folder is in it, its parent cannot be made or written to, or another run is
            writing it.
    """
    folder = Path(folder)
    _check_text(folder)
    with _refused(folder):
        if _is_around(folder):
            found = "is the working folder, or above it"
            raise InputError(str(folder), found, "it is replaced as a whole: go elsewhere")
        made = _missing_folders(folder.absolute().parent)
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
    lock = OutputLock(folder, made, lock=lock_beside(folder))
    with _let_go(lock, folder):
        recover(folder)
        occupied = any(folder.iterdir()) if folder.is_dir() else folder.exists()
        if occupied and not overwrite:
            raise InputError(str(folder), "exists", "choose another place, or overwrite it (--overwrite)")
    return lock


def prepare_output(
    folder: str | Path,
    *,
    overwrite: bool = False,
    resume: bool | None = None,
    protect: Iterable[str | Path] = (),
) -> OutputLock:
    """Make sure results can be written to ``folder``, and hold it.  Call before computing.

    Existing files are left alone: only files that a result consists of are ever replaced, all at once when their
    successors are complete.  What a killed run had left is finished, where its result was complete, or removed.

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
    with _refused(folder):
        if folder.exists() and not folder.is_dir():
            raise InputError(str(folder), "is a file", "give the path of a folder")
        entries = {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()
        entries = {name for name in entries if not name.startswith((TEMPORARY, LOCK_FILE))}
        earlier = entries & {CHECKPOINT_FILE, CONFIG_FILE} or (entries and is_pending(folder))
        if entries and resume and not overwrite and not earlier:
            raise InputError(str(folder), "holds files but no earlier run", "there is nothing to resume here")
        if entries and not (overwrite or resume):
            if (folder / LOCK_FILE).exists():
                OutputLock(folder).release()  # refuses when another run is at it, which is the better answer
            accepted = "choose another folder, or say --overwrite" + (
                "" if resume is None else ", or --resume to continue"
            )
            raise InputError(str(folder), "exists and is not empty", accepted)
        check_replaceable(folder, (*RESULT_FILES, CHECKPOINT_FILE))
        made = _missing_folders(folder)
        folder.mkdir(parents=True, exist_ok=True)
    lock = OutputLock(folder, made)
    with _let_go(lock, folder):
        if finish(folder):
            said = f"{folder}: a run was interrupted while it saved; its result was complete and is kept"
            warnings.warn(said, stacklevel=2)
        clear(folder, _removable(folder))
    return lock


@contextmanager
def _refused(place: Path) -> Iterator[None]:
    """What the file system refuses is an :class:`InputError`."""
    try:
        yield
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(str(place), f"cannot be made: {reason}", "choose a folder you may write to") from error


@contextmanager
def _let_go(lock: OutputLock, place: Path) -> Iterator[None]:
    """Release the lock of an output that cannot be prepared, so that this process can try again."""
    try:
        with _refused(place):
            yield
    except BaseException:
        lock.release()
        raise


def _removable(folder: Path) -> list[Path]:
    """What killed runs left inside a folder that is held, but for what another run is writing there.

    A folder that was moved aside and has no successor stays: it is all that is left.
    """
    labels = {label_of(path) for path in folder.iterdir()}
    found = []
    for path in unfinished(folder):
        label = label_in(path)
        if path.name.startswith(ASIDE) and label not in labels:
            warnings.warn(
                f"{path}: an interrupted run left a folder under this name; it is its only copy", stacklevel=3
            )
        elif label is None:
            found.append(path)
        else:
            with suppress(InputError), holding(path, lock=folder / f"{LOCK_FILE}-{label}"):
                found.append(path)
    return found


def _is_around(folder: Path) -> bool:
    """Whether the working folder is this one or inside it, and would be gone when this one is replaced."""
    here = Path(os.path.realpath("."))
    return Path(os.path.realpath(folder)) in (here, *here.parents)


def _missing_folders(folder: Path) -> list[Path]:
    return [place for place in (folder, *folder.parents) if not place.exists()]
