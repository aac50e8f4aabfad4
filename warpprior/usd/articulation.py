"""A robot as an articulation: links held together by joints with limits and drives, whose positions are the motion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bodies.body import Body, JointType
from warpprior.bodies.dynamics import JointForces
from warpprior.bodies.mass import MassProperties
from warpprior.scene import Poses
from warpprior.usd.names import prim_name
from warpprior.usd.prims import set_samples

if TYPE_CHECKING:
    from pxr import Usd, UsdPhysics

DRIVE_HZ = 10.0  # natural frequency of a driven joint with what hangs on it; critically damped
JOINTS = "Joints"  # below the robot's prim
EFFORT = "warpprior:effort"  # of customData of a joint that follows another [N m, of slides N]
_LEAST_INERTIA = 1e-6  # that a drive is made for [kg m^2]


@dataclass(frozen=True, eq=False)
class Links:
    """The links of a robot in its stage.

    Attributes:
        paths: of their Xforms.
        still: the root does not move.
        places: their poses at the first frame (link, 7), in one frame.
        properties: of each link.
    """

    paths: list[str]
    still: bool
    places: np.ndarray
    properties: list[MassProperties]


def write_articulation(stage: Usd.Stage, path: str, body: Body, poses: Poses, links: Links) -> None:
    """Write ``path/Joints`` and make the robot an articulation.

    Hinges and slides have limits, a drive towards the motion (targets at every frame) and their position as samples
    of ``state:angular:physics:position`` [degrees] or ``state:linear:physics:position`` [m].  A joint that follows
    another has ``NewtonMimicAPI`` instead of a drive.  A root that stays where it is is fixed to the world; one that
    moves is free.  Ball joints are free.

    What the robot's file states of efforts, velocities, damping and friction of its joints is written with them; an
    effort bounds what the drive may use.  A joint that follows another has no drive, and no schema has another place
    for its effort: it is in ``customData["warpprior:effort"]``, where no engine reads it.

    Drives are as stiff as makes the joint, with all that hangs on it, swing at 10 Hz, and critically damped.

    Args:
        stage: the stage; the links are there, rigid bodies all.
        path: of the robot's prim.
        body: its links and joints.
        poses: joint positions.
        links: where the links are in the stage, and what they weigh.
    """
    from pxr import Sdf, UsdGeom, UsdPhysics

    prim = stage.GetPrimAtPath(path)
    UsdPhysics.ArticulationRootAPI.Apply(prim)
    for schema, attribute in (
        ("NewtonArticulationRootAPI", "newton:selfCollisionEnabled"),
        ("PhysxArticulationAPI", "physxArticulation:enabledSelfCollisions"),
    ):
        prim.AddAppliedSchema(schema)
        prim.CreateAttribute(attribute, Sdf.ValueTypeNames.Bool, custom=False).Set(False)
    UsdGeom.Scope.Define(stage, f"{path}/{JOINTS}")
    if links.still:
        anchor = UsdPhysics.FixedJoint.Define(stage, f"{path}/{JOINTS}/to_world")
        anchor.CreateBody1Rel().SetTargets([links.paths[0]])
        _set_frame(anchor, 0, links.places[0, :3], links.places[0, 3:])
        _set_frame(anchor, 1, np.zeros(3), np.array([0.0, 0.0, 0.0, 1.0]))
    names = joint_names(body)
    leaders = _leaders(body)
    for link in range(1, body.link_count):
        joint = _define_joint(stage, f"{path}/{JOINTS}/{names[link]}", JointType(int(body.joint_types[link])))
        parent = int(body.parents[link])
        joint.CreateBody0Rel().SetTargets([links.paths[parent]])
        joint.CreateBody1Rel().SetTargets([links.paths[link]])
        joint.CreateCollisionEnabledAttr(False)
        offset = body.joint_offsets[link].astype(np.float64)
        if body.shape_count:
            offset[:3] += body.joint_shape_directions[link] @ poses.shape
        turn = _x_to(body.joint_axes[link]) if _moves(body, link) else Rotation.identity()
        _set_frame(joint, 0, poses.scale * offset[:3], (Rotation.from_quat(offset[3:]) * turn).as_quat())
        _set_frame(joint, 1, np.zeros(3), turn.as_quat())
        if _moves(body, link):
            leader = leaders[int(body.coordinate_starts[link])]
            follows = None if leader == link else f"{path}/{JOINTS}/{names[leader]}"
            _write_motion(joint, body, link, poses, leader, follows, _hanging_inertia(body, link, links))


def joint_names(body: Body) -> list[str]:
    """Prim names of the joints by link: that of its coordinate, or of the link where it shares one or has none."""
    leaders, names = _leaders(body), []
    for link, link_name in enumerate(body.link_names):
        start = int(body.coordinate_starts[link])
        is_leader = start >= 0 and leaders[start] == link and _moves(body, link)
        name = prim_name(body.coordinate_names[start] if is_leader else link_name)
        while name in (*names, "to_world"):
            name += "_joint"
        names.append(name)
    return names


def _moves(body: Body, link: int) -> bool:
    """Whether the link's joint is a hinge or slide."""
    return int(body.joint_types[link]) in (JointType.HINGE, JointType.SLIDE)


def _leaders(body: Body) -> dict[int, int]:
    """The link whose joint is a coordinate itself, by coordinate; where several follow one, the first of them."""
    leaders: dict[int, int] = {}
    for exact in (True, False):
        for link in range(1, body.link_count):
            itself = body.coordinate_gains[link] == 1.0 and body.coordinate_biases[link] == 0.0
            if itself or not exact:
                leaders.setdefault(int(body.coordinate_starts[link]), link)
    return leaders


def _define_joint(stage: Usd.Stage, path: str, kind: JointType) -> UsdPhysics.Joint:
    from pxr import UsdPhysics

    if kind == JointType.HINGE:
        joint = UsdPhysics.RevoluteJoint.Define(stage, path)
        joint.CreateAxisAttr(UsdPhysics.Tokens.x)
        return joint
    if kind == JointType.SLIDE:
        joint = UsdPhysics.PrismaticJoint.Define(stage, path)
        joint.CreateAxisAttr(UsdPhysics.Tokens.x)
        return joint
    schema = UsdPhysics.SphericalJoint if kind == JointType.BALL else UsdPhysics.FixedJoint
    return schema.Define(stage, path)


def _write_motion(
    joint: UsdPhysics.Joint, body: Body, link: int, poses: Poses, leader: int, follows: str | None, inertia: float
) -> None:
    """Limits, positions over time, and what drives a hinge or slide: a drive, or the joint it follows."""
    from pxr import Sdf, UsdPhysics

    hinge = int(body.joint_types[link]) == JointType.HINGE
    unit, word = (180.0 / np.pi, "angular") if hinge else (1.0, "linear")
    start = int(body.coordinate_starts[link])
    gain, bias = float(body.coordinate_gains[link]), float(body.coordinate_biases[link])
    ends = gain * np.array([body.lower[start], body.upper[start]], dtype=np.float64) + bias
    low, high = sorted(unit * ends) if np.isfinite(ends).all() else unit * ends
    limited = UsdPhysics.RevoluteJoint(joint) if hinge else UsdPhysics.PrismaticJoint(joint)
    if np.isfinite(low) and np.isfinite(high):
        limited.CreateLowerLimitAttr(float(low))
        limited.CreateUpperLimitAttr(float(high))
    places = unit * (gain * poses.joints[:, start] + bias)
    values = [float(place) for place in (places if np.ptp(places) > 0.0 else places[:1])]
    prim = joint.GetPrim()
    prim.AddAppliedSchema(f"PhysicsJointStateAPI:{word}")
    state = prim.CreateAttribute(f"state:{word}:physics:position", Sdf.ValueTypeNames.Float, custom=False)
    set_samples(state, values)
    effort = np.nan if body.dynamics is None else float(body.dynamics.forces.effort[link])
    if body.dynamics is not None:
        _write_brakes(prim, body.dynamics.forces, link, unit)
    if follows is not None and np.isfinite(effort):
        prim.SetCustomDataByKey(EFFORT, effort)
    if follows is None:
        drive = UsdPhysics.DriveAPI.Apply(prim, word)
        pulse = 2.0 * np.pi * DRIVE_HZ
        per_unit = np.pi / 180.0 if hinge else 1.0
        drive.CreateTypeAttr(UsdPhysics.Tokens.force)
        drive.CreateStiffnessAttr(inertia * pulse**2 * per_unit)
        drive.CreateDampingAttr(2.0 * inertia * pulse * per_unit)
        if np.isfinite(effort):
            drive.CreateMaxForceAttr(effort)
        set_samples(drive.CreateTargetPositionAttr(), values)
    elif body.joint_types[link] == body.joint_types[leader]:
        share = gain / float(body.coordinate_gains[leader])
        prim.AddAppliedSchema("NewtonMimicAPI")
        prim.CreateRelationship("newton:mimicJoint", custom=False).SetTargets([follows])
        for name, value in (
            ("newton:mimicCoef0", unit * (bias - share * float(body.coordinate_biases[leader]))),
            ("newton:mimicCoef1", share),
        ):
            prim.CreateAttribute(name, Sdf.ValueTypeNames.Float, custom=False).Set(value)


def _write_brakes(prim: Usd.Prim, forces: JointForces, link: int, unit: float) -> None:
    """Damping, friction and fastest motion of a joint, where its file states them: Newton's schema, and PhysX's for the
    last; ``unit`` is what the stage has for 1 rad or 1 m.
    """
    from pxr import Sdf

    values = {
        "newton:damping": forces.damping[link] / unit,
        "newton:friction": forces.friction[link],
        "newton:velocityLimit": forces.velocity[link] * unit,
        "physxJoint:maxJointVelocity": forces.velocity[link] * unit,
    }
    known = {name: float(value) for name, value in values.items() if np.isfinite(value)}
    for word, schema in (("newton", "NewtonJointAPI"), ("physx", "PhysxJointAPI")):
        if any(name.startswith(word) for name in known):
            prim.AddAppliedSchema(schema)
    for name, value in known.items():
        prim.CreateAttribute(name, Sdf.ValueTypeNames.Float, custom=False).Set(value)


def _hanging_inertia(body: Body, link: int, links: Links) -> float:
    """Of the link and all below it about its joint's axis at the first frame [kg m^2], or its mass for a slide [kg]."""
    below = {link}
    for other in range(link + 1, body.link_count):
        if int(body.parents[other]) in below:
            below.add(other)
    if int(body.joint_types[link]) == JointType.SLIDE:
        return sum(links.properties[other].mass for other in below)
    turn = Rotation.from_quat(links.places[link, 3:])
    axis, origin = turn.apply(body.joint_axes[link]), links.places[link, :3]
    total = 0.0
    for other in below:
        own = links.properties[other]
        frame = Rotation.from_quat(links.places[other, 3:])
        arm = frame.apply(own.center) + links.places[other, :3] - origin
        along = (frame * Rotation.from_quat(own.axes)).inv().apply(axis)
        total += float(own.moments @ along**2) + own.mass * float(arm @ arm - (arm @ axis) ** 2)
    return max(total, _LEAST_INERTIA)


def _set_frame(joint: UsdPhysics.Joint, side: int, position: np.ndarray, rotation: np.ndarray) -> None:
    """Where the joint is in the frame of body 0 or 1; of no body, in the world."""
    from pxr import Gf

    x, y, z, w = rotation.tolist()
    place, turn = Gf.Vec3f(*position.tolist()), Gf.Quatf(w, x, y, z)
    if side == 0:
        joint.CreateLocalPos0Attr(place)
        joint.CreateLocalRot0Attr(turn)
    else:
        joint.CreateLocalPos1Attr(place)
        joint.CreateLocalRot1Attr(turn)


def _x_to(axis: np.ndarray) -> Rotation:
    """The shortest turn that takes X to a unit axis."""
    axis = np.asarray(axis, dtype=np.float64)
    if axis[0] < -1.0 + 1e-9:
        return Rotation.from_quat([0.0, 0.0, 1.0, 0.0])
    x, y, z = np.cross([1.0, 0.0, 0.0], axis)
    return Rotation.from_quat([x, y, z, 1.0 + axis[0]])
