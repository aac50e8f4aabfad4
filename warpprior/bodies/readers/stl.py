"""STL files, text and binary: the header's count is compared with the size of the file before anything is allocated."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from warpprior.bodies.readers.files import read_bytes
from warpprior.bodies.repair import Surface
from warpprior.support.errors import InputError

RECORD = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
HEADER_BYTES = 84


def read_stl(path: Path) -> Surface:
    """Surface of an STL file in its own units, three vertices per face.

    Raises:
        InputError: the file is cut short, its header claims more or fewer faces than it holds, or text does not parse.
    """
    data = read_bytes(path, "an STL file")
    count = int.from_bytes(data[80:84], "little") if len(data) >= HEADER_BYTES else -1
    fits = len(data) == HEADER_BYTES + RECORD.itemsize * count
    # Binary files may begin with "solid" as well: the size decides, the word only when the size does not fit.
    if not fits and data.lstrip()[:5].lower() == b"solid":
        corners = _read_text(path, data)
    elif fits:
        corners = np.frombuffer(data, dtype=RECORD, offset=HEADER_BYTES)["corners"].astype(np.float64)
    else:
        held = max(len(data) - HEADER_BYTES, 0) // RECORD.itemsize
        found = f"its header claims {count} faces, its size has room for {held}" if count >= 0 else "is cut short"
        raise InputError(str(path), found, "give a complete binary or text STL file")
    faces = np.arange(3 * len(corners), dtype=np.int64).reshape(-1, 3)
    return Surface(corners.reshape(-1, 3), faces)


def _read_text(path: Path, data: bytes) -> np.ndarray:
    words = data.decode("utf-8-sig", errors="replace").split()
    starts = [index for index, word in enumerate(words) if word == "vertex"]
    ends = sum(word == "endfacet" for word in words)
    if len(starts) != 3 * ends or (words and "endsolid" not in words):
        found = f"{len(starts)} vertices for {ends} finished faces"
        raise InputError(str(path), found, "give a complete text STL file of triangles")
    try:
        numbers = [[float(word) for word in words[start + 1 : start + 4]] for start in starts]
        return np.array(numbers, dtype=np.float64).reshape(-1, 3, 3)
    except ValueError:
        raise InputError(str(path), "a vertex is not three numbers", "give a complete text STL file") from None
