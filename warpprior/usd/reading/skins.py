"""A skinned body from what a stage says of a skeleton, or its surface as the skeleton moves it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np

from warpprior.bodies.body import Body
from warpprior.bodies.readers import webxr
from warpprior.bodies.readers.mesh import check_size
from warpprior.bodies.readers.rig import WEIGHT_TOLERANCE, Rig, as_webxr_hand, join_parts, ordered, rig_body
from warpprior.support.errors import InputError
from warpprior.usd.reading.joints import link_offsets, solve_joints
from warpprior.usd.reading.motion import nearest_rotations, over, split_rigid, transforms

_EVEN = 1e-3  # of a skeleton's size along its axes
_AWAY_M = 1e-3


class SkelMotion:
    """Where joints are: as they were bound and at every frame, in metres.

    Attributes:
        names: of the joints, the last part of their paths where that is enough.
        parents: joint above each, -1 for none.
        bind: skeleton_from_joint (joint, 4, 4), affine as the stage has it.
        world: world_from_joint (frame, joint, 4, 4), affine.
        skeleton: world_from_skeleton (frame, 4, 4), rigid.
        size: metres per unit of the skeleton's frame.
    """

    def __init__(self, where: str, said: dict[str, Any], arrays: dict[str, np.ndarray], frame_count: int):
        motion = split_rigid(arrays["placed"])
        if motion is None or not motion.is_rigid:
            raise InputError(where, "its skeleton changes its size or has none", "one that moves and turns only")
        self.size = float(np.cbrt(abs(np.linalg.det(motion.stretch))))
        if np.abs(motion.stretch - self.size * np.eye(3)).max() > _EVEN * self.size:
            raise InputError(where, "its skeleton is stretched unevenly or mirrored", "one of even size")
        self.skeleton = over(transforms(motion.rotation, motion.position), frame_count)
        self.parents = arrays["parents"]
        self.names = _short(said["joints"])
        self.bind = _sized(arrays["bind"], self.size)
        local = _sized(arrays["local"], self.size)
        placed = np.empty_like(local)
        for joint, parent in enumerate(self.parents.tolist()):  # parents come first, as UsdSkel wants it
            if not -1 <= parent < joint:
                raise InputError(where, "joints come before the joints above them", "joints in UsdSkel's order")
            placed[:, joint] = local[:, joint] if parent < 0 else placed[:, parent] @ local[:, joint]
        self.world = self.skeleton[:, None] @ over(placed, frame_count)
        self.stretched = float(np.abs(np.linalg.norm(local[..., :3, :3], axis=-2) - 1.0).max())

    def links(self) -> np.ndarray:
        """world_from_joint (frame, joint, 4, 4), rigid."""
        return _without_size(self.world)


def _short(paths: list[str]) -> tuple[str, ...]:
    names = [path.rpartition("/")[2] for path in paths]
    names = names if len(set(names)) == len(names) else list(paths)
    dashed = [name.replace("_", "-") for name in names]  # prims have no dashes in their names
    return tuple(dashed if webxr.is_webxr(dashed) and not webxr.is_webxr(names) else names)


def _sized(matrices: np.ndarray, size: float) -> np.ndarray:
    scaled = matrices.copy()
    scaled[..., :3, 3] *= size
    return scaled


def _without_size(matrices: np.ndarray) -> np.ndarray:
    turns = nearest_rotations(matrices[..., :3, :3].reshape(-1, 3, 3)).reshape(matrices[..., :3, :3].shape)
    return transforms(turns, matrices[..., :3, 3])


def build_skin(
    where: str, said: dict[str, Any], arrays: dict[str, np.ndarray], frame_count: int
) -> tuple[Body, np.ndarray, np.ndarray, list[str]]:
    """A skinned body, world_from_body (frame, 4, 4), its joint coordinates, and what is to be said.

    Zero coordinates are the bind pose.  A joint at the top that nothing follows and that has one joint below it is left
    out, so that the next one is the root and may go where it likes.

    Raises:
        InputError: a skeleton of uneven size, or a surface that cannot be used.
    """
    motion, notes = SkelMotion(where, said, arrays, frame_count), list[str]()
    count = len(motion.names)
    weights = np.zeros((len(arrays["points"]), count))
    np.add.at(weights, (np.arange(len(weights))[:, None], arrays["weight_links"]), arrays["weights"])
    total = weights.sum(axis=1)
    if (total <= 0.0).any():
        notes.append(f"{int((total <= 0.0).sum())} vertices follow no joint; they follow the first one")
        weights[total <= 0.0, 0] = 1.0
    elif np.abs(total - 1.0).max() > WEIGHT_TOLERANCE:
        notes.append("weights did not sum to one; they were scaled")
    weights /= weights.sum(axis=1, keepdims=True)
    points = motion.size * arrays["points"]
    surface, weights = join_parts(where, [(points, arrays["faces"], arrays["colors"], weights)], "a skinned mesh")
    notes += [*surface.warnings, *surface.color_warnings, *check_size(where, surface.vertices, "set metersPerUnit")]
    parents, flat = motion.parents.copy(), webxr.is_webxr(motion.names)
    if flat:
        for joint, name in enumerate(motion.names):
            if parents[joint] == -1 and name in webxr.PARENTS:
                parents[joint] = motion.names.index(webxr.PARENTS[name])
    kept = _without_top(parents, weights)
    rank = np.cumsum(kept) - 1
    rig = ordered(
        Rig(
            surface,
            weights[:, kept],
            tuple(name for name, keep in zip(motion.names, kept, strict=True) if keep),
            np.array([rank[parent] if parent >= 0 and kept[parent] else -1 for parent in parents[kept]]),
            _without_size(motion.bind[kept]),
        )
    )
    body = rig_body(said["name"], rig, ())
    body = as_webxr_hand(body, rig) if webxr.is_webxr(rig.names) else replace(body, side=named_side(said, rig.names))
    places = motion.links()
    moved = np.empty((frame_count, body.link_count, 4, 4))
    for link, name in enumerate(rig.names):
        known = name in motion.names
        moved[:, link] = places[:, motion.names.index(name)] if known else motion.skeleton
    world, joints, away = solve_joints(body, moved, link_offsets(body, np.zeros(0), 1.0))
    if away > _AWAY_M:
        notes.append(f"its joints move up to {1e3 * away:.3g} mm away from where they were bound, which is left out")
    if motion.stretched > _EVEN:
        notes.append("its joints change their size, which is left out")
    return body, world, joints, notes


def named_side(said: dict[str, Any], names: tuple[str, ...]) -> str | None:
    """The side that the names of a body and of its joints say, where they say one."""
    sides = {side for text in (said["name"], *names) for side in re.findall(r"left|right", text.lower())}
    return sides.pop() if len(sides) == 1 else None


def _without_top(parents: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Joints (joint,) bool without those at the top that nothing follows and that have one joint below."""
    kept = np.ones(len(parents), dtype=bool)
    for joint in range(len(parents)):
        roots = [other for other in np.flatnonzero(kept) if parents[other] < 0 or not kept[parents[other]]]
        below = np.flatnonzero((parents == joint) & kept)
        if roots != [joint] or len(below) != 1 or weights[:, joint].any():
            break
        kept[joint] = False
    return kept


def posed_surface(
    where: str, said: dict[str, Any], arrays: dict[str, np.ndarray], frame_count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The surface as the skeleton moves it: points (frame, vertex, 3) in the world [m], faces and colours."""
    motion = SkelMotion(where, said, arrays, frame_count)
    points = motion.size * arrays["points"]
    links, weights = arrays["weight_links"], arrays["weights"]
    total = weights.sum(axis=1, keepdims=True)
    weights = weights / np.where(total > 0.0, total, 1.0)
    places = np.empty((frame_count, *points.shape))
    carries = motion.world @ np.linalg.inv(motion.bind)
    for frame, matrices in enumerate(carries):
        turned = np.einsum("vkij,vj->vki", matrices[links][..., :3, :3], points) + matrices[links][..., :3, 3]
        places[frame] = np.einsum("vk,vki->vi", weights, turned)
    return places, arrays["faces"], arrays["colors"]
