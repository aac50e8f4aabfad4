"""Meshes of glTF 2 files: every triangle of the scene, placed where its node puts it, with its colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from warpprior.bodies.readers.mesh_files.glb import Glb
from warpprior.bodies.readers.mesh_files.gltf_colors import GltfColors
from warpprior.bodies.readers.unreadable import refuse_unreadable
from warpprior.bodies.repair import Surface
from warpprior.support.errors import InputError

TRIANGLES, STRIP, FAN = 4, 5, 6


def read_gltf(path: Path) -> Surface:
    """Surface of a glTF 2 file [m]: every mesh of the scene, placed where its node puts it.

    A ``.glb`` is read alone; of a ``.gltf`` also what it names in its folder or below.

    Raises:
        InputError: damaged, cut short, compressed, without triangles, or too large, as often as nodes show its meshes.
    """
    accepted = "give a complete, plain glTF 2 file with triangles"
    with refuse_unreadable(str(path), accepted):
        glb = Glb(path)
        nodes = glb.listed("nodes")
        drawn = [index for index in glb.shown_nodes() if "mesh" in nodes[index]]
        glb.check_drawn([nodes[index] for index in drawn])
        world, _ = glb.world()
        parts: dict[int, list] = {}
        colors = GltfColors(glb)
        warnings: dict[str, None] = {}
        placed: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        start = 0
        colored = False
        for index in drawn:
            mesh = nodes[index]["mesh"]
            if mesh not in parts:
                parts[mesh] = list(_parts(glb, glb.item("meshes", mesh), colors, warnings))
            for points, faces, painted in parts[mesh]:
                matrix = world[index]
                # A mirrored node turns its faces inside out.
                turned = faces[:, ::-1] if np.linalg.det(matrix[:3, :3]) < 0.0 else faces
                colored = colored or painted is not None
                bare = np.broadcast_to(np.nan, points.shape) if painted is None else painted
                placed.append((points @ matrix[:3, :3].T + matrix[:3, 3], turned + start, bare))
                start += len(points)
    if not placed:
        return Surface(np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64), warnings=tuple(warnings))
    vertices, faces, painted = (np.concatenate(values) for values in zip(*placed, strict=True))
    return Surface(
        vertices, faces, painted if colored else None, warnings=tuple(warnings), color_warnings=colors.warnings
    )


def _parts(glb: Glb, mesh: dict, colors: GltfColors, warnings: dict[str, None]):
    """Vertices, faces and colours of each primitive that is a surface."""
    if any(mesh.get("weights", ())):
        warnings["morph targets were left out"] = None
    for primitive in mesh["primitives"]:
        found = read_triangles(glb, primitive)
        if found is None:
            warnings["lines and points were left out"] = None
            continue
        points, faces = found
        yield points, faces, colors.read(primitive, points, faces)


def read_triangles(glb: Glb, primitive: dict) -> tuple[np.ndarray, np.ndarray] | None:
    """Vertices (vertex, 3) and faces (face, 3) of a primitive; None where it is no surface."""
    mode = primitive.get("mode", TRIANGLES)
    if mode not in (TRIANGLES, STRIP, FAN):
        return None
    points = glb.array(primitive["attributes"]["POSITION"]).astype(np.float64)
    if points.shape[1] != 3:
        raise InputError(str(glb.path), f"positions of {points.shape[1]} numbers", "the file is damaged")
    if "indices" in primitive:
        corners = glb.array(primitive["indices"]).astype(np.int64).reshape(-1)
    else:
        corners = np.arange(len(points))
    if len(corners) and corners.max() >= len(points):
        found = f"a face uses vertex {corners.max()} of {len(points)}"
        raise InputError(str(glb.path), found, "the file is damaged")
    if mode == TRIANGLES:
        return points, corners[: len(corners) // 3 * 3].reshape(-1, 3)
    steps = np.arange(max(len(corners) - 2, 0))
    if mode == FAN:
        return points, np.column_stack([corners[steps + 1], corners[steps + 2], corners[np.zeros_like(steps)]])
    return points, np.column_stack([corners[steps], corners[steps + 1 + steps % 2], corners[steps + 2 - steps % 2]])
