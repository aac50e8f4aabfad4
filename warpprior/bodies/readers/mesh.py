"""Rigid bodies from mesh files: OBJ, PLY, STL, glTF, COLLADA and USD."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from warpprior.bodies.body import Body, rigid_body
from warpprior.bodies.readers.animated_usd import name_of, read_usd_mesh
from warpprior.bodies.readers.kinds import MAX_EXTENT, MIN_EXTENT, BodyKind, BodySource, BodyTarget
from warpprior.bodies.repair import Surface, repair_surface
from warpprior.bodies.size_prior import LEAST_FACTORS, MOST_FACTORS, RANGE, SIGMA, SIGMAS, SizePrior
from warpprior.support.errors import InputError
from warpprior.support.limits import ABOVE_ZERO, number, within
from warpprior.support.openusd import ENDINGS as USD_ENDINGS
from warpprior.support.openusd import is_prim, is_stage

if TYPE_CHECKING:
    from pxr import Usd

# Ending of a file -> the module below ``mesh_files`` that reads it, imported when it is first needed, by read_<module>.
READERS = {".obj": "obj", ".ply": "ply", ".stl": "stl", ".glb": "gltf", ".gltf": "gltf", ".dae": "dae"}
SMALL_EXTENT = 0.02  # [m], below which a body is rather in another unit than so small
UNITS = {"millimetres": 0.001, "centimetres": 0.01, "inches": 0.0254, "metres": 1.0}


def read_mesh(
    path: Path | str | Usd.Stage | Usd.Prim, name: str, *, scale: float = 1.0, prim: str | None = None
) -> Body:
    """A rigid body from a mesh file, in the file's own frame.

    Args:
        path: ``.obj``, ``.ply``, ``.stl``, ``.glb``, ``.gltf``, ``.dae`` or USD; all objects of the file are one body.
            Or a stage that is open, or a prim of it, in whose frame the body then is.
        name: name of the body.
        scale: metres per unit of the file; of USD, a factor beside its ``metersPerUnit``.
        prim: of USD, the prim that is wanted with all below it, and in whose frame; None: all, in the stage's world.

    Returns:
        The body; ``warnings`` says what was repaired, ``closed`` whether the surface is watertight.

    Raises:
        InputError: the file is damaged or holds no surface, or its size cannot be in metres.
    """
    if not (is_stage(path) or is_prim(path)):
        path = Path(cast("str | Path", path))
    if not within(scale, *ABOVE_ZERO):
        raise InputError(f"{name}: mesh_scale", f"{scale}", "give metres per unit of the file, more than 0")
    if not isinstance(path, Path) or path.suffix.lower() in USD_ENDINGS:
        vertices, faces, colors, notes = read_usd_mesh(path, prim)
        surface = Surface(vertices, faces, colors, warnings=notes)
    elif prim is not None:
        raise InputError(str(path), f"has no prims, as prim = {prim[:80]!r} says", "leave it out, or give a USD file")
    else:
        surface = read_surface(path)
    where = name_of(path)
    surface = repair_surface(where, replace(surface, vertices=surface.vertices * scale))
    warnings = surface.warnings + surface.color_warnings + check_size(where, surface.vertices, scale=scale)
    extent = float(np.ptp(surface.vertices, axis=0).max())
    if extent < SMALL_EXTENT and (others := _other_scales(extent / scale)):
        warnings += (f"its largest side is only {1e3 * extent:.3g} mm; is it in another unit? {others}",)
    return rigid_body(
        name,
        surface.vertices,
        surface.faces,
        colors=None if surface.colors is None else surface.colors.astype(np.float32),
        closed=surface.closed,
        warnings=warnings,
    )


def read_surface(path: Path) -> Surface:
    """Triangles of a mesh file as they are, in the file's units; not yet repaired."""
    kind = READERS.get(path.suffix.lower())
    if kind is None:
        found = f"{path.suffix!r} files are not read" if path.suffix else "has no file extension"
        raise InputError(str(path), found, f"give one of {', '.join((*READERS, *USD_ENDINGS))}")
    module = importlib.import_module(f"warpprior.bodies.readers.mesh_files.{kind}")
    return getattr(module, f"read_{kind}")(path)


def _other_scales(extent: float) -> str:
    """What ``mesh_scale`` would make of a largest side in the file's units, for each unit that gives a likely size."""
    sizes = {factor: f"({unit}) makes it {1e3 * extent * factor:.3g} mm" for unit, factor in UNITS.items()}
    likely = [f"{factor} {text}" for factor, text in sizes.items() if SMALL_EXTENT <= extent * factor <= MAX_EXTENT]
    return f"mesh_scale = {', '.join(likely)}" if likely else ""


def check_size(where: str, vertices: np.ndarray, hint: str = "", *, scale: float = 1.0) -> tuple[str, ...]:
    """Warnings about where a surface lies in its frame.

    Args:
        where: the file, for messages.
        vertices: (vertex, 3) [m].
        hint: how to mend the size; empty: by ``mesh_scale``.
        scale: metres per unit of the file, as ``mesh_scale`` says it.

    Raises:
        InputError: it is larger than 5 m or smaller than 1 mm, or too far from its origin for single precision.
    """
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    extent = float((high - low).max())
    size = " x ".join(f"{value:.4g}" for value in high - low)
    if extent > MAX_EXTENT:
        hint = hint or f"say its unit in scene.toml: {_other_scales(extent / scale) or 'mesh_scale'}"
        raise InputError(where, f"its size is {size} m", f"sizes from 1 mm to 5 m are accepted: {hint}")
    if extent < MIN_EXTENT:
        hint = hint or "set mesh_scale in scene.toml, for instance 1000 if the file is in kilometres"
        raise InputError(where, f"its size is {size} m", f"sizes from 1 mm to 5 m are accepted: {hint}")
    distance = float(np.linalg.norm(0.5 * (low + high)))
    if distance > 1e3 * extent:
        found = f"it lies {distance:.4g} m from its own origin and is {extent:.4g} m large"
        raise InputError(where, found, "move its origin to the object: single precision cannot hold its shape there")
    if distance > 2.0 * extent:
        return (f"it lies {distance:.3g} m from its own origin; small rotations will move it far",)
    return ()


@dataclass(frozen=True)
class MeshKeys:
    """Keys of a mesh in ``scene.toml``: ``mesh_scale`` are metres per unit of the file, ``prim`` is the prim of USD.

    ``scale = "estimate"`` says that its size is to be found; see :class:`warpprior.SizePrior` for the other keys.
    """

    mesh_scale: float = number(1.0, *ABOVE_ZERO)
    prim: str | None = None
    scale: Literal["known", "estimate"] = "known"
    scale_sigma: float = number(SIGMA, *SIGMAS)
    scale_least: float = number(RANGE[0], *LEAST_FACTORS)
    scale_most: float = number(RANGE[1], *MOST_FACTORS)


class MeshKind(BodyKind):
    """A rigid body; it is written as OBJ, as it was repaired."""

    name = "mesh"
    Keys = MeshKeys

    def read(self, source: BodySource) -> tuple[Body, None]:
        """The mesh in metres."""
        keys = source.keys
        return read_mesh(source.file, name=source.name, scale=keys.mesh_scale, prim=keys.prim), None

    def size(self, keys: MeshKeys) -> SizePrior | None:
        """What is likely of its size, where that is to be estimated."""
        if keys.scale == "known":
            return None
        return SizePrior(keys.scale_sigma, (keys.scale_least, keys.scale_most))

    def write(self, body: Body, target: BodyTarget) -> dict[str, Any]:
        """An OBJ file, in metres."""
        path = target.folder / f"{target.stem}.obj"
        columns = [body.vertices] if body.colors is None else [body.vertices, body.colors]
        rows = np.concatenate(columns, axis=1).astype(np.float64)
        vertex_lines = ("v " + " ".join(f"{value:.9g}" for value in row) for row in rows)
        face_lines = ("f {} {} {}".format(*(face + 1)) for face in body.faces)
        path.write_text("\n".join([*vertex_lines, *face_lines, ""]), encoding="ascii", newline="\n")
        return {"path": path.name}


KIND = MeshKind()
