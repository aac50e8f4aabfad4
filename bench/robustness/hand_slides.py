"""Short scenes of a grasp in which the object slides through the hand, as tools in use do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bodies.posing import posed_vertices
from warpprior.geometry.signed_distance import DistanceField
from warpprior.scene import Poses, Scene, SceneBody, box_center
from warpprior.scenes import noise as noises
from warpprior.scenes import simulate
from warpprior.scenes.observe import cast_labels

FRAMES = 20
FIRST, COUNT = 9, 10  # frames into which the object slides: by then the hand holds it
NEAR_M = 0.006  # what is this close to the object holds it


@dataclass(frozen=True)
class Slide:
    """How an object slides.

    Attributes:
        thing: which object.
        seed: of all that is random.
        speed_m: how far it slides in each of :data:`COUNT` frames [m].
        known: the hand is known.
    """

    thing: str
    seed: int
    speed_m: float
    known: bool


def make_slide(slide: Slide) -> Scene:
    """A simulated lift, after which the object slides in the hand where that is least in its way, with new labels."""
    exact: dict[str, Any] = {"hand_noise": "exact"} if slide.known else {}
    made = simulate("grasp_lift", object=slide.thing, seed=slide.seed, frame_count=FRAMES, images=False, **exact)
    hand, thing = made.bodies
    assert hand.truth is not None and thing.truth is not None, "simulated scenes have truth"
    way = np.cumsum(np.where(sliding_frames(), slide.speed_m, 0.0))
    slip = way[:, None] * _free_axis(hand, thing, way[-1])

    def slid(poses: Poses) -> Poses:
        return replace(poses, position=poses.position + Rotation.from_quat(poses.rotation).apply(slip))

    truth = {hand.name: hand.truth, thing.name: slid(thing.truth)}
    bodies = (
        replace(hand, known=slide.known, initial=hand.truth if slide.known else hand.initial),
        replace(thing, initial=slid(thing.initial), truth=truth[thing.name]),
    )
    scene = replace(made, bodies=bodies, centers={}, boxes={})
    labels = cast_labels(scene, truth)
    level = noises.mask_noise("M1")
    fingertips = noises.fingertip_discs(hand.body, hand.truth, made.camera)
    random = np.random.default_rng(slide.seed)
    return replace(scene, labels=noises.disturb_labels(labels, level, random, fingertips=fingertips))


def sliding_frames() -> np.ndarray:
    """Frames (frame,) bool into which the object slides."""
    frames = np.arange(FRAMES)
    return (frames >= FIRST) & (frames < FIRST + COUNT)


def in_hand_steps(hand: Poses, thing: Poses, body: SceneBody) -> np.ndarray:
    """How far an object's middle moves in the frame of the hand, into each frame but the first (frame - 1, 3) [m]."""
    middle = Rotation.from_quat(thing.rotation).apply(box_center(body.body, body.initial.scale)) + thing.position
    return np.diff(Rotation.from_quat(hand.rotation).inv().apply(middle - hand.position), axis=0)


def _free_axis(hand: SceneBody, thing: SceneBody, way: float) -> np.ndarray:
    """The axis of the object (3,), of either sign, along which it leaves the grasp of the last frame least."""
    assert hand.truth is not None and thing.truth is not None
    points = posed_vertices(hand.body, hand.truth, "cpu")[-1]
    turn = Rotation.from_quat(thing.truth.rotation[-1])
    places = turn.inv().apply(points - thing.truth.position[-1])
    field = DistanceField(thing.body, scale=float(np.max(thing.initial.scale)))
    holding = field.signed_distance(places) < NEAR_M
    axes = np.concatenate([np.eye(3), -np.eye(3)])
    changes = []
    for axis in axes:
        there = [field.signed_distance(places - share * way * axis) for share in (0.5, 1.0)]
        changes.append(sum(np.abs(each[holding]).mean() + 10.0 * np.maximum(-each, 0.0).max() for each in there))
    return axes[int(np.argmin(changes))]
