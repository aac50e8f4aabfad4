"""PLY files: triangles and polygons, with the colours of vertices, of faces, or of the textures that comments name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from warpprior.bodies.readers.mesh_files.ply_elements import ACCEPTED, Column, read_tables
from warpprior.bodies.readers.mesh_files.textures import Paint, Textures
from warpprior.bodies.readers.polygons import split_fans
from warpprior.bodies.readers.unreadable import refuse_unreadable
from warpprior.bodies.repair import Surface
from warpprior.support.errors import InputError
from warpprior.support.files import read_bytes

_INDICES = ("vertex_indices", "vertex_index")
_PLACES = (("texture_u", "texture_v"), ("u", "v"), ("s", "t"))
_CHANNELS = ("red", "green", "blue")


def read_ply(path: Path) -> Surface:
    """Surface of a PLY file in its own units; quads and larger polygons are split into fans.

    Colours come from the textures that ``comment TextureFile`` names, with texture coordinates of vertices
    (``texture_u``, ``texture_v``) or of faces (``texcoord``, ``texnumber``), else from vertices, else from faces.

    Raises:
        InputError: damaged, cut short, a point cloud, or too large.
    """
    where = str(path)
    data = read_bytes(path, "a PLY file")
    with refuse_unreadable(where, ACCEPTED):
        tables = read_tables(where, data, ("vertex", "face"))
        vertex, face = (tables.columns.get(name, {}) for name in ("vertex", "face"))
        vertices = _scalars(vertex, "xyz")
        if vertices is None:
            raise InputError(where, "has no vertices with x, y and z", ACCEPTED)
        indices = next((face[name] for name in _INDICES if name in face), None)
        if indices is None:
            raise InputError(where, f"{len(vertices)} points and no faces", ACCEPTED)
        if not np.isfinite(indices.values).all():
            raise InputError(where, "some faces name vertices by what is no number", ACCEPTED)
        polygons, corners = split_fans(where, indices.lengths)
        faces = indices.values.astype(np.int64)[corners]
        if faces.min(initial=0) < 0 or faces.max(initial=-1) >= len(vertices):
            return Surface(vertices, faces)  # which is refused with the face
        places = _corner_places(vertex, face, indices, corners, faces)
        textures = Textures(path, "its colours were left out")
        paint = Paint(vertices)
        for name, chosen in _chosen(tables.textures, face, polygons):
            image = None if places is None else textures.read(name)
            if image is not None and places is not None:
                paint.wear(image, faces[chosen], places[chosen])
        colors = paint.colors()
        colors = _channels(vertex) if colors is None else colors
        if colors is None and (own := _channels(face)) is not None:
            paint.fill(own[polygons], faces)
            colors = paint.colors()
        warnings = list(textures.warnings)
        if colors is None and (places is None) != (not tables.textures):
            missing = "texture coordinates" if places is None else "texture (comment TextureFile NAME)"
            warnings.append(f"it speaks of a texture and has no {missing}; its colours were left out")
        return Surface(vertices, faces, colors, color_warnings=tuple(warnings))


def _scalars(columns: dict[str, Column], names: Sequence[str]) -> np.ndarray | None:
    """Properties that are one number each (row, name); None without them."""
    if not all(name in columns and (columns[name].lengths == 1).all() for name in names):
        return None
    return np.stack([columns[name].values.astype(np.float64) for name in names], axis=1)


def _channels(columns: dict[str, Column]) -> np.ndarray | None:
    """Colours in [0, 1] (row, 3) of red, green and blue; None without them."""
    named = [name if name in columns else f"diffuse_{name}" for name in _CHANNELS]
    colors = _scalars(columns, named)
    if colors is None:
        return None
    kind = columns[named[0]].kind
    largest = float(np.iinfo(kind).max) if kind.kind in "iu" else 255.0 if colors.max(initial=0.0) > 1.0 else 1.0
    return np.clip(colors / largest, 0.0, 1.0)


def _corner_places(
    vertex: dict[str, Column], face: dict[str, Column], indices: Column, corners: np.ndarray, faces: np.ndarray
) -> np.ndarray | None:
    """Texture coordinates of the corners of each triangle (face, 3, 2), or None."""
    if "texcoord" in face and (face["texcoord"].lengths == 2 * indices.lengths).all():
        return face["texcoord"].values.astype(np.float64).reshape(-1, 2)[corners]
    found = (_scalars(vertex, pair) for pair in _PLACES)
    places = next((values for values in found if values is not None), None)
    return None if places is None else places[faces]


def _chosen(names: tuple[str, ...], face: dict[str, Column], polygons: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Each texture with the triangles that wear it, as numbers."""
    numbers = np.zeros(len(polygons), dtype=np.int64)
    if "texnumber" in face and len(names) > 1 and (face["texnumber"].lengths == 1).all():
        numbers = np.clip(np.nan_to_num(face["texnumber"].values), -1, len(names)).astype(np.int64)[polygons]
    order = np.argsort(numbers, kind="stable")
    bounds = np.searchsorted(numbers[order], np.arange(len(names) + 1))
    for number, name in enumerate(names):
        if bounds[number] < bounds[number + 1]:
            yield name, order[bounds[number] : bounds[number + 1]]
