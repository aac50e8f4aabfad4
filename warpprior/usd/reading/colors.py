"""Colours of a mesh's vertices: of its materials, or its ``displayColor``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from warpprior.bodies.readers.mesh_files.linear_light import to_srgb

if TYPE_CHECKING:
    from pxr import Usd, UsdGeom, UsdShade


def paint(
    mesh: UsdGeom.Mesh, vertex_count: int, corners: np.ndarray, polygons: np.ndarray, notes: list[str]
) -> np.ndarray | None:
    """Colours of vertices as pictures have them (vertex, 3), NaN for none; None where there is no colour at all.

    A material with one colour goes before ``displayColor``, and materials of parts before that of the whole.  Colours
    of faces and corners are averaged at their vertices.

    Args:
        mesh: the mesh.
        vertex_count: its vertices.
        corners: vertices of all polygons, one behind the other (corner,).
        polygons: the polygon of each corner (corner,).
        notes: what is left out is appended.
    """
    count = int(polygons.max(initial=-1)) + 1
    faces = np.full((count, 3), np.nan)
    display = _displayed(mesh, vertex_count, corners, polygons, notes)
    whole = _of_material(mesh.GetPrim(), notes)
    if whole is not None:
        faces[:] = whole
    for rows, color in _parts(mesh, count, notes):
        faces[rows] = color
    at_corners = faces[polygons]
    if display is not None:
        at_corners = np.where(np.isfinite(at_corners), at_corners, display)
    if not np.isfinite(at_corners).any():
        return None
    good = np.isfinite(at_corners).all(axis=1)
    total, weight = np.zeros((vertex_count, 3)), np.zeros(vertex_count)
    np.add.at(total, corners[good], at_corners[good])
    np.add.at(weight, corners[good], 1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return to_srgb(total / weight[:, None])


def one_color(prim: Usd.Prim, notes: list[str]) -> np.ndarray | None:
    """The one colour of a prim as pictures have it (3,): of its material, or ``displayColor``; None for none."""
    from pxr import Usd, UsdGeom

    found = _of_material(prim, notes)
    primvar = UsdGeom.PrimvarsAPI(prim).FindPrimvarWithInheritance("displayColor")
    if found is None and primvar and primvar.HasValue():
        samples = primvar.GetAttr().GetTimeSamples()
        values = primvar.ComputeFlattened(Usd.TimeCode(samples[0]) if samples else Usd.TimeCode.Default())
        values = np.zeros((0, 3)) if values is None else np.asarray(values, dtype=np.float64).reshape(-1, 3)
        found = values[0] if len(values) == 1 and np.isfinite(values).all() else None
    return None if found is None else to_srgb(found)


def _displayed(
    mesh: UsdGeom.Mesh, vertex_count: int, corners: np.ndarray, polygons: np.ndarray, notes: list[str]
) -> np.ndarray | None:
    """``displayColor`` at corners (corner, 3), linear; None where there is none that fits."""
    from pxr import Usd, UsdGeom

    api = UsdGeom.PrimvarsAPI(mesh.GetPrim())
    primvar = api.FindPrimvarWithInheritance("displayColor")
    if not primvar or not primvar.HasValue():
        return None
    if api.HasPrimvar("contact"):
        notes.append("its colours show contact and are left out")
        return None
    samples = primvar.GetAttr().GetTimeSamples()
    time = Usd.TimeCode(samples[0]) if samples else Usd.TimeCode.Default()
    if len(samples) > 1:
        notes.append("its colours change over time; the first are taken")
    values = primvar.ComputeFlattened(time)
    values = np.zeros((0, 3)) if values is None else np.asarray(values, dtype=np.float64).reshape(-1, 3)
    if not np.isfinite(values).all():
        notes.append("its colours are not finite and are left out")
        return None
    places = {1: np.zeros(len(corners), dtype=np.int64)}
    by = {
        UsdGeom.Tokens.uniform: (int(polygons.max(initial=-1)) + 1, polygons),
        UsdGeom.Tokens.vertex: (vertex_count, corners),
        UsdGeom.Tokens.varying: (vertex_count, corners),
        UsdGeom.Tokens.faceVarying: (len(corners), np.arange(len(corners))),
    }
    wanted, rows = by.get(primvar.GetInterpolation(), (1, places[1]))
    if len(values) == wanted and wanted:
        return values[rows]
    if len(values) == 1:
        return values[places[1]]
    notes.append(f"its {len(values)} colours do not fit it and are left out")
    return None


def _parts(mesh: UsdGeom.Mesh, face_count: int, notes: list[str]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Faces of each part that has a material of its own, and its colour."""
    from pxr import UsdGeom

    found = []
    for subset in UsdGeom.Subset.GetAllGeomSubsets(mesh):
        if subset.GetElementTypeAttr().Get() != UsdGeom.Tokens.face:
            continue
        rows = np.asarray(subset.GetIndicesAttr().Get() or (), dtype=np.int64).reshape(-1)
        color = _of_material(subset.GetPrim(), notes)
        if color is not None:
            found.append((rows[(rows >= 0) & (rows < face_count)], color))
    return found


def _of_material(prim: Usd.Prim, notes: list[str]) -> np.ndarray | None:
    """The one colour of the material that is bound to a prim, linear (3,), or None."""
    from pxr import UsdShade

    material, _ = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial()
    if not material:
        return None
    shader, _, _ = material.ComputeSurfaceSource()
    if not shader:
        return None
    for name in ("diffuseColor", "base_color", "diffuse_color_constant"):
        source = shader.GetInput(name)
        if source:
            return _constant(source, notes)
    return None


def _constant(source: UsdShade.Input, notes: list[str]) -> np.ndarray | None:
    """The value of an input that nothing drives; what a texture says is left out."""
    from pxr import UsdShade

    driving = UsdShade.Utils.GetValueProducingAttributes(source)
    attribute = driving[0] if driving else None
    if attribute is None:
        return None
    reader = UsdShade.Shader(attribute.GetPrim())
    if not UsdShade.Input.IsInput(attribute):
        name = reader.GetIdAttr().Get() if reader else None
        if name == "UsdUVTexture":
            notes.append("colours of textures are left out")
        return None
    value = attribute.Get()
    color = None if value is None else np.asarray(value, dtype=np.float64).reshape(-1)
    return color[:3] if color is not None and len(color) >= 3 and np.isfinite(color[:3]).all() else None
