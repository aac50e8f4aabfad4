"""A hand that holds an object: its contacts carry the object from frame to frame, and its fingers stay on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.geometry.signed_distance import DistanceField
from warpprior.scenes.carry import Carrier
from warpprior.scenes.fingers import TOUCH, close_fingers
from warpprior.scenes.grasp import Grasp
from warpprior.scenes.puppet import EVERY, Puppet

NEIGHBOURHOOD = 0.006  # points this close at the grasp may touch later [m]
CAPACITY = 512  # contacts
_DAMPING = 2.0e-3  # of the finger motions that follow the object [m/rad]
_NUDGE = 1e-3  # [rad]
_TURN_STEP = np.radians(2.0)  # how far the fingers turn an object at once [rad]
_FASTEST = 0.12  # how far a joint closes in one frame [rad]


@dataclass(frozen=True)
class Held:
    """Where the object is, and how the hand's fingers are bent around it.

    Attributes:
        position: of the object (3,) [m].
        rotation: world_from_object.
        joints: of the hand (coordinate,) [rad].
    """

    position: np.ndarray
    rotation: Rotation
    joints: np.ndarray


@dataclass(frozen=True)
class Base:
    """Where the hand's base is: position (3,) [m], and world_from_base."""

    position: np.ndarray
    rotation: Rotation

    @property
    def pair(self) -> tuple[np.ndarray, Rotation]:
        """The same as one configuration."""
        return self.position[None], Rotation.concatenate([self.rotation])


class Holder:
    """Moves an object with a hand from frame to frame, and keeps the fingers on it.

    Args:
        puppet: the hand.
        field: distance to the object, in the object's frame.
        grasp: how the hand holds the object, in the object's frame.
        reach: points this close at the grasp may touch later [m].
    """

    def __init__(self, puppet: Puppet, field: DistanceField, grasp: Grasp, *, reach: float = NEIGHBOURHOOD):
        self.puppet, self.field = puppet, field
        points = self._points(Base(grasp.position, grasp.rotation), grasp.closed)
        self.near = np.flatnonzero(field.signed_distance(points) < reach)
        self.carrier = Carrier(min(CAPACITY, len(self.near)))

    def _points(self, base: Base, joints: np.ndarray, chosen: slice | np.ndarray = EVERY) -> np.ndarray:
        return self.puppet.points(*base.pair, joints[None], chosen)[0]

    def carry(
        self, state: Held, before: Base, after: Base, turn: np.ndarray, shift: np.ndarray, slide: np.ndarray
    ) -> Held:
        """One frame on: the base moves as given, and the contacts take the object along.

        Args:
            state: object and fingers in the frame before.
            before, after: the hand's base in both frames.
            turn: rotation vector by which the fingers are to turn the object in the hand, base frame (3,) [rad].
            shift: by how much they are to shift it, base frame (3,) [m]; both are met as far as the fingers can.
            slide: rotation vector [rad] about the middle of the contacts, then shift [m], by which the object slips,
                base frame (6,).
        """
        steps = max(1, int(np.ceil(np.linalg.norm(turn) / _TURN_STEP)))
        for step in range(1, steps + 1):
            # The fingers turn the object in small steps; the base moves in the last.
            goal = after if step == steps else before
            state = self._carry_once(state, before, goal, turn / steps, shift / steps, slide if step == steps else None)
        return state

    def _carry_once(self, state: Held, before: Base, after: Base, turn, shift, slide) -> Held:
        here = self._points(before, state.joints, self.near)
        weights = self._contact_weights(here, state.position, state.rotation)
        joints = self._push(before, state.joints, here, weights, turn, shift)
        there = self._points(after, joints, self.near)
        order = np.argsort(-weights, kind="stable")[: self.carrier.capacity]
        swing = after.rotation * before.rotation.inv()
        expected = after.position + swing.apply(state.position - before.position) - state.position
        position, rotation = self.carrier.step(
            here[order], there[order], weights[order], state.position, state.rotation, expected, swing
        )
        if slide is not None and slide.any():
            center = np.average(there, axis=0, weights=weights) if weights.any() else position
            slip = Rotation.from_rotvec(after.rotation.apply(slide[:3]))
            position = center + slip.apply(position - center) + after.rotation.apply(slide[3:])
            rotation = slip * rotation
        return Held(position, rotation, self.regulate(after, joints, position, rotation))

    def regulate(self, base: Base, joints: np.ndarray, position: np.ndarray, rotation: Rotation) -> np.ndarray:
        """Joint angles of the fingers back on the object's surface."""
        # In the object's frame its surface stands still.
        local = Base(rotation.inv().apply(base.position - position), rotation.inv() * base.rotation)
        closed = close_fingers(self.puppet, self.field, *local.pair, joints[None], self.near, exact=True, steps=6)[0]
        return np.minimum(closed, joints + _FASTEST)

    def keep_out(self, position: np.ndarray, rotation: Rotation, joints: np.ndarray) -> np.ndarray:
        """Joint angles (frame, coordinate) of a hand that comes or goes, opened where it would enter the object.

        Args:
            position: of the base in the object's frame (frame, 3) [m].
            rotation: object_from_base, one per frame.
            joints: (frame, coordinate) [rad].
        """
        every = np.arange(len(self.puppet.rest))
        return close_fingers(
            self.puppet, self.field, position, rotation, joints, every, exact=False, steps=12, only_open=True
        )

    def depth(self, state: Held, base: Base) -> float:
        """How deep the hand is in the object at most [m]."""
        points = self._points(base, state.joints)
        return -float(self.field.signed_distance(state.rotation.inv().apply(points - state.position)).min())

    def contact_centers(self, state: Held, base: Base) -> list[np.ndarray]:
        """Middle of what each finger touches, the thumb last, for the fingers that touch; [m] in the world."""
        points = self._points(base, state.joints, self.near)
        weights = self._contact_weights(points, state.position, state.rotation)
        fingers = [self.puppet.finger[self.near] == f for f in range(len(self.puppet.digits.names))]
        return [np.average(points[f], axis=0, weights=weights[f]) for f in fingers if weights[f].any()]

    def _contact_weights(self, points: np.ndarray, position: np.ndarray, rotation: Rotation) -> np.ndarray:
        """One for points on the object or inside, falling to zero at the distance that is no touch any more."""
        distances = self.field.surface.measure(rotation.inv().apply(points - position), 2.0 * TOUCH)[0]
        return np.clip(1.0 - distances / TOUCH, 0.0, 1.0)

    def _push(self, base: Base, joints, points, weights, turn, shift) -> np.ndarray:
        """Joint angles that move each finger's contact as the object should move in the hand (damped least squares)."""
        axes = base.rotation.as_matrix()
        touching = weights > 0.0
        if not touching.any():
            return joints
        center = np.average(points[touching], axis=0, weights=weights[touching])
        moved = joints.copy()
        nudged = self._nudged(base, joints, self.near[touching])
        for finger, coordinates in enumerate(self.puppet.digits.coordinates):
            owned = self.puppet.finger[self.near[touching]] == finger
            if not owned.any():
                continue
            share = weights[touching][owned] / weights[touching][owned].sum()
            here = share @ points[touching][owned]
            wanted = np.cross(axes @ turn, here - center) + axes @ shift
            jacobian = ((share @ nudged[finger][:, owned] - here) / _NUDGE).T
            gram = jacobian @ jacobian.T + _DAMPING**2 * np.eye(3)
            moved[coordinates] += jacobian.T @ np.linalg.solve(gram, wanted)
        return np.clip(moved, self.puppet.body.lower, self.puppet.body.upper)

    def _nudged(self, base: Base, joints: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """Where points are when one joint of one finger has moved a little (finger, joint, point, 3) [m]."""
        coordinates = self.puppet.digits.coordinates
        tried = np.tile(joints, (coordinates.size, 1))
        tried[np.arange(coordinates.size), coordinates.ravel()] += _NUDGE
        position = np.tile(base.position, (coordinates.size, 1))
        rotation = Rotation.concatenate([base.rotation] * coordinates.size)
        return self.puppet.points(position, rotation, tried, chosen).reshape(*coordinates.shape, -1, 3)
