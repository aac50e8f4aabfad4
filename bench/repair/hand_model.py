"""Our own hand in the layout of a MANO file, for files whose hands are MANO's: 778 vertices, 16 joints, its axes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bodies.body import Body
from warpprior.bodies.decimate import decimate
from warpprior.bodies.posing import link_transforms
from warpprior.bodies.readers.hand import read_hand
from warpprior.bodies.readers.mano import TIP_VERTICES
from warpprior.scene import Poses

VERTICES = 778
WRIST = np.array([0.0957, 0.0064, 0.0062])  # [m]: where MANO's wrist is, about; its frame's origin is elsewhere
ERROR_M = 1e-4  # of the surface, for vertices to spare
AXES = np.array([[-1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])  # ours to MANO's, of a right hand
POSES, SEED = 400, 1
_ASIDE, _ACROSS = np.array([1.0, -1.0, 1.0]), np.array([-1.0, 1.0, 1.0])  # mirrors: our left hand, MANO's


@dataclass(frozen=True)
class Parameters:
    """A motion in MANO's terms.

    Attributes:
        orient: rotation vectors of the whole hand (frame, 3).
        transl: added after the turn about the wrist (frame, 3) [m].
        joints: rotation vectors (frame, 45), zero for the flat hand.
        shape: (10,).
    """

    orient: np.ndarray
    transl: np.ndarray
    joints: np.ndarray
    shape: np.ndarray


def right_hand_arrays() -> dict[str, np.ndarray]:
    """Arrays of a ``MANO_RIGHT.npz`` with our own right hand in it, its prior as 400 poses drawn from it."""
    body = read_hand("right")
    kept, faces = decimate(body.vertices, body.faces, None, ERROR_M)
    weights = np.zeros((body.vertex_count, len(body.parents)))
    np.add.at(weights, (np.arange(body.vertex_count)[:, None], body.skin_links), body.skin_weights)
    values = np.concatenate([body.vertices, weights, body.shape_directions.reshape(body.vertex_count, -1)], axis=1)
    values, faces, places = _filled(values[kept].astype(np.float64), faces, np.searchsorted(kept, _tips(body)))
    order = _order(places)
    values, faces = values[order], np.argsort(order)[faces]
    links = len(body.parents)
    shapes = values[:, 3 + links :].reshape(VERTICES, 3, -1)
    joints, moved = _rest_places(body)
    arrays = {
        "v_template": values[:, :3] @ AXES.T + WRIST,
        "shapedirs": np.einsum("ab,vbs->vas", AXES, shapes),
        "posedirs": np.zeros((VERTICES, 3, 9 * (links - 1))),
        "weights": values[:, 3 : 3 + links] / values[:, 3 : 3 + links].sum(axis=1, keepdims=True),
        "f": faces.astype(np.uint32),
        "kintree_table": np.array([[2**32 - 1, *body.parents[1:]], range(links)], dtype=np.int64),
    }
    joints, moved = joints @ AXES.T + WRIST, np.einsum("ab,jbs->jas", AXES, moved)
    return {**arrays, "J_regressor": _regressor(arrays, joints, moved), **_prior(body)}


def parameters_of(body: Body, poses: Poses) -> Parameters:
    """A motion of our hand in MANO's terms: of a left hand as the mirror image of ``MANO_RIGHT``, in its own axes."""
    axes, wrist = (AXES, WRIST) if body.side == "right" else (_ACROSS[:, None] * AXES * _ASIDE, WRIST * _ACROSS)
    shape = np.zeros(10)
    shape[: len(poses.shape)] = poses.shape
    turned = np.einsum("lab,flb->fla", axes @ _rest_turns(body)[1:], poses.joints.reshape(len(poses.position), 15, 3))
    orient = (Rotation.from_quat(poses.rotation) * Rotation.from_matrix(axes).inv()).as_rotvec()
    return Parameters(orient, poses.position - wrist, turned.reshape(-1, 45), shape)


def _tips(body: Body) -> np.ndarray:
    assert body.keypoints is not None, "our hand has keypoints"
    found = dict(zip(body.keypoints.names, body.keypoints.vertices, strict=True))
    return np.array([found[f"{finger}_tip"] for finger in ("thumb", "index", "middle", "ring", "pinky")])


def _filled(values: np.ndarray, faces: np.ndarray, tips: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As many vertices as MANO has: the longest edges get one in their middle."""
    while len(values) < VERTICES:
        edges = np.concatenate([faces, np.roll(faces, -1, axis=1)], axis=0).reshape(2, -1, 3)
        starts, ends = edges[0].ravel(), edges[1].ravel()
        longest = int(np.argmax(np.linalg.norm(values[starts, :3] - values[ends, :3], axis=1)))
        a, b, middle = starts[longest], ends[longest], len(values)
        values = np.concatenate([values, 0.5 * (values[a] + values[b])[None]])
        hit = (faces == a).any(axis=1) & (faces == b).any(axis=1)
        halves = [np.where(faces[hit] == corner, middle, faces[hit]) for corner in (a, b)]
        faces = np.concatenate([faces[~hit], *halves])
    return values, faces, tips


def _order(tips: np.ndarray) -> np.ndarray:
    """Which vertex comes where, so that finger tips have MANO's numbers."""
    order = np.full(VERTICES, -1)
    order[list(TIP_VERTICES["right"])] = tips
    order[order < 0] = np.setdiff1d(np.arange(VERTICES), tips)
    return order


def _rest_turns(body: Body) -> np.ndarray:
    """Axes of the links at rest in the root frame (link, 3, 3)."""
    rest = Poses(np.zeros((1, 3)), np.array([[0.0, 0.0, 0.0, 1.0]]), np.zeros((1, body.coordinate_count)))
    return Rotation.from_quat(link_transforms(body, rest)[0, :, 3:7]).as_matrix()


def _rest_places(body: Body) -> tuple[np.ndarray, np.ndarray]:
    """Joints at rest (link, 3), and how shape parameters move them (link, 3, shape)."""
    turns, offsets = _rest_turns(body), body.joint_offsets[:, :3].astype(np.float64)
    places, moved = np.zeros((len(offsets), 3)), np.zeros(body.joint_shape_directions.shape)
    for link, parent in enumerate(body.parents):
        if parent >= 0:
            places[link] = places[parent] + turns[parent] @ offsets[link]
            moved[link] = moved[parent] + np.einsum("ab,bs->as", turns[parent], body.joint_shape_directions[link])
    return places, moved


def _regressor(arrays: dict[str, np.ndarray], joints: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """The least weights (joint, vertex) that give the joints of every shape."""
    count = len(joints)
    known = np.concatenate(
        [arrays["v_template"].T, arrays["shapedirs"].reshape(VERTICES, -1).T, np.ones((1, VERTICES))]
    )
    wanted = np.concatenate([joints, moved.reshape(count, -1), np.ones((count, 1))], axis=1)
    return np.linalg.lstsq(known, wanted.T, rcond=None)[0].T


def _prior(body: Body) -> dict[str, np.ndarray]:
    """The hand's prior in MANO's terms: mean, directions, and poses drawn along them."""
    assert body.pose_prior is not None, "our hand has a prior"
    turns = AXES @ _rest_turns(body)[1:]
    whole = np.zeros((45, 45))
    for joint, turn in enumerate(turns):
        whole[3 * joint : 3 * joint + 3, 3 * joint : 3 * joint + 3] = turn
    spread = whole @ np.linalg.inv(body.pose_prior.precision.astype(np.float64)) @ whole.T
    variances, directions = np.linalg.eigh(spread)
    drawn = np.random.default_rng(SEED).normal(size=(POSES, 45)) * np.sqrt(np.maximum(variances[::-1], 0.0))
    return {
        "hands_mean": whole @ body.pose_prior.mean.astype(np.float64),
        "hands_components": directions[:, ::-1].T,
        "hands_coeffs": drawn,
    }
