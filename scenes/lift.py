"""The scripted grasp: reach, close until contact, lift, turn and move in the hand; the contacts carry the object.

World frame: z up, origin at the centre of the object where it stands at first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.priors.field import DistanceField
from warpprior.scenes.carry import Carrier
from warpprior.scenes.grasp import APPROACH, OPEN, TOUCH, Grasp, close_fingers
from warpprior.scenes.puppet import Puppet
from warpprior.scenes.robot_hand import FINGERS

REACH_UNTIL, CLOSE_UNTIL, LIFT_FROM = 0.10, 0.22, 0.25  # shares of the sequence
NEIGHBOURHOOD = 0.006  # points this close at the grasp may touch later [m]
CAPACITY = 512  # contacts
_DAMPING = 2.0e-3  # of the finger motions that follow the object [m/rad]


@dataclass(frozen=True)
class Script:
    """What the hand does once it holds the object; angles in radians, lengths in metres."""

    height: float = 0.11
    sway: tuple[float, float] = (0.05, -0.03)
    yaw: float = 0.7
    tilt: float = 0.45
    tilt_heading: float = 0.6
    inhand_turn: float = 0.06
    inhand_shift: float = 0.002

    @staticmethod
    def drawn(random: np.random.Generator) -> Script:
        """A script of random directions and sizes."""
        sign = random.choice([-1.0, 1.0], size=4)
        return Script(
            height=random.uniform(0.08, 0.13),
            sway=(sign[0] * random.uniform(0.02, 0.06), sign[1] * random.uniform(0.02, 0.06)),
            yaw=sign[2] * random.uniform(0.5, 0.9),
            tilt=sign[3] * random.uniform(0.3, 0.55),
            tilt_heading=random.uniform(0.0, 2.0 * np.pi),
            inhand_turn=random.uniform(0.03, 0.08),
            inhand_shift=random.uniform(0.001, 0.003),
        )


@dataclass(frozen=True)
class Motion:
    """World motion of hand and object, one row per frame; ``held`` is True from the closed grasp on."""

    hand_position: np.ndarray
    hand_rotation: Rotation
    joints: np.ndarray
    object_position: np.ndarray
    object_rotation: Rotation
    held: np.ndarray


def act(puppet: Puppet, field: DistanceField, grasp: Grasp, script: Script, frame_count: int) -> Motion:
    """Play the script: poses of the hand from the script, of the object from its contacts with the hand.

    Args:
        puppet: the hand.
        field: distance to the object, in the object's frame, which is the world frame while it stands.
        grasp: where the hand closes.
        script: what happens then.
        frame_count: number of frames; the script is played in all of them, faster in fewer.
    """
    share = np.linspace(0.0, 1.0, frame_count) if frame_count > 1 else np.array([1.0])
    shifts, turns = _carriage(script, share)
    hand_position = turns.apply(np.tile(grasp.position, (frame_count, 1))) + shifts
    hand_rotation = turns * grasp.rotation
    retreat = APPROACH * (1.0 - _ease(share / REACH_UNTIL))
    hand_position -= retreat[:, None] * hand_rotation.as_matrix()[:, :, 0]

    closing = _ease((share - REACH_UNTIL) / (CLOSE_UNTIL - REACH_UNTIL))
    joints = OPEN + closing[:, None] * (grasp.closed - OPEN)
    held = share >= CLOSE_UNTIL
    positions, quaternions = np.zeros((frame_count, 3)), np.tile([0.0, 0.0, 0.0, 1.0], (frame_count, 1))
    holder = _Holder(puppet, field, grasp)
    state = (np.zeros(3), Rotation.identity(), grasp.closed)
    for frame in range(1, frame_count):
        if share[frame] <= LIFT_FROM:
            continue
        lifted = np.clip((share[frame - 1 : frame + 1] - LIFT_FROM) / (1.0 - LIFT_FROM), 0.0, 1.0)
        twist = np.diff(np.sin(2.0 * np.pi * lifted))[0]
        base_before = (hand_position[frame - 1], hand_rotation[frame - 1])
        base_after = (hand_position[frame], hand_rotation[frame])
        state = holder.carry(state, base_before, base_after, twist * script.inhand_turn, twist * script.inhand_shift)
        positions[frame], quaternions[frame], joints[frame] = state[0], state[1].as_quat(), state[2]
    return Motion(hand_position, hand_rotation, joints, positions, Rotation.from_quat(quaternions), held)


class _Holder:
    """Moves the object with the hand from frame to frame, and keeps the fingers on it."""

    def __init__(self, puppet: Puppet, field: DistanceField, grasp: Grasp):
        self.puppet, self.field = puppet, field
        points = puppet.points(grasp.position[None], Rotation.concatenate([grasp.rotation]), grasp.closed[None])[0]
        self.near = np.flatnonzero(field.signed_distance(points) < NEIGHBOURHOOD)
        self.carrier = Carrier(min(CAPACITY, len(self.near)))

    def _points(self, base, joints, chosen) -> np.ndarray:
        return self.puppet.points(base[0][None], Rotation.concatenate([base[1]]), joints[None], chosen)[0]

    def carry(self, state, base_before, base_after, turn: float, shift: float):
        """Object position, rotation and joint angles one frame on.

        The base moves as given, and the fingers turn the object by ``turn`` [rad] about the palm's normal and shift it
        by ``shift`` [m] along the fingers as far as they can.
        """
        position, rotation, joints = state
        before = self._points(base_before, joints, self.near)
        distances = self.field.signed_distance(rotation.inv().apply(before - position))
        weights = np.clip(1.0 - distances / TOUCH, 0.0, 1.0)
        joints = self._push(base_before, joints, before, weights, turn, shift)
        after = self._points(base_after, joints, self.near)
        order = np.argsort(-weights, kind="stable")[: self.carrier.capacity]
        swing = base_after[1] * base_before[1].inv()
        expected = base_after[0] + swing.apply(position - base_before[0]) - position
        position, rotation = self.carrier.step(
            before[order], after[order], weights[order], position, rotation, expected, swing
        )
        # Regulate the grip in the object's frame, where its surface stands still.
        local = (rotation.inv().apply(base_after[0] - position), rotation.inv() * base_after[1])
        base = (local[0][None], Rotation.concatenate([local[1]]))
        joints = close_fingers(self.puppet, self.field, *base, joints[None], self.near, exact=True, steps=6)[0]
        return position, rotation, joints

    def _push(self, base, joints, points, weights, turn: float, shift: float) -> np.ndarray:
        """Joint angles that move each finger's contact as the object should move in the hand (damped least squares)."""
        axes = base[1].as_matrix()
        touching = weights > 0.0
        if not touching.any():
            return joints
        center = np.average(points[touching], axis=0, weights=weights[touching])
        moved = joints.copy()
        for finger in range(len(FINGERS)):
            owned = np.flatnonzero(touching & (self.puppet.finger[self.near] == finger))
            if len(owned) == 0:
                continue
            contact = self.near[owned]
            share = weights[owned] / weights[owned].sum()
            here = share @ points[owned]
            wanted = np.cross(turn * axes[:, 0], here - center) + shift * axes[:, 2]
            jacobian = np.zeros((3, 4))
            for k in range(4):
                nudged = joints.copy()
                nudged[4 * finger + k] += 1e-3
                jacobian[:, k] = (share @ self._points(base, nudged, contact) - here) / 1e-3
            gram = jacobian @ jacobian.T + _DAMPING**2 * np.eye(3)
            moved[4 * finger : 4 * finger + 4] += jacobian.T @ np.linalg.solve(gram, wanted)
        return np.clip(moved, self.puppet.body.lower, self.puppet.body.upper)


def _ease(x: np.ndarray) -> np.ndarray:
    """Minimum-jerk step from 0 to 1."""
    x = np.clip(x, 0.0, 1.0)
    return x**3 * (10.0 - 15.0 * x + 6.0 * x**2)


def _carriage(script: Script, share: np.ndarray) -> tuple[np.ndarray, Rotation]:
    """Displacement (frame, 3) and rotation about the world's origin of the held object's path."""
    x = np.clip((share - LIFT_FROM) / (1.0 - LIFT_FROM), 0.0, 1.0)
    rise, swing = _ease(1.6 * x), np.sin(np.pi * x) * _ease(2.0 * x)
    shifts = np.stack([script.sway[0] * swing, script.sway[1] * _ease(x), script.height * rise], axis=1)
    heading = np.array([np.cos(script.tilt_heading), np.sin(script.tilt_heading), 0.0])
    vectors = np.outer(script.yaw * _ease(1.1 * x - 0.1), [0.0, 0.0, 1.0]) + np.outer(script.tilt * swing, heading)
    return shifts, Rotation.from_rotvec(vectors)
