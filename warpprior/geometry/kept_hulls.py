"""Hulls that were found before, kept by a hash of the surface they are of; see :mod:`warpprior.support.kept_files`.

What is damaged, or was made for something else, is as if it were not there.
"""

from __future__ import annotations

import numpy as np

from warpprior.bodies.repair import Surface
from warpprior.bodies.simplify import simplified
from warpprior.geometry.hulls import GAP, MOST_CORNERS, MOST_HULLS, Hull, convex_parts
from warpprior.support.errors import InputError
from warpprior.support.kept_files import hash_of, keep, kept_folder, touch
from warpprior.support.npz import read_npz

VERSION = 1  # of how hulls are found: what an older one left is not taken
FOLDER = "convex_hulls"
MANY_FACES = 6000  # beyond which a surface is simplified before it is cut
ERROR = 1e-3  # of that [m]
_ENTRY_BYTES = 4 << 20
_KEYS = ("key", "vertices", "faces", "vertex_counts", "face_counts")


def kept_parts(
    vertices: np.ndarray, faces: np.ndarray, *, closed: bool = True, most: int = MOST_HULLS, corners: int = MOST_CORNERS
) -> tuple[Hull, ...]:
    """:func:`warpprior.geometry.hulls.convex_parts`, found once for each surface.

    Surfaces of many faces are simplified first, which moves the hulls by at most a millimetre.
    """
    key = hash_of(f"{VERSION} {closed} {most} {corners} {GAP!r} {MANY_FACES} {ERROR!r}", (vertices, faces))
    found = _load(key, most, corners)
    if found is None:
        cut = (vertices, faces)
        if len(faces) > MANY_FACES:
            surface = Surface(np.asarray(vertices, np.float64), np.asarray(faces, np.int64), closed=closed)
            fewer = simplified(surface, ERROR)
            cut = (vertices[fewer.kept], fewer.faces)
        found = convex_parts(*cut, closed=closed, most=most, corners=corners)
        arrays = {
            "vertices": np.concatenate([hull.vertices for hull in found]),
            "faces": np.concatenate([hull.faces for hull in found]),
            "vertex_counts": np.array([len(hull.vertices) for hull in found], np.int32),
            "face_counts": np.array([len(hull.faces) for hull in found], np.int32),
        }
        keep(kept_folder(FOLDER), key, arrays)
    return found


def _load(key: str, most: int, most_corners: int) -> tuple[Hull, ...] | None:
    path = kept_folder(FOLDER) / f"{key}.npz"
    if not path.is_file():
        return None
    try:
        arrays = read_npz(path, "convex hulls", "", _KEYS, limit=_ENTRY_BYTES, unpacked=_ENTRY_BYTES)
        vertices, faces, vertex_counts, face_counts = (arrays[name] for name in _KEYS[1:])
        if not (
            str(arrays["key"]) == key
            and vertices.dtype == np.float32
            and faces.dtype == vertex_counts.dtype == face_counts.dtype == np.int32
            and 1 <= len(vertex_counts) <= most
            and len(face_counts) == len(vertex_counts)
            and vertices.shape == (vertex_counts.sum(), 3)
            and faces.shape == (face_counts.sum(), 3)
            and vertex_counts.min() >= 4
            and vertex_counts.max() <= most_corners
            and face_counts.min() >= 4
            and bool(np.isfinite(vertices).all())
        ):
            return None
        corners = np.split(vertices, np.cumsum(vertex_counts)[:-1])
        triangles = np.split(faces, np.cumsum(face_counts)[:-1])
        if any(part.min() < 0 or part.max() >= len(own) for own, part in zip(corners, triangles, strict=True)):
            return None
    except (InputError, KeyError, ValueError, TypeError):
        return None
    touch(path)
    return tuple(Hull(own, part) for own, part in zip(corners, triangles, strict=True))
