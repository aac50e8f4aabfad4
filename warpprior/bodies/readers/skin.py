"""Skinned meshes from binary glTF files: joints, weights and inverse bind matrices as an articulated body."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from warpprior.bodies.body import Body
from warpprior.bodies.readers import webxr
from warpprior.bodies.readers.kinds import BodyKind, BodySource
from warpprior.bodies.readers.mesh import check_size
from warpprior.bodies.readers.mesh_files.glb import ACCEPTED, Glb
from warpprior.bodies.readers.mesh_files.gltf import read_triangles
from warpprior.bodies.readers.mesh_files.gltf_colors import GltfColors
from warpprior.bodies.readers.rig import (
    MOST_JOINTS,
    MOST_WEIGHTS,
    WEIGHT_TOLERANCE,
    Rig,
    as_webxr_hand,
    join_parts,
    ordered,
    rig_body,
)
from warpprior.bodies.readers.unreadable import refuse_unreadable
from warpprior.support.errors import InputError

REST_TOLERANCE = 1e-3  # [m], between the file's own pose and its bind pose
MOST_SKINS = 64
MOST_MATRICES = 16 * MOST_JOINTS  # of one skin: some files have them for joints that it does not use


def read_skin(path: Path | str, name: str) -> Body:
    """An articulated body of kind ``skin`` from a GLB file with a skinned mesh.

    The root frame is that of the file's scene [m], and zero coordinates are the bind pose.  Every joint is a ball
    joint in the frame it was bound in, but those no vertex follows: they are fixed.  Joints hang together as their
    nodes do; those of a WebXR hand, whose nodes all lie side by side, as a hand does.  Several roots hang from a link
    of their own, ``root``.  Vertices at one place become one, which closes texture seams; what the surface needs
    beyond that is repaired as for meshes.  Animations and morph targets are left out.

    A WebXR hand also gets its side, 21 keypoints, limits, contact zones and a pose prior.

    Args:
        path: ``.glb``.
        name: name of the body.

    Raises:
        InputError: damaged, without a skin, not self-contained, or not in metres.
    """
    path = Path(path)
    if path.suffix.lower() != ".glb":
        raise InputError(str(path), f"{path.suffix!r} files are not read", "give a skinned mesh as .glb")
    with refuse_unreadable(str(path), "give a complete GLB file with a skinned mesh"):
        rig = _read_rig(Glb(path), str(path))
        hint = "scale the armature and apply it before saving the file"
        warnings = rig.surface.warnings + rig.surface.color_warnings + check_size(str(path), rig.surface.vertices, hint)
        body = rig_body(name, ordered(rig), warnings)
        return as_webxr_hand(body, rig) if webxr.is_webxr(rig.names) else replace(body, side=_named_side(path, rig))


def _read_rig(glb: Glb, where: str) -> Rig:
    world, node_parents = glb.world()
    nodes = glb.listed("nodes")
    drawn = [node for node in nodes if "mesh" in node and "skin" in node]
    if not drawn:
        raise InputError(where, "has no skinned mesh", 'give a file with a skin, or use kind = "mesh"')
    vertex_count = glb.check_drawn(drawn)
    unique: dict[int, None] = {}
    skins = dict.fromkeys(node["skin"] for node in drawn)
    if len(skins) > MOST_SKINS:
        raise InputError(where, f"shows {len(skins)} skins", f"at most {MOST_SKINS} are read")
    for skin in skins:
        unique.update(dict.fromkeys(glb.item("skins", skin)["joints"]))
    joints = list(unique)
    if not 1 <= len(joints) <= MOST_JOINTS:
        raise InputError(where, f"has {len(joints)} joints", f"1 to {MOST_JOINTS} are read")
    if vertex_count * len(joints) > MOST_WEIGHTS:
        found = f"{vertex_count} vertices with {len(joints)} joints"
        raise InputError(where, found, f"simplify it to at most {MOST_WEIGHTS // len(joints)} vertices")
    for joint in joints:
        glb.item("nodes", joint)
    placed = np.full((len(joints), 4, 4), np.nan)
    warnings: list[str] = []
    colors = GltfColors(glb)
    parts = []
    binds: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for number in skins:
        skin = glb.item("skins", number)
        columns = np.array([joints.index(j) for j in skin["joints"]])
        scene_from_bind, bound = _bind_pose(glb, skin, world)
        binds[number] = scene_from_bind, columns
        new = np.isnan(placed[columns, 0, 0])
        placed[columns[new]] = bound[new]
    for node in drawn:
        scene_from_bind, columns = binds[node["skin"]]
        for primitive in glb.item("meshes", node["mesh"])["primitives"]:
            part = _read_primitive(glb, primitive, scene_from_bind, columns, len(joints), warnings)
            if part is not None:
                points, faces, weights = part
                painted = colors.read(primitive, points, faces)
                bare = np.full(points.shape, np.nan) if painted is None else painted
                parts.append((points, faces, bare, weights))
    warnings += colors.warnings
    moved = np.linalg.norm(world[joints][:, :3, 3] - placed[:, :3, 3], axis=1).max()
    if moved > REST_TOLERANCE:
        warnings.append(f"its joints stand up to {moved:.3g} m from where they were bound; zero is the bind pose")
    surface, weights = join_parts(where, parts, ACCEPTED)
    names = tuple(str(nodes[j].get("name") or f"joint{i}") for i, j in enumerate(joints))
    if len(set(names)) < len(names):
        names = tuple(f"{text}#{index}" for index, text in enumerate(names))
    parents = _joint_parents(joints, node_parents, names)
    surface = replace(surface, warnings=tuple(dict.fromkeys(warnings)) + surface.warnings)
    return Rig(surface, weights, names, parents, placed)


def _bind_pose(glb: Glb, skin: dict, world: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """scene_from_bind (4, 4), which places the mesh as it was bound, and scene_from_joint (joint, 4, 4) then, rigid.

    The mesh's frame is put into the scene by the skin's first joint; the node of the mesh has no say (glTF 2.0, 3.7.3).
    """
    joints = skin["joints"]
    inverses = np.tile(np.eye(4), (len(joints), 1, 1))
    if "inverseBindMatrices" in skin:
        if glb.count(skin["inverseBindMatrices"]) > MOST_MATRICES:
            raise ValueError("more bind matrices than joints")
        stored = glb.array(skin["inverseBindMatrices"]).astype(np.float64)
        inverses = stored[: len(joints)].reshape(len(joints), 4, 4).transpose(0, 2, 1)
    scene_from_bind = world[joints[0]] @ inverses[0]
    bound = scene_from_bind @ np.linalg.inv(inverses)
    left, sizes, right = np.linalg.svd(bound[:, :3, :3])
    if sizes.min() <= 0.0 or not np.isfinite(sizes).all():
        raise ValueError("a joint without extent")
    turns = left @ right
    turns[:, :, 2] *= np.sign(np.linalg.det(turns))[:, None]  # of a mirrored armature
    bound[:, :3, :3] = turns
    return scene_from_bind, bound


def _read_primitive(glb: Glb, primitive: dict, scene_from_bind, columns, joint_count: int, warnings: list):
    """Vertices, faces and weights (vertex, joint) of one part of a mesh; None when it is no surface."""
    where = str(glb.path)
    found = read_triangles(glb, primitive)
    if found is None:
        warnings.append("lines and points were left out")
        return None
    if primitive.get("targets"):
        warnings.append("morph targets were left out")
    attributes = primitive["attributes"]
    points, faces = found
    if np.linalg.det(scene_from_bind[:3, :3]) < 0.0:
        faces = faces[:, ::-1]
    weights = np.zeros((len(points), joint_count))
    for index in range(8):
        if f"WEIGHTS_{index}" not in attributes:
            break
        share = glb.array(attributes[f"WEIGHTS_{index}"], len(points)).astype(np.float64)
        links = glb.array(attributes[f"JOINTS_{index}"], len(points)).astype(np.int64)
        links = np.where(share > 0.0, links, 0)
        if share.shape != links.shape or links.max(initial=0) >= len(columns):
            raise InputError(where, "its weights name joints the skin has not", "the file is damaged")
        if not (np.isfinite(share).all() and share.min(initial=0.0) >= 0.0):
            raise InputError(where, "some weights are negative or not finite", "the file is damaged")
        np.add.at(weights, (np.arange(len(points))[:, None], columns[links]), share)
    total = weights.sum(axis=1)
    if (total <= 0.0).any():
        warnings.append(f"{int((total <= 0.0).sum())} vertices follow no joint; they follow the first one")
        weights[total <= 0.0, columns[0]] = 1.0
    elif np.abs(total - 1.0).max() > WEIGHT_TOLERANCE:
        warnings.append("weights did not sum to one; they were scaled")
    placed = points @ scene_from_bind[:3, :3].T + scene_from_bind[:3, 3]
    return placed, faces, weights / weights.sum(axis=1, keepdims=True)


def _joint_parents(joints: list[int], node_parents: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """Parent joint of each joint, -1 for none: the nearest joint among the ancestors of its node."""
    number = {joint: index for index, joint in enumerate(joints)}
    parents = np.full(len(joints), -1)
    flat = webxr.is_webxr(names)
    for index, joint in enumerate(joints):
        node = int(node_parents[joint])
        while node != -1 and node not in number:
            node = int(node_parents[node])
        parents[index] = number.get(node, -1)
        if flat and parents[index] == -1 and names[index] in webxr.PARENTS:
            parents[index] = names.index(webxr.PARENTS[names[index]])
    return parents


def _named_side(path: Path, rig: Rig) -> str | None:
    """The side a file says it is of, in its own name or in all names of its joints that name one."""
    sides = {side for text in (path.stem, *rig.names) for side in re.findall(r"left|right", text.lower())}
    return sides.pop() if len(sides) == 1 else None


class SkinKind(BodyKind):
    """A skinned mesh; its file is copied."""

    name = "skin"

    def read(self, source: BodySource) -> tuple[Body, None]:
        """The skinned mesh."""
        return read_skin(source.file, name=source.name), None


KIND = SkinKind()
