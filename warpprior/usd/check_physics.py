"""Checks of what physics engines read of a stage, in the process that :mod:`.check` starts for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pxr import Usd, UsdGeom

MOST_COLLIDERS = 64  # of one rigid body; engines that load more stall
MOST_CORNERS = 255  # of a convex hull that engines are to make of a mesh below a guide
_APART = 1.0e-4  # the two bodies of a joint may have it this far apart [m]
_TURNED = 1.0e-3  # and its axis turned by this much [rad]


def physics_findings(stage: Usd.Stage) -> Iterator[tuple[str, str, str]]:
    """Prim, what is at fault and what is wrong: of rigid bodies and of joints, at each frame."""
    from pxr import Usd, UsdGeom, UsdPhysics

    codes = np.unique([stage.GetStartTimeCode(), stage.GetEndTimeCode()])
    caches = [UsdGeom.XformCache(Usd.TimeCode.Default()), *(UsdGeom.XformCache(Usd.TimeCode(c)) for c in codes)]
    for prim in stage.Traverse():
        if prim.HasAPI(UsdPhysics.RigidBodyAPI):
            yield from _body_findings(prim)
        if prim.IsA(UsdPhysics.Joint):
            yield from _joint_findings(stage, prim, caches)


def _body_findings(prim: Usd.Prim) -> Iterator[tuple[str, str, str]]:
    from pxr import Usd, UsdGeom, UsdPhysics

    path = str(prim.GetPath())
    mass = UsdPhysics.MassAPI(prim) if prim.HasAPI(UsdPhysics.MassAPI) else None
    if mass is None or not (mass.GetMassAttr().Get() or 0.0) > 0.0:
        yield path, "physics:mass", "a rigid body without mass: engines take what their density makes of its colliders"
    elif not all(moment > 0.0 for moment in mass.GetDiagonalInertiaAttr().Get()):
        yield path, "physics:diagonalInertia", "is not positive"
    meshes = [one for one in Usd.PrimRange(prim) if one.IsA(UsdGeom.Gprim)]
    colliders = [one for one in meshes if one.HasAPI(UsdPhysics.CollisionAPI)]
    if meshes and not colliders:
        yield path, "physics:collisionEnabled", "a rigid body with a surface and no collider: others fall through it"
    if len(colliders) > MOST_COLLIDERS:
        yield path, "physics:approximation", f"{len(colliders)} colliders of one body"
    for collider in colliders:
        hull = UsdPhysics.MeshCollisionAPI(collider).GetApproximationAttr().Get() == UsdPhysics.Tokens.convexHull
        guide = UsdGeom.Imageable(collider).ComputePurpose() == UsdGeom.Tokens.guide
        if hull and guide and len(UsdGeom.Mesh(collider).GetPointsAttr().Get()) > MOST_CORNERS:
            yield str(collider.GetPath()), "points", f"a hull of more than {MOST_CORNERS} corners"


def _joint_findings(
    stage: Usd.Stage, prim: Usd.Prim, caches: list[UsdGeom.XformCache]
) -> Iterator[tuple[str, str, str]]:
    """The two bodies of a joint place it alike, but for what it lets them do."""
    from pxr import UsdPhysics

    joint, path = UsdPhysics.Joint(prim), str(prim.GetPath())
    bodies = []
    for relation in (joint.GetBody0Rel(), joint.GetBody1Rel()):
        targets = relation.GetTargets()
        bodies.append(stage.GetPrimAtPath(targets[0]) if targets else None)
        if targets and not bodies[-1]:
            yield path, relation.GetName(), f"names {targets[0]}, which is not there"
            return
    local = [
        _frame(joint.GetLocalPos0Attr().Get(), joint.GetLocalRot0Attr().Get()),
        _frame(joint.GetLocalPos1Attr().Get(), joint.GetLocalRot1Attr().Get()),
    ]
    slides = prim.IsA(UsdPhysics.PrismaticJoint)
    turns = prim.IsA(UsdPhysics.RevoluteJoint)
    for cache in caches:
        sides = []
        for body, own in zip(bodies, local, strict=True):
            world = np.eye(4) if body is None else np.array(cache.GetLocalToWorldTransform(body)).T
            sides.append(world @ own)
        apart = sides[0][:3, :3].T @ (sides[1][:3, 3] - sides[0][:3, 3])
        if slides:
            apart[0] = 0.0
        when = "" if cache.GetTime().IsDefault() else f" at {cache.GetTime().GetValue():g}"
        if np.linalg.norm(apart) > _APART:
            yield path, f"physics:localPos1{when}", f"its bodies have it {1e3 * np.linalg.norm(apart):.3g} mm apart"
        if (slides or turns) and np.linalg.norm(np.cross(sides[0][:3, 0], sides[1][:3, 0])) > _TURNED:
            yield path, f"physics:localRot1{when}", "its bodies disagree on its axis"


def _frame(place, turn) -> np.ndarray:
    from pxr import Gf

    matrix = Gf.Matrix4d().SetTransform(Gf.Rotation(Gf.Quatd(turn)), Gf.Vec3d(place))
    return np.array(matrix).T
