"""A camera that moves: all that is remembered is seen from where the camera is now, before it is predicted.

What the filter believes is in the camera's frame, for there it is observed.  What is predicted, that things rest, are
carried or fly on, holds in the world.  So before each prediction belief and memory are carried over into the new frame,
as if everything rested in the world while the camera moved; how unsure that is, moves all that the camera sees alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from warpprior.observations import HandPose
from warpprior.tracking.belief import Belief
from warpprior.tracking.manifold import hat, matrix, multiply

if TYPE_CHECKING:
    from warpprior.tracking.hand_contacts import Contacts
    from warpprior.tracking.prediction import Prediction
    from warpprior.tracking.surprises import Surprises
    from warpprior.tracking.twists import Twists
    from warpprior.world import CameraNoise


class View:
    """The camera's last frame in its present one.

    Args:
        before, now: world_from_camera (7,) of both.
    """

    def __init__(self, before: np.ndarray, now: np.ndarray):
        back = now[3:] * [-1.0, -1.0, -1.0, 1.0]
        self._quaternion = multiply(back, before[3:])
        self.turn = matrix(self._quaternion)
        self._shift = matrix(back) @ (before[:3] - now[:3])

    def places(self, places: np.ndarray) -> np.ndarray:
        """Places (..., 3) of the last frame."""
        return places @ self.turn.T + self._shift

    def rotations(self, rotations: np.ndarray) -> np.ndarray:
        """Quaternions (n, 4)."""
        return np.array([multiply(self._quaternion, one) for one in rotations]).reshape(-1, 4)

    def poses(self, poses: np.ndarray) -> np.ndarray:
        """Places and quaternions (..., 7); NaN stays."""
        flat = poses.reshape(-1, 7)
        moved = np.concatenate([self.places(flat[:, :3]), self.rotations(flat[:, 3:])], axis=1)
        return np.where(np.isfinite(flat), moved, np.nan).reshape(poses.shape)

    def pairs(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors (..., 6), of shift and turn."""
        return (vectors.reshape(*vectors.shape[:-1], 2, 3) @ self.turn.T).reshape(vectors.shape)

    def covariances(self, covariances: np.ndarray) -> np.ndarray:
        """Of shifts and turns (..., 6, 6)."""
        both = np.kron(np.eye(2), self.turn)
        return both @ covariances @ both.T

    def of_errors(self, bodies: Sequence[slice], size: int, anchors: int = 0) -> np.ndarray:
        """How errors of bodies, and of anchors behind them, follow from those in the last frame (size, size)."""
        follows = np.eye(size)
        starts = [columns.start + part for columns in bodies for part in (0, 3)]
        starts += [size - 3 * anchors + 3 * anchor for anchor in range(anchors)]
        for start in starts:
            follows[start : start + 3, start : start + 3] = self.turn
        return follows


def see_from(
    view: View, belief: Belief, prediction: Prediction, contacts: Contacts, surprises: Surprises, twists: Twists
) -> np.ndarray:
    """Carry belief and memory over into the camera's present frame.

    Returns:
        How errors before follow into those after (width, width).
    """
    follows = view.of_errors(belief.bodies, belief.width, belief.anchor_count * belief.remembers)
    belief.position[...], belief.rotation[...] = view.places(belief.position), view.rotations(belief.rotation)
    belief.anchors[...] = view.places(belief.anchors)
    belief.covariance[...] = follows @ belief.covariance @ follows.T
    belief.symmetrise()
    prediction.controls = [None if one is None else _moved(view, one) for one in prediction.controls]
    prediction.velocities[...] = view.pairs(prediction.velocities)
    contacts.see_from(view)
    release, last_seen = surprises.release, surprises.last_seen
    release.places[...], release.spreads[...] = view.poses(release.places), view.covariances(release.spreads)
    last_seen.place[...], last_seen.hands[...] = view.poses(last_seen.place), view.poses(last_seen.hands)
    slip = surprises.slip
    slip.lag[...], slip.vague[...] = view.pairs(slip.lag), view.covariances(slip.vague)
    rates = view.of_errors(belief.bodies, len(twists.rates))
    twists.rates[...], twists.spread[...] = rates @ twists.rates, rates @ twists.spread @ rates.T
    if not prediction.anchored:  # contacts are carried from where hands were
        prediction.place_hands(belief, linearise=False)
    return follows


def shake(belief: Belief, controlled: Sequence[bool], noise: CameraNoise, dt: float) -> None:
    """Be as unsure of what was carried over as the camera's motion in ``dt`` [s] is: all of it moves alike.

    Args:
        belief: in the camera's present frame.
        controlled: hands whose control says where they are (hand,): it is of that frame.
        noise: of the camera's poses.
        dt: since the last one [s].
    """
    variances = np.repeat(
        [
            2.0 * noise.jitter_m**2 + noise.drift_m**2 * dt,
            2.0 * noise.jitter_rad**2 + noise.drift_rad**2 * dt,
        ],
        3,
    )
    moves = np.zeros((belief.width, 6))
    for body, columns in enumerate(belief.bodies):
        if body < belief.hand_count and controlled[body]:
            continue
        moves[columns.start : columns.start + 3, :3] = moves[columns.start + 3 : columns.start + 6, 3:] = np.eye(3)
        moves[columns.start : columns.start + 3, 3:] = -hat(belief.position[body])
    for slot in np.flatnonzero(belief.anchor_hand >= 0) if belief.remembers else ():
        columns = belief.anchor(int(slot))
        moves[columns, :3], moves[columns, 3:] = np.eye(3), -hat(belief.anchors[slot])
    belief.covariance += (moves * variances) @ moves.T


def _moved(view: View, control: HandPose) -> HandPose:
    rotation = view.rotations(control.rotation[None])[0]
    return replace(control, position=view.places(np.asarray(control.position, dtype=float)), rotation=rotation)
