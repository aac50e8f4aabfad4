"""What human hands do in the simulated scenes: the path of the wrist, when fingers close, and how the hand trembles.

World frame: z up, origin at the middle of the object where it stands at first.  Times are shares of the sequence.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.scenes.grasp import Grasp
from warpprior.scenes.hand_grasp import REACH_FROM
from warpprior.scenes.play import Plan, ease

TREMOR_HERTZ = (8.0, 12.0)  # physiological tremor (Elble & Koller, Tremor, 1990)
_TREMOR_SHIFT = (1.0e-4, 3.0e-4)  # its size at the wrist [m]
_TREMOR_TURN = (1.0e-3, 3.0e-3)  # [rad]
_DRIFT_SHIFT = 1.5e-3  # of the slow wandering of a hand nobody watches [m]
_DRIFT_TURN = 0.01  # [rad]
_WAVES = 5

REACHED, CLOSED, LIFTED_FROM = 0.10, 0.22, 0.25


@dataclass(frozen=True, eq=False)
class Course:
    """A scene's script, one row per frame.

    Attributes:
        shift: of the wrist, with what it holds (frame, 3) [m].
        turn: rotation vector of the wrist about the world's origin (frame, 3) [rad].
        away: how far the hand is from the object along the way it came (frame,) [m].
        closing: 0 the open hand, 1 the grasp (frame,).
        carries: the hand takes the object along since the frame before (frame,) bool.
        inhand: how far the fingers are to have turned the object about their axis (frame,) [rad].
        slip: how much of the slip has happened, 0 to 1 (frame,).
    """

    shift: np.ndarray
    turn: np.ndarray
    away: np.ndarray
    closing: np.ndarray
    carries: np.ndarray
    inhand: np.ndarray
    slip: np.ndarray


def grasp_lift(frame_count: int, grasp: Grasp, random: np.random.Generator) -> Course:
    """Reach, close, lift by 8 to 13 cm, sway and turn; the fingers give a little."""
    share = np.linspace(0.0, 1.0, frame_count)
    x = np.clip((share - LIFTED_FROM) / (1.0 - LIFTED_FROM), 0.0, 1.0)
    swing = np.sin(np.pi * x) * ease(2.0 * x)
    sway = random.choice([-1.0, 1.0], 2) * random.uniform(0.02, 0.05, 2)
    shift = np.stack([sway[0] * swing, sway[1] * ease(x), random.uniform(0.08, 0.13) * ease(1.6 * x)], axis=1)
    heading = random.uniform(0.0, 2.0 * np.pi)
    yaw, tilt = random.choice([-1.0, 1.0], 2) * random.uniform([0.4, 0.25], [0.8, 0.5])
    turn = np.outer(yaw * ease(1.1 * x - 0.1), [0.0, 0.0, 1.0])
    turn += np.outer(tilt * swing, [np.cos(heading), np.sin(heading), 0.0])
    inhand = random.choice([-1.0, 1.0]) * random.uniform(0.02, 0.05) * np.sin(2.0 * np.pi * x)
    return replace(_reaching(share, shift, turn), inhand=inhand)


def in_hand_turn(frame_count: int, grasp: Grasp, random: np.random.Generator) -> Course:
    """Held in the air throughout, while the fingers turn the object by 20 to 40 degrees."""
    share = np.linspace(0.0, 1.0, frame_count)
    calm = np.zeros(frame_count)
    phase, size = random.uniform(0.0, 2.0 * np.pi, 6), random.uniform(0.3, 1.0, 6)
    sway = size * (np.sin(2.0 * np.pi * share[:, None] + phase) - np.sin(phase))
    shift = 0.008 * sway[:, :3] + [0.0, 0.0, random.uniform(0.10, 0.15)]
    angle = np.radians(random.uniform(20.0, 40.0))
    inhand = angle * (ease((share - 0.08) / 0.5) - random.uniform(0.2, 0.5) * ease((share - 0.68) / 0.27))
    carries = np.ones(frame_count, dtype=bool)
    return Course(shift, 0.06 * sway[:, 3:], calm, calm + 1.0, carries, inhand, calm)


def pour(frame_count: int, grasp: Grasp, random: np.random.Generator) -> Course:
    """Lift, carry to the side, tilt by 70 to 100 degrees as if to pour, and back upright."""
    share = np.linspace(0.0, 1.0, frame_count)
    rise, there = ease((share - LIFTED_FROM) / 0.22), ease((share - 0.30) / 0.28)
    heading = random.uniform(0.0, 2.0 * np.pi)
    side = random.uniform(0.06, 0.10) * np.array([np.cos(heading), np.sin(heading)])
    shift = np.concatenate([there[:, None] * side, random.uniform(0.12, 0.16) * rise[:, None]], axis=1)
    tilt = ease((share - 0.42) / 0.22) - ease((share - 0.74) / 0.22)
    angle = np.radians(random.uniform(70.0, 100.0))
    return _reaching(share, shift, angle * tilt[:, None] * _pouring_axis(grasp))


def slip(frame_count: int, grasp: Grasp, random: np.random.Generator) -> Course:
    """Lift; then the object slips in the grasp, and is held again."""
    share = np.linspace(0.0, 1.0, frame_count)
    x = np.clip((share - LIFTED_FROM) / (1.0 - LIFTED_FROM), 0.0, 1.0)
    sway = random.choice([-1.0, 1.0], 2) * random.uniform(0.02, 0.05, 2)
    shift = np.stack([sway[0] * ease(x), sway[1] * ease(x), random.uniform(0.09, 0.13) * ease(2.2 * x)], axis=1)
    turn = np.outer(random.choice([-1.0, 1.0]) * random.uniform(0.2, 0.5) * ease(x), [0.0, 0.0, 1.0])
    start = random.uniform(0.52, 0.62)
    return replace(_reaching(share, shift, turn), slip=ease((share - start) / 0.16))


def _reaching(share: np.ndarray, shift: np.ndarray, turn: np.ndarray) -> Course:
    """The course of a hand that comes, closes, and carries from then on."""
    none = np.zeros(len(share))
    return Course(
        shift,
        turn,
        away=REACH_FROM * (1.0 - ease(share / REACHED)),
        closing=ease((share - REACHED) / (CLOSED - REACHED)),
        carries=share > LIFTED_FROM,
        inhand=none,
        slip=none,
    )


def _pouring_axis(grasp: Grasp) -> np.ndarray:
    """Level, along the forearm as far as it is level, and such that the palm turns down."""
    forearm = grasp.rotation.as_matrix()[:, 0] * [1.0, 1.0, 0.0]
    out_of_palm = -grasp.rotation.as_matrix()[:, 2]
    if np.linalg.norm(forearm) < 0.3:
        forearm = np.cross([0.0, 0.0, 1.0], out_of_palm)
    axis = forearm / max(np.linalg.norm(forearm), 1e-9)
    return axis if np.cross(axis, out_of_palm)[2] <= 0.0 else -axis


def tremor(frame_count: int, fps: float, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """How a hand trembles and drifts: shift (frame, 3) [m] and rotation vector (frame, 3) [rad]."""
    time = np.arange(frame_count) / fps
    shift, turn = np.zeros((frame_count, 3)), np.zeros((frame_count, 3))
    sizes = (random.uniform(*_TREMOR_SHIFT), random.uniform(*_TREMOR_TURN))
    for out, fast, slow in ((shift, sizes[0], _DRIFT_SHIFT), (turn, sizes[1], _DRIFT_TURN)):
        for size, hertz in ((fast, TREMOR_HERTZ), (slow, (0.1, 0.6))):
            for _ in range(_WAVES):
                wave = np.sin(2.0 * np.pi * np.outer(time, random.uniform(*hertz, 3)) + random.uniform(0.0, 6.3, 3))
                out += size * np.sqrt(2.0 / _WAVES) * wave
    return shift, turn


def make_plan(course: Course, grasp: Grasp, shake, inhand_axis: np.ndarray, slip_by: np.ndarray) -> Plan:
    """The plan of a hand on its course.

    Args:
        course: what happens when.
        grasp: how the hand holds.
        shake: shift and rotation vector of the hand's trembling, each (frame, 3).
        inhand_axis: about which the fingers turn the object, base frame (3,).
        slip_by: rotation vector and shift of the whole slip, base frame (6,).
    """
    count = len(course.shift)
    turns = Rotation.from_rotvec(course.turn)
    way = grasp.position - course.away[:, None] * grasp.approach
    position = turns.apply(way) + course.shift + shake[0]
    rotation = Rotation.from_rotvec(shake[1]) * turns * grasp.rotation
    joints = grasp.open + course.closing[:, None] * (grasp.closed - grasp.open)
    steps = lambda values: np.diff(values, prepend=values[0])[:, None]  # noqa: E731
    return Plan(
        position,
        rotation,
        joints,
        carries=course.carries,
        turn=steps(course.inhand) * inhand_axis,
        shift=np.zeros((count, 3)),
        slide=steps(course.slip) * slip_by,
    )
