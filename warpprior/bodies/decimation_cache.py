"""What is left of surfaces that were simplified before, kept beside the kernel cache by a hash of what they came from.

An entry names vertices and faces of the surface that is asked about, which is at hand: it holds no places, and nothing
in it is run.  What is damaged, or was made for something else, is as if it were not there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from warpprior.support.errors import InputError
from warpprior.support.kept_files import hash_of, keep, kept_folder, touch
from warpprior.support.npz import read_npz

VERSION = 2  # of how surfaces are simplified: what an older one left is not taken
FOLDER = "simplified_meshes"
ENTRY_BYTES = 64 << 20
_KEYS = ("key", "kept", "faces", "error", "shifts")


@dataclass(frozen=True)
class Decimated:
    """Faces (face, 3) between some vertices (kept,) of a surface, and how far the two surfaces are apart [m].

    The vertices are moved along their normals by ``shifts`` (kept,) [m], where there are some.
    """

    kept: np.ndarray
    faces: np.ndarray
    error: float
    shifts: np.ndarray | None = None


def key_of(vertices: np.ndarray, faces: np.ndarray, colors: np.ndarray | None, error: float, balanced: bool) -> str:
    """Hash of everything that a result depends on."""
    given = (vertices, faces, np.empty(0) if colors is None else colors)
    return hash_of(f"{VERSION} {error!r} {balanced}", given)


def load(key: str, vertex_count: int, face_count: int, error: float) -> Decimated | None:
    """The entry of that key, or None where there is none that could be."""
    path = kept_folder(FOLDER) / f"{key}.npz"
    if not path.is_file():
        return None
    try:
        arrays = read_npz(path, "a simplified mesh", "", _KEYS, limit=ENTRY_BYTES, unpacked=ENTRY_BYTES)
        kept, faces, shifts = arrays["kept"], arrays["faces"], arrays["shifts"]
        good = (
            str(arrays["key"]) == key
            and kept.dtype == faces.dtype == np.int32
            and kept.ndim == 1
            and faces.ndim == 2
            and faces.shape[1] == 3
            and 0 < len(faces) <= face_count
            and 0 <= kept.min()
            and kept.max() < vertex_count
            and bool((np.diff(kept) > 0).all())
            and np.array_equal(np.unique(faces), np.arange(len(kept)))
            and 0.0 <= float(arrays["error"]) <= error
            and shifts.dtype == np.float64
            and shifts.shape in ((0,), kept.shape)
            and bool((np.abs(shifts) <= error).all())
        )
    except (InputError, KeyError, ValueError, TypeError):
        return None
    if not good:
        return None
    touch(path)
    return Decimated(kept, faces.astype(np.int64), float(arrays["error"]), shifts if len(shifts) else None)


def store(key: str, found: Decimated) -> None:
    """Keep an entry, whole or not at all; where nothing can be written, nothing is."""
    kept, faces = found.kept.astype(np.int32), found.faces.astype(np.int32)
    shifts = np.empty(0) if found.shifts is None else found.shifts
    keep(kept_folder(FOLDER), key, {"kept": kept, "faces": faces, "error": np.array(found.error), "shifts": shifts})
