"""Plays a hand's plan: the hand moves as planned, and the object goes where its contacts with the hand carry it.

World frame: z up, origin at the centre of the object where it stands at first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.scenes.hold import Base, Held, Holder


@dataclass(frozen=True, eq=False)
class Plan:
    """What a hand does, one row per frame.

    Attributes:
        position: of the hand's base (frame, 3) [m].
        rotation: world_from_base.
        joints: of the hand where it does not hold (frame, coordinate) [rad].
        carries: the hand takes the object along from the frame before to this one (frame,) bool.
        turn: rotation vector by which the fingers are to turn the object since the frame before, in the base frame
            (frame, 3) [rad].
        shift: by how much they are to shift it (frame, 3) [m].
        slide: rotation vector [rad] and shift [m] by which the object slips in the grasp, about its contacts and in
            the base frame (frame, 6).
    """

    position: np.ndarray
    rotation: Rotation
    joints: np.ndarray
    carries: np.ndarray
    turn: np.ndarray
    shift: np.ndarray
    slide: np.ndarray

    def base(self, frame: int) -> Base:
        """Where the hand is in a frame."""
        return Base(self.position[frame], self.rotation[frame])


@dataclass(frozen=True)
class Motion:
    """World motion of hand and object, one row per frame; ``held`` is True from the closed grasp on."""

    hand_position: np.ndarray
    hand_rotation: Rotation
    joints: np.ndarray
    object_position: np.ndarray
    object_rotation: Rotation
    held: np.ndarray


def play(holder: Holder, plan: Plan, state: Held, held: np.ndarray) -> Motion:
    """Poses of the hand from the plan, of the object from its contacts with the hand.

    Args:
        holder: the hand and the object, as they meet.
        plan: what the hand does.
        state: object and fingers before the hand first carries.
        held: of the motion (frame,) bool.
    """
    count = len(plan.position)
    joints = np.array(plan.joints, dtype=float)
    first = int(np.argmax(plan.carries)) if plan.carries.any() else count
    if first == 0:
        joints[0] = state.joints
    else:
        # Until then the object stands still.
        stand = state.rotation.inv()
        places = stand.apply(plan.position[:first] - state.position)
        joints[:first] = holder.keep_out(places, stand * plan.rotation[:first], joints[:first])
    positions, quaternions = np.tile(state.position, (count, 1)), np.tile(state.rotation.as_quat(), (count, 1))
    for frame in range(1, count):
        if plan.carries[frame]:
            state = holder.carry(
                state,
                plan.base(frame - 1),
                plan.base(frame),
                plan.turn[frame],
                plan.shift[frame],
                plan.slide[frame],
            )
            joints[frame] = state.joints
        positions[frame], quaternions[frame] = state.position, state.rotation.as_quat()
    return Motion(plan.position, plan.rotation, joints, positions, Rotation.from_quat(quaternions), held)


def ease(x: np.ndarray) -> np.ndarray:
    """Minimum-jerk step from 0 to 1."""
    x = np.clip(x, 0.0, 1.0)
    return x**3 * (10.0 - 15.0 * x + 6.0 * x**2)
