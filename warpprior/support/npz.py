"""Archives of arrays (.npz): what each array says it is comes first, and only what is asked for is unpacked."""

from __future__ import annotations

import math
import os
import struct
import zipfile
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np

from warpprior.support.errors import InputError, reason_of
from warpprior.support.file_starts import not_what
from warpprior.support.files import check_size, open_regular, read_bytes

MOST_DIRECTORY = 1 << 20  # bytes of the archive's list of its arrays
MOST_HEADER = 4096  # bytes in which an array says what it is; NumPy needs 128
MOST_RATIO = 1032  # deflate does not pack better
PLAIN = "biufcSUmM"  # kinds of values that are no Python objects
_CHUNK = 1 << 20
_START = 4096  # bytes that show what a file is
_END = 65557  # bytes that the end of an archive may have
_READ_HEADER = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class NpzArrays(Mapping[str, np.ndarray]):
    """Arrays of one file by name, each unpacked when it is asked for; pickled objects in it are not read.

    Args:
        path: the file.
        what: what it should be, for messages about the file: ``"a mesh"``.
        accepted: what to do, for messages about its contents.
        limit: largest accepted size of the file [bytes].
        unpacked: largest accepted size of all arrays that are asked for [bytes].

    Raises:
        InputError: missing, too large or damaged; where an array is asked for: it is damaged, no plain array, or larger
            than it may be.
    """

    def __init__(self, path: Path | str, what: str, accepted: str, *, limit: int, unpacked: int):
        self._path, self._where, self._accepted = path, str(path), accepted
        self._left, self._most = unpacked, unpacked
        self._state: tuple[int, int] | None = None
        self._entries: dict[str, zipfile.ZipInfo] = {}
        self._read: dict[str, np.ndarray] = {}
        with self._opened() as stream:
            check_size(os.fstat(stream.fileno()).st_size, self._where, what, limit)
            start = stream.read(_START)
            if not start:
                raise InputError(self._where, "is empty", accepted)
            if not start.startswith(b"PK"):
                raise InputError(self._where, not_what(start, "an .npz archive"), accepted)
            if _directory_bytes(stream) > MOST_DIRECTORY:
                raise InputError(self._where, "is damaged, or lists far too many arrays", accepted)
            with self._refused():
                entries = zipfile.ZipFile(stream).infolist()
        for entry in entries:
            name = entry.filename.removesuffix(".npy")
            if name in self._entries:
                raise InputError(self._place(name), "is in the file twice", accepted)
            self._entries[name] = entry

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries  # without unpacking it

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._read:
            entry = self._entries[name]
            with self._opened() as stream, self._refused(name):
                self._read[name] = self._unpack(name, entry, zipfile.ZipFile(stream))
        return self._read[name]

    def is_plain(self, name: str) -> bool:
        """Does an array hold no pickled objects?"""
        return not self._header(name)[2].hasobject

    def stored(self, name: str) -> bytes:
        """The ``.npy`` file of one array as it is stored, for those who read the objects in it themselves."""
        entry = self._entries[name]
        if entry.file_size > self._left:
            found = f"has {entry.file_size / 2**20:.0f} MiB"
            raise InputError(self._place(name), found, f"at most {self._most / 2**20:.0f} MiB in all are read")
        self._left -= entry.file_size
        self._header(name)
        with self._opened() as stream, self._refused(name), zipfile.ZipFile(stream).open(entry) as packed:
            return bytes(_read_rest(packed, b"", entry.file_size))

    def _header(self, name: str) -> tuple[tuple[int, ...], bool, np.dtype]:
        """Shape, whether columns come first, and type, as the array says them."""
        with self._opened() as stream, self._refused(name):
            with self._entry(name, self._entries[name], zipfile.ZipFile(stream)) as packed:
                return read_header(BytesIO(packed.read(MOST_HEADER)))

    @contextmanager
    def _opened(self) -> Iterator[BufferedReader]:
        """The file, open as long as something is read from it: open files cannot be replaced on Windows."""
        with open_regular(self._path, self._where, self._accepted) as raw:
            status = os.fstat(raw.fileno())
            state = status.st_size, status.st_mtime_ns
            if self._state not in (None, state):
                raise InputError(self._where, "was written to while it was read", "wait until it is complete")
            self._state = state
            yield BufferedReader(raw)

    def _unpack(self, name: str, entry: zipfile.ZipInfo, archive: zipfile.ZipFile) -> np.ndarray:
        with self._entry(name, entry, archive) as stream:
            header = BytesIO(stream.read(MOST_HEADER))
            shape, fortran, dtype = read_header(header)
            if dtype.kind not in PLAIN:
                found = "holds pickled objects" if dtype.hasobject else f"holds records ({str(dtype)[:40]})"
                raise InputError(self._place(name), found, self._accepted)
            count, start = math.prod(shape), header.read()
            size = count * dtype.itemsize
            if header.tell() - len(start) + size != entry.file_size or count > entry.file_size:
                raise ValueError("it is not as long as it says")
            if size > self._left:
                found = f"has shape {shape} and type {dtype}, {size / 2**20:.0f} MiB"
                raise InputError(self._place(name), found, f"at most {self._most / 2**20:.0f} MiB in all are read")
            self._left -= size
            data = _read_rest(stream, start, size)
        return np.ndarray(shape, dtype, data, order="F" if fortran else "C")

    def _entry(self, name: str, entry: zipfile.ZipInfo, archive: zipfile.ZipFile) -> IO[bytes]:
        """One array, unpacked as it is read."""
        if not entry.filename.endswith(".npy"):
            raise InputError(self._place(name), "is not an array", self._accepted)
        ratio = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: MOST_RATIO}.get(entry.compress_type)
        if ratio is None or entry.flag_bits & 1:
            found = "is encrypted" if entry.flag_bits & 1 else "is packed in another way than numpy.savez packs"
            raise InputError(self._place(name), found, self._accepted)
        if entry.file_size > ratio * (entry.compress_size + 1):
            raise ValueError(f"{entry.compress_size} bytes cannot hold {entry.file_size}")
        return archive.open(entry)

    def _place(self, name: str) -> str:
        return f"{self._where}: {name[:80]}"

    @contextmanager
    def _refused(self, name: str = "") -> Iterator[None]:
        """Whatever zipfile, zlib and NumPy raise on damaged bytes becomes an :class:`InputError`."""
        try:
            yield
            return
        except InputError:
            raise
        except Exception as error:
            where = self._place(name) if name else self._where
            raise InputError(where, f"cannot be unpacked: {reason_of(error)}", self._accepted) from None


def read_npz(
    path: Path | str, what: str, accepted: str, keys: Container[str], *, limit: int, unpacked: int
) -> dict[str, np.ndarray]:
    """Arrays of an ``.npz`` file by name, those of ``keys`` only; arguments and errors as of :class:`NpzArrays`."""
    arrays = NpzArrays(path, what, accepted, limit=limit, unpacked=unpacked)
    return {key: arrays[key] for key in arrays if key in keys}


def read_npy(path: Path | str, what: str, accepted: str, *, limit: int = 1 << 30) -> np.ndarray:
    """The plain array of an ``.npy`` file, not to be written to; arguments as of :class:`NpzArrays`.

    Raises:
        InputError: missing, too large or damaged, or pickled objects.
    """
    where = str(path)
    data = read_bytes(path, what, limit=limit, accepted=accepted)
    stream = BytesIO(data[:MOST_HEADER])
    try:
        shape, fortran, dtype = read_header(stream)
    except ValueError as error:
        raise InputError(where, f"is no .npy file: {error}", accepted) from None
    if dtype.kind not in PLAIN:
        raise InputError(where, "holds pickled objects" if dtype.hasobject else "holds records", accepted)
    size, start = math.prod(shape) * dtype.itemsize, stream.tell()
    if start + size != len(data):
        raise InputError(where, "is not as long as it says", accepted)
    return np.ndarray(shape, dtype, data, start, order="F" if fortran else "C")


def _directory_bytes(stream: BinaryIO) -> int:
    """Size of the archive's list as its end states it; as large as can be where there is no sound end."""
    whole = stream.seek(0, os.SEEK_END)
    stream.seek(max(whole - _END - 76, 0))
    data = stream.read()
    place = data.rfind(b"PK\5\6", max(len(data) - _END, 0))
    if place < 0 or len(data) - place < 22:
        return whole
    (size,) = struct.unpack_from("<I", data, place + 12)
    if data[max(place - 20, 0) : place].startswith(b"PK\6\7"):  # of more than 2 GiB: stated again before it
        if place < 76 or data[place - 76 : place - 72] != b"PK\6\6":
            return whole
        size = max(struct.unpack_from("<Q", data, place - 36)[0], 0 if size == 0xFFFFFFFF else size)
    return size


def read_header(stream: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether columns come first, and type of an array."""
    try:
        version = np.lib.format.read_magic(stream)
        shape, fortran, dtype = _READ_HEADER[version](stream, max_header_size=MOST_HEADER)
        good = len(shape) <= 32 and all(type(n) is int and n >= 0 for n in shape) and dtype.subdtype is None
    except Exception:  # its text is evaluated as a Python literal, which fails in many ways
        good = False
    if not good:
        raise ValueError("it does not say what array it is")
    return shape, fortran, dtype


def _read_rest(stream, start: bytes, size: int) -> bytearray:
    """``size`` bytes that begin with ``start``; the last of them make the archive compare its checksum."""
    data = bytearray(size)
    data[: len(start)] = start
    place = len(start)
    while place < size:
        part = stream.read(min(_CHUNK, size - place))
        if not part:
            raise ValueError("it is cut short")
        data[place : place + len(part)] = part
        place += len(part)
    return data
