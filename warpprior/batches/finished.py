"""Whether a clip is finished: its result is complete, of the same scene files, the same settings, the same version.

Files are told from others by name, size and time of change, without reading them: a scene is what is in its folder,
nothing outside it is opened.  Where that does not tell (files were copied, or are of another format), the scene is read
and compared with what the result was made from, part by part.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import warpprior
from warpprior.batches.clips import Clip
from warpprior.batches.record import DONE, RefinedClip
from warpprior.io.result_folder import NUMBERS, POSES_FILE, read_record
from warpprior.support.errors import InputError

_MOST_FILES = 100_000


def stamp_of(clip: Clip, settings: Mapping) -> str | None:
    """A hash of the scene's files, the settings and the version; None where files alone do not tell.

    Args:
        clip: whose scene folder, and poses to start from, are looked at.
        settings: everything else that its result depends on, as plain data.
    """
    if not clip.is_folder:
        return None
    try:
        files = _files(clip.place.path)
        if clip.initial is not None:
            start = Path(clip.initial)
            files.append(_described(os.path.abspath(start), (start / POSES_FILE if start.is_dir() else start).stat()))
    except OSError:
        return None
    if len(files) > _MOST_FILES:
        return None
    said = [warpprior.__version__, os.path.abspath(clip.place), settings, sorted(files)]
    return hashlib.blake2b(json.dumps(said, sort_keys=True, default=str).encode(), digest_size=16).hexdigest()


def still_holds(record: RefinedClip, stamp: str | None, folder: Path) -> bool:
    """Whether what was noted of a clip is still so: same stamp, and the result that was noted is where it was."""
    if record.status != DONE or stamp is None or record.stamp != stamp:
        return False
    try:
        found = read_record(folder)
    except InputError:
        return False
    there = all((folder / name).is_file() for name in NUMBERS)
    return bool(there and found and found.get("complete") is True and found.get("written") == record.written)


def check_version(folder: Path) -> None:
    """InputError where a complete result in the folder is another version's."""
    record = read_record(folder) or {}
    version = record.get("versions", {}).get("warpprior") if record.get("complete") is True else None
    if version is not None and version != warpprior.__version__:
        found = f"was made by warpprior {version}, and this is {warpprior.__version__}"
        raise InputError(str(folder), found, "start again with --overwrite")


def _files(folder: Path) -> list[str]:
    """Name, size and time of change of each file below a folder, links not followed."""
    found, waiting = [], [str(folder)]
    while waiting and len(found) <= _MOST_FILES:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    found.append(_described(os.path.relpath(entry.path, folder), entry.stat()))
    return found


def _described(name: str, state: os.stat_result) -> str:
    return f"{os.fsencode(name)!r} {state.st_size} {state.st_mtime_ns}"
