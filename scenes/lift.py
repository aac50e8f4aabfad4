"""The scripted grasp: reach, close until contact, lift, turn and move in the hand; the contacts carry the object.

World frame: z up, origin at the centre of the object where it stands at first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.geometry.signed_distance import DistanceField
from warpprior.scenes.grasp import APPROACH, Grasp
from warpprior.scenes.hold import Held, Holder
from warpprior.scenes.play import Motion, Plan, ease, play
from warpprior.scenes.puppet import Puppet

REACH_UNTIL, CLOSE_UNTIL, LIFT_FROM = 0.10, 0.22, 0.25  # shares of the sequence


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
    retreat = APPROACH * (1.0 - ease(share / REACH_UNTIL))
    hand_position -= retreat[:, None] * turns.apply(np.tile(grasp.approach, (frame_count, 1)))

    closing = ease((share - REACH_UNTIL) / (CLOSE_UNTIL - REACH_UNTIL))
    joints = grasp.open + closing[:, None] * (grasp.closed - grasp.open)
    lifted = np.clip((share - LIFT_FROM) / (1.0 - LIFT_FROM), 0.0, 1.0)
    twist = np.diff(np.sin(2.0 * np.pi * lifted), prepend=0.0)[:, None]
    plan = Plan(
        hand_position,
        hand_rotation,
        joints,
        carries=share > LIFT_FROM,
        turn=twist * script.inhand_turn * [1.0, 0.0, 0.0],
        shift=twist * script.inhand_shift * [0.0, 0.0, 1.0],
        slide=np.zeros((frame_count, 6)),
    )
    start = Held(np.zeros(3), Rotation.identity(), grasp.closed)
    return play(Holder(puppet, field, grasp), plan, start, held=share >= CLOSE_UNTIL)


def _carriage(script: Script, share: np.ndarray) -> tuple[np.ndarray, Rotation]:
    """Displacement (frame, 3) and rotation about the world's origin of the held object's path."""
    x = np.clip((share - LIFT_FROM) / (1.0 - LIFT_FROM), 0.0, 1.0)
    rise, swing = ease(1.6 * x), np.sin(np.pi * x) * ease(2.0 * x)
    shifts = np.stack([script.sway[0] * swing, script.sway[1] * ease(x), script.height * rise], axis=1)
    heading = np.array([np.cos(script.tilt_heading), np.sin(script.tilt_heading), 0.0])
    vectors = np.outer(script.yaw * ease(1.1 * x - 0.1), [0.0, 0.0, 1.0]) + np.outer(script.tilt * swing, heading)
    return shifts, Rotation.from_rotvec(vectors)
