"""MANO: the hand model of Romero, Tzionas and Black (Embodied Hands, 2017), from its own files.

The files need a licence (mano.is.tue.mpg.de) and are no part of this project.  Published pickles are read without
running any of them; ``warpprior convert-mano`` makes ``.npz`` files that open faster.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from warpprior.bodies.blend_body import blend_body, with_lid
from warpprior.bodies.body import Body, Keypoints, PosePrior
from warpprior.bodies.closing import close_openings, is_closed
from warpprior.bodies.hand_parts import FINGERS, KEYPOINT_NAMES, find_zones, palm_directions
from warpprior.bodies.readers.conventions import MOST_COMPONENTS, Convention
from warpprior.bodies.readers.kinds import BodyKind, BodySource, BodyTarget
from warpprior.bodies.readers.model_file import Layout, ModelArrays, read_model_arrays
from warpprior.support.errors import InputError
from warpprior.support.limits import number

CHAINS = ("index", "middle", "pinky", "ring", "thumb")  # in the order of the file's joints
LINK_NAMES = ("wrist", *(f"{finger}{part}" for finger in CHAINS for part in (1, 2, 3)))
LAYOUT = Layout("MANO", 778, 16, 10, (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14))
# Vertices at the finger tips, thumb to little finger: those of manopth (manolayer.py); smplx takes others.
TIP_VERTICES = {"right": (745, 317, 444, 556, 673), "left": (745, 317, 445, 556, 673)}
PALM = (LINK_NAMES.index("wrist"), LINK_NAMES.index("thumb1"))  # with the ball of the thumb
LARGEST_SHARE = 0.1  # of all faces, in the lid of the wrist
# Generous, for fitted poses are: rotation vectors in the file's axes, in which a right hand's fingers point along -x
# and close about +z, and a left hand's point along +x and close about -z.
ASIDE, STRETCH, CLOSE, THUMB = 1.5, 1.5, 2.5, 2.5  # [rad]
PRIOR_NOISE = 0.1  # [rad], added to the deviation of every coordinate: training poses do not fill all directions


@dataclass(frozen=True, eq=False)
class ManoModel:
    """One MANO file: its arrays, and what its conventions mean in ours.

    Attributes:
        arrays: as in the file; with the corrected shape directions where that was asked for.
        side: ``left`` or ``right``.
    """

    arrays: ModelArrays
    side: str

    def full_pose(self, stored: np.ndarray, *, pca: bool, flat_hand_mean: bool) -> np.ndarray:
        """Joint coordinates (frame, 45) [rad], zero for the flat hand, from those of MANO's other conventions.

        Args:
            stored: (frame, n) principal components with ``pca``, else rotation vectors (frame, 45).
            pca: ``stored`` are coefficients of the file's first n ``hands_components``.
            flat_hand_mean: zero means the flat hand; otherwise the file's ``hands_mean``.

        Raises:
            ValueError: the file has not what is needed.
        """
        full = np.asarray(stored, dtype=np.float64)
        if pca:
            if self.arrays.hands_components is None:
                raise ValueError("the model file has no hands_components")
            full = full @ self.arrays.hands_components[: full.shape[1]]
        if not flat_hand_mean:
            if self.arrays.hands_mean is None:
                raise ValueError("the model file has no hands_mean")
            full = full + self.arrays.hands_mean
        return full

    def pose_from_mano(
        self, global_orient: np.ndarray, transl: np.ndarray, shape: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Position (frame, 3) and rotation (frame, 4) xyzw of our poses, from MANO's ``global_orient`` and ``transl``.

        MANO turns the hand about its wrist joint, which is not at the origin, and then shifts it:
        x = R (v - j) + j + t.  Our root frame has its origin at the wrist, so R is the same and the position is j + t.

        Args:
            global_orient: rotation vectors (frame, 3) [rad].
            transl: (frame, 3) [m].
            shape: the hand's shape parameters (10,), on which j depends.
        """
        from scipy.spatial.transform import Rotation

        return np.asarray(transl) + self.arrays.root_joint(shape), Rotation.from_rotvec(global_orient).as_quat()

    def mano_from_pose(
        self, position: np.ndarray, rotation: np.ndarray, shape: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The inverse of :meth:`pose_from_mano`: ``global_orient`` (frame, 3) [rad] and ``transl`` (frame, 3) [m]."""
        from scipy.spatial.transform import Rotation

        return Rotation.from_quat(rotation).as_rotvec(), np.asarray(position) - self.arrays.root_joint(shape)


def read_mano(
    path: Path | str,
    name: str = "hand",
    *,
    side: str | None = None,
    correct_left_shape: bool = False,
    mirrored: bool = False,
) -> Body:
    """A hand from a MANO file; see :func:`read_mano_model` and :func:`mano_body`."""
    model = read_mano_model(path, side=side, correct_left_shape=correct_left_shape, mirrored=mirrored)
    return mano_body(model, name)


def read_mano_model(
    path: Path | str, *, side: str | None = None, correct_left_shape: bool = False, mirrored: bool = False
) -> ManoModel:
    """Arrays and side of a MANO file.

    Args:
        path: ``MANO_RIGHT.pkl``, ``MANO_LEFT.pkl``, or an ``.npz`` of the same arrays.
        side: ``left`` or ``right``; None takes what the file is.
        correct_left_shape: the published left hand's shape directions are those of the right hand in x; reverse
            them.  Say what the poses at hand were fitted with.
        mirrored: the hand is the mirror image of the file's, as networks that know right hands alone have left ones.

    Raises:
        InputError: the file is damaged, no MANO model, or of the other side.
    """
    arrays = read_model_arrays(path, LAYOUT)
    joints = arrays.J_regressor @ arrays.v_template
    found = "right" if joints[LINK_NAMES.index("middle1"), 0] < joints[0, 0] else "left"
    if mirrored:
        if correct_left_shape:
            accepted = "one of them: a mirrored right hand has a right hand's shapes"
            raise InputError(f"{path}: correct_left_shape", "is given with mirrored", accepted)
        arrays, found = _mirrored(arrays), "left" if found == "right" else "right"
    if side is not None and side != found:
        accepted = f"give side = {found!r}, or the other file"
        raise InputError(str(path), f"is a {found} hand: its fingers point along {_along(found)}", accepted)
    if correct_left_shape:
        if found != "left":
            raise InputError(f"{path}: correct_left_shape", "is a right hand", "only left hands need the correction")
        arrays = replace(arrays, shapedirs=arrays.shapedirs * np.array([-1.0, 1.0, 1.0])[:, None])
    return ManoModel(arrays, found)


def _mirrored(arrays: ModelArrays) -> ModelArrays:
    """The mirror image in x: rotation vectors keep their x and lose the sign of y and z."""
    flip = np.array([-1.0, 1.0, 1.0])
    turn = np.outer(flip, flip).ravel()  # of the entries of a rotation matrix
    poses = arrays.posedirs * flip[:, None] * np.tile(turn, arrays.posedirs.shape[2] // 9)
    vectors = np.tile([1.0, -1.0, -1.0], len(LINK_NAMES) - 1)
    return replace(
        arrays,
        v_template=arrays.v_template * flip,
        f=np.ascontiguousarray(arrays.f[:, ::-1]),
        shapedirs=arrays.shapedirs * flip[:, None],
        posedirs=poses,
        hands_mean=None if arrays.hands_mean is None else arrays.hands_mean * vectors,
        hands_components=None if arrays.hands_components is None else arrays.hands_components * vectors,
    )


def _along(side: str) -> str:
    return "-x" if side == "right" else "+x"


def mano_body(model: ManoModel, name: str = "hand") -> Body:
    """The body of kind ``mano``: 16 links, 45 joint coordinates, 10 shape parameters, 21 keypoints, a closed wrist.

    Root frame: the file's axes, its origin at the wrist joint of each shape; :meth:`ManoModel.pose_from_mano` gives
    the pose.  Joint coordinates: rotation vectors in the file's order, zero for the flat hand.  The faces that close
    the wrist come last; their vertices are in no contact zone.  Limits are wide.  The pose prior has mean and
    covariance of the training poses, where the file has them (``hands_coeffs``).
    """
    body = blend_body(model.arrays, name, "mano", LINK_NAMES)
    lid = close_openings(body.faces)
    warnings: tuple[str, ...] = ()
    if 0 < len(lid) <= LARGEST_SHARE * body.face_count:
        body = with_lid(body, lid)
    elif not is_closed(body.faces):
        warnings = ("the surface has openings that are no wrist; they were left open",)
    lower, upper = _limits(model.side)
    tips = TIP_VERTICES[model.side]
    links, vertices = [0], [-1]
    for finger, tip in zip(FINGERS, tips, strict=True):
        links += [LINK_NAMES.index(f"{finger}{part}") for part in (1, 2, 3, 3)]
        vertices += [-1, -1, -1, tip]
    return replace(
        body,
        closed=is_closed(body.faces),
        side=model.side,
        lower=lower,
        upper=upper,
        keypoints=Keypoints(KEYPOINT_NAMES, np.array(links, dtype=np.int32), np.array(vertices, dtype=np.int32)),
        contact_zones=_zones(model, body, lid),
        pose_prior=_prior(model.arrays, lower, upper),
        warnings=warnings,
    )


def _limits(side: str) -> tuple[np.ndarray, np.ndarray]:
    lower, upper = np.zeros((15, 3)), np.zeros((15, 3))
    lower[:], upper[:] = (-ASIDE, -ASIDE, -STRETCH), (ASIDE, ASIDE, CLOSE)
    if side == "left":
        lower[:, 2], upper[:, 2] = -CLOSE, STRETCH
    lower[12:], upper[12:] = -THUMB, THUMB
    return lower.reshape(-1).astype(np.float32), upper.reshape(-1).astype(np.float32)


def _zones(model: ManoModel, body: Body, lid: np.ndarray) -> dict[str, np.ndarray]:
    joints = dict(zip(LINK_NAMES, model.arrays.J_regressor @ model.arrays.v_template, strict=True))
    looks = palm_directions(joints["wrist"], joints["index1"], joints["middle1"], joints["pinky1"], model.side)
    pads = {finger: LINK_NAMES.index(f"{finger}3") for finger in FINGERS}
    followed = body.skin_links[:, 0]
    zones = find_zones(body.vertices.astype(np.float64), model.arrays.f, followed, pads, PALM, looks)
    rim = np.unique(lid)
    return {name: values[~np.isin(values, rim)] for name, values in zones.items()}


def _prior(arrays: ModelArrays, lower: np.ndarray, upper: np.ndarray) -> PosePrior | None:
    """Mean and inverse covariance of the training poses."""
    if arrays.hands_mean is None or arrays.hands_components is None or arrays.hands_coeffs is None:
        return None
    if len(arrays.hands_coeffs) < 2:
        return None
    spread = np.atleast_2d(np.cov(arrays.hands_coeffs, rowvar=False))
    covariance = arrays.hands_components.T @ spread @ arrays.hands_components
    covariance += PRIOR_NOISE**2 * np.eye(len(covariance))
    precision = np.linalg.inv(covariance)
    mean = np.clip(arrays.hands_mean, lower, upper)
    return PosePrior(mean.astype(np.float32), (0.5 * (precision + precision.T)).astype(np.float32))


@dataclass(frozen=True)
class ManoKeys:
    """Keys of a MANO hand in ``scene.toml``: which hand it is, and what its poses were fitted with.

    Attributes:
        side: None takes what the file is.
        correct_left_shape, mirrored: see :func:`read_mano_model`.
        flat_hand_mean, pca, translation: see :class:`~warpprior.bodies.readers.conventions.Convention`.
    """

    translation: Literal["root", "transl"] = "root"
    side: Literal["left", "right"] | None = None
    correct_left_shape: bool = False
    mirrored: bool = False
    flat_hand_mean: bool = True
    pca: int | None = number(None, 1, MOST_COMPONENTS)


class ManoKind(BodyKind):
    """A MANO hand; its file is copied."""

    name = "mano"
    Keys = ManoKeys
    fixed_joint_order = True

    def read(self, source: BodySource) -> tuple[Body, Convention]:
        """The hand, and what the numbers in its pose files mean."""
        keys = source.keys
        how = {"correct_left_shape": keys.correct_left_shape, "mirrored": keys.mirrored}
        hand = read_mano_model(source.file, side=keys.side, **how)
        convention = Convention(hand.arrays, hand, keys.pca, keys.flat_hand_mean, keys.translation)
        return mano_body(hand, source.name), convention

    def write(self, body: Body, target: BodyTarget) -> dict[str, Any]:
        """Its file, which hand it is, and what was done to it when it was read: mirrored, or its shapes corrected."""
        published = read_mano(target.source_file(body))
        as_published = np.array_equal(published.shape_directions, body.shape_directions)
        corrected = {} if as_published else {"correct_left_shape": True}
        corrected = corrected if published.side == body.side else {"mirrored": True}
        return {**super().write(body, target), "side": body.side, **corrected}


KIND = ManoKind()
