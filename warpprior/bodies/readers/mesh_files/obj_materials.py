"""Material libraries of OBJ files: diffuse colours, textures.  What is wrong in them costs colours, never the mesh."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from warpprior.bodies.readers.mesh_files.textures import beside, quoted
from warpprior.support.errors import InputError
from warpprior.support.files import read_bytes

LIBRARY_BYTES = 16 * 2**20
MOST_LIBRARIES = 64
MOST_NAMED = 8  # in one warning
# Options of a texture and how many words follow each; numbers may be left out where several are taken.
_OPTIONS = {
    **dict.fromkeys(("-blendu", "-blendv", "-boost", "-bm", "-cc", "-clamp", "-imfchan", "-texres", "-type"), 1),
    **dict.fromkeys(("-o", "-s", "-t"), 3),
    "-mm": 2,
}

Material = tuple[np.ndarray | None, str]  # RGB in [0, 1], or None where none can be read; file of its texture, or ""


def read_libraries(path: Path, names: Iterable[str], wanted: set[str]) -> tuple[dict[str, Material], list[str]]:
    """Materials by name, and warnings.

    Args:
        path: the OBJ file; libraries are read from its folder or below.
        names: what each ``mtllib`` line says: a file, or several.
        wanted: materials that faces have.
    """
    materials: dict[str, Material] = {}
    warnings: list[str] = []
    files: dict[Path, None] = {}
    missing: list[str] = []
    for line in names:
        whole = beside(path, line) if line else None
        for name in [line] if whole is not None else line.split():
            file = beside(path, name)
            if file is None:
                missing.append(name)
            else:
                files[file] = None
    if missing:
        said = f"the material librar{'ies' if len(missing) > 1 else 'y'} {_some(missing)} "
        said += f"{'are' if len(missing) > 1 else 'is'} not in the folder of the file"
        warnings.append(f"{said}; colours are missing")
    if len(files) > MOST_LIBRARIES:
        warnings.append(f"it names {len(files)} material libraries; the first {MOST_LIBRARIES} are read")
    for file in list(files)[:MOST_LIBRARIES]:
        try:
            text = read_bytes(file, "a material library", limit=LIBRARY_BYTES).decode("utf-8-sig", errors="replace")
        except InputError as error:
            warnings.append(f"the material library {quoted(file.name)} {error.found}; colours are missing")
            continue
        found, strange = _parse(text)
        materials.update((name, material) for name, material in found.items() if name not in materials)
        strange = [name for name in strange if name in wanted]
        if strange:
            warnings.append(f"{quoted(file.name)}: the colour Kd of {_some(strange)} cannot be read; it was left out")
    undefined = sorted(wanted - set(materials))
    if undefined and not missing:
        warnings.append(f"no material library defines {_some(undefined)}; colours are missing")
    return materials, warnings


def _some(names: list[str]) -> str:
    more = ", ..." if len(names) > MOST_NAMED else ""
    return ", ".join(quoted(name) for name in names[:MOST_NAMED]) + more


def _parse(text: str) -> tuple[dict[str, Material], list[str]]:
    """Materials by name, and those whose colour cannot be read."""
    materials: dict[str, Material] = {}
    strange: list[str] = []
    name = None
    for line in text.splitlines():
        key, *rest = line.split(None, 1) or [""]
        value = rest[0].strip() if rest else ""
        if key == "newmtl":
            name = value
            materials[name] = (None, "")
        elif name is not None and key == "Kd":
            color = _color(value.partition("#")[0].split())
            if color is None:
                strange.append(name)
            materials[name] = (color, materials[name][1])
        elif name is not None and key == "map_Kd":
            materials[name] = (materials[name][0], texture_name(value))
    return materials, strange


def _color(words: list[str]) -> np.ndarray | None:
    """RGB in [0, 1] of ``r g b``, of ``r``, which stands for all three, or of ``xyz x y z``; None for what is none."""
    space = words.pop(0) if words and words[0] == "xyz" else ""
    try:
        values = [float(word) for word in words]
    except ValueError:
        return None
    if len(values) not in (1, 3) or not np.isfinite(values).all():
        return None
    color = np.clip(np.array(values if len(values) == 3 else values * 3), -10.0, 10.0)
    return np.clip(_rgb_from_xyz(color) if space else color, 0.0, 1.0)


def _rgb_from_xyz(xyz: np.ndarray) -> np.ndarray:
    """sRGB of CIE XYZ, whose white is that of D65 with Y = 1 (IEC 61966-2-1)."""
    from warpprior.bodies.readers.mesh_files.linear_light import to_srgb

    matrix = [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]]
    return to_srgb(np.array(matrix) @ xyz)


def texture_name(value: str) -> str:
    """The file of a ``map_Kd``: what follows its options; names may hold blanks."""
    words = value.split()
    at = 0
    while at < len(words) and words[at] in _OPTIONS:
        most = _OPTIONS[words[at]]
        at += 1
        for _ in range(most):
            # Of up to three numbers the file's name is not one.
            if at < len(words) - 1 and (most == 1 or _is_number(words[at])):
                at += 1
    return value.split(None, at)[at] if at < len(words) else ""


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
