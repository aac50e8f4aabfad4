"""What people do in simulated scenes: the motion of a person and of an object, in a world with z up, ground z = 0."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bodies.body import Body
from warpprior.bodies.body_parts import LINK_NAMES
from warpprior.bodies.posing import link_transforms
from warpprior.scene import Poses
from warpprior.scenes import studio
from warpprior.scenes.objects.large import BALL_RADIUS, BOX_SIZE, ball, moving_box
from warpprior.scenes.person_pose import UPRIGHT, Poser
from warpprior.scenes.play import ease


def lift_box(person: Body, frame_count: int, random: np.random.Generator) -> list[studio.Track]:
    """Bent knees and a box between both hands in front of the belly, which is lifted to the chest."""
    poser, box = Poser(person), moving_box()
    share = ease(np.linspace(0.0, 1.0, frame_count))[:, None]
    low, high, front = random.uniform([0.94, 1.18, 0.35], [1.00, 1.26, 0.38])
    knees, lean = random.uniform([18.0, 8.0], [27.0, 16.0])
    bend = [
        poser.joints(_bent(knees * (1.0 - part)) | {"spine1.x": lean * (1.0 - part), "neck.x": 12.0})
        for part in share[:, 0]
    ]
    turn = Rotation.concatenate([UPRIGHT] * frame_count)
    root = poser.stands(np.stack(bend), turn)
    center = np.hstack([np.zeros((frame_count, 1)), np.full((frame_count, 1), -front), low + (high - low) * share])
    center[:, 1] += root[0, 1]
    joints: list[np.ndarray] = []
    half = 0.5 * np.array(BOX_SIZE)
    for frame in range(frame_count):
        middle = UPRIGHT.inv().apply(center[frame] - root[frame])

        def distance(points: np.ndarray, middle=middle) -> np.ndarray:
            # The box is as high as it is deep: its sizes are the same along the body's axes.
            beyond = np.abs(points - middle) - half
            outside = np.linalg.norm(np.maximum(beyond, 0.0), axis=-1)
            return outside + np.minimum(beyond.max(axis=-1), 0.0)

        spot = middle + np.array([half[0], 0.0, 0.0])
        joints.append(poser.reach(bend[frame], spot, distance, joints[-1] if joints else None))
    still = Rotation.identity(frame_count)
    return [
        studio.Track(person, root, turn, np.stack(joints)),
        studio.Track(box, center, still, np.zeros((frame_count, 0))),
    ]


def turn_ball(person: Body, frame_count: int, random: np.random.Generator) -> list[studio.Track]:
    """A ball between both hands before the chest; the trunk turns to one side, and arms and ball with it."""
    poser, thing = Poser(person), ball()
    height, front, knees, angle = random.uniform([0.24, 0.36, 3.0, 26.0], [0.34, 0.40, 12.0, 36.0])
    middle = np.array([0.0, height, front])

    def distance(points: np.ndarray) -> np.ndarray:
        return np.linalg.norm(points - middle, axis=-1) - BALL_RADIUS

    still = poser.reach(poser.joints(_bent(knees)), middle + np.array([BALL_RADIUS, 0.0, 0.0]), distance)
    side = random.choice([-1.0, 1.0])
    share = side * np.radians(angle) * (2.0 * ease(np.linspace(0.0, 1.0, frame_count)) - 1.0)
    joints = np.repeat(still[None], frame_count, axis=0)
    for joint, part in (("spine1", 0.3), ("spine2", 0.35), ("spine3", 0.35)):
        joints[:, person.coordinate_names.index(f"{joint}.y")] = part * share
    turn = Rotation.concatenate([UPRIGHT] * frame_count)
    root = poser.stands(joints, turn)
    # What the arms hold goes with the chest as it did when they took hold.
    both = np.concatenate([still[None], joints])
    places = Poses(np.zeros((len(both), 3)), np.tile([0.0, 0.0, 0.0, 1.0], (len(both), 1)), both)
    chest = link_transforms(person, places)[:, LINK_NAMES.index("spine3")].astype(float)
    turned = Rotation.from_quat(chest[1:, 3:]) * Rotation.from_quat(chest[0, 3:]).inv()
    center = UPRIGHT.apply(chest[1:, :3] + turned.apply(middle - chest[0, :3])) + root
    return [
        studio.Track(person, root, turn, joints),
        studio.Track(thing, center, UPRIGHT * turned, np.zeros((frame_count, 0))),
    ]


def _bent(knees: float) -> dict[str, float]:
    """Legs with thighs and shanks at an angle to the vertical [degrees], feet level."""
    return {"hip.x": -knees, "knee.x": 2.0 * knees, "ankle.x": -knees}


PERSON_MOTIONS = {"person_box": lift_box, "person_ball": turn_ball}
"""Scene -> function of the person, the number of frames and a generator; the person's track and the object's."""
