"""Where and how a human hand takes hold of an object: candidates around its holds, closed until contact, judged.

Everything is in the world the object stands in: z up, the object's own frame at rest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise, product

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.geometry.signed_distance import DistanceField
from warpprior.scenes.fingers import TOUCH, close_fingers, nearest_phalanges
from warpprior.scenes.grasp import Grasp
from warpprior.scenes.hand_grasp_holds import find_holds
from warpprior.scenes.hand_grasp_poses import Preshape, idle_joints, preshapes
from warpprior.scenes.objects.spec import Hold
from warpprior.scenes.puppet import PALM, Puppet
from warpprior.support.errors import InputError

CLEARANCE = 0.002  # of the open hand from the table [m]
REACH_FROM = 0.10  # the open hand comes from this far away [m]
_OPENINGS = (0.35, 0.7, 1.0)  # of the hand that comes, from spanning the object to as wide as it can
_DEPTHS = np.array([0.0, 0.012, 0.024, 0.036, 0.050])  # how far the object is let into the hand [m]
_ROLLS = np.radians([-30.0, -15.0, 0.0, 15.0, 30.0])
_PITCHES = np.radians([-25.0, 0.0, 25.0])
_TURNS = 12  # directions tried around a hold that the palm may reach from any side
_GIVEN = np.radians([-20.0, 0.0, 20.0])  # around a hold that says where the palm comes from
_DRAWN, _TRIED = 4000, 1200  # candidates drawn, and those looked at of what is plausible
_FINALISTS = 10
_DEEPEST = 0.0015  # of any point of the hand in the object [m]
_AS_GOOD = 0.5  # random share of the scores: grasps that hold about equally well take turns
_NEAR = 0.012  # [m]
_ASIDE = 0.2  # cosine of the angle to a direction the hand must not come from, at most
_FINGER_RADIUS = 0.007  # [m]
_FREE = 0.030  # room around an object held by fingertips [m]


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What the hand must keep clear of.

    Attributes:
        table: height of the table [m].
        obstacles: distances to other things, in the object's frame.
        avoided: a direction (3,) from which the hand must not come, nor from about there.
    """

    table: float = -np.inf
    obstacles: tuple[DistanceField, ...] = field(default=())
    avoided: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class _Hands:
    """Configurations of one hand: base poses, joints, and the direction each comes in."""

    positions: np.ndarray
    rotations: Rotation
    joints: np.ndarray
    approach: np.ndarray

    def __getitem__(self, chosen) -> _Hands:
        return _Hands(self.positions[chosen], self.rotations[chosen], self.joints[chosen], self.approach[chosen])

    def __len__(self) -> int:
        return len(self.positions)

    def closed(self, joints: np.ndarray) -> _Hands:
        return _Hands(self.positions, self.rotations, joints, self.approach)


def find_hand_grasp(
    puppet: Puppet,
    distance: DistanceField,
    holds: tuple[Hold, ...],
    random: np.random.Generator,
    around: Surroundings,
    *,
    tips: bool = False,
) -> Grasp:
    """One of the best of many grasps of an object by a human hand.

    Args:
        puppet: the hand.
        distance: to the object, in the world frame.
        holds: where the object is best held, in the same frame; other places are tried after those.
        random: draws candidates, and chooses among grasps that hold about equally well.
        around: what else is there.
        tips: prefer to hold with the fingertips alone, away from the palm, so that fingers can move the object.

    Raises:
        InputError: no candidate touches the object with the thumb and two fingers.
    """
    grasp = _search(puppet, distance, holds, random, around, tips) if holds else None
    if grasp is None:
        surface = distance.surface.sample_near(4000, 1e-4, np.random.default_rng(0))
        holds = find_holds(surface)
        grasp = _search(puppet, distance, holds, random, around, tips) if holds else None
    if grasp is None:
        accepted = "an object with a part 3 to 85 mm wide; scale it or choose another"
        raise InputError("object", "the hand finds no grasp on it", accepted)
    return grasp


def _search(puppet: Puppet, distance, holds, random, around: Surroundings, tips: bool) -> Grasp | None:
    """A good grasp at one of these holds, or None."""
    hands = _candidates(puppet, holds, random)
    hands = hands[random.permutation(_plausible(puppet, hands, around))[:_TRIED]]
    hands, opened = _opened(puppet, distance, hands, around)
    if len(hands) == 0:
        return None
    base = (hands.positions, hands.rotations)
    hands = hands.closed(close_fingers(puppet, distance, *base, opened, puppet.sparse, exact=False, steps=45))
    scores = _score(puppet, distance, hands, around, puppet.sparse, tips)
    order = np.argsort(-scores, kind="stable")
    order = order[np.isfinite(scores[order])][: 4 * _FINALISTS]
    if len(order) == 0:
        return None
    hands, opened = hands[order], opened[order]
    free = _free(puppet, distance, hands, opened, around, (0.25, 0.5, 1.0))[:_FINALISTS]
    if len(free) == 0:
        return None
    hands, opened = hands[free], opened[free]

    # The search looked at few points: the best are closed again, and judged, by every point.
    every = np.arange(len(puppet.rest))
    base = (hands.positions, hands.rotations)
    hands = hands.closed(close_fingers(puppet, distance, *base, hands.joints, every, exact=False, steps=40))
    scores = _score(puppet, distance, hands, around, every, tips)
    scores += _AS_GOOD * random.random(len(scores))
    for best in np.argsort(-scores, kind="stable")[: np.isfinite(scores).sum()]:
        grasp = _finished(puppet, distance, hands[[best]], opened[best])
        if grasp is not None:
            return grasp
    return None


def _candidates(puppet: Puppet, holds, random) -> _Hands:
    """Base poses around the holds; the joints are those of the hand that would just span the hold."""
    ladders = [preshapes(puppet, fingers) for fingers in (2, 4)]
    parts = []
    for hold in holds:
        shapes = [_spanning(ladder, hold.width) for ladder in ladders]
        ways = list(product(shapes, _directions(hold), (1.0, -1.0), _ROLLS, _PITCHES, _DEPTHS))
        drawn = [ways[index] for index in random.permutation(len(ways))[: _DRAWN // len(holds)]]
        shape, ahead, up, roll, pitch, depth = zip(*drawn, strict=True)
        ahead, along = np.array(ahead), random.uniform(-0.5, 0.5, len(drawn))[:, None]
        across = np.array(up)[:, None] * (hold.axis - (ahead @ hold.axis)[:, None] * ahead)
        across /= np.linalg.norm(across, axis=1, keepdims=True)
        turn = Rotation.from_rotvec(np.array(roll)[:, None] * ahead)
        turn = turn * Rotation.from_rotvec(np.array(pitch)[:, None] * across)
        level = np.stack([ahead, across, np.cross(ahead, across)], axis=2)
        matrix = turn.as_matrix() @ level @ np.array([one.axes.T for one in shape])
        toward = turn.apply(ahead)
        meeting = hold.center + along * hold.length * hold.axis + np.array(depth)[:, None] * toward
        position = meeting - np.einsum("nij,nj->ni", matrix, [one.center for one in shape])
        parts.append((position, matrix, [one.joints for one in shape], toward))
    position, matrix, joints, toward = (np.concatenate(part) for part in zip(*parts, strict=True))
    return _Hands(position, Rotation.from_matrix(matrix), joints, toward)


def _spanning(shapes: list[Preshape], aperture: float) -> Preshape:
    """The narrowest shape at least as wide as asked for, or the widest there is."""
    wide = [shape for shape in shapes if shape.aperture >= aperture]
    return min(wide or [max(shapes, key=lambda shape: shape.aperture)], key=lambda shape: shape.aperture)


def _opened(puppet: Puppet, distance, hands: _Hands, around: Surroundings) -> tuple[_Hands, np.ndarray]:
    """The hands that can be opened around the object without touching it, and their open joints."""
    widest = preshapes(puppet)[0].joints
    opened, done = np.zeros_like(hands.joints), np.zeros(len(hands), dtype=bool)
    for share in _OPENINGS:
        left = np.flatnonzero(~done)
        if len(left) == 0:
            break
        tried = hands.joints[left] + share * (widest - hands.joints[left])
        free = left[_free(puppet, distance, hands[left], tried, around, (0.0,))]
        opened[free] = hands.joints[free] + share * (widest - hands.joints[free])
        done[free] = True
    return hands[done], opened[done]


def _directions(hold: Hold):
    """Unit vectors from the palm to the hold."""
    if hold.palm is not None:
        ahead, angles = hold.palm - (hold.palm @ hold.axis) * hold.axis, _GIVEN
    else:
        other = np.eye(3)[int(np.abs(hold.axis).argmin())]
        ahead, angles = np.cross(hold.axis, other), np.arange(_TURNS) * (2.0 * np.pi / _TURNS)
    ahead = ahead / np.linalg.norm(ahead)
    return [Rotation.from_rotvec(angle * hold.axis).apply(ahead) for angle in angles]


def _bearing(puppet: Puppet, rotations: Rotation) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Height (hand,) of the unit vectors out of the palm, to the thumb's side, and along the forearm."""
    matrices = rotations.as_matrix()
    side = -1.0 if puppet.body.side == "left" else 1.0
    return -matrices[:, 2, 2], side * matrices[:, 2, 1], -matrices[:, 2, 0]


def _plausible(puppet: Puppet, hands: _Hands, around: Surroundings) -> np.ndarray:
    """Hands as people hold them: palm not up, thumb not down, forearm not from below, wrist above the table."""
    palm, thumb, forearm = _bearing(puppet, hands.rotations)
    high = hands.positions[:, 2] > around.table + 0.03
    good = (palm < 0.35) & (thumb > -0.3) & (forearm > -0.3) & (forearm < 0.95) & high
    if around.avoided is not None:
        good &= hands.approach @ around.avoided < _ASIDE
    return np.flatnonzero(good)


def _free(puppet, distance, hands: _Hands, joints, around: Surroundings, shares) -> np.ndarray:
    """Which of the open hands touch nothing, at these shares of the way they come."""
    kept = np.arange(len(hands))
    for share in shares:
        if len(kept) == 0:
            break
        away = hands.positions[kept] - share * REACH_FROM * hands.approach[kept]
        rotations = hands.rotations[kept]  # pyright: ignore[reportArgumentType] - SciPy takes arrays, too
        points = puppet.points(away, rotations, joints[kept], puppet.sparse)
        flat = points.reshape(-1, 3)
        fields = (distance, *around.obstacles)
        nearest = np.min([f.grids.interpolate(0, flat)[0] for f in fields], axis=0).reshape(points.shape[:2])
        # The palm may touch what it holds; that is judged later.
        clear = (nearest.min(axis=1) > -0.0005) & (points[..., 2].min(axis=1) > around.table + CLEARANCE)
        kept = kept[clear]
    return kept


def _score(puppet: Puppet, distance, hands: _Hands, around: Surroundings, chosen, tips: bool) -> np.ndarray:
    """How well and how naturally each configuration holds (hand,), -inf where it does not."""
    points = puppet.points(hands.positions, hands.rotations, hands.joints, chosen)
    flat = points.reshape(-1, 3)
    distances, normals = distance.grids.interpolate(0, flat)
    distances, normals = distances.reshape(points.shape[:2]), normals.reshape(points.shape)
    palm, thumb, forearm = _bearing(puppet, hands.rotations)
    finger, phalanx = puppet.finger[chosen], puppet.phalanx[chosen]
    low = points[..., 2].min(axis=1) < around.table + 0.5 * CLEARANCE
    low |= -distances.min(axis=1) > _DEEPEST
    for other in around.obstacles:
        low |= other.grids.interpolate(0, flat)[0].reshape(points.shape[:2]).min(axis=1) < 0.0
    scores = np.full(len(points), -np.inf)
    last = len(puppet.digits.names) - 1
    for index in np.flatnonzero(~low):
        touching = distances[index] < TOUCH
        groups = [touching & (finger == f) for f in range(last + 1)]
        count = sum(group.any() for group in groups[:last])
        if not groups[last].any() or count < 2:
            continue
        pushes = [-normals[index][group].mean(axis=0) for group in groups[:last] if group.any()]
        opposition = -float(-normals[index][groups[last]].mean(axis=0) @ np.mean(pushes, axis=0))
        if opposition < 0.3 or _crossing(points[index], finger, phalanx, last):
            continue
        center = 0.5 * (
            points[index][groups[last]].mean(axis=0) + points[index][touching & (finger < last)].mean(axis=0)
        )
        scores[index] = (
            0.5 * count
            + 1.5 * opposition
            + _style(distances[index], finger, phalanx, tips)
            - 6.0 * np.linalg.norm(center)
            + 0.4 * min(thumb[index], 0.5)
            - 0.4 * max(palm[index], 0.0)
            - 0.4 * max(-forearm[index], 0.0)
        )
    return scores


def _style(distances: np.ndarray, finger: np.ndarray, phalanx: np.ndarray, tips: bool) -> float:
    """A whole hand holds better with all of it; fingertips move freely when the rest of the hand keeps its distance."""
    if tips:
        rest = distances[(finger == PALM) | (phalanx < 2)]
        return 40.0 * min(float(rest.min()), _FREE)
    touching = distances < TOUCH
    phalanges = len(set(zip(finger[touching], phalanx[touching], strict=True)))
    return 0.08 * phalanges + 0.3 * (touching & (finger == PALM)).any()


def _crossing(points: np.ndarray, finger: np.ndarray, phalanx: np.ndarray, thumb: int) -> bool:
    """Does the thumb go through a finger?"""
    own = points[(finger == thumb) & (phalanx >= 2)]
    for f in range(thumb):
        line = [points[(finger == f) & (phalanx == k)].mean(axis=0) for k in (1, 2, 3)]
        for start, end in pairwise(line):
            along = end - start
            share = np.clip((own - start) @ along / (along @ along), 0.0, 1.0)
            if (np.linalg.norm(own - start - share[:, None] * along, axis=1) < _FINGER_RADIUS).any():
                return True
    return False


def _finished(puppet: Puppet, distance, hand: _Hands, opened: np.ndarray) -> Grasp | None:
    """The chosen grasp, closed by exact distances; fingers that found nothing to touch hang loosely.

    None if the hand is too deep in the object after all.
    """
    base = (hand.positions, hand.rotations)
    reached = puppet.points(*base, hand.joints)[0]
    near = np.flatnonzero(distance.grids.interpolate(0, reached)[0] < _NEAR)
    closed = close_fingers(puppet, distance, *base, hand.joints, near, exact=True, steps=80)
    touching = nearest_phalanges(puppet, distance, *base, closed, near, exact=True)[0].min(axis=1) < TOUCH
    closed = closed[0]
    idle = idle_joints(puppet.body)
    for coordinates, touches in zip(puppet.digits.coordinates, touching, strict=True):
        if not touches:
            closed[coordinates] = np.minimum(closed[coordinates], idle[coordinates])
    if distance.signed_distance(puppet.points(*base, closed[None])[0]).min() < -_DEEPEST:
        return None
    return Grasp(hand.positions[0], hand.rotations[0], opened, closed, hand.approach[0], int(touching.sum()))
