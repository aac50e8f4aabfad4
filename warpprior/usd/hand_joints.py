"""The skeleton of a body that bends: a frame per joint and fingertip, and a rigid body with a hull per bone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from warpprior.bodies.body import Body
from warpprior.bodies.dynamics import origin_of
from warpprior.bodies.mass import Matter, solid_of
from warpprior.geometry.hulls import Hull, convex_hull
from warpprior.scene import Poses
from warpprior.usd.colliders import add_hulls
from warpprior.usd.names import prim_name
from warpprior.usd.physics import make_rigid
from warpprior.usd.prims import define_frame
from warpprior.usd.samples import composed, in_link_frames

if TYPE_CHECKING:
    from pxr import Usd, UsdShade

JOINTS = "Joints"  # below the body's prim
_SHARE = 0.35  # weight from which a vertex belongs to a bone that is not its strongest one
_CORNERS = 32  # of a bone's hull


def write_joints(
    stage: Usd.Stage,
    path: str,
    body: Body,
    poses: Poses,
    surface: np.ndarray,
    *,
    matter: Matter,
    material: UsdShade.Material,
    world_from_camera: np.ndarray,
    device: str,
) -> Usd.Prim:
    """Write ``path/Joints``: an Xform per link, named as in the body, and one per fingertip, which turns with its link.

    Links that carry a part of the surface are kinematic rigid bodies with one convex hull each, of the surface as it is
    with no joint moved.

    Args:
        stage: the stage.
        path: of the body's prim, which must not move.
        body: has links.
        poses: its motion, camera_from_body.
        surface: its posed surface in the camera frame (frame, vertex, 3) [m].
        matter: what it is made of.
        material: with its friction.
        world_from_camera: position [m] then quaternion xyzw (7,), or (frame, 7) where the camera moves.
        device: Warp device that poses links.

    Returns:
        the frame of the root link.
    """
    from pxr import UsdGeom

    from warpprior.bodies import link_transforms

    links = link_transforms(body, poses, device).astype(np.float64)
    hulls = bone_hulls(body, poses, device)
    solids = {link: solid_of(hull.vertices, hull.faces) for link, hull in hulls.items()}
    volume = sum(solid.volume for solid in solids.values())
    UsdGeom.Scope.Define(stage, f"{path}/{JOINTS}")
    names = _names(body)
    for link, name in enumerate(names):
        motion = composed(world_from_camera, links[:, link, :3], links[:, link, 3:])
        frame = define_frame(stage, f"{path}/{JOINTS}/{name}", motion)
        frame.SetDisplayName(body.link_names[link])
        if link in hulls:
            weighed = solids[link].weighed(matter.density_of(volume))
            make_rigid(frame, weighed, origin_of(matter), kinematic=True)
            add_hulls(stage, str(frame.GetPath()), [hulls[link]], material)
    for name, link, vertex in fingertips(body):
        motion = composed(world_from_camera, surface[:, vertex].astype(np.float64), links[:, link, 3:])
        define_frame(stage, f"{path}/{JOINTS}/{name}", motion)
    return stage.GetPrimAtPath(f"{path}/{JOINTS}/{names[0]}")


def bone_hulls(body: Body, poses: Poses, device: str) -> dict[int, Hull]:
    """The convex hull of each link's share of the surface at rest, in the link's frame, of links that have one."""
    from warpprior.bodies import link_transforms, posed_vertices

    rest = Poses(
        np.zeros((1, 3)),
        np.array([[0.0, 0.0, 0.0, 1.0]]),
        np.zeros((1, body.coordinate_count)),
        shape=poses.shape,
        scale=poses.scale,
    )
    vertices = posed_vertices(body, rest, device)[0]
    links = link_transforms(body, rest, device)[0].astype(np.float64)
    drawn = np.zeros(body.vertex_count, dtype=bool)
    drawn[body.faces] = True
    strongest = np.argmax(body.skin_weights, axis=1)
    belongs = body.skin_weights >= _SHARE
    belongs[np.arange(body.vertex_count), strongest] = True
    belongs &= drawn[:, None]
    hulls = {}
    for link in range(body.link_count):
        own = np.flatnonzero((belongs & (body.skin_links == link)).any(axis=1))
        if len(own) >= 4:
            places = in_link_frames(vertices[own], np.full(len(own), link), links)
            hulls[link] = convex_hull(places, _CORNERS)
    return hulls


def _names(body: Body) -> list[str]:
    return [prim_name(name) for name in body.link_names]


def fingertips(body: Body) -> list[tuple[str, int, int]]:
    """Name, link and vertex of the fingertips that are on the skin."""
    points, taken = body.keypoints, set(_names(body))
    if points is None:
        return []
    rows = zip(map(prim_name, points.names), points.links.tolist(), points.vertices.tolist(), points.tips, strict=True)
    return [(name, link, vertex) for name, link, vertex, tip in rows if tip and vertex >= 0 and name not in taken]
