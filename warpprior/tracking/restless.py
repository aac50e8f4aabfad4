"""How fast objects move that nothing holds: learnt from what is observed, frame by frame.

An object that rests, or is only touched, is believed to stay where it is.  Where observations say otherwise, some
speeds are weighed against each other as the sizes of slip are (:mod:`warpprior.tracking.slip`), and the noise of this
very frame is what they say.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from warpprior.tracking.belief import Belief
from warpprior.tracking.slip import Added, forgotten, likelihood
from warpprior.tracking.update import ASSUMED, Block, Rows

SPEEDS = np.array([0.0, 0.1, 0.3, 0.9])  # besides that of what the object does [m/s]
TURNS = 6.0  # so much faster it turns [rad/s per m/s]
BEGINS, ENDS = 0.5, 3.0  # how often a speed is left for the next higher, and for the next lower one [1/s]
QUIET = 0.7  # share of the time in which what moves at some speed stands still
MOST_DISTANCE = 4.0  # squared distances beyond so many per row are those of outliers, at any speed


class Restless:
    """Learns the speeds of objects.

    Args:
        object_count: of the belief.

    Attributes:
        weights: of the speeds (object, speed).
    """

    def __init__(self, object_count: int):
        self._time = 0.0
        self.weights = np.zeros((object_count, len(SPEEDS)))
        for index in range(object_count):
            self.forget(index)

    def forget(self, index: int, *, restless: bool = False) -> None:
        """Nothing is known of an object; or only that it was elsewhere than believed, so that any speed is likely."""
        usual = (BEGINS / ENDS if not restless else 1.0) ** np.arange(len(SPEEDS))
        self.weights[index] = usual / usual.sum()

    def predict(self, dt: float) -> None:
        """Time passes [s]: what was learnt becomes less sure."""
        self._time = dt
        forgotten(self.weights, BEGINS, ENDS, dt)

    def learn(
        self, belief: Belief, rows: Rows, residual: np.ndarray, innovation: np.ndarray, of_hands: Collection[str]
    ) -> list[Added]:
        """Weigh the speeds by the innovations of what is observed of objects that nothing holds.

        Args:
            belief: predicted.
            rows: of the update.
            residual: of all rows (n,).
            innovation: and their covariance (n, n).
            of_hands: names of sensors that are about hands.

        Returns:
            The noise of each object.
        """
        own: dict[int, list[Block]] = {}
        for block in rows.blocks:
            if block.fits and block.sensor not in ASSUMED and block.sensor not in of_hands:
                own.setdefault(block.key[0], []).append(block)
        found = []
        for index, blocks in own.items():
            if self._time <= 0.0 or len(belief.held_by(index)):
                continue
            picked = np.concatenate([np.arange(block.start, block.stop) for block in blocks])
            columns = np.arange(belief.object(index).start, belief.object(index).stop)
            jacobian = rows.jacobian[picked[:, None], columns]
            unit = np.repeat([1.0, TURNS**2], 3) * self._time**2
            likely, distance = likelihood(
                residual[picked],
                innovation[picked[:, None], picked],
                (jacobian * unit) @ jacobian.T,
                SPEEDS**2,
            )
            if distance > MOST_DISTANCE * len(picked):
                continue
            weights = self.weights[index]
            weights *= QUIET * likely[0] + (1.0 - QUIET) * likely
            weights /= weights.sum()
            noise = np.diag(unit * float(weights @ SPEEDS**2))
            found.append(Added(columns, picked, noise, noise @ jacobian.T, jacobian @ noise @ jacobian.T))
        return found

    def snapshot(self) -> dict[str, np.ndarray]:
        """What was learnt, to be kept."""
        return {"weights": self.weights.copy()}

    def restore(self, kept: dict[str, np.ndarray]) -> None:
        """Take what :meth:`snapshot` returned."""
        self._time = 0.0  # until the next prediction
        self.weights[...] = kept["weights"]
