"""A TOML table whose values are asked for by type; every complaint names the file, the table and the key."""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from pathlib import Path
from typing import Any, overload

from warpprior.support.errors import InputError
from warpprior.support.files import read_bytes
from warpprior.support.limits import ABOVE_ZERO, FINITE, RANGE, describe, within
from warpprior.support.wording import nearest, shown

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SETTINGS_BYTES_LIMIT = 1 << 20
_REQUIRED = object()


class Table:
    """One table of a TOML file, read key by key; :meth:`finish` rejects keys nobody asked for.

    Args:
        values: the parsed table.
        where: file and table, for messages.
    """

    def __init__(self, values: dict, where: str):
        self._values, self._where, self._asked = values, where, set()

    def place(self, key: str) -> str:
        """File, table and key, as messages name it."""
        return f"{self._where}, {key}"

    def value(self, key: str, default: Any = _REQUIRED) -> Any:
        """The raw value; InputError when it is missing and there is no default."""
        self._asked.add(key)
        if key not in self._values:
            if default is _REQUIRED:
                close = nearest(key, set(self._values) - self._asked)
                raise InputError(self.place(key), "is missing", f"{close}this key is required")
            return default
        return self._values[key]

    def number(self, key: str, default=_REQUIRED, *, limits: tuple[float, float] = FINITE) -> float:
        """A number within ``limits``, ends included."""
        value = self.value(key, default)
        if not within(value, *limits):
            raise InputError(self.place(key), f"is {shown(value)}", f"needs {describe(*limits)}")
        return float(value)

    def number_within(self, key: str, low: float, high: float) -> float:
        """A number from ``low``, which is above zero, to ``high``."""
        self.number(key, limits=ABOVE_ZERO)
        return self.number(key, limits=(low, high))

    def numbers(self, key: str, count: int | tuple[int, ...], meaning: str) -> tuple[float, ...] | None:
        """A list of ``count`` finite numbers, or of one of several counts, or None when the key is absent."""
        value = self.value(key, None)
        if value is None:
            return None
        good = isinstance(value, list) and all(within(v, *FINITE) for v in value)
        counts = (count,) if isinstance(count, int) else count
        if not good or len(value) not in counts:
            words = ", ".join(map(str, counts[:-1])) + " or " * (len(counts) > 1) + str(counts[-1])
            raise InputError(self.place(key), f"is {shown(value)}", f"needs {words} finite numbers: {meaning}")
        return tuple(float(v) for v in value)

    def integer(self, key: str, low: int, high: int, default=_REQUIRED) -> int:
        """A whole number within [low, high]."""
        value = self.value(key, default)
        if not within(value, low, high, whole=True):
            raise InputError(self.place(key), f"is {shown(value)}", f"needs {describe(low, high, whole=True)}")
        return value

    def boolean(self, key: str, default: bool) -> bool:
        """``true`` or ``false``."""
        value = self.value(key, default)
        if not isinstance(value, bool):
            raise InputError(self.place(key), f"is {shown(value)}", "needs true or false")
        return value

    @overload
    def text(self, key: str) -> str: ...
    @overload
    def text(self, key: str, default: str | None) -> str | None: ...
    def text(self, key: str, default=_REQUIRED) -> str | None:
        """A text that is not empty and has no control characters."""
        value = self.value(key, default)
        if value is None:
            return None
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            raise InputError(self.place(key), f"is {shown(value)}", "needs a text without control characters")
        return value

    def choice(self, key: str, choices: tuple[str, ...], default=_REQUIRED) -> str:
        """One of the given words."""
        value = self.value(key, default)
        if not isinstance(value, str) or value not in choices:
            close = nearest(value, choices) if isinstance(value, str) else ""
            raise InputError(self.place(key), f"is {shown(value)}", f"{close}accepted: {', '.join(choices)}")
        return value

    def fields(self, options: type):
        """An instance of a dataclass: each field is a key, read as its annotation and range say.

        ``bool``, ``int`` and ``float`` with a range, ``bool | float`` with one, ``Literal`` of texts, else text; where
        the default is None, also nothing.
        """
        kinds = typing.get_type_hints(options)
        return options(**{field.name: self._field(field, kinds[field.name]) for field in dataclasses.fields(options)})

    def _field(self, field: dataclasses.Field, kind: Any) -> Any:
        key = field.name
        default: Any = _REQUIRED if field.default is dataclasses.MISSING else field.default
        if self.value(key, default) is None:
            return None
        if kind == bool | float:
            given = self.value(key, default)
            return given if isinstance(given, bool) else self.number(key, default, limits=field.metadata[RANGE])
        if typing.get_origin(kind) in (typing.Union, types.UnionType):
            (kind,) = (choice for choice in typing.get_args(kind) if choice is not type(None))
        if typing.get_origin(kind) is typing.Literal:
            return self.choice(key, typing.get_args(kind), default)
        if kind is bool:
            return self.boolean(key, default)
        if kind is int:
            low, high = field.metadata[RANGE]
            return self.integer(key, low, high, default)
        if kind is float:
            return self.number(key, default, limits=field.metadata[RANGE])
        return self.text(key, default)

    @overload
    def table(self, key: str) -> Table: ...
    @overload
    def table(self, key: str, *, required: bool) -> Table | None: ...
    def table(self, key: str, *, required: bool = True) -> Table | None:
        """A table inside this one, or None when it is absent and not required."""
        value = self.value(key) if required else self.value(key, None)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise InputError(self.place(key), f"is {shown(value)}", f"needs a table, [{key}]")
        return Table(value, f"{self._where}: [{key}]")

    def tables(self, key: str) -> list[Table]:
        """The tables of an array of tables, at least one."""
        value = self.value(key)
        if not isinstance(value, list) or not value or not all(isinstance(v, dict) for v in value):
            raise InputError(self.place(key), f"is {shown(value)}", f"needs at least one table [[{key}]]")
        return [Table(v, f"{self._where}: [[{key}]] {index + 1}") for index, v in enumerate(value)]

    def finish(self) -> None:
        """InputError naming the first key that was never asked for, with the nearest known one."""
        for key in self._values:
            if key not in self._asked:
                known = sorted(self._asked)
                raise InputError(
                    self.place(shown(key)), "is not a known key", f"{nearest(key, known)}accepted: {', '.join(known)}"
                )


def read_table(path: Path) -> Table:
    """The root table of a TOML file; InputError when it is not there, too large, not UTF-8 or not TOML."""
    data = read_bytes(path, "a settings file in TOML", limit=SETTINGS_BYTES_LIMIT)
    try:
        return Table(tomllib.loads(data.decode("utf-8-sig")), str(path))
    except UnicodeDecodeError as error:
        raise InputError(str(path), f"is not UTF-8 at byte {error.start}", "save it as UTF-8") from error
    except (tomllib.TOMLDecodeError, ValueError, RecursionError) as error:
        raise InputError(str(path), f"is not TOML: {error}", "mend that line; see https://toml.io") from error
