"""How a hand and an object act out a scene: the plan, what the fingers can turn, and where an object slips."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.scenes import hand_scenes_plan as plans
from warpprior.scenes.grasp import Grasp
from warpprior.scenes.hold import Base, Held, Holder
from warpprior.scenes.play import Motion, play

COURSES = {
    "grasp_lift": plans.grasp_lift,
    "in_hand_turn": plans.in_hand_turn,
    "pour": plans.pour,
    "slip": plans.slip,
}
_REHEARSED = np.radians(16.0)  # how far each axis is tried, to either side
_PALM = np.array([0.0, 0.0, -1.0])  # out of the palm, base frame
_MOST_GAIN = 1.4  # how much farther than wanted the fingers are asked to go, at most
_MISSING, _TURN_DEPTH = 0.25, 0.003  # share of the turn that may get lost, and depth [m], of a turn without fault
_STEP = np.radians(4.0)
_SLIP_STEPS, _SLIP_DEPTH = 5, 0.002  # of its rehearsal, and how deep the hand may be in the object then [m]
_SLIP_SHIFT = (0.010, 0.020)  # [m]
_SLIP_TURN = (0.1, 0.35)  # [rad]


def perform(
    name: str, holder: Holder, grasp: Grasp, frame_count: int, fps: float, script_random, shake_random
) -> tuple[Motion, float]:
    """World motion of hand and object in a scene of one hand, and how badly the hand managed.

    Args:
        name: one of :data:`COURSES`.
        holder: hand and object.
        grasp: how they meet, in the world the object stands in.
        frame_count: number of frames.
        fps: frames per second.
        script_random: draws what happens.
        shake_random: draws how the hand trembles.

    Returns:
        The motion, and its fault: 0 for a hand that did what it was to do, above 1 if another grasp had better be
        tried.
    """
    course = COURSES[name](frame_count, grasp, script_random)
    shake = plans.tremor(frame_count, fps, shake_random)
    state = Held(np.zeros(3), Rotation.identity(), grasp.closed)
    axis, slip_by, fault = _PALM, np.zeros(6), 0.0
    if np.ptp(course.inhand) > _REHEARSED:
        axis, gain, state, fault = rehearse_turn(holder, grasp, float(np.ptp(course.inhand)))
        course = replace(course, inhand=gain * course.inhand)
    if course.slip.any():
        slip_by = draw_slip(holder, grasp, script_random)
    plan = plans.make_plan(course, grasp, shake, axis, slip_by)
    if course.carries[0]:
        state = _moved(state, Base(grasp.position, grasp.rotation), plan.base(0))
    return play(holder, plan, state, held=course.closing >= 1.0), fault


def _moved(state: Held, before: Base, after: Base) -> Held:
    """The same hold, with the hand somewhere else."""
    swing = after.rotation * before.rotation.inv()
    position = after.position + swing.apply(state.position - before.position)
    return Held(position, swing * state.rotation, state.joints)


def rehearse_turn(holder: Holder, grasp: Grasp, angle: float) -> tuple[np.ndarray, float, Held, float]:
    """The axis about which the fingers can turn the object farthest.

    Args:
        holder: hand and object.
        grasp: how they meet.
        angle: that is wanted [rad].

    Returns:
        The unit axis in the base frame (3,), how much farther than wanted the fingers must be asked to go, the hold
        from which the turn begins, half of it back, and the fault: how far the fingers slip or enter the object.
    """
    best = None
    start = Held(np.zeros(3), Rotation.identity(), grasp.closed)
    for axis in _turning_axes(holder, grasp):
        ends = [_turned(holder, grasp, start, sign * axis, _REHEARSED) for sign in (1.0, -1.0)]
        reached = _angle(ends[0], ends[1], axis, grasp)
        if best is None or reached > best[0]:
            best = (reached, axis)
    assert best is not None
    reached, axis = best
    gain = float(np.clip(2.0 * _REHEARSED / max(reached, 1e-3), 1.0, _MOST_GAIN))
    back = _turned(holder, grasp, start, -axis, 0.5 * gain * angle)
    forth = _turned(holder, grasp, back, axis, gain * angle)
    depth = max(holder.depth(state, Base(grasp.position, grasp.rotation)) for state in (back, forth))
    missing = 1.0 - _angle(forth, back, axis, grasp) / (gain * angle)
    return axis, gain, back, max(missing / _MISSING, depth / _TURN_DEPTH)


def _turning_axes(holder: Holder, grasp: Grasp) -> list[np.ndarray]:
    """Axes worth trying, base frame: the hand's own, and that of the object's length."""
    axes = list(np.eye(3))
    extent = np.ptp(holder.field.surface.vertices, axis=0)
    axes.append(grasp.rotation.inv().apply(np.eye(3)[int(extent.argmax())]))
    return axes


def _turned(holder: Holder, grasp: Grasp, state: Held, axis: np.ndarray, angle: float) -> Held:
    """The hold after the fingers tried to turn the object, with the hand at rest."""
    base = Base(grasp.position, grasp.rotation)
    steps = max(1, int(np.ceil(angle / _STEP)))
    for _ in range(steps):
        state = holder.carry(state, base, base, angle / steps * axis, np.zeros(3), np.zeros(6))
    return state


def _angle(state: Held, other: Held, axis: np.ndarray, grasp: Grasp) -> float:
    """How far the object has turned from another hold to this, about an axis of the base frame [rad]."""
    return float(grasp.rotation.inv().apply((state.rotation * other.rotation.inv()).as_rotvec()) @ axis)


def draw_slip(holder: Holder, grasp: Grasp, random: np.random.Generator) -> np.ndarray:
    """Rotation vector and shift (6,), base frame, of an object that slips past thumb and fingers.

    It slips down if the hand lets it, else where the hand is least in the way.
    """
    start, base = Held(np.zeros(3), Rotation.identity(), grasp.closed), Base(grasp.position, grasp.rotation)
    pads = holder.contact_centers(start, base)
    across = pads[-1] - np.mean(pads[:-1], axis=0)
    across /= np.linalg.norm(across)
    down = np.array([0.0, 0.0, -1.0]) + across[2] * across
    down = down / np.linalg.norm(down) if np.linalg.norm(down) > 0.1 else grasp.rotation.apply(_PALM)
    turn, shift = random.choice([-1.0, 1.0]) * random.uniform(*_SLIP_TURN), random.uniform(*_SLIP_SHIFT)
    best, least = np.zeros(6), np.inf
    for along in (down, -np.cross(across, down), np.cross(across, down), -down):
        for sign in (1.0, -1.0):
            world = np.concatenate([sign * turn * across, shift * along]).reshape(2, 3)
            slip_by = grasp.rotation.inv().apply(world).ravel()
            state = start
            for _ in range(_SLIP_STEPS):
                state = holder.carry(state, base, base, np.zeros(3), np.zeros(3), slip_by / _SLIP_STEPS)
            depth = holder.depth(state, base)
            if depth < least:
                best, least = slip_by, depth
            if least < _SLIP_DEPTH:
                return best
    return best
