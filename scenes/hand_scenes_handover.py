"""Two hands: one takes an object from the table and holds it out, the other takes it over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bodies.body import rigid_body
from warpprior.geometry.signed_distance import DistanceField
from warpprior.scenes.grasp import Grasp
from warpprior.scenes.hand_grasp import REACH_FROM, Surroundings, find_hand_grasp
from warpprior.scenes.hand_grasp_holds import find_holds
from warpprior.scenes.hand_scenes_plan import CLOSED, LIFTED_FROM, REACHED, tremor
from warpprior.scenes.hold import Held, Holder
from warpprior.scenes.objects.spec import Hold
from warpprior.scenes.play import Plan, ease, play
from warpprior.scenes.puppet import Puppet
from warpprior.support.errors import InputError

TAKEN = 0.64  # share of the sequence at which the second hand takes over
_COMES, _CLOSES = (0.34, 0.52), (0.50, 0.62)  # of the second hand
_OPENS, _LEAVES = (0.66, 0.78), (0.74, 0.92)  # of the first
_FROM = 1.5 * REACH_FROM  # how far away the second hand begins, and the first one ends [m]
_REACH = 0.02  # points of a hand this close at the grasp may touch later [m]
_TRIES = 9  # grasps of the first hand, of which some leave no room for the second


@dataclass(frozen=True, eq=False)
class HandPath:
    """World motion of a hand: position (frame, 3) [m], world_from_base, and joints (frame, coordinate) [rad]."""

    position: np.ndarray
    rotation: Rotation
    joints: np.ndarray


@dataclass(frozen=True, eq=False)
class Handover:
    """World motion of both hands and of the object: position (frame, 3) [m] and turn since it stood."""

    giver: HandPath
    taker: HandPath
    position: np.ndarray
    rotation: Rotation
    approach: np.ndarray


def hand_over(
    giver: Puppet,
    taker: Puppet,
    distance: DistanceField,
    holds: tuple[Hold, ...],
    table: float,
    frame_count: int,
    fps: float,
    grasp_random: np.random.Generator,
    script_random: np.random.Generator,
    shake_random: np.random.Generator,
) -> Handover:
    """Act out a handover.

    Args:
        giver, taker: the hands.
        distance: to the object, in the world it stands in at first.
        holds: where it may be held, in the same frame.
        table: its height [m].
        frame_count: number of frames.
        fps: frames per second.
        grasp_random, script_random, shake_random: draw the grasps, the paths and how the hands tremble.

    Raises:
        InputError: there is no room for two hands on the object.
    """
    first, second = _find_pair(giver, taker, distance, holds, table, grasp_random)
    share = np.linspace(0.0, 1.0, frame_count)
    taken = int(np.searchsorted(share, TAKEN))
    after = slice(taken, None)
    givers, takers = (Holder(*pair, reach=_REACH) for pair in ((giver, distance, first), (taker, distance, second)))
    shakes = [tremor(frame_count, fps, shake_random) for _ in range(2)]

    # The first hand brings the object.
    position, rotation = _brought(first, share, script_random, shakes[0])
    joints = _between(first, ease((share - REACHED) / (CLOSED - REACHED)))
    carries = (share > LIFTED_FROM) & (np.arange(frame_count) <= taken)
    start = Held(np.zeros(3), Rotation.identity(), first.closed)
    giving = play(givers, _plan(position, rotation, joints, carries), start, carries)
    objects, spins = giving.object_position, giving.object_rotation

    # The second comes to where it is held out, and trembles with it from the touch on.
    closing = _during(share, _CLOSES)
    away = _FROM * (1.0 - _during(share, _COMES))
    place, facing = _follow(second.position, second.rotation, second.approach, away, objects, spins)
    place += (1.0 - closing)[:, None] * shakes[1][0]
    facing = Rotation.from_rotvec((1.0 - closing)[:, None] * shakes[1][1]) * facing
    bends = _between(second, closing)
    bends[:taken] = _kept_out(takers, place[:taken], facing[:taken], objects[:taken], spins[:taken], bends[:taken])

    # Then it is the second that carries.
    shift, turn = _carried_off(share[after], script_random)
    swing = Rotation.from_rotvec(turn + shakes[1][1][after] - shakes[1][1][taken])
    moved = objects[taken] + swing.apply(place[taken] - objects[taken])
    moved += shift + shakes[1][0][after] - shakes[1][0][taken]
    carries = np.arange(frame_count - taken) > 0
    held = Held(objects[taken], spins[taken], second.closed)
    taking = play(takers, _plan(moved, swing * facing[taken], bends[after], carries), held, carries)
    place, facing = (
        np.concatenate([place[:taken], moved]),
        Rotation.concatenate([facing[:taken], swing * facing[taken]]),
    )
    bends[after] = taking.joints
    grip = spins[taken].inv().apply(position[taken] - objects[taken]), spins[taken].inv() * rotation[taken]
    objects = np.concatenate([objects[:taken], taking.object_position])
    spins = Rotation.concatenate([spins[:taken], taking.object_rotation])

    # The first stays with the object until it has opened, and leaves the way it came.
    away = _FROM * _during(share[after], _LEAVES)
    leaving, looking = _follow(*grip, first.approach, away, objects[after], spins[after])
    opening = _during(share[after], _OPENS)[:, None]
    loose = giving.joints[taken] + opening * (first.open - giving.joints[taken])
    loose = _kept_out(givers, leaving, looking, objects[after], spins[after], loose)
    position, rotation = np.concatenate([position[:taken], leaving]), Rotation.concatenate([rotation[:taken], looking])
    joints = np.concatenate([giving.joints[:taken], loose])
    return Handover(
        HandPath(position, rotation, joints), HandPath(place, facing, bends), objects, spins, first.approach
    )


def _find_pair(giver: Puppet, taker: Puppet, distance, holds, table: float, random) -> tuple[Grasp, Grasp]:
    """Grasps of both hands that leave room for each other, and for the first hand to leave."""
    anywhere = (*holds, *find_holds(distance.surface.sample_near(4000, 1e-4, np.random.default_rng(0))))
    for attempt in range(_TRIES):
        # Hands look best on opposite sides of where objects are usually held; any other way comes after that.
        usual = attempt < _TRIES // 3
        places = holds if usual else anywhere
        try:
            first = find_hand_grasp(giver, distance, places, random, Surroundings(table=table))
            around = Surroundings(obstacles=(_solid(giver, first),), avoided=first.approach if usual else None)
            second = find_hand_grasp(taker, distance, places, random, around)
        except InputError:
            continue
        away = _FROM * np.array([0.0, 0.1, 0.3, 0.6, 1.0])
        ways = first.position - away[:, None] * first.approach
        turns = Rotation.concatenate([first.rotation] * len(away))
        leaving = giver.points(ways, turns, np.tile(first.open, (len(away), 1)), giver.sparse)
        if _solid(taker, second).signed_distance(leaving.reshape(-1, 3)).min() > 0.0:
            return first, second
    raise InputError("object", "no room on it for two hands", "a larger object")


def _solid(puppet: Puppet, grasp: Grasp) -> DistanceField:
    """Distance to a hand that holds."""
    base = (grasp.position[None], Rotation.concatenate([grasp.rotation]))
    surface = puppet.points(*base, grasp.closed[None], np.arange(puppet.body.vertex_count))[0]
    return DistanceField(rigid_body("hand", surface, puppet.body.faces))


def _brought(grasp: Grasp, share: np.ndarray, random, shake) -> tuple[np.ndarray, Rotation]:
    """Wrist of a hand that comes, lifts the object and holds it out."""
    heading, lifted = random.uniform(0.0, 2.0 * np.pi), _during(share, (LIFTED_FROM, 0.47))
    aside = random.uniform(0.04, 0.08) * np.array([np.cos(heading), np.sin(heading), 0.0])
    shift = np.outer(_during(share, (0.28, 0.48)), aside)
    shift[:, 2] += random.uniform(0.08, 0.12) * lifted
    turns = Rotation.from_rotvec(np.outer(random.uniform(-0.5, 0.5) * lifted, [0.0, 0.0, 1.0]))
    away = REACH_FROM * (1.0 - ease(share / REACHED))
    way = grasp.position - away[:, None] * grasp.approach
    return turns.apply(way) + shift + shake[0], Rotation.from_rotvec(shake[1]) * turns * grasp.rotation


def _carried_off(share: np.ndarray, random) -> tuple[np.ndarray, np.ndarray]:
    """Shift [m] and rotation vector of what the second hand holds, from the moment it holds it; frames in rows."""
    heading, gone = random.uniform(0.0, 2.0 * np.pi), _during(share, (_LEAVES[0], 1.02))
    shift = np.outer(gone, random.uniform(0.03, 0.06) * np.array([np.cos(heading), np.sin(heading), 0.3]))
    axis = random.normal(size=3)
    return shift, np.outer(random.uniform(0.15, 0.4) * gone, axis / np.linalg.norm(axis))


def _during(share: np.ndarray, span: tuple[float, float]) -> np.ndarray:
    """Eases from 0 to 1 within a span of shares."""
    return ease((share - span[0]) / (span[1] - span[0]))


def _between(grasp: Grasp, closing: np.ndarray) -> np.ndarray:
    """Joints (frame, coordinate) from the open hand to the closed."""
    return grasp.open + closing[:, None] * (grasp.closed - grasp.open)


def _follow(position, rotation: Rotation, approach, away, objects, spins: Rotation) -> tuple[np.ndarray, Rotation]:
    """World poses of a hand at a place beside the object, and ``away`` from it [m] along the way it comes."""
    return objects + spins.apply(position - away[:, None] * approach), spins * rotation


def _kept_out(holder: Holder, position, rotation: Rotation, objects, spins: Rotation, joints) -> np.ndarray:
    """Joints of a hand that comes or goes, opened where it would enter the object."""
    return holder.keep_out(spins.inv().apply(position - objects), spins.inv() * rotation, joints)


def _plan(position, rotation: Rotation, joints, carries) -> Plan:
    """A plan without motion in the hand."""
    none = np.zeros((len(position), 3))
    return Plan(position, rotation, joints, carries, turn=none, shift=none, slide=np.zeros((len(position), 6)))
