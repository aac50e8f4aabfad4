"""Rig: a skinned surface with its joints as they were bound, and the body that it makes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from warpprior.bodies.blend_body import strongest_links
from warpprior.bodies.body import Body, JointType
from warpprior.bodies.hand_parts import find_zones, palm_directions
from warpprior.bodies.readers import webxr
from warpprior.bodies.repair import Surface, repair_surface
from warpprior.support.errors import InputError

MOST_JOINTS = 256
MOST_WEIGHTS = 20_000_000  # vertices times joints
LIMIT = 2.8  # [rad], of each entry of a rotation vector: short of a full turn
WEIGHT_TOLERANCE = 1e-2  # of sums of weights, beyond which scaling them is said


@dataclass(frozen=True, eq=False)
class Rig:
    """What a file says, in its scene frame with every joint where it was bound.

    Attributes:
        surface: triangles of all skinned meshes.
        weights: (vertex, joint).
        names: of the joints.
        parents: joint above each joint, -1 for none.
        placed: scene_from_joint (joint, 4, 4), without scale.
    """

    surface: Surface
    weights: np.ndarray
    names: tuple[str, ...]
    parents: np.ndarray
    placed: np.ndarray


def join_parts(where: str, parts: list, accepted: str) -> tuple[Surface, np.ndarray]:
    """All parts as one repaired surface, and its weights; vertices at one place share the mean of theirs.

    Args:
        where: the file, for messages.
        parts: vertices, faces, colours (NaN for none) and weights (vertex, joint) of each.
        accepted: what to give instead, for messages.
    """
    if not parts:
        raise InputError(where, "its skinned meshes have no triangles", accepted)
    starts = np.cumsum([0] + [len(part[0]) for part in parts])
    points = np.concatenate([part[0] for part in parts])
    faces = np.concatenate([part[1] + start for part, start in zip(parts, starts, strict=False)])
    colors, weights = (np.concatenate([part[i] for part in parts]) for i in (2, 3))
    surface = repair_surface(where, Surface(points, faces, colors))
    both = np.concatenate([surface.vertices, points]).astype(np.float32)
    _, place = np.unique(both, axis=0, return_inverse=True)
    place = place.reshape(-1)
    total = np.zeros((place.max() + 1, weights.shape[1]))
    np.add.at(total, place[len(surface.vertices) :], weights)
    kept = total[place[: len(surface.vertices)]]
    return surface, kept / kept.sum(axis=1, keepdims=True)


def ordered(rig: Rig) -> Rig:
    """The rig with one root first and every joint behind its parent."""
    roots = np.flatnonzero(rig.parents == -1)
    if len(roots) > 1:
        names = ("root", *rig.names)
        parents = np.concatenate([[-1], np.where(rig.parents == -1, 0, rig.parents + 1)])
        placed = np.concatenate([np.eye(4)[None], rig.placed])
        weights = np.hstack([np.zeros((len(rig.weights), 1)), rig.weights])
        rig = replace(rig, names=names, parents=parents, placed=placed, weights=weights)
    depth = np.zeros(len(rig.parents), dtype=np.int64)
    for joint in range(len(depth)):
        above = rig.parents[joint]
        while above != -1:
            depth[joint] += 1
            above = rig.parents[above]
    order = np.argsort(depth, kind="stable")
    if webxr.is_webxr(rig.names) and len(roots) == 1:
        wanted = [rig.names.index(name) for name in webxr.JOINT_NAMES]
        order = np.array(wanted + [joint for joint in order if joint not in wanted])
    rank = np.argsort(order)
    parents = np.array([-1 if rig.parents[j] == -1 else rank[rig.parents[j]] for j in order])
    names = tuple(rig.names[j] for j in order)
    return replace(rig, names=names, parents=parents, placed=rig.placed[order], weights=rig.weights[:, order])


def rig_body(name: str, rig: Rig, warnings: tuple[str, ...]) -> Body:
    from scipy.spatial.transform import Rotation

    links = len(rig.names)
    moving = np.asarray((rig.weights > 0.0).any(axis=0))
    for link in range(links - 1, 0, -1):  # a joint also moves what hangs from it
        moving[rig.parents[link]] |= moving[link]
    types = np.where(moving, JointType.BALL, JointType.FIXED)
    types[0] = JointType.FREE
    balls = np.flatnonzero(types == JointType.BALL)
    starts = np.full(links, -1)
    starts[balls] = 3 * np.arange(len(balls))
    offsets = rig.placed.copy()
    offsets[1:] = np.linalg.inv(rig.placed[rig.parents[1:]]) @ rig.placed[1:]
    turns = Rotation.from_matrix(offsets[:, :3, :3]).as_quat()
    skin_links, skin_weights = strongest_links(rig.weights)
    vertices = rig.surface.vertices.astype(np.float32)
    return Body(
        name=name,
        kind="skin",
        vertices=vertices,
        faces=rig.surface.faces.astype(np.int32),
        link_names=rig.names,
        parents=rig.parents.astype(np.int32),
        joint_types=types.astype(np.int32),
        joint_offsets=np.hstack([offsets[:, :3, 3], turns]).astype(np.float32),
        joint_axes=np.zeros((links, 3), dtype=np.float32),
        coordinate_starts=starts.astype(np.int32),
        coordinate_gains=np.ones(links, dtype=np.float32),
        coordinate_biases=np.zeros(links, dtype=np.float32),
        coordinate_names=tuple(f"{rig.names[link]}.{axis}" for link in balls for axis in "xyz"),
        lower=np.full(3 * len(balls), -LIMIT, dtype=np.float32),
        upper=np.full(3 * len(balls), LIMIT, dtype=np.float32),
        skin_links=skin_links,
        skin_weights=skin_weights,
        shape_directions=np.zeros((len(vertices), 3, 0), dtype=np.float32),
        joint_shape_directions=np.zeros((links, 3, 0), dtype=np.float32),
        pose_directions=np.zeros((len(vertices), 3, 0), dtype=np.float32),
        colors=None if rig.surface.colors is None else rig.surface.colors.astype(np.float32),
        closed=rig.surface.closed,
        warnings=warnings,
    )


def as_webxr_hand(body: Body, rig: Rig) -> Body:
    """The body with what is known of a WebXR hand."""
    placed = dict(zip(rig.names, rig.placed, strict=True))
    side = webxr.webxr_side(placed)
    index, middle, pinky = (placed[webxr.CHAINS[finger][1]][:3, 3] for finger in ("index", "middle", "pinky"))
    looks = palm_directions(placed["wrist"][:3, 3], index, middle, pinky, side)
    pads = {finger: body.link_names.index(joint) for finger, joint in webxr.PADS.items()}
    palm = tuple(body.link_names.index(joint) for joint in webxr.PALM)
    vertices = body.vertices.astype(np.float64)
    lower, upper, prior = webxr.webxr_motion(body.coordinate_names)
    return replace(
        body,
        side=side,
        lower=lower,
        upper=upper,
        keypoints=webxr.webxr_keypoints(body.link_names),
        contact_zones=find_zones(vertices, body.faces, body.skin_links[:, 0], pads, palm, looks),
        pose_prior=prior,
    )
