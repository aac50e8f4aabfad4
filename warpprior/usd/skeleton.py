"""A body that bends as a UsdSkel character: its rest surface, weights and pose correctives, and the joints' motion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from warpprior.bodies.body import Body
from warpprior.scene import Poses
from warpprior.usd.names import prim_name
from warpprior.usd.prims import define_resting_mesh, set_samples
from warpprior.usd.samples import FrameMotion, composed, relative

if TYPE_CHECKING:
    from pxr import Usd, UsdGeom, UsdSkel

RIG = "Rig"  # below the body's prim
VARIANTS = "handRepresentation"
POINTS, SKEL = "points", "skel"
LICENSED = ("mano", "smpl")  # kinds whose files may not be passed on
_MOST = 2.0  # of an entry of R - I


def licence_sentence(body: Body) -> str | None:
    """What has to be known before a rig of the body is passed on; None where nothing has."""
    if body.kind not in LICENSED:
        return None
    return (
        f"{body.name}: its rig holds rest surface, weights and pose correctives of the {body.kind.upper()} model, "
        "whose licence does not let everyone publish them; points alone (the default) do not hold them"
    )


@dataclass(frozen=True, eq=False)
class Rest:
    """A body with no joint moved, of one shape and size.

    Attributes:
        vertices: in the root link's frame (vertex, 3) float32 [m].
        links: root_from_link (link, 7) float64.
        directions: displacement per entry of (R - I) of each joint but the root (vertex, 3, 9 * (link - 1)) [m].
        entries: those entries in each frame (frame, 9 * (link - 1)).
        motion: camera_from_link (frame, link, 7) float64.
    """

    vertices: np.ndarray
    links: np.ndarray
    directions: np.ndarray
    entries: np.ndarray
    motion: np.ndarray


def resting(body: Body, poses: Poses, device: str) -> Rest:
    """What a rig is made of."""
    from warpprior.bodies.posing import posed_state
    from warpprior.kernels import kinematics

    model, state = posed_state(body, poses, device)
    entries = np.zeros((poses.frame_count, 0), dtype=np.float32)
    if state.turns is not None:
        kinematics.measure_turns(model.tree, joints=state.joints, turns_out=state.turns)
        entries = state.turns.numpy().reshape(poses.frame_count, -1)
    return Rest(
        vertices=state.rest_vertices.numpy(),
        links=state.rest_links.numpy().astype(np.float64),
        directions=body.pose_directions * np.float32(poses.scale),
        entries=entries,
        motion=state.links.numpy().reshape(poses.frame_count, body.link_count, 7).astype(np.float64),
    )


def write_rig(
    stage: Usd.Stage, path: str, name: str, body: Body, rest: Rest, world_from_camera: np.ndarray
) -> UsdGeom.Mesh:
    """Write ``path/Rig``, a SkelRoot with a mesh, a skeleton and its animation; the mesh.

    The mesh has as many influences as the body's vertices and no animated primvars, for which Blender leaves out blend
    shapes.  Each entry of R - I that moves vertices is two blend shapes, one for each sign, of weights in [0, 1], for
    readers cut off others.

    Args:
        stage: the stage, whose edit target may be a variant that is selected.
        path: of the body's prim, which must not move.
        name: of the mesh.
        body: has links.
        rest: of the body.
        world_from_camera: position [m] then quaternion xyzw (7,), or (frame, 7) where the camera moves.
    """
    from pxr import UsdGeom, UsdSkel, Vt

    root = UsdSkel.Root.Define(stage, f"{path}/{RIG}")
    joints = joint_paths(body)
    mesh = define_resting_mesh(stage, f"{path}/{RIG}/{name}", rest.vertices, body.faces)
    skeleton = _define_skeleton(stage, f"{path}/{RIG}/Skeleton", joints, body, rest)
    animation = UsdSkel.Animation.Define(stage, f"{skeleton.GetPath()}/Animation")
    _write_joint_motion(animation, joints, body, rest, world_from_camera)
    for prim in (root.GetPrim(), skeleton.GetPrim(), mesh.GetPrim()):
        UsdSkel.BindingAPI.Apply(prim)
    UsdSkel.BindingAPI(skeleton).CreateAnimationSourceRel().SetTargets([animation.GetPath()])
    binding = UsdSkel.BindingAPI(mesh)
    binding.CreateSkeletonRel().SetTargets([skeleton.GetPath()])
    influences = body.skin_links.shape[1]
    indices, weights = np.ascontiguousarray(body.skin_links, np.int32), np.ascontiguousarray(body.skin_weights)
    binding.CreateJointIndicesPrimvar(False, influences).Set(Vt.IntArray.FromNumpy(indices.reshape(-1)))
    binding.CreateJointWeightsPrimvar(False, influences).Set(Vt.FloatArray.FromNumpy(weights.reshape(-1)))
    _write_correctives(mesh, animation, joints, rest)
    for bounded in (root, skeleton):
        compute = UsdGeom.Boundable.ComputeExtentFromPlugins
        set_samples(bounded.CreateExtentAttr(), [compute(bounded, float(frame)) for frame in range(len(rest.motion))])
    return mesh


def joint_paths(body: Body) -> list[str]:
    """The joints as UsdSkel names them, by link: ``wrist/index1/index2``."""
    paths: list[str] = []
    for link, name in enumerate(body.link_names):
        own = prim_name(name)
        paths.append(own if link == 0 else f"{paths[int(body.parents[link])]}/{own}")
    return paths


def _define_skeleton(stage: Usd.Stage, path: str, joints: list[str], body: Body, rest: Rest) -> UsdSkel.Skeleton:
    from pxr import UsdSkel, Vt

    skeleton = UsdSkel.Skeleton.Define(stage, path)
    skeleton.CreateJointsAttr(Vt.TokenArray(joints))
    places = [FrameMotion(one[None, :3], one[None, 3:]) for one in rest.links]
    parents = [int(parent) for parent in body.parents]
    local = [places[0], *(relative(places[parents[link]], places[link]) for link in range(1, len(joints)))]
    for create, frames in ((skeleton.CreateBindTransformsAttr, places), (skeleton.CreateRestTransformsAttr, local)):
        create(Vt.Matrix4dArray([_matrix(one.position[0], one.rotation[0]) for one in frames]))
    return skeleton


def _write_joint_motion(
    animation: UsdSkel.Animation, joints: list[str], body: Body, rest: Rest, world_from_camera: np.ndarray
) -> None:
    """Local transforms of the joints at each frame; of the root, its place in the world."""
    from pxr import Gf, Vt

    frames = len(rest.motion)
    world = [
        composed(world_from_camera, rest.motion[:, link, :3], rest.motion[:, link, 3:]) for link in range(len(joints))
    ]
    local = [world[0], *(relative(world[int(body.parents[link])], world[link]) for link in range(1, len(joints)))]
    places = np.stack([one.position for one in local], axis=1).astype(np.float32)
    turns = np.stack([one.rotation for one in local], axis=1).astype(np.float32)
    animation.CreateJointsAttr(Vt.TokenArray(joints))
    set_samples(
        animation.CreateTranslationsAttr(),
        [Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(places[frame])) for frame in range(frames)],
    )
    set_samples(
        animation.CreateRotationsAttr(),
        [Vt.QuatfArray.FromNumpy(np.ascontiguousarray(turns[frame])) for frame in range(frames)],
    )
    animation.CreateScalesAttr(Vt.Vec3hArray([Gf.Vec3h(1.0)] * len(joints)))  # without it, OpenUSD finds no transforms


def _write_correctives(mesh: UsdGeom.Mesh, animation: UsdSkel.Animation, joints: list[str], rest: Rest) -> None:
    from pxr import UsdSkel, Vt

    stage, moving = (
        mesh.GetPrim().GetStage(),
        np.flatnonzero(np.abs(rest.directions).max(axis=(0, 1), initial=0.0) > 0.0),
    )
    if len(moving) == 0:
        return
    names, targets, columns = [], [], []
    for entry in moving:
        joint, row, column = joints[entry // 9 + 1].rsplit("/", 1)[-1], entry % 9 // 3, entry % 3
        for word, sign in (("plus", 1.0), ("minus", -1.0)):
            name = f"{joint}_{row}{column}_{word}"
            offsets = np.ascontiguousarray(sign * _MOST * rest.directions[:, :, entry], np.float32)
            moved = np.flatnonzero(offsets.any(axis=1))
            shape = UsdSkel.BlendShape.Define(stage, f"{mesh.GetPath()}/{name}")
            shape.CreateOffsetsAttr(Vt.Vec3fArray.FromNumpy(offsets[moved]))
            if len(moved) < len(offsets):
                shape.CreatePointIndicesAttr(Vt.IntArray.FromNumpy(moved.astype(np.int32)))
            names.append(name)
            targets.append(shape.GetPath())
            columns.append(np.maximum(sign * rest.entries[:, entry], 0.0) / _MOST)
    binding = UsdSkel.BindingAPI(mesh)
    binding.CreateBlendShapesAttr(Vt.TokenArray(names))
    binding.CreateBlendShapeTargetsRel().SetTargets(targets)
    animation.CreateBlendShapesAttr(Vt.TokenArray(names))
    weights = np.stack(columns, axis=1).astype(np.float32)
    set_samples(
        animation.CreateBlendShapeWeightsAttr(), [Vt.FloatArray.FromNumpy(np.ascontiguousarray(row)) for row in weights]
    )


def _matrix(position: np.ndarray, rotation: np.ndarray):
    from pxr import Gf

    x, y, z, w = rotation.tolist()
    return Gf.Matrix4d().SetTransform(Gf.Rotation(Gf.Quatd(w, x, y, z)), Gf.Vec3d(*position.tolist()))
