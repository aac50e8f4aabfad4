"""Belief: the mean and the covariance of hands, objects and contacts, and how they change."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from warpprior.tracking.manifold import exp, hat, left_jacobian, matrix, multiply

FORGOTTEN = 1.0  # variance of slots that hold no contact


class Belief:
    """A Gaussian on the manifold.  Errors are in the camera frame: shift [m], rotation on the left [rad], joints.

    Columns are those of the hands (six and their joints), of the objects (six each), then three for each contact that
    is remembered, its anchor: the place on the object where the point of the hand sticks.

    What contacts say does not depend on where in the hand the object is, nor does what a centre says on how it is
    turned.  So anchors are kept in the camera frame, moving with their object, and an object's place is its middle:
    then no linearisation can mistake one for the other, and what is not observed never seems to be (the choice of an
    invariant filter; with anchors in the object's frame the rotation's sigma fell to a third of its error).

    Args:
        hand_widths: columns of each hand.
        middles: of the objects, in their own frames (object, 3) [m].
        anchor_count: how many contacts there are at most.
        remembers: contacts have columns; otherwise they are only listed.

    Attributes:
        position, rotation: of every body, hands first; of objects their middle (body, 3) [m], (body, 4) xyzw.
        joints: of every hand [(coordinate,)].
        anchors: in the camera frame (anchor, 3) [m].
        anchor_hand, anchor_point, anchor_object: which candidate of which hand sticks to which object (anchor,) int;
            -1 for slots that are free.
        anchor_misses: rejections in a row (anchor,).
        covariance: of the errors (width, width).
    """

    def __init__(self, hand_widths: Sequence[int], middles: np.ndarray, anchor_count: int, remembers: bool = True):
        self.middles = np.asarray(middles, dtype=float).reshape(-1, 3)
        object_count = len(self.middles)
        starts = np.cumsum([0, *hand_widths, *[6] * object_count])
        self.hand_count, self.object_count, self.anchor_count = len(hand_widths), object_count, anchor_count
        self.bodies = [slice(int(a), int(b)) for a, b in pairwise(starts)]
        self.first_anchor = int(starts[-1])
        self.remembers = remembers
        self.width = self.first_anchor + 3 * anchor_count * remembers
        count = self.hand_count + object_count
        self.position = np.zeros((count, 3))
        self.rotation = np.tile([0.0, 0.0, 0.0, 1.0], (count, 1))
        self.joints = [np.zeros(width - 6) for width in hand_widths]
        self.anchors = np.zeros((anchor_count, 3))
        self.anchor_hand = np.full(anchor_count, -1)
        self.anchor_point = np.full(anchor_count, -1)
        self.anchor_object = np.full(anchor_count, -1)
        self.anchor_misses = np.zeros(anchor_count, dtype=int)
        self.covariance = FORGOTTEN * np.eye(self.width)

    def hand(self, index: int) -> slice:
        """Columns of a hand."""
        return self.bodies[index]

    def object(self, index: int) -> slice:
        """Columns of an object."""
        return self.bodies[self.hand_count + index]

    def anchor(self, index: int) -> slice:
        """Columns of an anchor."""
        start = self.first_anchor + 3 * index
        return slice(start, start + 3)

    def arm(self, index: int) -> np.ndarray:
        """From an object's origin to its middle, camera axes (3,) [m]."""
        return matrix(self.rotation[self.hand_count + index]) @ self.middles[index]

    def origin(self, index: int) -> np.ndarray:
        """camera_from_object position (3,) [m]."""
        return self.position[self.hand_count + index] - self.arm(index)

    def to_origin(self, index: int) -> np.ndarray:
        """:func:`origin_from_middle` of an object at the mean."""
        return origin_from_middle(self.arm(index))

    def information(self, index: int) -> np.ndarray:
        """How sure the pose of an object is: information in the error of its origin and rotation (6, 6)."""
        to_origin, columns = self.to_origin(index), self.object(index)
        return np.linalg.inv(to_origin @ self.covariance[columns, columns] @ to_origin.T)

    @property
    def used(self) -> int:
        """How many columns come before the first from which on no anchor is held: errors of those behind are alone."""
        if not self.remembers:
            return self.first_anchor
        held = (self.anchor_hand >= 0).nonzero()[0]
        return self.first_anchor + 3 * (int(held[-1]) + 1 if len(held) else 0)

    def held_by(self, index: int) -> np.ndarray:
        """Anchors of an object (n,)."""
        return (self.anchor_object == index).nonzero()[0]

    def move(self, change: np.ndarray) -> None:
        """Add an error to the mean."""
        for body, columns in enumerate(self.bodies):
            own = change[columns]
            self.position[body] += own[:3]
            self.rotation[body] = multiply(exp(own[3:6]), self.rotation[body])
            if body < self.hand_count:
                self.joints[body] += own[6:]
        if self.remembers:
            self.anchors += change[self.first_anchor :].reshape(-1, 3)

    def reset(self, change: np.ndarray) -> None:
        """Express the covariance around the mean that :meth:`move` led to: rotations do not commute."""
        used = self.used  # errors of what is not in use are correlated with nothing
        covariance = self.covariance[:used, :used]
        for columns in self.bodies:
            turn = slice(columns.start + 3, columns.start + 6)
            jacobian = left_jacobian(change[turn])
            covariance[turn] = jacobian @ covariance[turn]
            covariance[:, turn] = covariance[:, turn] @ jacobian.T

    def symmetrise(self) -> None:
        """Undo what rounding did."""
        used = self.used
        covariance = self.covariance[:used, :used]
        np.multiply(covariance + covariance.T, 0.5, out=covariance)

    def free(self, slot: int) -> None:
        """Forget an anchor."""
        self.anchor_hand[slot] = self.anchor_point[slot] = self.anchor_object[slot] = -1
        self.anchor_misses[slot] = 0
        if self.remembers:
            columns = self.anchor(slot)
            self.covariance[columns] = 0.0
            self.covariance[:, columns] = 0.0
            self.covariance[columns, columns] = FORGOTTEN * np.eye(3)

    def means(self) -> dict[str, np.ndarray]:
        """The mean as arrays, to be kept."""
        return {
            "position": self.position.copy(),
            "rotation": self.rotation.copy(),
            "joints": np.concatenate([*self.joints, np.zeros(0)]),
            "anchors": self.anchors.copy(),
            "anchor_hand": self.anchor_hand.copy(),
            "anchor_point": self.anchor_point.copy(),
            "anchor_object": self.anchor_object.copy(),
            "anchor_misses": self.anchor_misses.copy(),
        }

    def assign(self, means: dict[str, np.ndarray], covariance: np.ndarray) -> None:
        """Take what :meth:`means` returned, and a covariance."""
        for name in ("position", "rotation", "anchors", "anchor_hand", "anchor_point", "anchor_object"):
            getattr(self, name)[...] = means[name]
        self.anchor_misses[...] = means["anchor_misses"]
        start = 0
        for joints in self.joints:
            joints[...] = means["joints"][start : start + len(joints)]
            start += len(joints)
        self.covariance[...] = covariance


def origin_from_middle(arm: np.ndarray) -> np.ndarray:
    """Errors of an object's origin and rotation from those of its middle and rotation (6, 6).

    ``arm`` (3,) leads from the origin to the middle, camera axes [m].
    """
    out = np.eye(6)
    out[:3, 3:] = hat(arm)
    return out
