"""How fast contacts slip together over an object: learnt from what is observed, frame by frame.

Anchors slip one by one at ``sigma_slip_m``, so that a dozen of them hardly slips in the mean.  A hand that slides or
rolls over what it holds moves all of them alike, though: a common shift and turn, whose size is not known beforehand.
Some sizes are weighed against each other by how well they explain the contacts' innovations, given what was observed
(a static multiple-model filter over the process noise, whose weights are forgotten: Bar-Shalom, Li and Kirubarajan,
Estimation with Applications to Tracking and Navigation, 2001, 11.6); the variance of their mixture is the noise of this
very frame.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.linalg.lapack import dgeqrf, dorgqr, dpotrf, dsyev, dtrtrs  # pyright: ignore[reportAttributeAccessIssue]

from warpprior.tracking.belief import Belief
from warpprior.tracking.manifold import hats
from warpprior.tracking.settings import TrackSettings

LEVELS = np.array([0.0, 1.0, 2.0, 4.0, 8.0])  # times ``sigma_slip_m``, all anchors alike
SQUARES, AXES = LEVELS**2, np.arange(3)
BEGINS, ENDS = 0.12, 0.4  # how often a level is left for the next higher, and for the next lower one [1/s]
LIKELY = 1.0  # share of that of the next lower level in what is known of one that slipped
QUIET = 0.97  # share of the time in which what slips at some level stands still: that says little against it
MEMORY = 0.12  # innovations are averaged over this time: slip goes on in one direction, noise does not [s]
LASTS = 0.5  # how many frames' slip there is in such an average, as a variance
MOST_LOG = 50.0  # of how much likelier one level is than another
ROUNDING = 1e-10  # [m^2], of what common motion there cannot be


class Added(NamedTuple):
    """Process noise that a frame turned out to have.

    Attributes:
        columns: of the belief (n,), and rows: of the update (m,).
        covariance: of the columns (n, n), spread: of these with the rows (n, m), and innovation: of the rows (m, m).
    """

    columns: np.ndarray
    rows: np.ndarray
    covariance: np.ndarray
    spread: np.ndarray
    innovation: np.ndarray


class Slip:
    """Learns how much the contacts of each hand with each object slip together.

    Args:
        hand_count, object_count: of the belief.
        settings: of the tracker.

    Attributes:
        weights: of the levels, for each hand and object (hand, object, level).
        lag: mean innovation of the last frames, a common shift and turn (hand, object, 6) [m], and
        vague: the covariance that it should have (hand, object, 6, 6).
        apart: of each anchor, its point, what its innovations had of late besides a common motion [m], and the variance
            that it should have (anchor, 5).
    """

    def __init__(self, hand_count: int, object_count: int, settings: TrackSettings):
        self._variance = settings.sigma_slip_m**2
        self._time = 0.0
        self.weights = np.zeros((hand_count, object_count, len(LEVELS)))
        self.lag = np.zeros((hand_count, object_count, 6))
        self.vague = np.zeros((hand_count, object_count, 6, 6))
        self.apart = np.zeros((settings.anchors, 5))
        self.forget()

    def forget(self, index: int | None = None, *, loose: bool = False) -> None:
        """Nothing is known of the contacts of an object, or of all; or only that it is ``loose`` in the hand."""
        usual = (BEGINS / ENDS if not loose else LIKELY) ** np.arange(len(LEVELS))
        own = slice(None) if index is None else index
        self.weights[:, own] = usual / usual.sum()
        self.lag[:, own], self.vague[:, own] = 0.0, 0.0

    def predict(self, dt: float) -> None:
        """Time passes [s]: what was learnt becomes less sure."""
        self._time = dt
        forgotten(self.weights, BEGINS, ENDS, dt)

    def loose(self, index: int) -> float:
        """How likely it is that the contacts of an object slip."""
        return float(self.weights[:, index, 2:].sum(axis=-1).max(initial=0.0))

    def learn(
        self, belief: Belief, slots: np.ndarray, rows: np.ndarray, values: np.ndarray, spread: np.ndarray
    ) -> list[Added]:
        """Weigh the levels by the innovations of contacts.

        Args:
            belief: predicted.
            slots: of the anchors that are compared (n,).
            rows: of the update, of each (n, 3).
            values: their innovations, given what was observed (n, 3).
            spread: and their covariance, likewise (3 n, 3 n).

        Returns:
            The noise of each hand's contacts with each object.
        """
        found = []
        pairs = belief.anchor_hand[slots] * belief.object_count + belief.anchor_object[slots]
        for pair in sorted(set(pairs.tolist())):
            own = (pairs == pair).nonzero()[0]
            parts = spread
            if len(own) < len(pairs):
                picked = (3 * own[:, None] + AXES).reshape(-1)
                parts = spread[picked[:, None], picked]
            common = _common_motion(belief.anchors[slots[own]])
            share = common / len(own)
            motion = share.T @ common
            place = divmod(pair, belief.object_count)
            weights, lag, vague = self.weights[place], self.lag[place], self.vague[place]
            keep = math.exp(-self._time / MEMORY)
            lag *= keep
            lag += (1.0 - keep) * (share.T @ values[own].reshape(-1))
            vague *= keep**2
            vague += (1.0 - keep) ** 2 * (share.T @ parts @ share)
            likely, _ = likelihood(lag, vague, motion @ motion.T, SQUARES * (LASTS * self._variance * self._time))
            weights *= QUIET * likely[0] + (1.0 - QUIET) * likely
            weights *= self._moves_apart(belief, slots[own], values[own], parts, common)
            weights /= weights.sum()
            size = float(weights @ SQUARES) * self._variance * self._time
            columns = belief.first_anchor + (3 * slots[own, None] + AXES).reshape(-1)
            noise = size * (common @ common.T)
            found.append(Added(columns, rows[own].reshape(-1), noise, noise, noise))
        return found

    def _moves_apart(
        self, belief: Belief, slots: np.ndarray, values: np.ndarray, spread: np.ndarray, common: np.ndarray
    ) -> np.ndarray:
        """How much likelier each level is than none by how anchors move against each other: they cannot all stick.

        This needs no observation of the object.
        """
        count = values.size - common.shape[1]
        if count <= 0:
            return np.ones(len(LEVELS))
        factors, scales, *_ = dgeqrf(common)
        basis = dorgqr(factors, scales)[0]
        rest = values.reshape(-1) - basis @ (basis.T @ values.reshape(-1))
        variance = (spread.trace() - np.vdot(basis, spread @ basis)) / count
        keep, own = math.exp(-self._time / MEMORY), self.apart[slots]
        own[own[:, 0] != belief.anchor_point[slots], 1:] = 0.0
        own[:, 0] = belief.anchor_point[slots]
        own[:, 1:4] = keep * own[:, 1:4] + (1.0 - keep) * rest.reshape(-1, 3)
        own[:, 4] = keep**2 * own[:, 4] + (1.0 - keep) ** 2 * variance
        self.apart[slots] = own
        usual = float(own[:, 4].mean())
        grows = 1.0 + SQUARES * (LASTS * self._variance * self._time) / max(usual, ROUNDING)
        distance = float(np.square(own[:, 1:4]).sum()) / max(usual, ROUNDING)
        logs = -0.5 * (distance / grows + count * np.log(grows))
        more = np.exp(np.minimum(logs - logs[0], MOST_LOG))
        # That they do not says little: a tool turns in a firm hand.
        return np.maximum(QUIET + (1.0 - QUIET) * more, 1.0)

    def snapshot(self) -> dict[str, np.ndarray]:
        """What was learnt, to be kept."""
        return {name: getattr(self, name).copy() for name in ("weights", "lag", "vague", "apart")}

    def restore(self, kept: dict[str, np.ndarray]) -> None:
        """Take what :meth:`snapshot` returned."""
        self._time = 0.0  # until the next prediction
        for name, values in kept.items():
            getattr(self, name)[...] = values


def _common_motion(places: np.ndarray) -> np.ndarray:
    """How anchors (n, 3) move when all shift by one, or turn about their middle so that they move as far (3 n, 6)."""
    arms = places - places.sum(axis=0) / len(places)
    out = np.zeros((len(arms), 3, 6))
    out[:, AXES, AXES] = 1.0
    size = math.sqrt(float(np.vdot(arms, arms)) / len(arms))
    if size > 1e-6:
        out[:, :, 3:] = -hats(arms / size)
    return out.reshape(-1, 6)


def forgotten(weights: np.ndarray, begins: float, ends: float, dt: float) -> None:
    """Let weights of levels (..., level) go up and down as often as they do, in ``dt`` [s]."""
    up, down = 1.0 - math.exp(-begins * dt), 1.0 - math.exp(-ends * dt)
    rises, falls = up * weights[..., :-1], down * weights[..., 1:]
    weights[..., :-1] += falls - rises
    weights[..., 1:] += rises - falls


def likelihood(values: np.ndarray, spread: np.ndarray, unit: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, float]:
    """How likely values are, for each size (variance) of what adds to them; the most likely is 1.

    Args:
        values: (n,).
        spread: their covariance without (n, n).
        unit: what is added to it for a size of 1 (n, n).
        sizes: (level,).

    Returns:
        For each level, and the squared distance of the values at the last.
    """
    least = spread + ROUNDING * np.eye(len(values))
    root, failed = dpotrf(least, lower=1)
    if failed:
        raise np.linalg.LinAlgError("the covariance of innovations is not positive")
    # In the axes in which the one is the identity and the other diagonal, all levels are.
    white = dtrtrs(root, np.column_stack([unit, values]), lower=1)[0]
    unit = dtrtrs(root, np.asfortranarray(white[:, :-1].T), lower=1)[0]
    along, axes, _ = dsyev(0.5 * (unit + unit.T))
    grows = 1.0 + sizes[:, None] * np.maximum(along, 0.0)
    distances = (1.0 / grows) @ np.square(axes.T @ white[:, -1])
    logs = -0.5 * (distances + np.log(grows).sum(axis=1))
    return np.exp(logs - logs.max()), float(distances[-1])
