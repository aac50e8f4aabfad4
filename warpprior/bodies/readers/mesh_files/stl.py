"""STL files, text and binary: the header's count is compared with the size of the file before anything is allocated."""

from __future__ import annotations

import re
from array import array
from pathlib import Path

import numpy as np

from warpprior.bodies.repair import MAX_FACES, Surface
from warpprior.support.errors import InputError
from warpprior.support.files import read_bytes

RECORD = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
HEADER_BYTES = 84
# Words of their own: each begins with its letters, which are searched for quickly, and looks back at what is before.
_VERTEX = re.compile(rb"vertex(?<=\svertex)" + rb"\s{1,16}(\S{1,64})" * 3)
_FACET_END = re.compile(rb"endfacet(?<=\sendfacet)(?=\s|$)")
_SOLID_END = re.compile(rb"endsolid(?<=\sendsolid)(?=\s|$)")


def read_stl(path: Path) -> Surface:
    """Surface of an STL file in its own units, three vertices per face.

    Raises:
        InputError: the file is cut short, its header claims more or fewer faces than it holds, or text does not parse.
    """
    data = read_bytes(path, "an STL file")
    count = int.from_bytes(data[80:84], "little") if len(data) >= HEADER_BYTES else -1
    fits = len(data) == HEADER_BYTES + RECORD.itemsize * count
    # Binary files may begin with "solid" as well: the size decides, the word only when the size does not fit.
    if not fits and data.removeprefix(b"\xef\xbb\xbf").lstrip()[:5].lower() == b"solid":
        corners = _read_text(path, data)
    elif fits:
        _check_count(path, count)
        corners = np.frombuffer(data, dtype=RECORD, offset=HEADER_BYTES)["corners"].astype(np.float64)
    else:
        held = max(len(data) - HEADER_BYTES, 0) // RECORD.itemsize
        found = f"its header claims {count} faces, its size has room for {held}" if count >= 0 else "is cut short"
        raise InputError(str(path), found, "give a complete binary or text STL file")
    faces = np.arange(3 * len(corners), dtype=np.int64).reshape(-1, 3)
    return Surface(corners.reshape(-1, 3), faces)


def _check_count(path: Path, count: int) -> None:
    if count > MAX_FACES:
        raise InputError(str(path), f"{count} faces", f"simplify it to at most {MAX_FACES}")


def _read_text(path: Path, data: bytes) -> np.ndarray:
    accepted = "give a complete text STL file of triangles"
    _check_count(path, data.count(b"endfacet"))
    ends = sum(1 for _ in _FACET_END.finditer(data))
    numbers = array("d")
    try:
        for match in _VERTEX.finditer(data):
            if len(numbers) == 9 * MAX_FACES:
                raise InputError(str(path), f"more than {3 * MAX_FACES} vertices", accepted)
            numbers.extend(map(float, match.groups()))
    except ValueError:
        raise InputError(str(path), "a vertex is not three numbers", accepted) from None
    if len(numbers) != 9 * ends or _SOLID_END.search(data) is None:
        raise InputError(str(path), f"{len(numbers) // 3} vertices for {ends} finished faces", accepted)
    return np.array(numbers, dtype=np.float64).reshape(-1, 3, 3)
