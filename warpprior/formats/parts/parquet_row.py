"""Parquet files of one row, a column for each array of a sequence: read with bounds, written back with some changed.

Pickles inside them are carried along as bytes and never opened.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from warpprior.support.errors import InputError, MissingExtraError, reason_of
from warpprior.support.files import read_bytes

_BYTES, _UNPACKED = 256 << 20, 1 << 30
_DEPTH = 4  # folders below the one that is named
_THRIFT = 1 << 20  # entries and bytes of a file's own description
_ACCEPTED = "give a parquet file of one sequence"
_MOST_NESTED = 6
_MOST_FILES = 100_000


def arrow() -> tuple[Any, Any]:
    """The modules pyarrow and pyarrow.parquet.

    Raises:
        MissingExtraError: they are not installed.
    """
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingExtraError("reading and writing parquet files", "formats") from error


class ParquetRow:
    """The only row of a parquet file; columns are decoded when they are asked for.

    Args:
        path: the file.

    Raises:
        InputError: missing, too large, damaged, or not of one row.
        MissingExtraError: pyarrow is not installed.
    """

    def __init__(self, path: Path):
        pa, parquet = arrow()
        self.path = path
        data = read_bytes(path, "a parquet file", limit=_BYTES)
        how = {"thrift_string_size_limit": len(data) + _THRIFT, "thrift_container_size_limit": _THRIFT}
        with refused(path):
            self._file = parquet.ParquetFile(pa.BufferReader(data), **how)
            described = self._file.metadata
            rows, groups = described.num_rows, range(described.num_row_groups)
            size = sum(described.row_group(group).total_byte_size for group in groups)
            names = list(self._file.schema_arrow.names)
        if rows != 1:
            raise InputError(str(path), f"has {rows} rows", "needs one row, of one sequence")
        if not 0 <= size <= _UNPACKED:
            raise InputError(str(path), f"unpacks to {size} bytes", f"at most {_UNPACKED} are read")
        if len(set(names)) < len(names):
            raise InputError(str(path), "has a column twice", _ACCEPTED)
        self.names = names
        self.partitions = _partitions(path)

    def place(self, name: str) -> str:
        """Names a column in messages."""
        return f"{self.path}: {name}"

    def _column(self, name: str) -> Any:
        """The column as an Arrow array of one row; None where it is not there or null."""
        if name not in self.names:
            return None
        with refused(self.path):
            column = self._file.read(columns=[name]).column(0).combine_chunks()
            column = column.chunk(0) if hasattr(column, "chunk") else column  # of older versions
            return None if len(column) != 1 or column.null_count else column

    def text(self, name: str, default: str = "") -> str:
        """A text; the partition of that name in the path where there is no column."""
        column = self._column(name)
        value = self.partitions.get(name) if column is None else column[0].as_py()
        if value is None:
            return default
        if not isinstance(value, str):
            raise InputError(self.place(name), f"is a {type(value).__name__}", "needs a text")
        return value

    def texts(self, name: str) -> list[str]:
        """A list of texts; empty where it is not there."""
        column = self._column(name)
        values = [] if column is None else column[0].as_py()
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise InputError(self.place(name), "is no list of texts", "needs one")
        return values

    def text_lists(self, name: str) -> list[list[str]]:
        """Lists of texts, one for each side."""
        column = self._column(name)
        values = [] if column is None else column[0].as_py()
        good = isinstance(values, list) and all(isinstance(value, list) for value in values)
        if not good or not all(isinstance(text, str) for value in values for text in value):
            raise InputError(self.place(name), "is no list of lists of texts", "needs one")
        return values

    def array(self, name: str, shape: tuple[int | None, ...], *, finite: bool = True) -> np.ndarray | None:
        """Numbers of a column as float64 of that shape, None for any length; None where they are absent or empty.

        Raises:
            InputError: of another shape, not numbers, or not finite.
        """
        column = self._column(name)
        return None if column is None else self._numbers(name, column, shape, finite)

    def needed(self, name: str, shape: tuple[int | None, ...]) -> np.ndarray:
        """The same; InputError where it is absent."""
        found = self.array(name, shape)
        if found is None:
            raise InputError(self.place(name), "is missing or empty", f"needs numbers of shape {_words(shape)}")
        return found

    def sides(self, name: str, count: int, shape: tuple[int | None, ...]) -> list[np.ndarray | None]:
        """Arrays of a column that holds one for each of ``count`` sides; None for those that are empty.

        Raises:
            InputError: as :meth:`array`, or of another number of sides.
        """
        column = self._column(name)
        if column is None:
            return [None] * count
        pa, _ = arrow()
        if not _is_list(pa, column.type):
            raise InputError(self.place(name), f"is {column.type}", "needs a list for each side")
        rows = column.flatten()
        if len(rows) == 0:
            return [None] * count
        if len(rows) != count or rows.null_count:
            raise InputError(self.place(name), f"has {len(rows)} sides", f"needs {count}, as hand_sides has")
        return [self._numbers(name, rows.slice(side, 1), shape, True) for side in range(count)]

    def _numbers(self, name: str, column: Any, shape: tuple[int | None, ...], finite: bool) -> np.ndarray | None:
        pa, _ = arrow()
        where, wanted = self.place(name), f"needs numbers of shape {_words(shape)}"
        found: list[int] = []
        with refused(self.path):
            while _is_list(pa, column.type) and len(found) < _MOST_NESTED:
                lengths = (
                    set(column.value_lengths().to_pylist())
                    if not pa.types.is_fixed_size_list(column.type)
                    else {column.type.list_size}
                )
                if column.null_count or None in lengths:
                    raise InputError(where, "has empty places", wanted)
                if len(lengths) > 1:
                    raise InputError(where, f"has rows of {min(lengths)} and of {max(lengths)} values", wanted)
                found.append(lengths.pop() if lengths else 0)
                if found[-1] == 0:
                    return None
                column = column.flatten()
            if column.null_count or not (
                pa.types.is_floating(column.type)
                or pa.types.is_integer(column.type)
                or pa.types.is_boolean(column.type)
            ):
                raise InputError(where, f"holds {column.type}", wanted)
            with np.errstate(invalid="ignore"):  # signalling NaN
                values = np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)
        if len(found) != len(shape) or any(n not in (None, m) for n, m in zip(shape, found, strict=True)):
            raise InputError(where, f"has shape {_words(tuple(found))}", wanted)
        values = values.reshape(found)
        if finite and not np.isfinite(values).all():
            raise InputError(where, "is not finite", wanted)
        return values

    def write(self, target: Path, new: Mapping[str, Any]) -> None:
        """Write the file with some columns in the place of others, in their types; all other values as they were.

        Args:
            target: the new file, in a folder that is made.
            new: values of columns by name, nested lists or arrays.
        """
        pa, parquet = arrow()
        with refused(self.path):
            table = self._file.read()
            for name, values in new.items():
                place, field = table.schema.get_field_index(name), table.schema.field(name)
                table = table.set_column(place, field, pa.array([_plain(values)], type=field.type))
            packed = self._file.metadata.row_group(0).column(0).compression.lower()
        target.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(table, target, compression="none" if packed == "uncompressed" else packed)


def write_row(target: Path, columns: Mapping[str, tuple[Any, Any]]) -> None:
    """Write a new file of one row.

    Args:
        target: the file, in a folder that is made.
        columns: Arrow type and value of each, by name.
    """
    pa, parquet = arrow()
    fields = [pa.field(name, kind) for name, (kind, _) in columns.items()]
    arrays = [pa.array([_plain(value)], type=kind) for kind, value in columns.values()]
    target.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.Table.from_arrays(arrays, schema=pa.schema(fields)), target, compression="zstd")


def find_row_file(source: Path, sequence: str | None = None, robot: str | None = None) -> Path:
    """The parquet file at a path, or the only one below a folder, of a sequence and a robot where they are named.

    Raises:
        InputError: there is none, or there are several.
    """
    if source.is_file():
        return source
    found = row_files(source)
    wanted = [
        path
        for path in found
        if sequence in (None, _partitions(path).get("sequence_id"))
        and robot in (None, _partitions(path).get("robot_name"))
    ]
    if not wanted:
        there = ", ".join(sorted({_named(path) for path in found})[:6])
        named = f"of sequence {sequence}, robot {robot}" if found else ""
        raise InputError(
            str(source), f"holds no parquet file {named}".rstrip(), f"there are {there}" if there else _ACCEPTED
        )
    if len(wanted) > 1:
        some = ", ".join(sorted(_named(path) for path in wanted)[:6])
        raise InputError(
            str(source), f"holds {len(wanted)} sequences: {some}", "--sequence NAME, --of-robot NAME or the file"
        )
    return wanted[0]


def row_files(folder: Path) -> list[Path]:
    """Parquet files of a folder and a few below it, links and what may not be looked at left out."""
    found, layer = [], [folder] if folder.is_dir() else []
    for _ in range(_DEPTH):
        entries = [entry for place in layer for entry in _entries(place)]
        found += [Path(entry.path) for entry in entries if entry.name.lower().endswith(".parquet") and entry.is_file()]
        layer = [Path(entry.path) for entry in entries if entry.is_dir()]
        if len(found) > _MOST_FILES:
            raise InputError(str(folder), f"holds more than {_MOST_FILES} parquet files", "name one, or their folder")
    return found


def _entries(folder: Path) -> list[os.DirEntry]:
    try:
        with os.scandir(folder) as entries:
            return sorted((entry for entry in entries if not entry.is_symlink()), key=lambda entry: entry.name)
    except OSError:
        return []


def column_names(path: Path) -> list[str]:
    """Names of the columns of a file; none where it is not read."""
    try:
        _, parquet = arrow()
        return list(parquet.read_schema(path, memory_map=False).names)
    except Exception:  # guesses ask it of any file
        return []


def _named(path: Path) -> str:
    parts = _partitions(path)
    return f"{parts.get('sequence_id', path.name)} ({parts.get('robot_name', 'no robot')})"


def _partitions(path: Path) -> dict[str, str]:
    """What folders named ``key=value`` say, values without their escapes."""
    pairs = (part.split("=", 1) for part in path.absolute().parts[:-1] if "=" in part)
    return {key: unquote(value) for key, value in pairs}


def _is_list(pa: Any, kind: Any) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _plain(values: Any) -> Any:
    if isinstance(values, np.ndarray):
        return values.tolist()
    return [_plain(value) for value in values] if isinstance(values, (list, tuple)) else values


def _words(shape: tuple[int | None, ...]) -> str:
    return f"({', '.join('any' if n is None else str(n) for n in shape)})"


class refused:
    """What Arrow refuses is an InputError about the file."""

    def __init__(self, path: Path):
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, Exception) and not isinstance(error, (InputError, MissingExtraError)):
            raise InputError(str(self._path), f"is no readable parquet file: {reason_of(error)}", _ACCEPTED) from None
