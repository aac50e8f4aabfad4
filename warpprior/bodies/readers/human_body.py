"""Our own human body: 24 links in SMPL's order, 69 joint coordinates, 10 shape parameters (docs/body.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from warpprior.bodies.body import Body, JointType, Keypoints
from warpprior.bodies.body_parts import KEYPOINT_ORDERS, LINK_NAMES, PARENTS, KeypointOrder, other_side
from warpprior.bodies.body_prior import joint_limits, posture_prior
from warpprior.bodies.readers.assets import find_asset
from warpprior.bodies.readers.kinds import BodyKind, BodySource, BodyTarget
from warpprior.support.errors import InputError


def read_human_body(name: str = "person", *, keypoints: KeypointOrder = "coco17") -> Body:
    """Our own human body at rest: upright, arms level, palms down, the mean adult's size.

    The root frame has its origin halfway between the hips, x to the person's left, y up, z to the front; the frames
    of all joints have the same axes at rest, as SMPL's have, and mean the same by the same rotation vectors.

    Args:
        name: of the body.
        keypoints: those it has, and their order: ``coco17``, ``body25`` (OpenPose) or ``smpl24``, its joints.

    Raises:
        InputError: another order of keypoints.
    """
    if keypoints not in KEYPOINT_ORDERS:
        raise InputError("keypoints", repr(keypoints), ", ".join(KEYPOINT_ORDERS))
    with np.load(find_asset("body.npz"), allow_pickle=False) as file:
        asset = {key: file[key] for key in file.files}
    vertices, faces, twin = both_halves(asset["vertices"], asset["faces"].astype(np.int32), asset["middle"])
    right = np.arange(len(asset["vertices"]), len(vertices))
    source = twin[right]
    mirrored = np.array([LINK_NAMES.index(other_side(link)) for link in LINK_NAMES])
    flip = np.array([-1.0, 1.0, 1.0], dtype=np.float32)
    shapes = asset["shape_directions"].astype(np.float32)
    lower, upper = joint_limits(LINK_NAMES[1:])
    link_count, coordinates = len(LINK_NAMES), 3 * (len(LINK_NAMES) - 1)
    straight = np.tile(np.array([0.0, 0.0, 0.0, 1.0], dtype=np.float32), (link_count, 1))
    return Body(
        name=name,
        kind="body",
        vertices=vertices,
        faces=faces,
        link_names=LINK_NAMES,
        parents=np.array(PARENTS, dtype=np.int32),
        joint_types=np.array([JointType.FREE] + [JointType.BALL] * (link_count - 1), dtype=np.int32),
        joint_offsets=np.hstack([asset["joint_positions"], straight]),
        joint_axes=np.zeros((link_count, 3), dtype=np.float32),
        coordinate_starts=np.array([-1, *range(0, coordinates, 3)], dtype=np.int32),
        coordinate_gains=np.ones(link_count, dtype=np.float32),
        coordinate_biases=np.zeros(link_count, dtype=np.float32),
        coordinate_names=tuple(f"{link}.{axis}" for link in LINK_NAMES[1:] for axis in "xyz"),
        lower=lower,
        upper=upper,
        skin_links=np.concatenate([asset["skin_links"], mirrored[asset["skin_links"][source]]]).astype(np.int32),
        skin_weights=np.concatenate([asset["skin_weights"], asset["skin_weights"][source]]),
        shape_directions=np.concatenate([shapes, shapes[source] * flip[:, None]]),
        joint_shape_directions=asset["joint_shape_directions"],
        pose_directions=np.zeros((len(vertices), 3, 0), dtype=np.float32),
        colors=np.concatenate([asset["colors"], asset["colors"][source]]),
        closed=True,
        keypoints=_keypoints(asset, twin, keypoints),
        contact_zones=_zones(asset, twin),
        pose_prior=posture_prior(LINK_NAMES[1:]),
        keys={} if keypoints == "coco17" else {"keypoints": keypoints},
    )


def both_halves(vertices: np.ndarray, faces: np.ndarray, middle: np.ndarray):
    """A whole body of its left half: vertices, faces, and the mirror image of each vertex (vertex,).

    Args:
        vertices: of the left half and the middle (vertex, 3).
        faces: of the left half (face, 3).
        middle: which vertices are in both halves (vertex,) bool.
    """
    count, sides = len(vertices), np.flatnonzero(~middle)
    twin = np.arange(count, dtype=np.int32)
    twin[sides] = count + np.arange(len(sides), dtype=np.int32)
    places = np.concatenate([vertices, vertices[sides] * np.array([-1.0, 1.0, 1.0], dtype=vertices.dtype)])
    return places, np.concatenate([faces, twin[faces][:, ::-1]]), np.concatenate([twin, sides.astype(np.int32)])


def _keypoints(asset: dict[str, np.ndarray], twin: np.ndarray, order: KeypointOrder) -> Keypoints:
    """Joints, and vertices of the skin with the link that each mostly follows."""
    skin = dict(zip(asset["landmark_names"].tolist(), asset["landmark_vertices"].tolist(), strict=True))
    strongest = {name: LINK_NAMES[asset["skin_links"][vertex, 0]] for name, vertex in skin.items()}
    for name in [name for name in skin if name.startswith("left_")]:
        skin[other_side(name)] = int(twin[skin[name]])
        strongest[other_side(name)] = other_side(strongest[name])
    names = KEYPOINT_ORDERS[order]
    links = [LINK_NAMES.index(name if name in LINK_NAMES else strongest[name]) for name in names]
    vertices = [-1 if name in LINK_NAMES else skin[name] for name in names]
    return Keypoints(names, np.array(links, dtype=np.int32), np.array(vertices, dtype=np.int32))


def _zones(asset: dict[str, np.ndarray], twin: np.ndarray) -> dict[str, np.ndarray]:
    """Zones of the left side, of the right, and those that go across the middle."""
    zones = {}
    parts = np.split(asset["zone_vertices"], np.cumsum(asset["zone_counts"])[:-1])
    for name, part in zip(asset["zone_names"].tolist(), parts, strict=True):
        if name.startswith("left_"):
            zones |= {name: part, other_side(name): twin[part]}
        else:
            zones[name] = np.unique(np.concatenate([part, twin[part]]))
    return zones


@dataclass(frozen=True)
class HumanBodyKeys:
    """Keys of our body in ``scene.toml``."""

    keypoints: KeypointOrder = "coco17"


class HumanBodyKind(BodyKind):
    """Our own body, which needs no file."""

    name = "body"
    Keys = HumanBodyKeys
    has_file = False

    def read(self, source: BodySource) -> tuple[Body, None]:
        """The body with keypoints in that order."""
        return read_human_body(source.name, keypoints=source.keys.keypoints), None

    def write(self, body: Body, target: BodyTarget) -> dict[str, Any]:
        """Nothing but the order of its keypoints."""
        return dict(body.keys)


KIND = HumanBodyKind()
