"""Manifests: a file that lists the clips of a batch, a line each.

* Text (any suffix): a scene folder or ``FORMAT:PATH`` in each line; empty lines and those that begin with ``#`` are
  passed over.
* CSV (``.csv``): with a header; the column ``scene`` must be there.
* JSON lines (``.jsonl``): an object in each line, with the same keys.

Beside ``scene`` there may be ``name`` (of the result folder), ``num_frames``, ``initial`` (poses to start from) and
any setting by its key, such as ``contour.sigma_px``; an empty value stands for none.  Relative paths are relative to
the manifest.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from warpprior.batches.clips import Clip
from warpprior.formats.place import Place
from warpprior.support.errors import InputError
from warpprior.support.files import read_bytes
from warpprior.support.limits import MOST_WHOLE
from warpprior.support.wording import shown

_ACCEPTED = "a line for each scene: text, .csv with a column 'scene', or .jsonl with a key 'scene'"
_KEYS = ("scene", "name", "num_frames", "initial")


def read_manifest(path: Path) -> list[Clip]:
    """The clips of a manifest, in its order; those without a name have an empty one.

    Raises:
        InputError: it cannot be read, or a line is not what it should be, which is named by its number.
    """
    data = read_bytes(path, "a list of scenes", accepted=_ACCEPTED)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(str(path), "is not UTF-8 text", _ACCEPTED) from None
    rows = {".csv": _of_csv, ".jsonl": _of_json, ".ndjson": _of_json}.get(path.suffix.lower(), _of_text)
    return [_clip(row, f"{path}: line {number}", path.parent) for number, row in rows(text, path)]


def _of_text(text: str, _path: Path) -> Iterator[tuple[int, dict]]:
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if line and not line.startswith("#"):
            yield number, {"scene": line}


def _of_csv(text: str, path: Path) -> Iterator[tuple[int, dict]]:
    reader = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    try:
        if "scene" not in (reader.fieldnames or ()):
            raise InputError(f"{path}: line 1", f"columns {', '.join(reader.fieldnames or ())}", "a column 'scene'")
        for row in reader:
            if None in row or None in row.values():
                found = f"{len(row.get(None) or ()) or 'too few'} values beside the columns"  # type: ignore[call-overload]
                raise InputError(f"{path}: line {reader.line_num}", found, "a value for each column")
            yield reader.line_num, row
    except csv.Error as error:
        raise InputError(f"{path}: line {reader.line_num}", str(error), _ACCEPTED) from None


def _of_json(text: str, path: Path) -> Iterator[tuple[int, dict]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise InputError(f"{path}: line {number}", shown(line), 'an object, {"scene": "..."}')
        yield number, row


def _clip(row: Mapping[str, object], where: str, folder: Path) -> Clip:
    """The clip of a line."""
    given = {key.strip(): _text(value, f"{where}: {key}") for key, value in row.items()}
    given = {key: value for key, value in given.items() if value}
    scene = given.get("scene", "")
    if not scene:
        raise InputError(where, "no scene", "the path of a scene folder")
    settings = tuple(f"{key}={value}" for key, value in given.items() if key not in _KEYS)
    frames, initial = given.get("num_frames"), given.get("initial")
    if frames is not None and not (frames.isascii() and frames.isdigit() and 1 <= int(frames) <= MOST_WHOLE):
        raise InputError(f"{where}: num_frames", repr(frames), "a whole number, 1 or more")
    count = None if frames is None else int(frames)
    start = None if initial is None else str(folder / initial)
    try:
        place = Place.parse(scene)
    except InputError as error:
        raise InputError(f"{where}: {error.where}", error.found, error.accepted) from error
    return Clip(given.get("name", ""), replace(place, path=folder / place.path), count, start, settings, where)


def _text(value: object, where: str) -> str:
    """A value as a setting is typed."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list) and all(isinstance(item, (str, int, float)) for item in value):
        return ",".join(map(str, value))
    if value is None or isinstance(value, (str, int, float)):
        return "" if value is None else str(value).strip()
    raise InputError(where, shown(value), "text, a number, true or false, or a list of these")
