"""Parameters of MANO from vertices alone, as hand networks leave them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from warpprior.bodies.body import Body, Keypoints
from warpprior.bodies.hand_parts import FINGERS, KEYPOINT_NAMES
from warpprior.bodies.keypoint_fit import Detected, FramePoses, KeypointModel, fit_keypoints
from warpprior.formats.parts.mano_hands import ManoHand
from warpprior.scene import Poses

SHAPE_FRAMES = 12  # of which the shape is told
SIGMAS = (3e-3, 1e-3, 3e-4)  # [m], of vertices, ever less
JOINT_SIGMA = 3e-3
SPREAD = 5  # every so many vertices tell pose and shape
PALM = [KEYPOINT_NAMES.index(name) for name in ("wrist", *(f"{finger}1" for finger in FINGERS))]
_AT_ONCE = 16  # frames
_PARTS = ("position", "rotation", "joints")


def fit_vertices(hand: ManoHand, vertices: np.ndarray, joints: np.ndarray) -> tuple[Poses, float]:
    """The hand whose surface is nearest, one shape for all frames.

    Args:
        hand: the model.
        vertices: (frame, 778, 3) [m] in MANO's order, in front of the camera.
        joints: its 21 keypoints (frame, 21, 3) [m], which tell where to begin.

    Returns:
        poses, and how far vertices are off (median) [m].
    """
    body = hand.scene_body("hand", 1, Poses.identity(1)).body
    some = np.unique(np.linspace(0, len(vertices) - 1, SHAPE_FRAMES).astype(int))
    ids = np.arange(0, vertices.shape[1], SPREAD)
    shape = np.zeros(body.shape_count)
    poses = _begin(body, shape, joints[some])
    for sigma in SIGMAS:
        poses = _nearer(body, shape, ids, vertices[some], poses, sigma)
        shape = shape + _shape_step(body, shape, ids, poses, vertices[some])
    found = []
    for begin in range(0, len(vertices), _AT_ONCE):
        chunk = slice(begin, begin + _AT_ONCE)
        one = _begin(body, shape, joints[chunk])
        for sigma in SIGMAS[1:]:
            one = _nearer(body, shape, ids, vertices[chunk], one, sigma)
        found.append(one)
    whole = FramePoses(*(np.concatenate([getattr(one, part) for one in found]) for part in _PARTS))
    places = KeypointModel(_marked(body, ids), shape).places(whole)
    off = np.linalg.norm(places - vertices[:, ids], axis=2)
    return Poses(whole.position, whole.rotation, whole.joints, shape), float(np.median(off))


def fit_joints(hand: ManoHand, joints: np.ndarray, shape: np.ndarray) -> tuple[Poses, float]:
    """The hand of a known shape (10,) whose 21 keypoints (frame, 21, 3) [m] are nearest, and how far off (median) [m].

    Turns about bones that keypoints do not show are as the pose prior has them.
    """
    body, found = hand.scene_body("hand", 1, Poses.identity(1)).body, []
    for begin in range(0, len(joints), _AT_ONCE):
        given = joints[begin : begin + _AT_ONCE]
        seen = Detected(given, np.ones(given.shape[:2]), SIGMAS[1], None)
        found.append(fit_keypoints(KeypointModel(body, shape), seen, _begin(body, shape, given))[0])
    whole = FramePoses(*(np.concatenate([getattr(one, part) for one in found]) for part in _PARTS))
    off = np.linalg.norm(KeypointModel(body, shape).places(whole) - joints, axis=2)
    return Poses(whole.position, whole.rotation, whole.joints, shape), float(np.median(off))


def _begin(body: Body, shape: np.ndarray, joints: np.ndarray) -> FramePoses:
    """Palms laid onto each other, then fitted to the keypoints (frame, 21, 3)."""
    from scipy.spatial.transform import Rotation

    model = KeypointModel(body, shape)
    likely = np.tile(model.mean, (len(joints), 1))
    palm = model.local(likely)[:, PALM]
    turns = [
        Rotation.align_vectors(there - there.mean(axis=0), ours - ours.mean(axis=0))[0]
        for there, ours in zip(joints[:, PALM], palm, strict=True)
    ]
    rotation = Rotation.concatenate(turns)
    shifts = joints[:, PALM] - np.einsum("nij,nkj->nki", rotation.as_matrix(), palm)
    start = FramePoses(shifts.mean(axis=1), rotation.as_quat(), likely)
    seen = Detected(joints, np.ones(joints.shape[:2]), JOINT_SIGMA, None)
    return fit_keypoints(model, seen, start)[0]


def _nearer(
    body: Body, shape: np.ndarray, ids: np.ndarray, vertices: np.ndarray, poses: FramePoses, sigma: float
) -> FramePoses:
    places = vertices[:, ids]
    seen = Detected(places, np.ones(places.shape[:2]), sigma, None)
    return fit_keypoints(KeypointModel(_marked(body, ids), shape), seen, poses)[0]


def _marked(body: Body, ids: np.ndarray) -> Body:
    """The body with vertices as its keypoints."""
    names = tuple(f"v{number}" for number in ids)
    return replace(body, keypoints=Keypoints(names, np.zeros(len(ids), dtype=np.int32), ids.astype(np.int32)))


def _shape_step(body: Body, shape: np.ndarray, ids: np.ndarray, poses: FramePoses, vertices: np.ndarray) -> np.ndarray:
    """What to add to the shape, by least squares of all frames; each frame's place is free."""
    marked = _marked(body, ids)
    here = KeypointModel(marked, shape).places(poses)
    slopes = []
    for row in range(len(shape)):
        more = shape.copy()
        more[row] += 1.0
        slopes.append(KeypointModel(marked, more).places(poses) - here)
    rows = np.stack(slopes, axis=-1)
    rows, miss = rows - rows.mean(axis=1, keepdims=True), vertices[:, ids] - here
    miss = miss - miss.mean(axis=1, keepdims=True)
    return np.linalg.lstsq(rows.reshape(-1, len(shape)), miss.ravel(), rcond=1e-6)[0]
