"""OBJ files, read strictly: a number that does not parse or an index that names nothing is an error, not a guess."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from warpprior.bodies.readers.files import read_bytes
from warpprior.bodies.readers.textures import PIXEL_LIMIT, paint_corners, texture_size
from warpprior.bodies.repair import Surface
from warpprior.support.errors import InputError

ACCEPTED = "give an OBJ file with 'v' and 'f' lines"
PLAIN = 0.7  # grey of what has no colour


@dataclass
class _Polygons:
    """What the lines of the file say: one entry per polygon."""

    vertices: list[list[float]] = field(default_factory=list)
    colors: list[list[float]] = field(default_factory=list)
    texture: list[list[float]] = field(default_factory=list)
    corners: list[list[int]] = field(default_factory=list)
    corner_textures: list[list[int]] = field(default_factory=list)
    materials: list[str] = field(default_factory=list)
    libraries: list[str] = field(default_factory=list)


def read_obj(path: Path) -> Surface:
    """Surface of an OBJ file in its own units: all objects and groups, polygons split into fans.

    Colours come from the vertices, else from the textures and diffuse colours of the material library, if that and
    the textures lie in the folder of the file.

    Raises:
        InputError: names the line.
    """
    polygons = _parse(path, read_bytes(path, "an OBJ file").decode("utf-8-sig", errors="replace"))
    vertices = np.array(polygons.vertices, dtype=np.float64).reshape(-1, 3)
    faces = _fans(polygons.corners)
    colors, warnings = None, ()
    if polygons.colors:
        colors = np.array(polygons.colors, dtype=np.float64)
        colors = np.clip(colors / 255.0 if colors.max() > 1.0 else colors, 0.0, 1.0)
    elif any(polygons.materials):
        colors, warnings = _material_colors(path, polygons, vertices, faces)
    return Surface(vertices, faces, colors, warnings=warnings)


def _fans(polygons: list[list[int]]) -> np.ndarray:
    """Triangles (face, 3) of polygons, each split into a fan."""
    faces = [[p[0], p[k], p[k + 1]] for p in polygons for k in range(1, len(p) - 1)]
    return np.array(faces, dtype=np.int64).reshape(-1, 3)


def _parse(path: Path, text: str) -> _Polygons:
    polygons = _Polygons()
    material, with_color = "", None
    number, pending = 0, ""
    for line_number, line in enumerate(text.splitlines(), start=1):
        if not pending:
            number = line_number
        line = pending + line.split("#", 1)[0].strip()
        pending = ""
        if line.endswith("\\"):
            pending = line[:-1] + " "
            continue
        key, _, rest = line.partition(" ") if "\t" not in line else line.replace("\t", " ").partition(" ")
        words = rest.split()
        where = f"{path}, line {number}"
        if key == "v":
            values = _numbers(where, words, (3, 4, 6, 7))
            polygons.vertices.append(values[:3])
            colored = len(values) >= 6
            if with_color is None:
                with_color = colored
            if with_color != colored:
                raise InputError(where, "some vertices have colours and some not", "give all or none of them colours")
            if colored:
                polygons.colors.append(values[-3:])
        elif key == "vt":
            polygons.texture.append([*_numbers(where, words, (1, 2, 3)), 0.0][:2])
        elif key == "f":
            corners, textures = _corners(where, words, len(polygons.vertices), len(polygons.texture))
            polygons.corners.append(corners)
            polygons.corner_textures.append(textures)
            polygons.materials.append(material)
        elif key == "usemtl":
            material = rest.strip()
        elif key == "mtllib":
            polygons.libraries.append(rest.strip())
    return polygons


def _numbers(where: str, words: list[str], counts: tuple[int, ...]) -> list[float]:
    if len(words) not in counts:
        raise InputError(where, f"{len(words)} numbers", f"{' or '.join(map(str, counts))} are accepted")
    try:
        values = [float(word) for word in words]
    except ValueError:
        raise InputError(where, f"{' '.join(words)!r} is not {len(words)} numbers", "write 0.1, not 0,1") from None
    if not np.isfinite(values).all():
        raise InputError(where, f"{' '.join(words)!r}", "coordinates must be finite numbers")
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
        raise InputError(where, f"{word!r} is not a whole number", ACCEPTED) from None
    if index == 0 or abs(index) > count:
        found = f"index {index} of {count} {what} so far"
        accepted = f"indices run from 1 to {count}, or from -{count} to -1" if count else f"{what} come before faces"
        raise InputError(where, found, accepted)
    return index - 1 if index > 0 else count + index


def _material_colors(
    path: Path, polygons: _Polygons, vertices: np.ndarray, faces: np.ndarray
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Vertex colours (vertex, 3) as the mean over the faces that meet there, and warnings."""
    materials: dict[str, tuple[np.ndarray, str]] = {}
    warnings: list[str] = []
    for library in polygons.libraries:
        file = _beside(path, library)
        if file is not None:
            materials.update(_read_materials(file))
    corner_uvs = _fans(polygons.corner_textures)
    names, numbers = np.unique(polygons.materials, return_inverse=True)
    numbers = np.repeat(numbers.reshape(-1), [len(corners) - 2 for corners in polygons.corners])
    places = np.array(polygons.texture, dtype=np.float64).reshape(-1, 2)
    total = np.zeros((len(vertices), 3))
    weight = np.zeros(len(vertices))
    for number, name in enumerate(names.tolist()):
        if name not in materials:
            continue
        color, texture = materials[name]
        mine = numbers == number
        image = _read_texture(path, texture, warnings) if texture else None
        mapped = mine & (corner_uvs >= 0).all(axis=1) & (image is not None)
        # A plain colour is a texture of one pixel.
        parts = [(color.reshape(1, 1, 3), mine & ~mapped, np.zeros((int((mine & ~mapped).sum()), 3, 2)))]
        if image is not None:
            parts.append((image, mapped, places[corner_uvs[mapped]]))
        for picture, chosen, uvs in parts:
            colors, weights = paint_corners(picture, vertices, faces[chosen], uvs)
            total += colors
            weight += weights
    if not weight.any():
        return None, tuple(warnings)
    painted = weight[:, None] > 0.0
    return np.where(painted, total / np.where(painted, weight[:, None], 1.0), PLAIN), tuple(warnings)


def _beside(path: Path, name: str) -> Path | None:
    """The named file, if it is in the folder of ``path`` or below."""
    try:
        folder = path.parent.resolve()
        file = (folder / name.replace("\\", "/")).resolve()
        return file if file.is_relative_to(folder) and file.is_file() else None
    except (OSError, ValueError, RuntimeError):
        return None


def _read_materials(path: Path) -> dict[str, tuple[np.ndarray, str]]:
    """Diffuse colour and texture name of each material."""
    materials: dict[str, tuple[np.ndarray, str]] = {}
    name = None
    for line in read_bytes(path, "a material library").decode("utf-8-sig", errors="replace").splitlines():
        key, _, rest = line.strip().partition(" ")
        if key == "newmtl":
            name = rest.strip()
            materials[name] = (np.full(3, PLAIN), "")
        elif name is not None and key == "Kd":
            values = _numbers(f"{path}, material {name}", rest.split()[:3], (3,))
            materials[name] = (np.clip(values, 0.0, 1.0), materials[name][1])
        elif name is not None and key == "map_Kd" and rest.split():
            materials[name] = (materials[name][0], rest.split()[-1])
    return materials


def _read_texture(path: Path, name: str, warnings: list[str]) -> np.ndarray | None:
    """The texture as RGB (height, width, 3) uint8, or None with a warning."""
    file = _beside(path, name)
    if file is None:
        warnings.append(f"the texture {name!r} is not in its folder; its material's plain colour is used")
        return None
    try:
        import cv2
    except ImportError:
        warnings.append(f"reading the texture {name!r} needs OpenCV; its material's plain colour is used")
        return None
    data = read_bytes(file, "a texture")
    size = texture_size(data)
    if size is None:
        warnings.append(f"the texture {name!r} is no PNG, JPEG or BMP; its material's plain colour is used")
        return None
    if size[0] * size[1] > PIXEL_LIMIT:
        found = f"is {size[0]} x {size[1]} px, more than {PIXEL_LIMIT // 1_000_000} megapixels"
        warnings.append(f"the texture {name!r} {found}; its material's plain colour is used")
        return None
    try:
        image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        image = None
    if image is None:
        warnings.append(f"the texture {name!r} cannot be read; its material's plain colour is used")
        return None
    return image[:, :, ::-1]
