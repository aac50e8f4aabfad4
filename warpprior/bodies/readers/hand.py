"""Our own human hand: 16 links, 45 joint coordinates, 10 shape parameters, right and left (docs/hand.md)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from warpprior.bodies.body import Body, JointType, Keypoints
from warpprior.bodies.hand_prior import joint_limits, synergy_prior
from warpprior.bodies.readers.assets import find_asset
from warpprior.bodies.readers.kinds import BodyKind, BodySource, BodyTarget
from warpprior.support.errors import InputError

_PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14)


def read_hand(side: str = "right", *, name: str = "hand") -> Body:
    """Our own human hand at rest: flat, fingers slightly spread, the mean adult's size.

    The root frame of a right hand has its origin at the wrist, x towards the fingers, y towards the thumb, z out of
    the back.  The left hand is its mirror image in y, and the same joint coordinates give the mirrored pose: about x
    of a joint positive angles close the hand, about y they turn a finger towards the thumb's side, about z they twist.

    Args:
        side: ``right`` or ``left``.
        name: of the body.

    Raises:
        InputError: another side.
    """
    if side not in ("right", "left"):
        raise InputError("side", repr(side), "right or left")
    hand = _right_hand()
    return replace(hand if side == "right" else _mirror(hand), name=name)


def _right_hand() -> Body:
    with np.load(find_asset("hand.npz"), allow_pickle=False) as file:
        asset = {key: file[key] for key in file.files}
    links = tuple(str(name) for name in asset["link_names"])
    lower, upper = joint_limits(links[1:])
    zones = np.split(asset["zone_vertices"], np.cumsum(asset["zone_counts"])[:-1])
    return Body(
        name="hand",
        kind="hand",
        vertices=asset["vertices"],
        faces=asset["faces"],
        link_names=links,
        parents=np.array(_PARENTS, dtype=np.int32),
        joint_types=np.array([JointType.FREE] + [JointType.BALL] * 15, dtype=np.int32),
        joint_offsets=np.concatenate([asset["joint_positions"], asset["joint_rotations"]], axis=1),
        joint_axes=np.zeros((16, 3), dtype=np.float32),
        coordinate_starts=np.array([-1, *range(0, 45, 3)], dtype=np.int32),
        coordinate_gains=np.ones(16, dtype=np.float32),
        coordinate_biases=np.zeros(16, dtype=np.float32),
        coordinate_names=tuple(f"{link}.{axis}" for link in links[1:] for axis in "xyz"),
        lower=lower,
        upper=upper,
        skin_links=asset["skin_links"].astype(np.int32),
        skin_weights=asset["skin_weights"],
        shape_directions=asset["shape_directions"],
        joint_shape_directions=asset["joint_shape_directions"],
        pose_directions=np.zeros((len(asset["vertices"]), 3, 0), dtype=np.float32),
        colors=asset["colors"],
        closed=True,
        side="right",
        texture_coordinates=asset["texture_coordinates"],
        keypoints=Keypoints(
            tuple(str(name) for name in asset["keypoint_names"]), asset["keypoint_links"], asset["keypoint_vertices"]
        ),
        contact_zones={str(name): zone for name, zone in zip(asset["zone_names"], zones, strict=True)},
        pose_prior=synergy_prior(links[1:]),
    )


def _mirror(hand: Body) -> Body:
    """The left hand.  A joint's frame is the mirror image with all axes reversed, which makes it right-handed again:

    then rotation vectors keep their coordinates, and so do the rotations between frames; places in the frame of a
    joint change sign, places in the root frame only in y.
    """
    flip = np.array([1.0, -1.0, 1.0], dtype=np.float32)
    signs = np.where(np.asarray(hand.parents)[:, None] == 0, flip, -1.0).astype(np.float32)
    offsets = hand.joint_offsets.copy()
    offsets[:, :3] *= signs
    under_root = np.flatnonzero(np.asarray(hand.parents) == 0)
    offsets[under_root, 3:] = _reverse_frames(offsets[under_root, 3:])
    return replace(
        hand,
        side="left",
        vertices=hand.vertices * flip,
        faces=np.ascontiguousarray(hand.faces[:, ::-1]),
        joint_offsets=offsets,
        shape_directions=hand.shape_directions * flip[:, None],
        joint_shape_directions=hand.joint_shape_directions * signs[:, :, None],
        texture_coordinates=np.ascontiguousarray(np.asarray(hand.texture_coordinates)[:, ::-1]),
    )


def _reverse_frames(quaternions: np.ndarray) -> np.ndarray:
    """Frames in the root frame, mirrored in y and with all axes reversed: a half turn about y, then the same."""
    x, y, z, w = quaternions.T
    return np.stack([z, w, -x, -y], axis=1)


@dataclass(frozen=True)
class HandKeys:
    """Keys of our hand in ``scene.toml``."""

    side: Literal["left", "right"] = "right"


class HandKind(BodyKind):
    """Our own hand, which needs no file."""

    name = "hand"
    Keys = HandKeys
    has_file = False

    def read(self, source: BodySource) -> tuple[Body, None]:
        """The hand of that side."""
        return read_hand(source.keys.side, name=source.name), None

    def write(self, body: Body, target: BodyTarget) -> dict[str, Any]:
        """Nothing but its side."""
        return {"side": body.side}


KIND = HandKind()
