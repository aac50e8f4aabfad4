"""PLY files as tables: what the header declares is compared with the size of the file before anything is expanded."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field

import numpy as np

from warpprior.bodies.readers.text_numbers import text_numbers
from warpprior.bodies.repair import MAX_FACES
from warpprior.support.errors import InputError

ACCEPTED = "give a complete PLY file with vertices and faces"
HEADER_BYTES = 2**18
MOST_ROWS = 3 * MAX_FACES  # of one element
MOST_PROPERTIES = 256
MOST_WALKED = 4 * MOST_ROWS  # values of rows that differ in length
_TYPES = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"),
    **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"),
    **dict.fromkeys(("uint", "uint32"), "u4"),
    "int64": "i8",
    "uint64": "u8",
    **dict.fromkeys(("float", "float32"), "f4"),
    **dict.fromkeys(("double", "float64"), "f8"),
}


@dataclass(frozen=True)
class _Property:
    name: str
    kind: np.dtype
    count_kind: np.dtype | None  # of lists


@dataclass
class _Element:
    name: str
    count: int
    properties: list[_Property] = field(default_factory=list)


@dataclass(frozen=True)
class Column:
    """A property of every row: ``values`` one behind the other, ``lengths`` how many each row has (row,)."""

    values: np.ndarray
    lengths: np.ndarray
    kind: np.dtype


@dataclass(frozen=True)
class PlyTables:
    """Columns by element and property, and the textures that comments name."""

    columns: dict[str, dict[str, Column]]
    textures: tuple[str, ...]


def read_tables(where: str, data: bytes, wanted: tuple[str, ...]) -> PlyTables:
    """The elements of these names, and those before them.

    Raises:
        InputError: no PLY header, more rows than the file has room for or than are accepted, or what is no number.
    """
    match = re.search(rb"^end_header[ \t]*(\r\n|\n|\r)", data[:HEADER_BYTES], re.MULTILINE)
    if not data.startswith(b"ply") or match is None:
        raise InputError(where, "has no PLY header", ACCEPTED)
    elements, form, textures = _parse_header(where, data[: match.start()])
    for element in elements:
        if element.count > len(data):
            raise InputError(where, f"its header claims {element.count} of {element.name!r}", ACCEPTED)
        limit = MAX_FACES if element.name == "face" else MOST_ROWS
        if element.count > limit:
            accepted = f"at most {limit} are accepted: simplify it to {MAX_FACES} faces"
            raise InputError(where, f"its header claims {element.count} of {element.name!r}", accepted)
    source = _Text(where, data[match.end() :]) if form == "ascii" else _Binary(data, match.end(), form)
    columns: dict[str, dict[str, Column]] = {}
    for element in elements:
        if all(name in columns for name in wanted):
            break
        columns[element.name] = _read_element(where, element, source)
    return PlyTables(columns, textures)


def _parse_header(where: str, header: bytes) -> tuple[list[_Element], str, tuple[str, ...]]:
    elements: list[_Element] = []
    form, textures = "", []
    for line in header.decode("utf-8", errors="replace").splitlines():
        words = line.split()
        match words[:1]:
            case ["format"] if len(words) == 3:
                form = words[1]
            case ["comment"] if words[1:2] == ["TextureFile"]:
                textures.append(line.partition("TextureFile")[2].strip())
            case ["element"]:
                if len(words) != 3 or not words[2].isdecimal() or len(words[2]) > 12:
                    raise InputError(where, f"its header says {line.strip()[:80]!r}", ACCEPTED)
                elements.append(_Element(words[1][:40], int(words[2])))
            case ["property"]:
                kinds = [_TYPES.get(word) for word in (words[2:4] if words[1:2] == ["list"] else words[1:2])]
                if not elements or not kinds or None in kinds or len(words) != 2 + len(kinds) + (len(kinds) == 2):
                    raise InputError(where, f"its header says {line.strip()[:80]!r}", ACCEPTED)
                order = ">" if form == "binary_big_endian" else "<"
                found = [np.dtype(f"{order}{kind}") for kind in kinds]
                count_kind = found[0] if len(found) == 2 else None
                if count_kind is not None and count_kind.kind == "f":
                    raise InputError(where, f"its header says {line.strip()[:80]!r}", ACCEPTED)
                elements[-1].properties.append(_Property(words[-1], found[-1], count_kind))
    if form not in ("ascii", "binary_little_endian", "binary_big_endian"):
        raise InputError(where, f"its format is {form[:40]!r}", ACCEPTED)
    if sum(len(element.properties) for element in elements) > MOST_PROPERTIES:
        raise InputError(where, f"has more than {MOST_PROPERTIES} properties", ACCEPTED)
    return elements, form, tuple(textures)


class _Text:
    """Numbers of a text file; places are counted in numbers."""

    def __init__(self, where: str, text: bytes):
        try:
            self.numbers = text_numbers(text)
        except ValueError:
            raise InputError(where, "holds what is not a number", ACCEPTED) from None
        self.at, self.end = 0, len(self.numbers)

    def size(self, kind: np.dtype) -> int:
        return 1

    def count(self, at: int, kind: np.dtype) -> int:
        value = self.numbers[at]
        return int(value) if 0 <= value < 2**31 and value == int(value) else -1

    def table(self, at: int, shape: tuple[int, int], stride: int, kind: np.dtype) -> np.ndarray:
        return np.ndarray(shape, np.float64, self.numbers.data, 8 * at, (8 * stride, 8))

    def gather(self, places: np.ndarray, kind: np.dtype) -> np.ndarray:
        return self.numbers[places]


class _Binary:
    """Bytes of a binary file; places are counted in bytes."""

    def __init__(self, data: bytes, at: int, form: str):
        self.data, self.at, self.end = data, at, len(data)

    def size(self, kind: np.dtype) -> int:
        return kind.itemsize

    def count(self, at: int, kind: np.dtype) -> int:
        code = {"i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "i8": "q", "u8": "Q"}[kind.str[1:]]
        order = ">" if kind.str[0] == ">" else "<"
        return struct.unpack_from(order + code, self.data, at)[0]

    def table(self, at: int, shape: tuple[int, int], stride: int, kind: np.dtype) -> np.ndarray:
        return np.ndarray(shape, kind, self.data, at, (stride, kind.itemsize))

    def gather(self, places: np.ndarray, kind: np.dtype) -> np.ndarray:
        whole = np.frombuffer(self.data, dtype=np.uint8)
        return whole[places[:, None] + np.arange(kind.itemsize)].view(kind).reshape(-1)


def _read_element(where: str, element: _Element, source: _Text | _Binary) -> dict[str, Column]:
    """The columns of an element; ``source.at`` is behind it afterwards."""
    if element.count == 0 or not element.properties:
        return {}
    lengths, stride = _first_row(where, element, source)
    room = (source.end - source.at) // stride
    columns: dict[str, Column] = {}
    place, even = source.at, room >= element.count
    for entry, length in zip(element.properties, lengths, strict=True):
        if not even:
            break
        if entry.count_kind is not None:
            even = bool((source.table(place, (element.count, 1), stride, entry.count_kind) == length).all())
            place += source.size(entry.count_kind)
        if even:
            values = source.table(place, (element.count, length), stride, entry.kind)
            columns[entry.name] = Column(values.reshape(-1), np.broadcast_to(length, element.count), entry.kind)
        place += length * source.size(entry.kind)
    if even:
        source.at += element.count * stride
        return columns
    if all(entry.count_kind is None for entry in element.properties):
        raise _cut_short(where, element, room)
    return _read_uneven(where, element, source)


def _cut_short(where: str, element: _Element, held: int) -> InputError:
    found = f"its header claims {element.count} of {element.name!r}, it holds {held}"
    return InputError(where, found, ACCEPTED)


def _first_row(where: str, element: _Element, source: _Text | _Binary) -> tuple[list[int], int]:
    """How many values each property of the first row has, and where the next row begins."""
    lengths, at = [], source.at
    for entry in element.properties:
        length = 1
        if entry.count_kind is not None:
            at += source.size(entry.count_kind)
            if at > source.end:
                raise _cut_short(where, element, 0)
            length = source.count(at - source.size(entry.count_kind), entry.count_kind)
        at += length * source.size(entry.kind)
        if length < 0 or at > source.end:
            raise _cut_short(where, element, 0)
        lengths.append(length)
    return lengths, max(at - source.at, 1)


def _read_uneven(where: str, element: _Element, source: _Text | _Binary) -> dict[str, Column]:
    """The same where rows have lists of different lengths: walked row by row, then gathered."""
    count, width = element.count, len(element.properties)
    if count * width > MOST_WALKED:
        found = f"{count} of {element.name!r} with lists of different lengths"
        raise InputError(where, found, f"simplify it to at most {MOST_WALKED // width}")
    starts, lengths = np.zeros((width, count), dtype=np.int64), np.ones((width, count), dtype=np.int64)
    steps = [
        (number, entry.count_kind, source.size(entry.count_kind or entry.kind), source.size(entry.kind))
        for number, entry in enumerate(element.properties)
    ]
    at, end = source.at, source.end
    for row in range(count):
        for number, count_kind, head, size in steps:
            length = 1
            if count_kind is not None:
                if at + head > end:
                    raise _cut_short(where, element, row)
                length = source.count(at, count_kind)
                at += head
                lengths[number, row] = length
            starts[number, row] = at
            at += length * size
            if length < 0 or at > end:
                raise _cut_short(where, element, row)
    source.at = at
    columns = {}
    for number, entry in enumerate(element.properties):
        own = lengths[number]
        within = np.arange(own.sum()) - np.repeat(np.cumsum(own) - own, own)
        places = np.repeat(starts[number], own) + within * source.size(entry.kind)
        columns[entry.name] = Column(source.gather(places, entry.kind), own, entry.kind)
    return columns
