"""Colliders of rigid bodies and links: hulls beside the mesh that is seen, or the mesh itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from warpprior.geometry.hulls import MOST_CORNERS, MOST_HULLS, Hull, convex_hull
from warpprior.geometry.kept_hulls import kept_parts
from warpprior.usd.physics import bind_friction
from warpprior.usd.prims import define_flat_mesh

if TYPE_CHECKING:
    from pxr import Usd, UsdGeom, UsdShade

_SDF_RESOLUTION = 128  # cells along the longest side


@dataclass(frozen=True)
class Bounds:
    """How many hulls there may be, and how many corners of each."""

    hulls: int
    corners: int


OF_AN_OBJECT, OF_A_LINK = Bounds(MOST_HULLS, MOST_CORNERS), Bounds(3, 24)


def find_hulls(
    vertices: np.ndarray, faces: np.ndarray, bounds: Bounds, *, closed: bool, scale: float = 1.0
) -> tuple[Hull, ...]:
    """Bounded convex hulls of a surface (vertex, 3) [m] that is drawn ``scale`` times as large."""
    found = kept_parts(vertices, faces, closed=closed, most=bounds.hulls, corners=bounds.corners)
    return tuple(Hull(hull.vertices * np.float32(scale), hull.faces) for hull in found)


def add_collider(
    mesh: UsdGeom.Mesh, vertices: np.ndarray, faces: np.ndarray, choice: str, material: UsdShade.Material
) -> None:
    """Let a carried mesh collide as it is, as ``choice`` of :class:`warpprior.usd.options.StageOptions` says.

    Args:
        mesh: as it is seen, below the frame that carries it.
        vertices, faces: of the surface, as a hull is found of it (vertex, 3) [m], (face, 3).
        choice: ``convex_hull``, ``convexDecomposition`` or ``sdf``.
        material: with its friction.
    """
    from pxr import UsdPhysics

    if choice == "convex_hull":
        frame = str(mesh.GetPath().GetParentPath())
        add_hulls(mesh.GetPrim().GetStage(), frame, [convex_hull(vertices[np.unique(faces)])], material)
        return
    prim = mesh.GetPrim()
    bind_friction(prim, material)
    UsdPhysics.CollisionAPI.Apply(prim)
    collision = UsdPhysics.MeshCollisionAPI.Apply(prim)
    if choice == "sdf":
        from pxr import Sdf

        collision.CreateApproximationAttr(UsdPhysics.Tokens.none)
        prim.AddAppliedSchema("NewtonSDFCollisionAPI")
        cells = prim.CreateAttribute("newton:sdfMaxResolution", Sdf.ValueTypeNames.Int, custom=False)
        cells.SetVariability(Sdf.VariabilityUniform)
        cells.Set(_SDF_RESOLUTION)
    else:
        collision.CreateApproximationAttr(UsdPhysics.Tokens.convexDecomposition)


def add_hulls(stage: Usd.Stage, frame: str, hulls: Sequence[Hull], material: UsdShade.Material) -> None:
    """Convex hulls below a frame, in ``Colliders``; their purpose is guide, so that renderers leave them out."""
    from pxr import UsdGeom, UsdPhysics

    group = UsdGeom.Scope.Define(stage, f"{frame}/Colliders")
    group.CreatePurposeAttr(UsdGeom.Tokens.guide)
    for number, hull in enumerate(hulls):
        mesh = define_flat_mesh(stage, f"{frame}/Colliders/hull_{number:02d}", hull.vertices, hull.faces)
        bind_friction(mesh.GetPrim(), material)
        UsdPhysics.CollisionAPI.Apply(mesh.GetPrim())
        collision = UsdPhysics.MeshCollisionAPI.Apply(mesh.GetPrim())
        collision.CreateApproximationAttr(UsdPhysics.Tokens.convexHull)
