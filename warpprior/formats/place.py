"""Place: what a command is given in the place of a scene folder: the folder itself, or ``FORMAT:PATH``."""

from __future__ import annotations

import dataclasses
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warpprior.support.errors import InputError
from warpprior.support.openusd import ENDINGS

ANY = "scene"  # name of the format that holds all of a recording: scene folders
STAGE = "usd"  # of what needs no name of its format before it: a file that ends so
NAME = re.compile(r"[a-z][a-z0-9_]+")  # of formats


@dataclass(frozen=True)
class Place:
    """A scene folder, or a file or folder of a format.

    Attributes:
        path: the file or folder.
        format: name of the format; ``scene`` for scene folders.
        options: of the format, or None for the defaults.
    """

    path: Path
    format: str = ANY
    options: Any = None

    @staticmethod
    def parse(text: str | os.PathLike[str] | Place) -> Place:
        """The place that a text names.

        Raises:
            InputError: it begins with the name of a format that there is not, and is no path.
        """
        if isinstance(text, Place):
            return text
        text = os.fspath(text)
        name, colon, rest = text.partition(":")
        if not colon or not NAME.fullmatch(name):
            return Place(Path(text), STAGE if is_stage(text) else ANY)
        from warpprior.formats.registry import find_format, is_format  # with all that formats need

        if not is_format(name) and os.path.exists(text):
            return Place(Path(text))
        find_format(name)  # refused where there is none
        if not rest:
            raise InputError(text, "names no path", f"needs {name}:PATH")
        return Place(Path(rest), name)

    def __str__(self) -> str:
        return str(self.path) if self.format == ANY else f"{self.format}:{self.path}"

    def __fspath__(self) -> str:
        return str(self.path)

    def record(self) -> dict[str, Any]:
        """The place as plain data, from which :meth:`of_record` makes it again from anywhere."""
        return {"format": self.format, "path": str(self.path.absolute()), "options": plain_options(self.options)}

    @staticmethod
    def of_record(record: Any, where: str) -> Place:
        """The place that was recorded.

        Raises:
            InputError: it is no such record, or of a format that is not there any more.
        """
        texts = isinstance(record, dict) and all(isinstance(record.get(key), str) for key in ("format", "path"))
        options = record.get("options", {}) if isinstance(record, dict) else None
        if not texts or not isinstance(options, dict):
            raise InputError(where, "does not say where its scene was read from", "refine it again, or name the scene")
        return Place(Path(record["path"]), record["format"], make_options(record["format"], options))


def is_stage(text: str) -> bool:
    """Does a text name a USD stage?"""
    return text.lower().endswith(ENDINGS)


def plain_options(options: Any) -> dict[str, Any]:
    """Options that differ from the defaults, as plain data."""
    found = {}
    for field in () if options is None else dataclasses.fields(options):
        value = getattr(options, field.name)
        if value != field.default:
            paths = isinstance(value, tuple) and any(isinstance(item, Path) for item in value)
            found[field.name] = str(value) if isinstance(value, Path) else [*map(str, value)] if paths else value
    return found


def make_options(name: str, given: dict[str, Any]) -> Any:
    """A format's options, of plain data or values.

    Raises:
        InputError: one that the format does not have, or out of its range.
    """
    from warpprior.formats.registry import find_format
    from warpprior.support.limits import check_ranges

    kinds = {field.name: field for field in dataclasses.fields(find_format(name).Options)}
    unknown = sorted(set(given) - set(kinds))
    if unknown:
        raise InputError(
            f"format {name}: {unknown[0]}", "is no option of it", f"accepted: {', '.join(kinds) or 'none'}"
        )
    values = {}
    for key, value in given.items():
        if "Path" in str(kinds[key].type) and isinstance(value, (str, os.PathLike)):
            value = Path(value)
        elif isinstance(value, (list, tuple)):
            value = tuple(Path(item) if "Path" in str(kinds[key].type) else item for item in value)
        values[key] = value
    options = find_format(name).Options(**values)
    check_ranges(options, f"format {name}")
    return options
