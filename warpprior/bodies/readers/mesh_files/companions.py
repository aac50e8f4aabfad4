"""Files that a mesh names: material libraries, textures and buffers, which belong to it when it is copied."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from warpprior.bodies.readers.mesh_files.obj_materials import texture_name
from warpprior.bodies.readers.mesh_files.textures import beside
from warpprior.support.files import read_bytes

MOST = 1000
_NAMES = {
    ".obj": re.compile(rb"^[ \t]*mtllib[ \t]+([^\r\n]+)", re.MULTILINE),
    ".mtl": re.compile(rb"^[ \t]*map_Kd[ \t]+([^\r\n]+)", re.MULTILINE),
    ".ply": re.compile(rb"^comment[ \t]+TextureFile[ \t]+([^\r\n]+)", re.MULTILINE),
    ".gltf": re.compile(rb'"uri"\s*:\s*"([^"]{1,1000})"'),
    ".dae": re.compile(rb"<(?:init_from|ref)>([^<]+)</"),
}


def named_files(mesh: Path) -> list[Path]:
    """The files in the folder of a mesh, or below, that it names, and that these name; none for what is no mesh."""
    found: dict[Path, None] = {}
    waiting = [mesh]
    while waiting and len(found) < MOST:
        for file in _direct(waiting.pop()):
            if file not in found:
                found[file] = None
                waiting += [file] if file.suffix.lower() == ".mtl" else []
    return list(found)


def _direct(path: Path) -> Iterator[Path]:
    kind = path.suffix.lower()
    if kind not in _NAMES:
        return
    for match in _NAMES[kind].finditer(read_bytes(path, "a mesh")):
        text = match.group(1).decode("utf-8", errors="replace").strip()
        names = {".obj": [text, *text.split()], ".mtl": [texture_name(text)]}.get(kind, [unquote(text)])
        yield from filter(None, (beside(path, name) for name in names if name))
