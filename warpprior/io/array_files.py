"""Archives of arrays (.npz), never with pickled objects in them."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import numpy as np

from warpprior.io.atomic import atomic_write
from warpprior.support.errors import InputError
from warpprior.support.file_starts import not_what

BYTES_LIMIT = 4 << 30


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Every array of an ``.npz`` file, read in one go.

    Raises:
        InputError: the file is missing, empty, truncated, too large, no ``.npz``, or holds pickled objects.
    """
    path = Path(path)
    accepted = "needs an .npz file of plain arrays, as numpy.savez writes it"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(str(path), f"cannot be read: {error.strerror}", accepted) from error
    if not data.startswith(b"PK"):
        raise InputError(str(path), "is empty" if not data else not_what(data, "an .npz archive"), accepted)
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > BYTES_LIMIT:
            raise InputError(str(path), f"unpacks to {size} bytes", f"at most {BYTES_LIMIT} bytes")
        with np.load(BytesIO(data), allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except InputError:
        raise
    except Exception as error:  # zipfile, zlib and numpy raise a dozen kinds on damaged bytes; all mean the same here
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(str(path), f"cannot be unpacked: {reason}", accepted) from error
    for key, value in arrays.items():
        if not isinstance(value, np.ndarray):
            raise InputError(f"{path}: {key}", "is not an array", accepted)
    return arrays


def write_arrays(path: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays as ``.npz``, atomically; equal arrays give equal bytes.

    Raises:
        RunError: the file system refused.
    """
    with atomic_write(path) as stream:
        np.savez(stream, **cast(dict[str, Any], arrays))  # its own arguments come by name, too
