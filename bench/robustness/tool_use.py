"""Short scenes of tool use: a hand that holds an object wobbles in its grip, moves it about, and may let it go."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d
from scipy.spatial.transform import Rotation

from warpprior.bodies.body import Body
from warpprior.scene import Camera, Poses, Scene, box_center
from warpprior.scenes import simulate
from warpprior.scenes.observe import Actor, cast_actors

CAMERA = Camera(240, 180, 285.0, 285.0, 120.0, 90.0)
DISTANCE, FPS = 0.6, 30.0  # of the object from the camera [m]
GRASPED = 30  # frame of the simulated grasp that the hand has here
BORDER_PX, CENTER_M = 1.5, 0.015  # noise of what is observed
HOLD = 6  # frames in which nothing moves at first
LEAVES = 0.03  # how far a hand that lets go gets in the first frame, growing from frame to frame [m]


@dataclass(frozen=True)
class Use:
    """How an object is used.

    Attributes:
        thing: which object.
        seed: of all that is random.
        frames: how many.
        wobble_rad, wobble_m: how far the hand turns and slides about its grip (standard deviations, in 0.3 s).
        turn_rad, reach_m: how far the object is turned and moved.
        release: frame from which on the hand opens and leaves, while the object stays; None: never.
        hidden: frames in which nothing is observed of the object.
    """

    thing: str
    seed: int
    frames: int = 48
    wobble_rad: float = 0.2
    wobble_m: float = 0.007
    turn_rad: float = 0.35
    reach_m: float = 0.06
    release: int | None = None
    hidden: range = range(0)


def make_scene(use: Use) -> Scene:
    """The scene, with masks and measured middles; the hand is known."""
    random = np.random.default_rng(use.seed)
    made = simulate(
        "grasp_lift", object=use.thing, hand_noise="exact", pose_noise="exact", images=False, frame_count=40
    )
    hand, thing = made.bodies
    assert thing.truth is not None and hand.truth is not None, "simulated scenes have a truth"
    time = np.arange(use.frames)
    middle = box_center(thing.body, thing.initial.scale)
    hand_turn = Rotation.from_quat(hand.truth.rotation[GRASPED])
    object_turn = Rotation.from_quat(thing.truth.rotation[GRASPED])
    at_middle = object_turn.apply(middle) + thing.truth.position[GRASPED]
    grip_turn = object_turn.inv() * hand_turn
    grip = object_turn.inv().apply(hand.truth.position[GRASPED] - at_middle)
    stop = use.frames if use.release is None else use.release - 3
    moving = np.clip((time - HOLD) / 6.0, 0.0, 1.0) * np.clip((stop - time) / 6.0, 0.0, 1.0)
    moving = (moving * moving * (3.0 - 2.0 * moving))[:, None]
    turns = Rotation.from_rotvec(moving * use.turn_rad * _smooth(use.frames, 8.0, random)) * object_turn
    places = [0.0, 0.0, DISTANCE] + moving * use.reach_m * _smooth(use.frames, 8.0, random) * [1.0, 0.6, 0.6]
    wobbles = Rotation.from_rotvec(moving * use.wobble_rad * _smooth(use.frames, 4.0, random) / np.sqrt(3.0))
    slides = moving * use.wobble_m * _smooth(use.frames, 4.0, random) / np.sqrt(3.0)
    gone = np.zeros(use.frames) if use.release is None else np.clip(time - use.release, 0, None)
    back = object_turn.inv().apply(hand.truth.position[0] - hand.truth.position[GRASPED])
    slides = slides + LEAVES * (gone[:, None] / 3.0) ** 1.5 * back / np.linalg.norm(back)
    closed, opened = hand.truth.joints[GRASPED], hand.truth.joints[0]
    motion = replace(
        hand.truth,
        position=places + turns.apply(wobbles.apply(grip) + slides),
        rotation=(turns * wobbles * grip_turn).as_quat(),
        joints=closed + np.clip(gone / 6.0, 0.0, 1.0)[:, None] * (opened - closed),
    )
    empty = np.zeros((use.frames, 0))
    truth = Poses(places - turns.apply(middle), turns.as_quat(), empty, thing.truth.shape, thing.truth.scale)
    actors = [Actor(hand.body, hand.label, motion), Actor(thing.body, thing.label, truth)]
    labels = np.array([_ragged(image, random) for image in cast_actors(CAMERA, actors, device="cpu").labels])
    centers = places + CENTER_M * random.normal(size=places.shape)
    for frame in use.hidden:
        labels[frame][labels[frame] == thing.label], centers[frame] = 0, np.nan
    start = Poses(
        truth.position + np.array([0.004, -0.004, 0.015]),
        (Rotation.from_rotvec([0.04, -0.03, 0.05]) * turns).as_quat(),
        empty,
        truth.shape,
        truth.scale,
    )
    bodies = (
        replace(hand, known=True, initial=motion, truth=motion),
        replace(thing, initial=start, truth=truth),
    )
    return Scene(made.name, CAMERA, FPS, bodies, labels=labels, centers={thing.name: centers})


def middle_errors(body: Body, truth: Poses, found: Poses) -> tuple[np.ndarray, np.ndarray]:
    """Errors of the middle of a tracked body (frame,) [m], and their squares over its covariance (frame,)."""
    middle, covariances = box_center(body, truth.scale), found.covariance
    assert covariances is not None, "tracked poses have covariances"
    arms = Rotation.from_quat(found.rotation).apply(middle)
    off = Rotation.from_quat(truth.rotation).apply(middle) + truth.position - arms - found.position
    squares = np.empty(len(off))
    for frame, arm in enumerate(arms):
        move = np.eye(6)[:3]
        move[:, 3:] = -np.cross(np.eye(3), arm)  # from the origin's error to the middle's
        squares[frame] = off[frame] @ np.linalg.solve(move @ covariances[frame] @ move.T, off[frame])
    return np.linalg.norm(off, axis=1), squares


def _smooth(count: int, frames: float, random: np.random.Generator) -> np.ndarray:
    """Numbers (count, 3) of standard deviation 1 that change over so many frames."""
    found = gaussian_filter1d(random.normal(size=(count + 160, 3)), frames, axis=0)
    return found[80 : 80 + count] / found.std()


def _ragged(labels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A label image whose borders are off, alike over some 20 px."""
    fields = [gaussian_filter(random.normal(size=labels.shape), 10.0) for _ in range(2)]
    scale = BORDER_PX / fields[0].std()
    rows, columns = np.indices(labels.shape)
    rows = np.clip(np.rint(rows + scale * fields[0]), 0, labels.shape[0] - 1).astype(int)
    columns = np.clip(np.rint(columns + scale * fields[1]), 0, labels.shape[1] - 1).astype(int)
    return labels[rows, columns]
