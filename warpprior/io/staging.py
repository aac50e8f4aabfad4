"""Several files that take the place of their former ones as a whole: all of them or none.

They are written into a folder inside the one they belong to, ``.tmp-TOKEN``.  When the last one is on disk, that folder
is renamed to ``.new-TOKEN``: from this moment on the new files count, wherever they lie.  Then each is moved over its
former one.  A run killed before the renaming leaves the former files, one killed after it leaves moves that whoever
comes next does: a run that writes there, or one that reads (:func:`newest`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from warpprior.io.leftovers import COMPLETE, TEMPORARY, flush_folder, is_leftover, move, new_token, remove_tree
from warpprior.io.locks import holding, is_held_here
from warpprior.support.errors import InputError, RunError
from warpprior.support.files import read_bytes

_ORDERS = "moves.json"  # in the folder that is complete: what to move, in this order, and what to remove before
_ORDER_BYTES = 1 << 16


@contextmanager
def staged(folder: Path, names: Sequence[str], also_removed: Iterable[str] = ()) -> Iterator[Path]:
    """Yield a folder for files that take the place of those of ``folder`` together, when the block succeeds.

    When it raises, what was in ``folder`` before is untouched.

    Args:
        folder: an existing folder.
        names: the files that may be written; those that are not are removed from ``folder``.  The last one is moved
            last.  Other files of ``folder`` stay.
        also_removed: names of other files to remove; read when the block has succeeded.

    Raises:
        InputError: another run writes to the folder, or a folder or device has one of the names.
        RunError: the file system refused.
    """
    check_replaceable(folder, names)
    with holding(folder):
        finish(folder)
        token = new_token()
        staging, complete = folder / f"{TEMPORARY}{token}", folder / f"{COMPLETE}{token}"
        try:
            staging.mkdir()
            yield staging
            written = [name for name in names if (staging / name).is_file()]
            gone = [name for name in names if name not in written]
            orders = {"move": written, "remove": [*gone, *also_removed]}
            (staging / _ORDERS).write_text(json.dumps(orders), encoding="utf-8")
            flush_folder(staging)
            move(staging, complete)
            flush_folder(folder)
        except OSError as error:
            raise RunError(f"{folder}: cannot write it: {error.strerror or error}") from error
        finally:
            remove_tree(staging)
        try:
            finish(folder)
        except KeyboardInterrupt:  # the rest is a matter of milliseconds
            finish(folder)
            raise


def check_replaceable(folder: Path, names: Iterable[str]) -> None:
    """Whether files of these names can take their places.

    Raises:
        InputError: a folder or device has one of the names.
    """
    for name in names:
        if (folder / name).exists() and not (folder / name).is_file():
            raise InputError(str(folder / name), "is not a regular file", "remove it, or choose another folder")


def finish(folder: Path) -> bool:
    """Move complete files to where they belong, if a run was killed while it did; call while the folder is held.

    Raises:
        RunError: the file system refused; they stay where they are, and are read from there.
    """
    pending = _pending(folder)
    for complete, orders in pending:
        try:
            for name in orders["remove"]:
                (folder / name).unlink(missing_ok=True)
            for name in orders["move"]:
                with suppress(FileNotFoundError):  # moved already
                    move(complete / name, folder / name)
        except OSError as error:
            where = f"{error.filename2 or error.filename or folder}"
            raise RunError(
                f"{where}: cannot be replaced: {error.strerror or error}; the new files are in {complete}"
            ) from error
        flush_folder(folder)
        remove_tree(complete)
    return bool(pending)


def newest(folder: Path, name: str) -> Path:
    """Where a file of a folder is, after finishing what a killed run left unfinished, if that can be done.

    Where the folder cannot be written to, or another run is at it, the file may lie in ``.new-TOKEN`` still.
    """
    if _pending(folder) and not is_held_here(folder):
        with suppress(InputError, RunError), holding(folder):
            finish(folder)
    found = folder / name
    for complete, orders in _pending(folder):
        if name in orders["move"] and (complete / name).is_file():
            found = complete / name
    return found


def unfinished(folder: Path) -> list[Path]:
    """What killed runs left inside a folder and nobody needs."""
    complete = {path for path, _ in _pending(folder)}
    return [path for path in sorted(folder.iterdir()) if is_leftover(path) and path not in complete]


def is_pending(folder: Path) -> bool:
    """Whether a run was killed, or is busy, moving complete files to their places."""
    return bool(_pending(folder))


def _pending(folder: Path) -> list[tuple[Path, dict[str, list[str]]]]:
    """Folders of complete files with their orders, oldest first."""
    found = []
    for path in folder.glob(f"{COMPLETE}*"):
        if is_leftover(path) and not path.is_symlink() and (orders := _read_orders(path / _ORDERS)) is not None:
            found.append((path, orders))
    return sorted(found, key=lambda one: _age(one[0]))


def _read_orders(path: Path) -> dict[str, list[str]] | None:
    """Orders, or None where there are none that we would have written: names only, of the folder itself."""
    try:
        orders = json.loads(read_bytes(path, "a list of files", limit=_ORDER_BYTES))
    except (InputError, ValueError, RecursionError):
        return None
    if not isinstance(orders, dict) or set(orders) != {"move", "remove"}:
        return None
    plain = all(isinstance(names, list) and all(map(_is_plain, names)) for names in orders.values())
    return orders if plain else None


def _is_plain(name: object) -> bool:
    if not isinstance(name, str) or name == "" or name.startswith("."):
        return False
    return name == Path(name).name and not set(name) & set("/\\:")


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
