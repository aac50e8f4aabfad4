"""Where and how the robot hand takes hold of an object: candidates, closed until contact, and the best of them.

Everything is in the world the object stands in: z up, the object's own frame at rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.geometry.signed_distance import DistanceField
from warpprior.scenes.fingers import TOUCH, close_fingers, nearest_phalanges
from warpprior.scenes.puppet import PALM, Puppet
from warpprior.scenes.robot_hand import FINGERS
from warpprior.support.errors import InputError

CLEARANCE = 0.002  # of the open hand, and of the palm, from the object [m]
APPROACH = 0.10  # the open hand comes from this far away [m]
PALM_FRONT = 0.0065  # height of the palm over the base frame's origin [m]
_SHIFTS = ((0.0,), (-0.02, 0.02, -0.04, 0.04))  # heights tried, and those tried if nothing was found [m]
_FINALISTS = 8
_LEAST_OPPOSITION = 0.3  # of the thumb's push to the fingers', 1 is opposite
_DEEPEST = 0.0015  # [m]
_AS_GOOD = 0.3  # difference of scores that does not matter
_NEAR = 0.012  # [m]
_IDLE = 0.4  # fingers that find nothing to touch close by this share

# Joint angles of the open hand [rad], four per finger.
OPEN = np.array([0.0, 0.10, 0.15, 0.15] * 3 + [1.25, 0.10, 0.05, 0.10])


@dataclass(frozen=True)
class Grasp:
    """A hand that holds an object standing in the world frame.

    Attributes:
        position: of the hand's base (3,) [m].
        rotation: world_from_base.
        open: joint angles of the hand that comes (coordinate,) [rad].
        closed: joint angles that touch (coordinate,) [rad].
        approach: direction in which it comes (3,).
        fingers: how many fingers touch, the thumb included.
    """

    position: np.ndarray
    rotation: Rotation
    open: np.ndarray
    closed: np.ndarray
    approach: np.ndarray
    fingers: int


def find_grasp(puppet: Puppet, field: DistanceField, random: np.random.Generator) -> Grasp:
    """A side grasp of an object: one of the best among a fixed set of candidates.

    Args:
        puppet: the hand.
        field: distance to the object, in the world frame.
        random: chooses among grasps that hold about equally well.

    Raises:
        InputError: no candidate touches the object with the thumb and a finger.
    """
    surface = field.surface.sample_near(4000, 1e-4, np.random.default_rng(0))
    for shifts in _SHIFTS:
        found = _search(puppet, field, *_candidates(surface, shifts))
        if found is not None:
            break
    else:
        raise InputError("object", "the robot hand finds no grasp on it", _ACCEPTED)
    positions, rotations, joints, scores, fingers = found
    best = random.choice(np.flatnonzero(scores > scores.max() - _AS_GOOD))
    base = (positions[[best]], rotations[[best]])
    reached = puppet.points(*base, joints[[best]])[0]
    near = np.flatnonzero(field.grids.interpolate(0, reached)[0] < _NEAR)
    closed = close_fingers(puppet, field, *base, joints[[best]], near, exact=True, steps=80)
    touching = nearest_phalanges(puppet, field, *base, closed, near, exact=True)[0].min(axis=1) < TOUCH
    closed = np.where(np.repeat(touching, 4), closed[0], OPEN + _IDLE * (closed[0] - OPEN))
    return Grasp(positions[best], rotations[best], OPEN, closed, rotations[best].as_matrix()[:, 0], int(fingers[best]))


def _search(puppet, field, positions, rotations, groups):
    """The candidates worth a closer look, closed: base poses, joints, scores and touching fingers; None without any."""
    joints = np.tile(OPEN, (len(positions), 1))
    usable = np.ones(len(positions), dtype=bool)
    for retreat in (0.0, 0.25 * APPROACH, 0.5 * APPROACH, APPROACH):
        away = positions - retreat * rotations.as_matrix()[:, :, 0]
        nearest = nearest_phalanges(puppet, field, away[usable], rotations[usable], joints[usable], puppet.sparse)
        usable[usable] = nearest.min(axis=(1, 2)) > CLEARANCE
        if not usable.any():
            return None
    positions, rotations, groups, joints = positions[usable], rotations[usable], groups[usable], joints[usable]
    joints = close_fingers(puppet, field, positions, rotations, joints, puppet.sparse, exact=False, steps=50)
    scores, _, _ = _score(puppet, field, positions, rotations, joints)

    # The search looked at few points: the best of each direction are closed again, and judged, by every point.
    order = np.argsort(-scores, kind="stable")
    order = order[np.isfinite(scores[order])]
    finalists = order[np.sort(np.unique(groups[order], return_index=True)[1])][:_FINALISTS]
    if len(finalists) == 0:
        return None
    positions, rotations, every = positions[finalists], rotations[finalists], np.arange(len(puppet.rest))
    joints = close_fingers(puppet, field, positions, rotations, joints[finalists], every, exact=False, steps=60)
    scores, fingers, depths = _score(puppet, field, positions, rotations, joints)
    scores[depths > _DEEPEST] = -np.inf
    return (positions, rotations, joints, scores, fingers) if np.isfinite(scores.max()) else None


_ACCEPTED = "an object with a part 20 to 100 mm wide that the hand can close around; scale it or choose another"


def _candidates(surface: np.ndarray, shifts: tuple[float, ...]) -> tuple[np.ndarray, Rotation, np.ndarray]:
    """Base poses around the object, palm towards it, fingers level; candidates of one direction share a group.

    Args:
        surface: points all over the object (point, 3) [m].
        shifts: heights of the middle finger over the object's middle [m].
    """
    bottom, top = surface[:, 2].min(), surface[:, 2].max()
    positions, matrices, groups = [], [], []
    for shift in shifts:
        level = float(np.clip(0.5 * (bottom + top) + shift, bottom, top))
        slab = surface[np.abs(surface[:, 2] - level) < max(0.05, 0.25 * (top - bottom)), :2]
        for yaw in np.arange(12) * (np.pi / 6.0):
            out_of_palm = np.array([np.cos(yaw), np.sin(yaw), 0.0])
            near_side = (slab @ out_of_palm[:2]).min()
            for up in (1.0, -1.0):
                across = np.array([0.0, 0.0, up])
                along = np.cross(out_of_palm, across)
                side = slab @ along[:2]
                center = 0.5 * (side.min() + side.max()) * along + np.array([0.0, 0.0, level])
                group = len(groups)
                for gap in (0.004, 0.022, 0.045):
                    for lead in (-0.012, 0.006, 0.024):
                        depth = near_side - PALM_FRONT - gap
                        positions.append(center + depth * out_of_palm - lead * along)
                        matrices.append(np.stack([out_of_palm, across, along], axis=1))
                        groups.append(group)
    return np.array(positions), Rotation.from_matrix(np.array(matrices)), np.array(groups)


def _score(puppet, field, positions, rotations, joints) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How well each configuration holds, -inf where it does not; fingers that touch; greatest depth of a point [m]."""
    points = puppet.points(positions, rotations, joints)
    flat = points.reshape(-1, 3)
    distances, normals = field.grids.interpolate(0, flat)
    distances, normals = distances.reshape(points.shape[:2]), normals.reshape(points.shape)
    scores, fingers = np.full(len(points), -np.inf), np.zeros(len(points), dtype=int)
    for index in range(len(points)):
        touching = distances[index] < TOUCH
        pushes, centers = [], []
        for f in range(len(FINGERS)):
            owned = touching & (puppet.finger == f)
            if owned.any():
                pushes.append(-normals[index][owned].mean(axis=0))
                centers.append(points[index][owned].mean(axis=0))
        fingers[index] = len(pushes)
        thumb = (touching & (puppet.finger == FINGERS.index("thumb"))).any()
        deepest = -distances[index][puppet.finger == PALM].min()
        if not thumb or len(pushes) < 2 or deepest > 0.0:
            continue
        opposition = -float(pushes[-1] @ np.mean(pushes[:-1], axis=0))
        if opposition < _LEAST_OPPOSITION:
            continue
        phalanges = len(set(zip(puppet.finger[touching], puppet.phalanx[touching], strict=True)))
        offset = np.linalg.norm(np.mean(centers, axis=0))
        scores[index] = len(pushes) + 1.5 * opposition + 0.1 * phalanges - 4.0 * offset
    return scores, fingers, -distances.min(axis=1)
