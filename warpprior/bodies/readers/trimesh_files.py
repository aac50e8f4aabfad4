"""PLY and GLB files through trimesh, with the counts their headers declare compared with what was read."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path

import numpy as np

from warpprior.bodies.readers.files import read_bytes, refuse_unreadable
from warpprior.bodies.readers.textures import PIXEL_LIMIT, look_up, paint_corners
from warpprior.bodies.repair import MAX_FACES, Surface
from warpprior.support.errors import InputError


def read_ply(path: Path) -> Surface:
    """Surface of a PLY file in its own units; quads and larger polygons are split.

    Raises:
        InputError: damaged, cut short, or a point cloud.
    """
    data = read_bytes(path, "a PLY file")
    accepted = "give a complete PLY file with vertices and faces"
    with refuse_unreadable(str(path), accepted):
        declared = _ply_counts(data)
        for what, count in declared.items():
            if count > len(data):
                raise InputError(str(path), f"its header claims {count} of {what!r}", accepted)
        if declared.get("face", 0) == 0:
            raise InputError(str(path), f"{declared.get('vertex', 0)} points and no faces", accepted)
        surface = _load(data, "ply")
    found = {"vertex": len(surface.vertices), "face": len(surface.faces)}
    for what in ("vertex", "face"):
        if found[what] < declared.get(what, 0):
            message = f"its header claims {declared[what]} of {what!r}, it holds {found[what]}"
            raise InputError(str(path), message, accepted)
    return surface


def read_glb(path: Path) -> Surface:
    """Surface of a binary glTF file [m]: every mesh of the scene, placed where its node puts it.

    Nothing outside the file is read.

    Raises:
        InputError: damaged, cut short, compressed in a way trimesh cannot read, or without triangles.
    """
    data = read_bytes(path, "a GLB file")
    accepted = "give a self-contained GLB (binary glTF 2) file with triangles"
    with refuse_unreadable(str(path), accepted):
        _check_glb(str(path), data, accepted)
        return _load(data, "glb")


def _ply_counts(data: bytes) -> dict[str, int]:
    header, end, _ = data[:65536].partition(b"end_header")
    if not header.startswith(b"ply") or not end:
        raise ValueError("no PLY header")
    lines = [line.split() for line in header.decode("ascii", errors="replace").splitlines()]
    return {words[1]: int(words[2]) for words in lines if len(words) == 3 and words[0] == "element"}


def _check_glb(where: str, data: bytes, accepted: str) -> None:
    if len(data) < 20:
        raise InputError(where, f"has {len(data)} bytes, less than a header", accepted)
    magic, version, length = struct.unpack_from("<4sII", data)
    if magic != b"glTF" or version != 2:
        raise ValueError("no glTF 2 header")
    if length != len(data):
        raise InputError(where, f"its header claims {length} bytes, it has {len(data)}", accepted)
    chunk_length, chunk_type = struct.unpack_from("<I4s", data, 12)
    if chunk_type != b"JSON":
        raise ValueError("no JSON chunk")
    tree = json.loads(data[20 : 20 + chunk_length])
    required = tree.get("extensionsRequired", [])
    compressed = [name for name in required if "compression" in name.lower()]
    if compressed:
        raise InputError(where, f"needs {', '.join(map(str, compressed))}", "save it without compression")
    # An accessor without a buffer is zeros of any size it likes.
    largest = max((int(accessor.get("count", 0)) for accessor in tree.get("accessors", [])), default=0)
    if largest > 3 * MAX_FACES:
        raise InputError(where, f"an array of {largest} elements", f"simplify it to at most {MAX_FACES} faces")


def _load(data: bytes, kind: str) -> Surface:
    import trimesh

    loaded = trimesh.load(io.BytesIO(data), file_type=kind, process=False)
    parts = [(np.eye(4), loaded)]
    if isinstance(loaded, trimesh.Scene):
        nodes = [loaded.graph[node] for node in loaded.graph.nodes_geometry]
        parts = [(placement, loaded.geometry[name]) for placement, name in nodes]
    vertices, faces, colors = [], [], []
    for placement, mesh in parts:
        if not isinstance(mesh, trimesh.Trimesh):
            continue
        offset = sum(map(len, vertices))
        corners = np.asarray(mesh.faces, dtype=np.int64)
        # A mirrored node turns its faces inside out.
        corners = corners[:, ::-1] if np.linalg.det(placement[:3, :3]) < 0.0 else corners
        vertices.append(np.asarray(mesh.vertices, dtype=np.float64) @ placement[:3, :3].T + placement[:3, 3])
        faces.append(corners + offset)
        colors.append(_colors(mesh))
    if not vertices:
        return Surface(np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64))
    painted = None
    if any(color is not None for color in colors):
        grey = [np.full((len(v), 3), 0.7) for v in vertices]
        painted = np.concatenate([g if c is None else c for g, c in zip(grey, colors, strict=True)])
    return Surface(np.concatenate(vertices), np.concatenate(faces), painted)


def _colors(mesh) -> np.ndarray | None:
    """Vertex colours in [0, 1] (vertex, 3): its own, its texture's around each vertex, or its material's."""
    kind = mesh.visual.kind
    if kind is None:
        return None
    try:
        painted = _texture_colors(mesh) if kind == "texture" else None
        if painted is not None:
            return painted
        visual = mesh.visual.to_color() if kind == "texture" else mesh.visual
        colors = np.asarray(visual.vertex_colors, dtype=np.float64)[:, :3] / 255.0
    except Exception:  # a picture that cannot be decoded costs the colours, not the mesh
        return None
    return colors if colors.shape == (len(mesh.vertices), 3) else None


def _texture_colors(mesh) -> np.ndarray | None:
    """Colours of a mesh with a texture; None where its material is plain."""
    material = mesh.visual.material
    picture = getattr(material, "baseColorTexture", None) or getattr(material, "image", None)
    uvs = mesh.visual.uv
    if picture is None or uvs is None or len(uvs) != len(mesh.vertices):
        return None
    if picture.width * picture.height > PIXEL_LIMIT:
        raise ValueError("a texture of too many pixels")
    image = np.asarray(picture.convert("RGB"))
    uvs = np.asarray(uvs, dtype=np.float64)
    total, weight = paint_corners(image, np.asarray(mesh.vertices), np.asarray(mesh.faces), uvs[mesh.faces])
    lone = weight <= 0.0
    total[lone] = look_up(image, uvs[lone])
    colors = total / np.where(lone, 1.0, weight)[:, None]
    factor = getattr(material, "baseColorFactor", None)
    if factor is None:
        return colors
    factor = np.asarray(factor)
    return colors * factor[:3] / (255.0 if factor.dtype.kind in "iu" else 1.0)
