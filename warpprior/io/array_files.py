"""Archives of arrays (.npz) of a scene or a result, never with pickled objects in them."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from warpprior.io.atomic import atomic_write
from warpprior.support.npz import NpzArrays
from warpprior.support.wording import nearest

BYTES_LIMIT = 4 << 30
_BASE_BYTES = 64 << 20
_FRAME_BYTES = 1 << 20  # of all bodies; a covariance of 45 joints takes 20 kB


def read_arrays(path: str | Path, *, frame_count: int | None = None) -> NpzArrays:
    """The arrays of an ``.npz`` file by name, each unpacked when it is asked for.

    Args:
        path: the file.
        frame_count: of the sequence that they are of: far larger arrays are not unpacked.  None: up to 4 GiB are.

    Raises:
        InputError: the file is missing, empty, truncated, too large, or no ``.npz``; where an array is asked for: it is
            damaged or holds pickled objects.
    """
    what = "an .npz file of plain arrays, as numpy.savez writes it"
    most = BYTES_LIMIT if frame_count is None else min(BYTES_LIMIT, _BASE_BYTES + _FRAME_BYTES * frame_count)
    return NpzArrays(path, what, f"needs {what}", limit=BYTES_LIMIT, unpacked=most)


def note_strangers(arrays: Iterable[str], names: Container[str], fields: Sequence[str], notes: list[str]) -> None:
    """Note keys ``body/field`` of bodies that there are not, and of fields that there are not.

    Args:
        arrays: the keys.
        names: of the bodies.
        fields: that are known.
        notes: warnings are appended.
    """
    strangers = sorted({key.partition("/")[0] for key in arrays if key.partition("/")[0] not in names})
    if strangers:
        notes.append(f"holds {', '.join(strangers)}, which no body is called; ignored")
    for key in arrays:
        name, _, field = key.partition("/")
        if name in names and field not in fields:
            notes.append(f"{key} is not a known field ({nearest(field, fields)}ignored)")


def write_arrays(path: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays as ``.npz``, atomically; equal arrays give equal bytes.

    Raises:
        RunError: the file system refused.
    """
    with atomic_write(path) as stream:
        np.savez(stream, **cast(dict[str, Any], arrays))  # its own arguments come by name, too
