"""Whether a held object still goes with the hand, or stayed somewhere on the way.

Contacts agree with each other and outvote a vague sensor, for each frame alone contradicts them little.  So the other
hypothesis is followed beside the belief: that the object was let go some frames ago, and has stayed since, or moved a
little as what is touched does.  Both are judged by all that was observed since then (a likelihood ratio over the
unknown time of a change: Willsky and Jones, IEEE Transactions on Automatic Control 21, 1976).
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache

import numpy as np
from scipy.linalg.lapack import dgesv  # pyright: ignore[reportAttributeAccessIssue] - made at import
from scipy.stats import chi2

from warpprior.tracking.belief import Belief
from warpprior.tracking.manifold import difference, exp, multiply
from warpprior.tracking.settings import TrackSettings
from warpprior.tracking.update import ASSUMED, Rows, picked_rows

MOST_LOG = 50.0  # of how much likelier one is than the other
ONSETS, EVERY = 8, 2  # times of release that are compared, so many frames apart
RARE, LOOSE = 1.0 / 100.0, 1.0 / 5.0  # odds of release against going on: of a firm grip, and of one that slips
REFUTED = 0.95  # going with the hand must be less likely than this
STAYED = 0.9  # and what was observed no less likely than so much of it is if the object stayed: it may fly instead
TOLD = 1.0  # less than that it is not more likely that the object stayed


class Release:
    """Follows, beside what is held, what would be if it had been let go.

    Args:
        object_count: of the belief.
        settings: of the tracker.

    Attributes:
        places: of the middle and rotation if it was let go at each of some times (object, onset, 7); NaN: not compared.
        spreads: and their covariances (object, onset, 6, 6).
        misses: squared distances since then, of going with the hand and of staying (object, onset, 2).
        sizes: of how many numbers (object, onset).
        frames: in which each object has been held (object,).
    """

    def __init__(self, object_count: int, settings: TrackSettings):
        self._speeds = np.repeat([settings.touch_speed_m_s, settings.touch_speed_rad_s], 3)
        self.places = np.full((object_count, ONSETS, 7), np.nan)
        self.spreads = np.zeros((object_count, ONSETS, 6, 6))
        self.misses = np.zeros((object_count, ONSETS, 2))
        self.sizes = np.zeros((object_count, ONSETS), dtype=int)
        self.frames = np.zeros(object_count, dtype=int)

    def forget(self, index: int) -> None:
        """An object is not held."""
        self.places[index], self.frames[index] = np.nan, 0

    def remember(self, belief: Belief, index: int) -> None:
        """An object is held: it may be let go from now on."""
        self.frames[index] += 1
        if self.frames[index] % EVERY:
            return
        onset, place = (self.frames[index] // EVERY) % ONSETS, belief.hand_count + index
        self.places[index, onset] = np.concatenate([belief.position[place], belief.rotation[place]])
        columns = belief.object(index)
        self.spreads[index, onset] = belief.covariance[columns, columns]
        self.misses[index, onset], self.sizes[index, onset] = 0.0, 0

    def compare(
        self, belief: Belief, rows: Rows, index: int, dt: float, of_hands: Collection[str], loose: float
    ) -> bool:
        """Judge both hypotheses by the observations of a frame.

        Args:
            belief: predicted, with the hand.
            rows: of the update, not yet judged.
            index: of the object.
            dt: since the last frame [s].
                of_hands: names of sensors that are about hands.
            loose: how likely it is that its contacts slip.

        Returns:
            Whether it stayed; then the belief has it where it did.
        """
        followed = np.flatnonzero(np.isfinite(self.places[index, :, 0]))
        if not len(followed):
            return False
        before = self.spreads[index, followed] + np.diag((self._speeds * dt) ** 2)
        self.spreads[index, followed] = before
        blocks = [
            block
            for block in rows.blocks
            if block.sensor not in ASSUMED and block.sensor not in of_hands and block.fits and block.key[0] == index
        ]
        if not blocks:
            return False
        picked = picked_rows(blocks)
        columns, place = belief.object(index), belief.hand_count + index
        used = belief.used
        whole, residual = rows.jacobian[picked][:, :used], rows.residual[picked]
        jacobian, noise = whole[:, columns], np.diag(rows.variance[picked])
        with_hand = whole @ belief.covariance[:used, :used] @ whole.T + noise
        ways = np.empty((len(followed), 6))
        ways[:, :3] = self.places[index, followed, :3] - belief.position[place]
        rotations, now = self.places[index, :, 3:], belief.rotation[place]
        for number, onset in enumerate(followed.tolist()):
            ways[number, 3:] = difference(rotations[onset], now)
        stayed = residual - ways @ jacobian.T
        carried = before @ jacobian.T
        spreads = jacobian @ carried + noise
        solved = np.linalg.solve(spreads, np.concatenate([carried.transpose(0, 2, 1), stayed[..., None]], axis=2))
        gains = solved[:, :, :-1].transpose(0, 2, 1)
        self.misses[index, followed, 0] += residual @ dgesv(with_hand, residual)[2]
        self.misses[index, followed, 1] += np.einsum("oi,oi->o", stayed, solved[:, :, -1])
        self.sizes[index, followed] += len(residual)
        steps = (gains @ stayed[..., None])[..., 0]
        self.places[index, followed, :3] += steps[:, :3]
        for number, onset in enumerate(followed.tolist()):
            rotations[onset] = multiply(exp(steps[number, 3:]), rotations[onset])
        self.spreads[index, followed] = before - gains @ (jacobian @ before)
        return self._decide(belief, index, followed, ways + steps, loose)

    def _decide(self, belief: Belief, index: int, followed: np.ndarray, ways: np.ndarray, loose: float) -> bool:
        gone, stayed = self.misses[index, followed].T
        sizes = self.sizes[index, followed].tolist()
        good = np.array([_limit(size, STAYED) for size in sizes])
        better = np.where(stayed < good, 0.5 * (gone - stayed), -np.inf)
        best = int(np.argmax(better))
        odds = (RARE + loose * (LOOSE - RARE)) * np.exp(min(better[best], MOST_LOG))
        if odds < 1.0 or gone[best] < _limit(sizes[best], REFUTED):
            if better[best] > TOLD:
                self._doubt(belief, index, ways[best], odds)
            return False
        onset, columns, place = followed[best], belief.object(index), belief.hand_count + index
        at, spread = self.places[index, onset], self.spreads[index, onset]
        belief.position[place], belief.rotation[place] = at[:3], at[3:]
        belief.covariance[columns] = 0.0
        belief.covariance[:, columns] = 0.0
        belief.covariance[columns, columns] = 0.5 * (spread + spread.T)
        self.forget(index)
        return True

    @staticmethod
    def _doubt(belief: Belief, index: int, way: np.ndarray, odds: float) -> None:
        """Be as unsure of an object as both hypotheses together are: it may be some ``way`` (6,) off."""
        share = odds / (1.0 + odds)
        columns = belief.object(index)
        belief.covariance[columns, columns] += share * (1.0 - share) * np.outer(way, way)

    def snapshot(self) -> dict[str, np.ndarray]:
        """What is compared, to be kept."""
        return {name: getattr(self, name).copy() for name in ("places", "spreads", "misses", "sizes", "frames")}

    def restore(self, kept: dict[str, np.ndarray]) -> None:
        """Take what :meth:`snapshot` returned."""
        for name, values in kept.items():
            getattr(self, name)[...] = values


@cache
def _limit(size: int, share: float) -> float:
    """Squared distance of so many numbers within which such a share of true ones is."""
    return float(chi2.ppf(share, max(size, 1)))
