"""The prims of a body: meshes, Xform samples, materials and physics schemas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from warpprior.usd.samples import FrameMotion
from warpprior.usd.surface import corner_normals, vertex_normals

if TYPE_CHECKING:
    from pxr import Usd, UsdGeom, UsdShade


def define_frame(stage: Usd.Stage, path: str, motion: FrameMotion) -> Usd.Prim:
    """An Xform that follows a motion by translate and orient; one that does not move gets no samples."""
    from pxr import Gf, UsdGeom

    xform = UsdGeom.Xform.Define(stage, path)
    translate = xform.AddTranslateOp(UsdGeom.XformOp.PrecisionDouble)
    orient = xform.AddOrientOp(UsdGeom.XformOp.PrecisionFloat)
    for frame in range(1 if motion.is_still else len(motion.position)):
        code = _time_code(None if motion.is_still else frame)
        x, y, z, w = motion.rotation[frame].tolist()
        translate.Set(Gf.Vec3d(*motion.position[frame].tolist()), code)
        orient.Set(Gf.Quatf(w, x, y, z), code)
    return xform.GetPrim()


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


def define_moving_mesh(stage: Usd.Stage, path: str, positions: np.ndarray, faces: np.ndarray) -> UsdGeom.Mesh:
    """A mesh with points (frame, vertex, 3), extent and smooth normals at every frame."""
    from pxr import UsdGeom, Vt

    mesh = _define_mesh(stage, path, faces)
    points, extent, normals = mesh.CreatePointsAttr(), mesh.CreateExtentAttr(), mesh.CreateNormalsAttr()
    mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    positions = np.ascontiguousarray(positions, np.float32)
    for frame, directions in enumerate(vertex_normals(positions, faces)):
        # The first frame is the default too, for readers that do not ask for a time.
        for code in (_time_code(None), _time_code(frame))[frame > 0 :]:
            points.Set(Vt.Vec3fArray.FromNumpy(positions[frame]), code)
            extent.Set(Vt.Vec3fArray.FromNumpy(_extent(positions[frame])), code)
            normals.Set(Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(directions)), code)
    return mesh


def color_mesh(mesh: UsdGeom.Mesh, colors: np.ndarray, heat: np.ndarray | None) -> None:
    """Set ``displayColor``, and ``primvars:contact`` where there is heat.

    Args:
        mesh: the mesh.
        colors: linear RGB (3,), (vertex, 3) or (frame, vertex, 3).
        heat: contact heat (frame, vertex) in [0, 1], or None.
    """
    from pxr import Sdf, UsdGeom, Vt

    interpolation = UsdGeom.Tokens.constant if colors.ndim == 1 else UsdGeom.Tokens.vertex
    display = mesh.CreateDisplayColorPrimvar(interpolation)
    if colors.ndim < 3:
        display.Set(Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(colors.reshape(-1, 3), np.float32)))
    else:
        for frame, values in enumerate(colors):
            display.Set(Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(values, np.float32)), _time_code(frame))
    if heat is not None:
        primvars = UsdGeom.PrimvarsAPI(mesh)
        contact = primvars.CreatePrimvar("contact", Sdf.ValueTypeNames.FloatArray, UsdGeom.Tokens.vertex)
        for frame, values in enumerate(heat):
            contact.Set(Vt.FloatArray.FromNumpy(np.ascontiguousarray(values, np.float32)), _time_code(frame))


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


def make_kinematic(frame: Usd.Prim, mesh: UsdGeom.Mesh) -> None:
    """Mark a rigid body as following its recorded motion and colliding; its mass is left to the simulator."""
    from pxr import UsdPhysics

    UsdPhysics.RigidBodyAPI.Apply(frame).CreateKinematicEnabledAttr(True)
    UsdPhysics.MassAPI.Apply(frame)
    UsdPhysics.CollisionAPI.Apply(mesh.GetPrim())
    collision = UsdPhysics.MeshCollisionAPI.Apply(mesh.GetPrim())
    collision.CreateApproximationAttr(UsdPhysics.Tokens.convexDecomposition)


def _define_mesh(stage: Usd.Stage, path: str, faces: np.ndarray) -> UsdGeom.Mesh:
    from pxr import UsdGeom, Vt

    mesh = UsdGeom.Mesh.Define(stage, path)
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(np.full(len(faces), 3, np.int32)))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(np.ascontiguousarray(faces, np.int32).reshape(-1)))
    return mesh


def _extent(vertices: np.ndarray) -> np.ndarray:
    return np.stack([vertices.min(axis=0), vertices.max(axis=0)])


def _time_code(frame: int | None) -> Usd.TimeCode:
    from pxr import Usd

    return Usd.TimeCode.Default() if frame is None else Usd.TimeCode(frame)
