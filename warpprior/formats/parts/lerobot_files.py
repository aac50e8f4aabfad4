"""Episodes of a LeRobot data set (v3, v2.1): their files and rows, their columns, and files with some rewritten."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from warpprior.formats.parts.own_files import inside
from warpprior.formats.parts.parquet_row import arrow, refused
from warpprior.formats.parts.text_files import check_reach, entry, read_json
from warpprior.io.scene_file import FRAME_LIMIT
from warpprior.support.errors import InputError
from warpprior.support.files import read_bytes

INFO = "meta/info.json"
_BYTES, _UNPACKED = 1 << 30, 4 << 30
_THRIFT = 8 << 20
_MOST_WIDTH = 100_000
_MOST_SHARDS = 10_000
_ACCEPTED = "give a data set of LeRobot, v3 or v2.1"


class DataFile:
    """A parquet file of frames, of which single columns are decoded.

    Args:
        path: the file.
        within: a folder that it must not lead out of through links.

    Raises:
        InputError: missing, too large or damaged.
        MissingExtraError: pyarrow is not installed.
    """

    def __init__(self, path: Path, within: Path):
        pa, parquet = arrow()
        self.path = path
        data = read_bytes(inside(path, within), "a parquet file of LeRobot", limit=_BYTES)
        with refused(path):
            how = {"thrift_string_size_limit": len(data) + _THRIFT, "thrift_container_size_limit": _THRIFT}
            self._file = parquet.ParquetFile(pa.BufferReader(data), **how)
            described = self._file.metadata
            groups = range(described.num_row_groups)
            size = sum(described.row_group(group).total_byte_size for group in groups)
            self.rows, self.names = described.num_rows, list(self._file.schema_arrow.names)
        if not 0 <= size <= _UNPACKED or len(set(self.names)) < len(self.names):
            raise InputError(str(path), f"unpacks to {size} bytes, or has a column twice", _ACCEPTED)

    def numbers(self, name: str) -> np.ndarray:
        """All rows of a column as (row, value) float64, arrays of more dimensions laid out row by row.

        Raises:
            InputError: there is no such column, it holds no numbers, or rows differ in length.
        """
        pa, _ = arrow()
        where = f"{self.path}: {name}"
        if name not in self.names:
            numbers = [column for column in self.names if "/" not in column]
            raise InputError(where, "there is no such column", f"there are {', '.join(numbers)[:200]}")
        with refused(self.path):
            column = self._file.read(columns=[name]).column(0).combine_chunks()
            column = column.chunk(0) if hasattr(column, "chunk") else column
            column = column.storage if isinstance(column, pa.ExtensionArray) else column
            width = 1
            while pa.types.is_list(column.type) or pa.types.is_large_list(column.type) or _fixed(pa, column.type):
                lengths = (
                    [column.type.list_size] if _fixed(pa, column.type) else set(column.value_lengths().to_pylist())
                )
                if column.null_count or len(lengths) != 1 or None in lengths:
                    raise InputError(where, "has rows of different lengths, or empty ones", "arrays of one shape")
                width *= next(iter(lengths))
                if width > _MOST_WIDTH:
                    raise InputError(where, f"has {width} values in a row", f"at most {_MOST_WIDTH}")
                column = column.flatten()
            kind = column.type
            plain = pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)
            if column.null_count or not plain:
                raise InputError(where, f"holds {kind}"[:80], "needs numbers")
            with np.errstate(invalid="ignore"):
                values = np.array(column.to_numpy(zero_copy_only=False), dtype=np.float64)
        if self.rows == 0 or len(values) != self.rows * width:
            raise InputError(where, f"has {len(values)} values in {self.rows} rows", "arrays of one shape")
        check_reach(values, where)
        return values.reshape(self.rows, width)

    def write(self, target: Path, rows: np.ndarray, new: Mapping[str, np.ndarray]) -> None:
        """Write the file with the values of some columns changed in some rows; all else as it was.

        Args:
            target: the new file, in a folder that is made.
            rows: which.
            new: values (row, value) by column.
        """
        pa, parquet = arrow()
        with refused(self.path):
            table, described = self._file.read(), self._file.metadata
            for name, values in new.items():
                place, field = table.schema.get_field_index(name), table.schema.field(name)
                stored = self.numbers(name)
                stored[rows] = values
                table = table.set_column(place, field, _shaped(pa, stored.ravel(), field.type, table.column(place)))
            packed = described.row_group(0).column(0).compression.lower()
            largest = max(described.row_group(group).num_rows for group in range(described.num_row_groups))
        target.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(
            table, target, compression="none" if packed == "uncompressed" else packed, row_group_size=max(largest, 1)
        )


def _fixed(pa: Any, kind: Any) -> bool:
    return bool(pa.types.is_fixed_size_list(kind))


def _shaped(pa: Any, values: np.ndarray, kind: Any, before: Any) -> Any:
    """Flat values as an array of a column's type, with the lengths of the one before."""
    column = before.combine_chunks()
    column = column.chunk(0) if hasattr(column, "chunk") else column

    def wrap(kind: Any, old: Any) -> Any:
        if isinstance(kind, pa.BaseExtensionType):
            return pa.ExtensionArray.from_storage(kind, wrap(kind.storage_type, old.storage))
        if _fixed(pa, kind):
            return pa.FixedSizeListArray.from_arrays(wrap(kind.value_type, old.flatten()), kind.list_size)
        if pa.types.is_list(kind) or pa.types.is_large_list(kind):
            lengths = np.asarray(old.value_lengths(), dtype=np.int64)
            offsets = np.concatenate([[0], np.cumsum(lengths)])
            maker = pa.LargeListArray if pa.types.is_large_list(kind) else pa.ListArray
            width = pa.int64() if pa.types.is_large_list(kind) else pa.int32()
            return maker.from_arrays(pa.array(offsets, type=width), wrap(kind.value_type, old.flatten()), type=kind)
        with np.errstate(over="ignore"):
            return pa.array(values, type=pa.float64()).cast(kind, safe=False)

    return wrap(kind, column)


class Episodes:
    """What a data set says of itself, and where its episodes are.

    Args:
        root: folder with ``meta/info.json``.

    Raises:
        InputError: it is no data set of LeRobot, or of another version.
    """

    def __init__(self, root: Path):
        self.root = root
        path = root / INFO
        self.info = read_json(path, "meta/info.json of LeRobot")
        version = str(entry(self.info, "codebase_version", str(path)))
        if not version.startswith(("v3.", "v2.")):
            raise InputError(f"{path}: codebase_version", f"is {version[:20]!r}", "v3.0 or v2.1")
        self.is_v3 = version.startswith("v3.")
        self.count = self._count("total_episodes")
        fps = entry(self.info, "fps", str(path))
        if isinstance(fps, bool) or not isinstance(fps, (int, float)) or not 0.01 <= fps <= 10_000.0:
            raise InputError(f"{path}: fps", f"is {str(fps)[:20]}", "frames per second")
        self.fps = float(fps)

    def _count(self, key: str) -> int:
        value = entry(self.info, key, str(self.root / INFO))
        if type(value) is not int or not 0 <= value < 10**8:
            raise InputError(f"{self.root / INFO}: {key}", f"is {str(value)[:20]}", "needs a count")
        return value

    def find(self, episode: int) -> tuple[DataFile, np.ndarray]:
        """The file of an episode, and its rows there.

        Raises:
            InputError: there is no such episode, or its file has not its rows.
        """
        if not 0 <= episode < self.count:
            raise InputError(str(self.root), f"has {self.count} episodes, and no {episode}", "--episode N")
        file = DataFile(self.root / self._path(episode), within=self.root)
        rows = np.flatnonzero(file.numbers("episode_index")[:, 0] == episode)
        if not 1 <= len(rows) <= FRAME_LIMIT:
            raise InputError(str(file.path), f"has {len(rows)} frames of episode {episode}", f"1 to {FRAME_LIMIT}")
        if "frame_index" in file.names:
            numbers = file.numbers("frame_index")[rows, 0]
            rows = rows[np.argsort(numbers, kind="stable")]
            if not np.array_equal(np.sort(numbers), np.arange(len(rows))):
                raise InputError(f"{file.path}: frame_index", f"of episode {episode} is not 0, 1, 2, ...", _ACCEPTED)
        return file, rows

    def _path(self, episode: int) -> str:
        chunk_size = self.info.get("chunks_size", 1000)
        template = str(self.info.get("data_path", ""))
        if self.is_v3:
            chunk, number = self._shard(episode)
            words = {"chunk_index": chunk, "file_index": number}
            template = template or "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
        else:
            chunk = episode // max(chunk_size if type(chunk_size) is int else 1000, 1)
            words = {"episode_chunk": chunk, "episode_index": episode}
            template = template or "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
        for key, value in words.items():
            for width in (3, 6):
                template = template.replace(f"{{{key}:{width:02d}d}}", f"{value:0{width}d}")
            template = template.replace(f"{{{key}}}", str(value))
        if "{" in template or len(template) > 500 or template.startswith("/") or ".." in template.split("/"):
            raise InputError(f"{self.root / INFO}: data_path", f"is {template[:80]!r}", _ACCEPTED)
        return template

    def _shard(self, episode: int) -> tuple[int, int]:
        """Chunk and file of an episode, by the tables of episodes; there may be several of those."""
        files = sorted((self.root / "meta/episodes").glob("chunk-*/file-*.parquet"))[:_MOST_SHARDS]
        for path in files:
            table = DataFile(path, self.root)
            if table.rows == 0:
                continue
            at = np.flatnonzero(table.numbers("episode_index")[:, 0] == episode)
            if len(at):
                found = [table.numbers(f"data/{key}")[at[0], 0] for key in ("chunk_index", "file_index")]
                if all(value == int(value) and 0 <= value < 10**6 for value in found):
                    return int(found[0]), int(found[1])
                raise InputError(str(path), f"names no file of episode {episode}", _ACCEPTED)
        raise InputError(str(self.root / "meta/episodes"), f"does not name episode {episode}", _ACCEPTED)
