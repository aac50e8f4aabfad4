"""What is lost: carried along with the hand that had it, searched for, and believed where it is found."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from scipy.stats import chi2

from warpprior.scene import Poses
from warpprior.tracking.belief import Belief
from warpprior.tracking.manifold import exp, matrix, multiply
from warpprior.tracking.update import ASSUMED, Block, Rows

LEAST_INFORMATION = np.diag([1.0 / 0.3**2] * 3 + [1.0 / 1.0**2] * 3)  # what was found is right to 30 cm and a radian
SURPRISING = float(chi2.ppf(0.9, 6))  # squared distance from all else that one in ten finds of what is held exceeds
CONTRADICTED = 2  # rejections in a row after which a picture that shows the whole pose is believed before the belief


class LastSeen:
    """Where objects were when they were seen last, in the camera and in the hand that held or touched them.

    Args:
        belief: has the columns.

    Attributes:
        place: of the middle [m] and rotation xyzw, camera frame (object, 7); NaN before it was seen.
        hand: which hand had it (object,); -1: none.
        grip: the same in the frame of that hand (object, 7).
        hands: where hands were in the last frame (hand, 7).
    """

    def __init__(self, belief: Belief):
        self.place = np.full((belief.object_count, 7), np.nan)
        self.grip = np.full((belief.object_count, 7), np.nan)
        self.hand = np.full(belief.object_count, -1)
        self.hands = np.full((belief.hand_count, 7), np.nan)

    def remember(self, belief: Belief, seen: Collection[int], near: np.ndarray) -> None:
        """Bodies (``seen``) are where they are believed to be; ``near`` is the hand that has each object, or -1."""
        for index in range(belief.object_count):
            place, hand = belief.hand_count + index, int(near[index])
            if place not in seen:
                continue
            self.place[index] = np.concatenate([belief.position[place], belief.rotation[place]])
            self.hand[index] = hand
            if hand >= 0:
                self.grip[index] = _relative(self.place[index], _pose(belief, hand))
        for hand in range(belief.hand_count):
            self.hands[hand] = _pose(belief, hand)

    def carry(self, belief: Belief, index: int) -> None:
        """Let a lost object go on with the hand that had it, which has moved since the last frame."""
        hand, place = int(self.hand[index]), belief.hand_count + index
        if hand < 0 or not np.isfinite(self.hands[hand]).all():
            return
        at = _placed(_relative(_pose(belief, place), self.hands[hand]), _pose(belief, hand))
        belief.position[place], belief.rotation[place] = at[:3], at[3:]

    def starts(self, belief: Belief, index: int) -> list[Poses]:
        """Where an object may be: in the hand as it was last known there, and where it was seen last."""
        places = []
        if self.hand[index] >= 0:
            places.append(_placed(self.grip[index], _pose(belief, int(self.hand[index]))))
        places.append(self.place[index])
        found = []
        for at in places:
            if np.isfinite(at).all():
                origin = at[:3] - matrix(at[3:]) @ belief.middles[index]
                found.append(Poses(origin[None], at[None, 3:], np.zeros((1, 0))))
        return found

    def snapshot(self) -> dict[str, np.ndarray]:
        """What is remembered, to be kept."""
        return {name: getattr(self, name).copy() for name in ("place", "grip", "hand", "hands")}

    def restore(self, kept: dict[str, np.ndarray]) -> None:
        """Take what :meth:`snapshot` returned."""
        for name, values in kept.items():
            getattr(self, name)[...] = values


def take_found(belief: Belief, rows: Rows, misses: Mapping[str, int], of_hands: Collection[str]) -> set[int]:
    """Believe objects where a picture shows them, whatever was believed before.

    That is where a search found them, or where a contour lies on its label and was not believed again and again: then
    the belief is too sure.  Their rows are taken out, and those of their contacts: what was found is in the belief
    then, and the others were about another place.

    What is found of a held object no farther off than the belief, its contacts and all else that was observed allow, is
    an observation like any other: the hand may have moved it there, and all that was learnt of the grip stays.

    Args:
        belief: predicted; changed.
        rows: of the update; changed.
        misses: rejections in a row of each sensor and what it looks at.
        of_hands: names of sensors that are about hands.

    Returns:
        Which objects; their anchors must end.
    """
    found = {
        block.key[0]: block
        for block in rows.blocks
        if block.anew or (block.whole and misses.get(f"{block.sensor}/{block.key[0]}", 0) >= CONTRADICTED)
    }
    for index, block in list(found.items()):
        if len(belief.held_by(index)) and _distance_from_rest(belief, rows, block) < SURPRISING:
            block.anew = False
            del found[index]
    if not found:
        return set()
    for index, block in found.items():
        columns, place = belief.object(index), belief.hand_count + index
        said, vector = _said(belief, rows, block)
        information = said + _wide_enough(
            belief.covariance[columns, columns], np.linalg.inv(said + LEAST_INFORMATION), vector
        ) / (1.0 + misses.get(f"{block.sensor}/{index}", 0))
        error = np.linalg.solve(information, vector)
        belief.position[place] += error[:3]
        belief.rotation[place] = multiply(exp(error[3:]), belief.rotation[place])
        belief.covariance[columns] = 0.0
        belief.covariance[:, columns] = 0.0
        belief.covariance[columns, columns] = np.linalg.inv(information)
    leave_out(belief, rows, found, of_hands)
    return set(found)


def _said(belief: Belief, rows: Rows, block: Block) -> tuple[np.ndarray, np.ndarray]:
    """What a block that shows a whole pose says of its error: information (6, 6), and that times the error (6,)."""
    jacobian = rows.jacobian[block.start : block.stop, belief.object(block.key[0])]
    return jacobian.T @ jacobian, jacobian.T @ rows.residual[block.start : block.stop]


def _distance_from_rest(belief: Belief, rows: Rows, block: Block) -> float:
    """Squared distance of what was found from where the belief and all other rows have the object, contacts too."""
    said, vector = _said(belief, rows, block)
    spread = np.linalg.inv(said + LEAST_INFORMATION)
    about, used, columns = (block.sensor, block.key[0]), belief.used, belief.object(block.key[0])
    others = [other for other in rows.blocks if other.fits and not other.anew and (other.sensor, other.key[0]) != about]
    picked = np.concatenate([np.arange(0), *(np.arange(other.start, other.stop) for other in others)])
    jacobian, prior = rows.jacobian[picked, :used], belief.covariance[:used, :used]
    shared = jacobian @ prior
    gain = np.linalg.solve(shared @ jacobian.T + np.diag(rows.variance[picked]), shared[:, columns]).T
    error = spread @ vector - gain @ rows.residual[picked]
    return float(error @ np.linalg.solve(prior[columns, columns] - gain @ shared[:, columns] + spread, error))


def _wide_enough(covariance: np.ndarray, found: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Information of a belief that is made as wide as it takes for what was found to be no surprise (6, 6).

    So what it was sure of and what was not contradicted, such as the depth of what a hand holds, is not thrown away.
    """
    error = found @ vector
    distance = float(error @ np.linalg.solve(covariance + found, error))
    return np.linalg.inv(covariance) / max(1.0, distance / len(error))


def leave_out(belief: Belief, rows: Rows, objects: Collection[int], of_hands: Collection[str]) -> None:
    """Take the rows about objects and their contacts out of an update."""
    held = {slot for index in objects for slot in belief.held_by(index).tolist()}
    others = lambda block: block.key[0] not in (held if block.sensor in ASSUMED else objects)  # noqa: E731
    rows.blocks = [block for block in rows.blocks if block.sensor in of_hands or others(block)]


def _pose(belief: Belief, body: int) -> np.ndarray:
    """Position and rotation of a body as it is believed (7,)."""
    return np.concatenate([belief.position[body], belief.rotation[body]])


def _relative(pose: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """A pose (7,) in the frame of another."""
    back = frame[3:] * [-1.0, -1.0, -1.0, 1.0]
    return np.concatenate([matrix(back) @ (pose[:3] - frame[:3]), multiply(back, pose[3:])])


def _placed(pose: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """The opposite of :func:`_relative`."""
    return np.concatenate([frame[:3] + matrix(frame[3:]) @ pose[:3], multiply(frame[3:], pose[3:])])
