"""The prims of a body: meshes, Xform samples, materials and physics schemas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from warpprior.usd.heat import heat_palette, linear_color
from warpprior.usd.samples import FrameMotion
from warpprior.usd.surface import corner_normals, face_normals, vertex_normals

if TYPE_CHECKING:
    from pxr import Usd, UsdGeom, UsdShade


def define_frame(stage: Usd.Stage, path: str, motion: FrameMotion) -> Usd.Prim:
    """An Xform that follows a motion by translate and orient; one that does not move gets no samples.

    The first frame is the default value, too: physics engines read a stage at no time at all, and put what has samples
    alone at the origin.
    """
    from pxr import Gf, UsdGeom

    xform = UsdGeom.Xform.Define(stage, path)
    translate = xform.AddTranslateOp(UsdGeom.XformOp.PrecisionDouble)
    orient = xform.AddOrientOp(UsdGeom.XformOp.PrecisionFloat)
    positions = [Gf.Vec3d(*place) for place in motion.position.tolist()]
    rotations = [Gf.Quatf(w, x, y, z) for x, y, z, w in motion.rotation.tolist()]
    frames = 1 if motion.is_still else len(positions)
    set_samples(translate.GetAttr(), positions[:frames])
    set_samples(orient.GetAttr(), rotations[:frames])
    return xform.GetPrim()


def set_samples(attribute: Usd.Attribute, values: Sequence) -> None:
    """Set a value for each frame, the first one as the default; one value alone is the default and no sample."""
    attribute.Set(values[0])
    if len(values) > 1:
        for frame, value in enumerate(values):
            attribute.Set(value, float(frame))


def define_carried_mesh(stage: Usd.Stage, path: str, vertices: np.ndarray, faces: np.ndarray) -> UsdGeom.Mesh:
    """A mesh that does not change in its parent's frame; face-varying normals keep its creases."""
    from pxr import UsdGeom, Vt

    mesh = _define_mesh(stage, path, faces)
    vertices = np.ascontiguousarray(vertices, np.float32)
    mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(vertices))
    mesh.CreateExtentAttr(Vt.Vec3fArray.FromNumpy(_extent(vertices)))
    mesh.CreateNormalsAttr(Vt.Vec3fArray.FromNumpy(corner_normals(vertices, faces)))
    mesh.SetNormalsInterpolation(UsdGeom.Tokens.faceVarying)
    return mesh


def define_resting_mesh(stage: Usd.Stage, path: str, vertices: np.ndarray, faces: np.ndarray) -> UsdGeom.Mesh:
    """A mesh that something else bends, with smooth normals."""
    from pxr import UsdGeom, Vt

    mesh = _define_mesh(stage, path, faces)
    vertices = np.ascontiguousarray(vertices, np.float32)
    mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(vertices))
    mesh.CreateExtentAttr(Vt.Vec3fArray.FromNumpy(_extent(vertices)))
    mesh.CreateNormalsAttr(Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(vertex_normals(vertices[None], faces)[0])))
    mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    return mesh


def define_flat_mesh(stage: Usd.Stage, path: str, vertices: np.ndarray, faces: np.ndarray) -> UsdGeom.Mesh:
    """A mesh that does not change in its parent's frame, with one normal per face."""
    from pxr import UsdGeom, Vt

    mesh = _define_mesh(stage, path, faces)
    mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(vertices, np.float32)))
    mesh.CreateExtentAttr(Vt.Vec3fArray.FromNumpy(_extent(np.asarray(vertices, np.float32))))
    mesh.CreateNormalsAttr(Vt.Vec3fArray.FromNumpy(face_normals(vertices, faces)))
    mesh.SetNormalsInterpolation(UsdGeom.Tokens.uniform)
    return mesh


def define_moving_mesh(stage: Usd.Stage, path: str, positions: np.ndarray, faces: np.ndarray) -> UsdGeom.Mesh:
    """A mesh with points (frame, vertex, 3), extent and smooth normals at every frame."""
    from pxr import UsdGeom, Vt

    mesh = _define_mesh(stage, path, faces)
    mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    positions = np.ascontiguousarray(positions, np.float32)
    for attribute, values in (
        (mesh.CreatePointsAttr(), positions),
        (mesh.CreateExtentAttr(), map(_extent, positions)),
        (mesh.CreateNormalsAttr(), map(np.ascontiguousarray, vertex_normals(positions, faces))),
    ):
        set_samples(attribute, [Vt.Vec3fArray.FromNumpy(array) for array in values])
    return mesh


def color_mesh(mesh: UsdGeom.Mesh, color: np.ndarray, heat: np.ndarray | None) -> None:
    """Set ``displayColor``, and ``primvars:contact`` where there is heat.

    With heat both are palettes and an index per vertex and frame, which take a fraction of the room that values would.

    Args:
        mesh: the mesh.
        color: the body's own colour, sRGB, (3,) or (vertex, 3).
        heat: contact heat (frame, vertex), quantised (:func:`warpprior.usd.heat.quantised`), or None.
    """
    from pxr import Sdf, UsdGeom, Vt

    flat = heat is None and color.ndim == 1
    display = mesh.CreateDisplayColorPrimvar(UsdGeom.Tokens.constant if flat else UsdGeom.Tokens.vertex)
    if heat is None:
        colors, which = np.unique(linear_color(color).reshape(-1, 3), axis=0, return_inverse=True)
        display.Set(Vt.Vec3fArray.FromNumpy(colors))
        if not flat:
            display.CreateIndicesAttr().Set(Vt.IntArray.FromNumpy(which.reshape(-1).astype(np.int32)))
        return
    palette = heat_palette(heat, color)
    set_palette(display, palette.colors, palette.color_indices)
    primvars = UsdGeom.PrimvarsAPI(mesh)
    contact = primvars.CreatePrimvar("contact", Sdf.ValueTypeNames.FloatArray, UsdGeom.Tokens.vertex)
    set_palette(contact, palette.heat, palette.heat_indices)


def set_palette(primvar: UsdGeom.Primvar, values: np.ndarray, indices: np.ndarray) -> None:
    """Values and which of them each vertex has at each frame (frame, vertex).

    The first frame has a palette of its own, for validators look at it alone and want every value to be used.
    """
    from pxr import Vt

    array = Vt.FloatArray if values.ndim == 1 else Vt.Vec3fArray
    first, which = np.unique(indices[0], return_inverse=True)
    palettes = [array.FromNumpy(np.ascontiguousarray(part)) for part in (values[first], values)]
    if len(first) == len(values):
        set_samples(primvar.GetAttr(), palettes[:1])
    else:
        set_samples(primvar.GetAttr(), palettes[: len(indices)])
    rows = [which.reshape(-1).astype(np.int32), *indices[1:]]
    set_samples(primvar.CreateIndicesAttr(), [Vt.IntArray.FromNumpy(row) for row in rows])


def define_material(stage: Usd.Stage, path: str) -> UsdShade.Material:
    """A matte UsdPreviewSurface coloured by ``displayColor``, which renderers ignore once a material is bound."""
    from pxr import Gf, Sdf, UsdShade

    material = UsdShade.Material.Define(stage, path)
    reader = UsdShade.Shader.Define(stage, f"{path}/DisplayColor")
    reader.CreateIdAttr("UsdPrimvarReader_float3")
    reader.CreateInput("varname", Sdf.ValueTypeNames.String).Set("displayColor")
    reader.CreateInput("fallback", Sdf.ValueTypeNames.Float3).Set(Gf.Vec3f(0.5))
    surface = UsdShade.Shader.Define(stage, f"{path}/Surface")
    surface.CreateIdAttr("UsdPreviewSurface")
    surface.CreateInput("roughness", Sdf.ValueTypeNames.Float).Set(0.6)
    surface.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).ConnectToSource(
        reader.CreateOutput("result", Sdf.ValueTypeNames.Float3)
    )
    material.CreateSurfaceOutput().ConnectToSource(surface.CreateOutput("surface", Sdf.ValueTypeNames.Token))
    return material


def bind_material(mesh: UsdGeom.Mesh, material: UsdShade.Material) -> None:
    """Bind a material to a mesh."""
    from pxr import UsdShade

    UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(material)


def _define_mesh(stage: Usd.Stage, path: str, faces: np.ndarray) -> UsdGeom.Mesh:
    from pxr import UsdGeom, Vt

    mesh = UsdGeom.Mesh.Define(stage, path)
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(np.full(len(faces), 3, np.int32)))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(np.ascontiguousarray(faces, np.int32).reshape(-1)))
    return mesh


def _extent(vertices: np.ndarray) -> np.ndarray:
    return np.stack([vertices.min(axis=0), vertices.max(axis=0)])
