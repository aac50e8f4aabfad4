"""OBJ files, read strictly: a number that does not parse or an index that names nothing is an error, not a guess."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from warpprior.bodies.readers.mesh_files.obj_materials import MOST_LIBRARIES, read_libraries
from warpprior.bodies.readers.mesh_files.textures import Paint, Textures
from warpprior.bodies.repair import MAX_FACES, Surface
from warpprior.support.errors import InputError
from warpprior.support.files import read_bytes

ACCEPTED = "give an OBJ file with 'v' and 'f' lines"
SIMPLER = f"simplify it to at most {MAX_FACES} faces"
LONGEST_LINE = 2**20  # bytes, with its continuations
MOST_MATERIALS = 100_000
_NAMING = ("usemtl", "mtllib")


@dataclass
class _Elements:
    """What the lines of the file say; triangles are the fans of its polygons."""

    vertices: array = field(default_factory=lambda: array("d"))
    colors: array = field(default_factory=lambda: array("d"))
    texture: array = field(default_factory=lambda: array("d"))
    corners: array = field(default_factory=lambda: array("q"))
    corner_textures: array = field(default_factory=lambda: array("q"))
    face_materials: array = field(default_factory=lambda: array("q"))
    materials: dict[str, int] = field(default_factory=lambda: {"": 0})
    libraries: dict[str, None] = field(default_factory=dict)


def read_obj(path: Path) -> Surface:
    """Surface of an OBJ file in its own units: all objects and groups, polygons split into fans.

    Colours come from the vertices, else from the textures and diffuse colours of the material libraries, if those and
    the textures lie in the folder of the file.

    Raises:
        InputError: names the line.
    """
    data = read_bytes(path, "an OBJ file")
    _count(path, data)
    elements = _parse(path, data)
    vertices = np.array(elements.vertices, dtype=np.float64).reshape(-1, 3)
    faces = np.array(elements.corners, dtype=np.int64).reshape(-1, 3)
    colors, warnings = None, ()
    if elements.colors:
        colors = np.array(elements.colors, dtype=np.float64).reshape(-1, 3)
        colors = np.clip(colors / 255.0 if colors.max() > 1.0 else colors, 0.0, 1.0)
    elif len(elements.materials) > 1 or elements.libraries:
        colors, warnings = _material_colors(path, elements, vertices, faces)
    return Surface(vertices, faces, colors, color_warnings=warnings)


def _count(path: Path, data: bytes) -> None:
    """Refuse what is too large before it is parsed."""
    limits = [
        ("faces", b"\nf", 1),
        ("vertices", b"\nv ", 3),
        ("texture coordinates", b"\nvt ", 3),
        ("lines", b"\n", 12),
    ]
    for what, start, factor in limits:
        limit = factor * MAX_FACES
        if data.count(start) > limit:
            raise InputError(str(path), f"more than {limit} {what}", SIMPLER)


def _lines(path: Path, data: bytes) -> Iterator[tuple[int, str, str]]:
    """Number, key and rest of each line that says something; those that end in a backslash go on in the next."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    if b"\n" not in data:
        data = data.replace(b"\r", b"\n")
    current = number = at = length = 0
    parts: list[str] = []
    while at < len(data):
        current += 1
        end = data.find(b"\n", at)
        end = len(data) if end < 0 else end
        length += end - at
        if length > LONGEST_LINE:
            raise InputError(f"{path}, line {current}", f"is longer than {LONGEST_LINE} bytes", ACCEPTED)
        line = data[at:end].decode("utf-8", errors="replace").strip()
        if not line.startswith(_NAMING):  # names may hold a #
            line = line.partition("#")[0].rstrip()
        at = end + 1
        number = number if parts else current
        if line.endswith("\\"):
            parts.append(line[:-1])
            length += 1
            continue
        words = (" ".join([*parts, line]) if parts else line).split(None, 1)
        parts, length = [], 0
        if words:
            yield number, words[0], words[1] if len(words) > 1 else ""


def _parse(path: Path, data: bytes) -> _Elements:
    elements = _Elements()
    material, with_color = 0, None
    vertex_count = texture_count = 0
    for number, key, rest in _lines(path, data):
        where = f"{path}, line {number}"
        if key == "v":
            values = read_numbers(where, rest.split(), (3, 4, 6, 7))
            elements.vertices.extend(values[:3])
            vertex_count += 1
            if vertex_count > 3 * MAX_FACES:  # of indented lines, which were not counted before
                raise InputError(str(path), f"more than {3 * MAX_FACES} vertices", SIMPLER)
            colored = len(values) >= 6
            if with_color is None:
                with_color = colored
            if with_color != colored:
                raise InputError(where, "some vertices have colours and some not", "give all or none of them colours")
            if colored:
                elements.colors.extend(values[-3:])
        elif key == "vt":
            elements.texture.extend([*read_numbers(where, rest.split(), (1, 2, 3)), 0.0][:2])
            texture_count += 1
            if texture_count > 3 * MAX_FACES:
                raise InputError(str(path), f"more than {3 * MAX_FACES} texture coordinates", SIMPLER)
        elif key == "f":
            corners, textures = _corners(where, rest.split(), vertex_count, texture_count)
            for k in range(1, len(corners) - 1):
                elements.corners.extend((corners[0], corners[k], corners[k + 1]))
                elements.corner_textures.extend((textures[0], textures[k], textures[k + 1]))
                elements.face_materials.append(material)
            if len(elements.face_materials) > MAX_FACES:
                raise InputError(str(path), f"more than {MAX_FACES} faces", SIMPLER)
        elif key == "usemtl":
            known = elements.materials
            material = known.setdefault(rest, len(known)) if len(known) < MOST_MATERIALS else known.get(rest, 0)
        elif key == "mtllib" and len(elements.libraries) <= MOST_LIBRARIES:
            elements.libraries[rest] = None
    return elements


def read_numbers(where: str, words: list[str], counts: tuple[int, ...]) -> list[float]:
    """The numbers of a line.

    Raises:
        InputError: another count of them, or not finite.
    """
    if len(words) not in counts:
        raise InputError(where, f"{len(words)} numbers", f"{' or '.join(map(str, counts))} are accepted")
    try:
        values = [float(word) for word in words]
    except ValueError:
        found = f"{' '.join(words)[:80]!r} is not {len(words)} numbers"
        raise InputError(where, found, "write 0.1, not 0,1") from None
    if not all(abs(value) < np.inf for value in values):
        raise InputError(where, f"{' '.join(words)[:80]!r}", "coordinates must be finite numbers")
    return values


def _corners(where: str, words: list[str], vertex_count: int, texture_count: int) -> tuple[list[int], list[int]]:
    """Vertex and texture numbers of one polygon, counted from 0; -1 for no texture."""
    if len(words) < 3:
        raise InputError(where, f"a face of {len(words)} corners", "faces have three corners or more")
    corners, textures = [], []
    for word in words:
        parts = word.split("/")
        corners.append(_index(where, parts[0], vertex_count, "vertices"))
        has_texture = len(parts) > 1 and parts[1] != ""
        textures.append(_index(where, parts[1], texture_count, "texture coordinates") if has_texture else -1)
    return corners, textures


def _index(where: str, word: str, count: int, what: str) -> int:
    """Number counted from 0 of an index counted from 1, or from the end when negative."""
    try:
        index = int(word)
    except ValueError:
        raise InputError(where, f"{word[:80]!r} is not a whole number", ACCEPTED) from None
    if index == 0 or abs(index) > count:
        found = f"index {word[:20]} of {count} {what} so far"
        accepted = f"indices run from 1 to {count}, or from -{count} to -1" if count else f"{what} come before faces"
        raise InputError(where, found, accepted)
    return index - 1 if index > 0 else count + index


def _material_colors(
    path: Path, elements: _Elements, vertices: np.ndarray, faces: np.ndarray
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Vertex colours (vertex, 3) as the mean over the faces that meet there, and warnings."""
    materials, warnings = read_libraries(path, elements.libraries, set(elements.materials) - {""})
    textures = Textures(path)
    uvs = np.array(elements.corner_textures, dtype=np.int64).reshape(-1, 3)
    places = np.array(elements.texture, dtype=np.float64).reshape(-1, 2)
    numbers = np.array(elements.face_materials, dtype=np.int64)
    order = np.argsort(numbers, kind="stable")
    bounds = np.searchsorted(numbers[order], np.arange(len(elements.materials) + 1))
    paint = Paint(vertices)
    for name, number in elements.materials.items():
        mine = order[bounds[number] : bounds[number + 1]]
        if name not in materials or len(mine) == 0:
            continue
        color, texture = materials[name]
        image = textures.read(texture) if texture else None
        mapped = (uvs[mine] >= 0).all(axis=1) & (image is not None)
        if image is not None:
            worn = mine[mapped]
            paint.wear(image, faces[worn], places[uvs[worn]])
        if color is not None:
            paint.fill(color, faces[mine[~mapped]])
    return paint.colors(), (*warnings, *textures.warnings)
