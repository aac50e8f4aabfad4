"""True grasps, their maps of contact, and starts that are as far off as ContactOpt's."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from warpprior.bodies.contact_map import TOUCHING_M, ContactMap
from warpprior.contacts.predict import predict_contact
from warpprior.contacts.starts import joint_sigmas
from warpprior.scene import Scene
from warpprior.scenes import simulate

POSITION_M, TURN_RAD, JOINT_SIGMAS = 0.05, 0.1, 0.5  # sigma of each axis, as ContactOpt's perturbations
HELD = 0.75  # share of a sequence at which its grasp is taken
FRAMES = 40
FLIPPED, BLUR_M = 0.1, 0.005  # of noisy maps
REACH_M = 0.1

OBJECTS = ("cracker_box", "bottle", "box", "mug", "can", "bowl", "drill", "banana")
"""Held by human hands; the last two of ten grasps are of left hands."""
HUMAN = (*((name, "right") for name in OBJECTS), ("mug", "left"), ("bottle", "left"))


@dataclass(frozen=True, eq=False)
class Grasp:
    """A grasp to be found again.

    Attributes:
        name: of the hand and the object.
        scene: one frame for each start; true poses are the bodies' truth.
        hand, object: names of the bodies.
        maps: of the true grasp, hand on object and object on hand.
    """

    name: str
    scene: Scene
    hand: str
    object: str
    maps: tuple[ContactMap, ContactMap]


def human_grasp(number: int, cases: int) -> Grasp:
    """A human hand on one of ten objects, with so many starts."""
    name, side = HUMAN[number]
    scene = simulate("grasp_lift", object=name, side=side, frame_count=FRAMES, images=False, seed=number)
    return _grasp(f"{side} hand, {name}", scene, cases, number)


def robot_grasp(number: int, cases: int) -> Grasp:
    """The robot hand on a mug, with so many starts; the number seeds the sequence."""
    scene = simulate("robot_lift", frame_count=FRAMES, images=False, seed=number)
    return _grasp(f"robot hand {number}", scene, cases, number)


def _grasp(name: str, scene: Scene, cases: int, seed: int) -> Grasp:
    frame = int(HELD * scene.frame_count)
    bodies = []
    for body in scene.bodies:
        poses = body.initial if body.truth is None else body.truth
        poses = replace(poses.frames(np.full(cases, frame)), moments=None, imputed=None, covariance=None)
        bodies.append(replace(body, initial=poses, truth=poses, known=body.body.is_rigid))
    still = Scene(name, scene.camera, scene.fps, tuple(bodies))
    (hand,) = (body for body in bodies if not body.body.is_rigid)
    (held,) = (body for body in bodies if body.body.is_rigid)
    pairs = [(hand.name, held.name), (held.name, hand.name)]
    one = still.first_frames(1)
    found = [ContactMap(m.body, m.other, m.distances[0]) for m in predict_contact(one, pairs=pairs, reach_m=REACH_M)]
    start, model = hand.initial, hand.body
    random = np.random.default_rng([seed, cases])
    turn = Rotation.from_rotvec(TURN_RAD * random.normal(size=(cases, 3)))
    joints = start.joints + JOINT_SIGMAS * random.normal(size=start.joints.shape) @ joint_sigmas(model)
    noisy = replace(
        start,
        position=start.position + POSITION_M * random.normal(size=(cases, 3)),
        rotation=(turn * Rotation.from_quat(start.rotation)).as_quat(),
        joints=np.clip(joints, model.lower, model.upper),
    )
    return Grasp(name, still.with_poses({hand.name: noisy}), hand.name, held.name, (found[0], found[1]))


def noisy_maps(grasp: Grasp, seed: int) -> tuple[ContactMap, ...]:
    """The maps with values blurred by 5 mm over the surface, and a tenth of the vertices' flipped to one minus them."""
    random, found = np.random.default_rng(seed), []
    for wanted in grasp.maps:
        vertices = grasp.scene.body(wanted.body).body.vertices.astype(np.float64)
        values = np.nan_to_num(wanted.values)
        near = KDTree(vertices).sparse_distance_matrix(KDTree(vertices), 3.0 * BLUR_M, output_type="coo_matrix")
        weights = np.exp(-0.5 * (near.data / BLUR_M) ** 2)
        total = np.bincount(near.row, weights, len(vertices)) + 1e-12
        values = np.bincount(near.row, weights * values[near.col], len(vertices)) / total
        flipped = random.random(len(values)) < FLIPPED
        values = np.where(flipped, 1.0 - values, values)
        found.append(ContactMap.from_values(wanted.body, wanted.other, np.clip(values, TOUCHING_M / REACH_M, 1.0)))
    return tuple(found)
