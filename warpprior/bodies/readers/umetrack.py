"""UmeTrack hands: the articulated, skinned hands of HOT3D and Quest headsets, from a user's profile (JSON).

The profile is one left hand in millimetres, 22 hinges about fixed axes, of which the last two are not used; the right
hand is its mirror image in x.  No other model is needed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from warpprior.bodies.blend_body import strongest_links, with_lid
from warpprior.bodies.body import Body, JointType, Keypoints
from warpprior.bodies.closing import close_openings, is_closed
from warpprior.bodies.hand_parts import FINGERS, KEYPOINT_NAMES, find_zones, palm_directions
from warpprior.bodies.readers.kinds import BodyKind, BodySource, BodyTarget
from warpprior.support.errors import InputError, reason_of
from warpprior.support.files import read_bytes

JOINTS = 20  # four of each finger, thumb to little finger
LINK_NAMES = ("wrist", *(f"{finger}{part}" for finger in FINGERS for part in ("0", "1", "2", "3")))
_AT_KEYPOINTS = (0, 2, 3)  # joints of a finger at which our three keypoints are: two turn its base
_BYTES, _MOST_VERTICES = 64 << 20, 100_000
_MILLIMETRE = 1e-3
_LARGEST_M = 0.5
_ACCEPTED = "give a profile of a UmeTrack hand: umetrack_hand_user_profile.json"


def read_umetrack(path: Path | str, name: str = "hand", *, side: str = "left") -> Body:
    """The hand of a profile at rest, its frame that of the wrist; joint coordinates are the file's angles [rad].

    Args:
        path: JSON with ``hand_model``, or the model itself.
        name: of the body.
        side: ``left`` or ``right``; a profile serves both.

    Raises:
        InputError: another side, or the file is damaged or holds no such hand.
    """
    data = read_bytes(path, "a profile of a UmeTrack hand", limit=_BYTES)
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(str(path), f"is not JSON: {reason_of(error)}", _ACCEPTED) from None
    return umetrack_body(tree, name, side=side, where=str(path))


def umetrack_body(tree: Any, name: str, *, side: str, where: str) -> Body:
    """The same of a profile that was parsed; ``where`` names it in messages."""
    if side not in ("right", "left"):
        raise InputError("side", repr(side), "right or left")
    model = _read_model(tree, where)
    flip = np.array([-1.0 if side == "right" else 1.0, 1.0, 1.0])
    vertices, places = model.vertices * flip, model.places * flip
    axes = model.axes * (flip if side == "left" else -flip)  # of turns: a mirror turns them the other way round
    faces = model.faces if side == "left" else np.ascontiguousarray(model.faces[:, ::-1])
    parents = np.array([-1, *(0 if joint % 4 == 0 else joint for joint in range(JOINTS))], dtype=np.int32)
    origins = np.concatenate([np.zeros((1, 3)), places])
    offsets = origins - origins[np.maximum(parents, 0)]
    links = len(LINK_NAMES)
    skin_links, skin_weights = strongest_links(model.weights)
    tips = [int(np.argmin(np.linalg.norm(vertices - tip * flip, axis=1))) for tip in model.tips]
    body = Body(
        name=name,
        kind="umetrack",
        vertices=vertices.astype(np.float32),
        faces=faces.astype(np.int32),
        link_names=LINK_NAMES,
        parents=parents,
        joint_types=np.array([JointType.FREE] + [JointType.HINGE] * JOINTS, dtype=np.int32),
        joint_offsets=np.hstack([offsets, np.tile([0.0, 0.0, 0.0, 1.0], (links, 1))]).astype(np.float32),
        joint_axes=np.concatenate([np.zeros((1, 3)), axes]).astype(np.float32),
        coordinate_starts=np.arange(-1, JOINTS, dtype=np.int32),
        coordinate_gains=np.ones(links, dtype=np.float32),
        coordinate_biases=np.zeros(links, dtype=np.float32),
        coordinate_names=LINK_NAMES[1:],
        lower=model.limits[:, 0].astype(np.float32),
        upper=model.limits[:, 1].astype(np.float32),
        skin_links=skin_links,
        skin_weights=skin_weights,
        shape_directions=np.zeros((len(vertices), 3, 0), dtype=np.float32),
        joint_shape_directions=np.zeros((links, 3, 0), dtype=np.float32),
        pose_directions=np.zeros((len(vertices), 3, 0), dtype=np.float32),
        closed=is_closed(faces),
        side=side,
        keypoints=_keypoints(tips),
        contact_zones=_zones(vertices, faces, skin_links, origins, side),
        keys={"side": side},
    )
    lid = close_openings(faces)
    return with_lid(body, lid) if len(lid) else body


@dataclass(frozen=True, eq=False)
class _Model:
    """A profile in metres, as the left hand that it is.

    Attributes:
        vertices: (vertex, 3); faces: (face, 3).
        weights: (vertex, link), of our links.
        places, axes: of the joints at rest (joint, 3); limits: (joint, 2) [rad].
        tips: of the fingers (5, 3).
    """

    vertices: np.ndarray
    faces: np.ndarray
    weights: np.ndarray
    places: np.ndarray
    axes: np.ndarray
    limits: np.ndarray
    tips: np.ndarray


def profile_of(body: Body) -> dict[str, Any]:
    """The profile of a body that was read from one, as far as bodies hold it."""
    flip = np.array([-1.0 if body.side == "right" else 1.0, 1.0, 1.0])
    faces = body.faces if body.side == "left" else body.faces[:, ::-1]
    assert body.keypoints is not None, "it has some"
    weights = np.zeros((body.vertex_count, body.link_count))
    np.add.at(weights, (np.arange(body.vertex_count)[:, None], body.skin_links), body.skin_weights)
    bones = np.zeros((body.vertex_count, 17))
    bones[:, 0] = weights[:, 0]
    for bone in range(2, 17):
        finger, part = divmod(bone - 2, 3)
        bones[:, bone] = weights[:, 2 + 4 * finger + part]
    origins = np.zeros((body.link_count, 3))
    for link in range(1, body.link_count):
        origins[link] = origins[body.parents[link]] + body.joint_offsets[link, :3]
    axes = body.joint_axes[1:] * (flip if body.side == "left" else -flip)
    tips = body.vertices[body.keypoints.vertices[body.keypoints.vertices >= 0]] * flip
    unused = np.zeros((22 - JOINTS, 3))
    model = {
        "mesh_vertices": body.vertices * flip / _MILLIMETRE,
        "mesh_triangles": faces,
        "dense_bone_weights": bones,
        "joint_rest_positions": np.concatenate([origins[1:] * flip / _MILLIMETRE, unused]),
        "joint_rotation_axes": np.concatenate([axes, np.tile([1.0, 0.0, 0.0], (22 - JOINTS, 1))]),
        "joint_parent": np.array([*(255 if joint % 4 == 0 else joint - 1 for joint in range(JOINTS)), 255, 255]),
        "joint_limits": np.concatenate([np.stack([body.lower, body.upper], axis=1), np.zeros((22 - JOINTS, 2))]),
        "landmark_rest_positions": np.concatenate([tips / _MILLIMETRE, np.zeros((16, 3))]),
    }
    return {"hand_model": {**{key: values.tolist() for key, values in model.items()}, "hand_scale": 1.0}}


def _read_model(tree: Any, path: str) -> _Model:
    tree = tree.get("hand_model", tree) if isinstance(tree, dict) else None
    if not isinstance(tree, dict):
        raise InputError(str(path), "has no hand_model", _ACCEPTED)

    def numbers(key: str, *shape: int | None) -> np.ndarray:
        wanted = f"needs numbers ({', '.join('any' if n is None else str(n) for n in shape)})"
        try:
            values = np.asarray(tree[key], dtype=np.float64)
        except KeyError:
            raise InputError(f"{path}: {key}", "is missing", wanted) from None
        except (TypeError, ValueError, OverflowError):
            raise InputError(f"{path}: {key}", "is not an array of numbers", wanted) from None
        good = values.ndim == len(shape) and all(n in (None, m) for n, m in zip(shape, values.shape, strict=True))
        if not good or not np.isfinite(values).all() or len(np.ravel(values)) == 0:
            raise InputError(f"{path}: {key}", f"of shape {values.shape}, or not finite", wanted)
        return values

    scale = _MILLIMETRE * (float(numbers("hand_scale")) if tree.get("hand_scale") is not None else 1.0)
    vertices = scale * numbers("mesh_vertices", None, 3)
    faces, bones = numbers("mesh_triangles", None, 3), numbers("dense_bone_weights", len(vertices), 17)
    if not 1e-2 < np.ptp(vertices, axis=0).max() < _LARGEST_M or len(vertices) > _MOST_VERTICES:
        raise InputError(f"{path}: mesh_vertices", "is no hand in millimetres", _ACCEPTED)
    if not ((faces >= 0) & (faces < len(vertices)) & (faces == np.round(faces))).all():
        raise InputError(f"{path}: mesh_triangles", "names vertices that there are not", _ACCEPTED)
    sums = bones.sum(axis=1)
    if not (bones >= 0.0).all() or np.abs(sums - 1.0).max() > 1e-2:
        raise InputError(f"{path}: dense_bone_weights", "does not sum to one", _ACCEPTED)
    axes, parents = numbers("joint_rotation_axes", 22, 3)[:JOINTS], numbers("joint_parent", 22)[:JOINTS]
    expected = [255 if joint % 4 == 0 else joint - 1 for joint in range(JOINTS)]
    lengths = np.linalg.norm(axes, axis=1, keepdims=True)
    if list(parents) != expected or np.abs(lengths - 1.0).max() > 1e-3:
        raise InputError(f"{path}: joint_parent", "is no five fingers of four joints about unit axes", _ACCEPTED)
    limits = np.sort(numbers("joint_limits", 22, 2)[:JOINTS], axis=1)
    weights = np.zeros((len(vertices), len(LINK_NAMES)))
    weights[:, 0] = bones[:, 0] + bones[:, 1]
    for bone in range(2, 17):
        finger, part = divmod(bone - 2, 3)
        weights[:, 1 + 4 * finger + 1 + part] = bones[:, bone]
    return _Model(
        vertices,
        faces.astype(np.int64),
        weights / weights.sum(axis=1, keepdims=True),
        scale * numbers("joint_rest_positions", 22, 3)[:JOINTS],
        axes / lengths,
        limits,
        scale * numbers("landmark_rest_positions", 21, 3)[:5],
    )


def _keypoints(tips: list[int]) -> Keypoints:
    links, vertices = [0], [-1]
    for number, tip in enumerate(tips):
        at = [1 + 4 * number + joint for joint in _AT_KEYPOINTS]
        links += [*at, at[-1]]
        vertices += [-1, -1, -1, tip]
    return Keypoints(KEYPOINT_NAMES, np.array(links, dtype=np.int32), np.array(vertices, dtype=np.int32))


def _zones(vertices, faces, skin_links, origins, side) -> dict[str, np.ndarray]:
    index, middle, pinky = (origins[LINK_NAMES.index(f"{finger}0")] for finger in ("index", "middle", "pinky"))
    looks = palm_directions(origins[0], index, middle, pinky, side)
    pads = {finger: LINK_NAMES.index(f"{finger}3") for finger in FINGERS}
    return find_zones(vertices, faces, skin_links[:, 0], pads, (0,), looks)


@dataclass(frozen=True)
class UmetrackKeys:
    """Keys of a UmeTrack hand in ``scene.toml``."""

    side: Literal["left", "right"] = "left"


class UmetrackKind(BodyKind):
    """A UmeTrack hand; its profile is copied."""

    name = "umetrack"
    Keys = UmetrackKeys

    def read(self, source: BodySource) -> tuple[Body, None]:
        """The hand of that side."""
        return read_umetrack(source.file, source.name, side=source.keys.side), None

    def write(self, body: Body, target: BodyTarget) -> dict[str, Any]:
        """Its file, or what the body holds of it, and its side."""
        if target.source is not None:
            return {**super().write(body, target), "side": body.side}
        name = f"{target.stem}.json"
        (target.folder / name).write_text(json.dumps(profile_of(body)), encoding="ascii")
        return {"path": name, "side": body.side}


KIND = UmetrackKind()
