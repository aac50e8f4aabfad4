"""Meshes of a result whose bodies were given in another size than they were found to have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from warpprior.bodies.readers.kinds import BodyTarget, find_kind
from warpprior.io.result_folder import read_record
from warpprior.io.scene_writer import file_stems
from warpprior.result import Result

PREFIX, SUFFIX = "mesh_", ".obj"


def mesh_files(result: Result) -> dict[str, str]:
    """Name of the file of each body whose size was estimated, by the body's name."""
    items = result.scene.bodies
    stems = file_stems([item.name for item in items])
    return {item.name: f"{PREFIX}{stems[item.name]}{SUFFIX}" for item in items if item.size is not None}


def former_mesh_files(folder: Path) -> list[str]:
    """Names of those that the result in a folder says it wrote; none where its record is damaged."""
    try:
        record = read_record(folder) or {}
    except ValueError:
        return []
    parts = record.get("parts")
    named = [name for name in parts if isinstance(name, str)] if isinstance(parts, dict) else []
    return [name for name in named if name.startswith(PREFIX) and name.endswith(SUFFIX) and Path(name).name == name]


def write_meshes(result: Result, folder: Path) -> None:
    """Write each of them as OBJ, in metres, in the size that was found."""
    kind = find_kind("mesh")
    assert kind is not None, "it is built in"
    for name, file in mesh_files(result).items():
        body = result.scene.body(name).body
        vertices = (body.vertices.astype(np.float64) * result.poses[name].scale).astype(np.float32)
        kind.write(replace(body, vertices=vertices), BodyTarget(folder, file.removesuffix(SUFFIX)))
