"""Names of what is being written, and what to do with those that a killed run left behind."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import time
import warnings
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

# Not complete yet; the former, while the new one takes its place; complete, and not yet in its place.
TEMPORARY, ASIDE, COMPLETE = ".tmp-", ".old-", ".new-"

_OURS = re.compile(r"\.(?:tmp|old|new)-(?:(\w{1,24}-[0-9a-f]{6})-)?[0-9a-f]{12}(?:\..*)?", re.DOTALL)
_LONGEST_LABEL = 24
_TRIES, _PAUSE_S = 10, 0.05


def new_token() -> str:
    """What tells the files of this run from those of others."""
    return secrets.token_hex(6)


def label_of(path: Path) -> str:
    """Short text that tells a file or folder from others of the same parent; names may be too long to repeat."""
    name = os.path.normcase(path.name)
    digest = hashlib.blake2b(os.fsencode(name), digest_size=3).hexdigest()
    return (re.sub(r"[^A-Za-z0-9]", "_", name)[:_LONGEST_LABEL] or "_") + f"-{digest}"


def is_leftover(path: Path) -> bool:
    """Whether only a run of ours names files so, which are gone when it ends."""
    return _OURS.fullmatch(path.name) is not None


def label_in(leftover: Path) -> str | None:
    """The label of what it was to become; None of a folder of files that belong to the folder they lie in."""
    found = _OURS.fullmatch(leftover.name)
    return None if found is None else found.group(1)


def leftovers_beside(path: Path) -> list[Path]:
    """What a killed run left beside the file or folder that it was writing."""
    label = label_of(path)
    try:
        entries = sorted(path.absolute().parent.iterdir())
    except OSError:
        return []
    names = tuple(f"{prefix}{label}-" for prefix in (TEMPORARY, ASIDE))
    return [entry for entry in entries if entry.name.startswith(names) and is_leftover(entry)]


def clear(place: Path, leftovers: Iterable[Path]) -> None:
    """Remove them, and say so in one line; call while ``place`` is held, so that nobody else is writing them."""
    removed = [path.name for path in leftovers if _remove(path)]
    if removed:
        shown = ", ".join(removed[:3]) + (", ..." if len(removed) > 3 else "")
        warnings.warn(f"{place}: what an interrupted run had left was removed: {shown}", stacklevel=3)


def put_back(folder: Path) -> bool:
    """Where a run was killed while it replaced a folder, and only the former one is left, give that its name back."""
    if os.path.lexists(folder):
        return False
    for path in leftovers_beside(folder):
        if path.name.startswith(ASIDE) and path.is_dir() and not path.is_symlink():
            move(path, folder)
            warnings.warn(f"{folder}: an interrupted run had left it as {path.name}; it was put back", stacklevel=3)
            return True
    return False


def move(source: Path, target: Path) -> None:
    """``os.replace``, with patience: on Windows a scanner may hold a file open for a moment."""
    for left in range(_TRIES if os.name == "nt" else 1, 0, -1):
        try:
            os.replace(source, target)
            return
        except PermissionError:
            if left == 1:
                raise
            time.sleep(_PAUSE_S)


def remove_tree(folder: Path) -> None:
    """Remove a folder; a program that a killed run had started may still be writing into it."""
    for _ in range(_TRIES):
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.lexists(folder):
            return
        time.sleep(_PAUSE_S)


def flush_folder(folder: Path) -> None:
    """Have the names in a folder on disk; where the system knows no such thing, there is nothing to do."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove(path: Path) -> bool:
    if path.is_dir() and not path.is_symlink():
        remove_tree(path)
    else:
        with suppress(OSError):
            path.unlink()
    return not os.path.lexists(path)
