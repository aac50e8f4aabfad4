"""One body of a stage: how it is drawn and moved, and what physics engines make of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from warpprior.bodies.body import Body
from warpprior.bodies.dynamics import origin_of, weigh_links
from warpprior.bodies.mass import MassProperties, Solid, solid_of
from warpprior.scene import Poses, SceneBody
from warpprior.usd import prims
from warpprior.usd.about import write_about, write_tree
from warpprior.usd.articulation import Links, write_articulation
from warpprior.usd.colliders import OF_A_LINK, OF_AN_OBJECT, Bounds, add_collider, add_hulls, find_hulls
from warpprior.usd.hand_joints import write_joints
from warpprior.usd.names import prim_name
from warpprior.usd.options import StageOptions
from warpprior.usd.physics import make_rigid
from warpprior.usd.samples import FrameMotion, carried_link, composed, in_link_frames, in_world, part_of, relative
from warpprior.usd.skeleton import POINTS, RIG, SKEL, VARIANTS, Rest, licence_sentence, resting, write_rig
from warpprior.usd.uncertainty import write_uncertainty

if TYPE_CHECKING:
    from pxr import Usd, UsdShade

_FAINT = 0.02  # meshes that never get warmer are written without heat

# Of links of an articulation that have no surface: engines want every link to weigh something.
_NEXT_TO_NOTHING = (
    MassProperties(1e-3, np.zeros(3), np.full(3, 1e-7), np.array([0.0, 0.0, 0.0, 1.0])),
    "next to nothing: no file says it, and there is no surface",
)


@dataclass(frozen=True, eq=False)
class Looks:
    """How a body's meshes look: material, own colour (3,) or (vertex, 3), contact heat (frame, vertex) or None."""

    material: UsdShade.Material
    color: np.ndarray
    heat: np.ndarray | None


class BodyWriter:
    """Writes one body below the prim ``root``."""

    def __init__(self, stage: Usd.Stage, root: str, body: SceneBody, solid: Body, looks: Looks, options: StageOptions):
        self.stage, self.body, self.solid, self.looks, self.options = stage, body.body, solid, looks, options
        self.item, self.matter = body, body.matter
        self.name = prim_name(body.name)
        self.path = f"{root}/{self.name}"

    def write(self, poses: Poses, surface: np.ndarray | None, world_from_camera: np.ndarray, device: str) -> None:
        """Choose the representation; ``surface`` is the posed surface where it is known already."""
        from pxr import Usd

        from warpprior.bodies import posed_vertices

        body, root = self.body, composed(world_from_camera, poses.position, poses.rotation)
        sure = self.path  # of the frame that the covariance is about
        if body.is_rigid:
            self._rigid(root, poses.scale)
        elif (vertex_link := carried_link(body)) is not None:
            self._links(poses, vertex_link, root, world_from_camera, device)
        else:
            drawn: np.ndarray = posed_vertices(body, poses, device) if surface is None else surface
            fixed = FrameMotion(np.zeros((1, 3)), np.array([[0.0, 0.0, 0.0, 1.0]]))
            prims.define_frame(self.stage, self.path, fixed)
            positions = in_world(world_from_camera, drawn)
            if body.link_count > 1 and self.options.hand_rig == SKEL:
                self._choices(positions, resting(body, poses, device), world_from_camera)
            else:
                self._points(positions)
            if body.link_count > 1:
                joints = write_joints(
                    self.stage,
                    self.path,
                    body,
                    poses,
                    drawn,
                    matter=self.matter,
                    material=self.looks.material,
                    world_from_camera=world_from_camera,
                    device=device,
                )
                sure = str(joints.GetPath())
        prim = self.stage.GetPrimAtPath(self.path)
        Usd.ModelAPI(prim).SetKind("component")
        prim.SetDisplayName(self.body.name)
        write_about(prim, self.item)
        if poses.covariance is not None:
            write_uncertainty(self.stage.GetPrimAtPath(sure), poses.covariance, world_from_camera)

    def _points(self, positions: np.ndarray) -> None:
        mesh = prims.define_moving_mesh(self.stage, f"{self.path}/{self.name}", positions, self.body.faces)
        self._dress(mesh, np.arange(self.body.vertex_count))

    def _choices(self, positions: np.ndarray, rest: Rest, world_from_camera: np.ndarray) -> None:
        """Points and a rig as variants, of which points are selected; heat is on points alone."""
        choices = self.stage.GetPrimAtPath(self.path).GetVariantSets().AddVariantSet(VARIANTS)
        for name in (SKEL, POINTS):
            choices.AddVariant(name)
            choices.SetVariantSelection(name)
            with choices.GetVariantEditContext():
                if name == POINTS:
                    self._points(positions)
                    continue
                mesh = write_rig(self.stage, self.path, self.name, self.body, rest, world_from_camera)
                self._dress(mesh, np.arange(self.body.vertex_count), warm=False)
                if (sentence := licence_sentence(self.body)) is not None:
                    self.stage.GetPrimAtPath(f"{self.path}/{RIG}").SetCustomDataByKey("warpprior:licence", sentence)

    def _rigid(self, root: FrameMotion, scale: float) -> None:
        body, solid = self.body, self.solid
        vertices = body.vertices * np.float32(scale)
        mesh = self._carried(root, self.path, self.name, vertices, body.faces, np.arange(body.vertex_count))
        if mesh is None:
            return
        whole = solid_of(solid.vertices * np.float32(scale), solid.faces, closed=solid.closed)
        weighed = whole.weighed(self.matter.density_of(whole.volume))
        make_rigid(self.stage.GetPrimAtPath(self.path), weighed, origin_of(self.matter), kinematic=True)
        self._collide(self.path, mesh, solid.vertices, solid.faces, scale, OF_AN_OBJECT)

    def _links(
        self,
        poses: Poses,
        vertex_link: np.ndarray,
        root: FrameMotion,
        world_from_camera: np.ndarray,
        device: str,
    ) -> None:
        """One Xform per link below the root's Xform; a link's mesh is its share of the surface."""
        from warpprior.bodies import link_transforms, posed_vertices

        body, jointed = self.body, self.options.robot == "articulation"
        links = link_transforms(body, poses, device).astype(np.float64)
        rest = in_link_frames(posed_vertices(body, poses.frames(slice(0, 1)), device)[0], vertex_link, links[0])
        still = FrameMotion(np.zeros((1, 3)), np.array([[0.0, 0.0, 0.0, 1.0]]))
        prims.define_frame(self.stage, self.path, still if jointed else root)
        placed, paths, places = [], [], []
        solids: list[Solid | None] = []
        for link, link_name in enumerate(body.link_names):
            motion = composed(world_from_camera, links[:, link, :3], links[:, link, 3:])
            own, faces = part_of(body.faces, vertex_link, link)
            name = prim_name(link_name)
            path = f"{self.path}/{name}"
            mesh = self._carried(motion if jointed else relative(root, motion), path, name, rest[own], faces, own)
            self.stage.GetPrimAtPath(path).SetDisplayName(link_name)
            paths.append(path)
            places.append(np.concatenate([motion.position[0], motion.rotation[0]]))
            solids.append(None)
            if mesh is not None:
                own, faces = part_of(self.solid.faces, vertex_link[: self.solid.vertex_count], link)
                solids[-1] = solid_of(rest[own], faces, closed=self.solid.closed)
                self._collide(path, mesh, rest[own].astype(np.float32), faces, 1.0, OF_A_LINK)
            placed.append(motion)
        weighed = weigh_links(self.solid.dynamics, solids, self.matter, poses.scale)
        for path, own in zip(paths, weighed, strict=True):
            if jointed or own is not None:
                make_rigid(self.stage.GetPrimAtPath(path), *(own or _NEXT_TO_NOTHING), kinematic=not jointed)
        if not jointed:
            write_tree(self.stage.GetPrimAtPath(self.path), body, poses)
        else:
            shown = Links(
                paths, placed[0].is_still, np.array(places), [(own or _NEXT_TO_NOTHING)[0] for own in weighed]
            )
            write_articulation(self.stage, self.path, body, poses, shown)

    def _carried(
        self, motion: FrameMotion, path: str, name: str, vertices: np.ndarray, faces: np.ndarray, own: np.ndarray
    ):
        """An Xform and, where there are faces, the mesh it carries; ``own`` numbers its vertices in the body."""
        prims.define_frame(self.stage, path, motion)
        if len(faces) == 0:
            return None
        mesh = prims.define_carried_mesh(self.stage, f"{path}/{name}", vertices, faces)
        self._dress(mesh, own)
        return mesh

    def _collide(self, path: str, mesh, vertices: np.ndarray, faces: np.ndarray, scale: float, bounds: Bounds) -> None:
        """Colliders below the frame of a mesh, of the surface drawn ``scale`` times as large."""
        if self.options.colliders == "convex_hulls":
            hulls = find_hulls(vertices, faces, bounds, closed=self.solid.closed, scale=scale)
            add_hulls(self.stage, path, hulls, self.looks.material)
        else:
            add_collider(mesh, vertices * np.float32(scale), faces, self.options.colliders, self.looks.material)

    def _dress(self, mesh, own: np.ndarray, *, warm: bool = True) -> None:
        """Colour, heat if ``warm``, material and sidedness of a mesh that holds the body's vertices ``own``."""
        color = self.looks.color[own] if self.looks.color.ndim == 2 else self.looks.color
        heat = None if self.looks.heat is None or not warm else self.looks.heat[:, own]
        prims.color_mesh(mesh, color, heat if heat is not None and heat.max() > _FAINT else None)
        prims.bind_material(mesh, self.looks.material)
        if not self.body.closed:
            mesh.CreateDoubleSidedAttr(True)
