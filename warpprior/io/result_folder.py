"""What a result folder consists of, and whether its files belong together."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from warpprior.io.array_files import read_arrays
from warpprior.io.staging import newest
from warpprior.support.errors import InputError
from warpprior.support.files import read_bytes

POSES_FILE = "poses.npz"
METRICS_FILE = "metrics.json"
HISTORY_FILE = "history.csv"
CONFIG_FILE = "config.json"
STAGE_FILE = "scene.usdc"
OVERLAY_FILE = "overlay.mp4"
REPORT_FILE = "report.html"
CONTACT_FILE = "contact.png"
PLOT_FILES = ("loss.svg", "errors.svg", "uncertainty.svg", "sensors.svg")
NUMBERS = (POSES_FILE, METRICS_FILE, HISTORY_FILE)
# config.json last: it says which of the others there are.
RESULT_FILES = (*NUMBERS, STAGE_FILE, OVERLAY_FILE, CONTACT_FILE, *PLOT_FILES, REPORT_FILE, CONFIG_FILE)

_RECORD_BYTES = 64 << 20
_STATUS = "/status"


def describe_parts(folder: Path, meshes: Iterable[str] = ()) -> dict[str, dict[str, int | str]]:
    """Size and hash of each file of a result, but for the record itself; ``meshes`` are names of more files."""
    paths = [folder / name for name in (*RESULT_FILES, *meshes) if name != CONFIG_FILE]
    return {path.name: _describe(path) for path in paths if path.is_file()}


def read_record(folder: Path) -> dict | None:
    """What ``config.json`` of a result folder says; None where there is none.

    Raises:
        InputError: it is damaged.
    """
    path = newest(folder, CONFIG_FILE)
    if not path.is_file():
        return None
    accepted = "make the result again (--overwrite)"
    try:
        record = json.loads(read_bytes(path, "the record of a result", limit=_RECORD_BYTES, accepted=accepted))
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        raise InputError(str(path), "is damaged", accepted)
    return record


def checked_poses_file(folder: Path, notes: list[str] | None = None) -> Path:
    """The pose file of a result folder, whose numbers belong together.

    Results written before their record named their parts are taken as they are.

    Args:
        folder: a result folder, or one that holds a pose file alone.
        notes: a warning is appended when a picture or stage is another result's, or was edited; None issues it as a
            Python warning.

    Raises:
        InputError: numbers are not those that the record was written with, or there are other files of a result
            and no record.
    """
    poses, record = newest(folder, POSES_FILE), read_record(folder)
    remedy = f"make the result again (--overwrite), or give the file itself, {folder / POSES_FILE}"
    if record is None:
        others = [name for name in RESULT_FILES if name != POSES_FILE and (folder / name).exists()]
        if poses.is_file() and others:
            found = f"holds {others[0]} and no {CONFIG_FILE}: a run was stopped while it saved, or files are missing"
            raise InputError(str(folder), found, remedy)
        return poses
    changed = _changed(folder, record)
    for name in NUMBERS:
        if name in changed:
            found = f"its {name} is not the one that its {CONFIG_FILE} was written with"
            raise InputError(str(folder), found, remedy)
    if changed:
        text = f"{folder}: not the files that its {CONFIG_FILE} was written with: {', '.join(changed)}"
        if notes is None:
            warnings.warn(text, stacklevel=3)
        else:
            notes.append(text)
    return poses


def read_statuses(folder: Path) -> dict[str, np.ndarray]:
    """Whether the estimate of each body is believed (frame,) str, by name; empty of results that do not say.

    Raises:
        InputError: the pose file is missing or damaged.
    """
    arrays = read_arrays(newest(folder, POSES_FILE))
    return {key.removesuffix(_STATUS): arrays[key] for key in arrays if key.endswith(_STATUS)}


def _changed(folder: Path, record: dict) -> list[str]:
    """Files that are there and not those of the record."""
    parts = record.get("parts")
    if not isinstance(parts, dict):
        return []
    changed = []
    for name in RESULT_FILES:
        path = newest(folder, name)
        if name == CONFIG_FILE or not path.is_file():
            continue
        if not _is(path, parts.get(name)):
            changed.append(name)
    return changed


def _is(path: Path, described: object) -> bool:
    """Whether a file is the one described; one of another size is not read, however large it is."""
    if not isinstance(described, dict) or described.get("bytes") != path.stat().st_size:
        return False
    return described == _describe(path)


def _describe(path: Path) -> dict[str, int | str]:
    digest = hashlib.blake2b(digest_size=16)
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return {"bytes": path.stat().st_size, "blake2b": digest.hexdigest()}
