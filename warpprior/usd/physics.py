"""What physics engines read of a body: that it is rigid, how heavy it is and how it rubs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warpprior.bodies.mass import MassProperties, Matter

if TYPE_CHECKING:
    from pxr import Usd, UsdShade


MASS_ORIGIN = "warpprior:massFrom"  # customData of rigid bodies: what their mass was taken from


def make_rigid(frame: Usd.Prim, properties: MassProperties, origin: str, *, kinematic: bool) -> None:
    """Mark a frame as a rigid body of that mass; a kinematic one follows its samples and is not moved by forces.

    Args:
        frame: the prim.
        properties: its mass.
        origin: where that is from, in words.
        kinematic: whether it follows its samples.
    """
    from pxr import Gf, UsdPhysics

    body = UsdPhysics.RigidBodyAPI.Apply(frame)
    body.CreateRigidBodyEnabledAttr(True)
    if kinematic:
        body.CreateKinematicEnabledAttr(True)
    mass = UsdPhysics.MassAPI.Apply(frame)
    mass.CreateMassAttr(properties.mass)
    mass.CreateCenterOfMassAttr(Gf.Vec3f(*properties.center.tolist()))
    mass.CreateDiagonalInertiaAttr(Gf.Vec3f(*properties.moments.tolist()))
    x, y, z, w = properties.axes.tolist()
    mass.CreatePrincipalAxesAttr(Gf.Quatf(w, x, y, z))
    frame.SetCustomDataByKey(MASS_ORIGIN, origin)


def add_friction(material: UsdShade.Material, matter: Matter) -> None:
    """Make a material one of physics, too; nothing bounces."""
    from pxr import UsdPhysics

    physics = UsdPhysics.MaterialAPI.Apply(material.GetPrim())
    physics.CreateStaticFrictionAttr(matter.friction_used)
    physics.CreateDynamicFrictionAttr(matter.friction_used)
    physics.CreateRestitutionAttr(0.0)


def bind_friction(prim: Usd.Prim, material: UsdShade.Material) -> None:
    """Bind a material for physics to a collider itself: engines do not look for it above."""
    from pxr import UsdShade

    UsdShade.MaterialBindingAPI.Apply(prim).Bind(material, UsdShade.Tokens.weakerThanDescendants, "physics")
