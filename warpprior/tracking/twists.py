"""How fast bodies move and turn, how sure that is, and where they will be a little later."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from warpprior.tracking.belief import Belief
from warpprior.tracking.estimate import Estimate
from warpprior.tracking.hand_contacts import Contact
from warpprior.tracking.manifold import difference, exp, left_jacobian, matrix, multiply

MEMORY_S = 0.1  # velocities of frames this far back count 1/e as much
UNKNOWN_M_S, UNKNOWN_RAD_S = 0.5, 2.0  # how fast a body may be of which nothing is known yet


class Twists:
    """Rates of all bodies of a belief: of each error that a pose has, how fast the pose itself changes along it.

    The mean is that of the latest velocities between frames, the newest counting most; their spread around it, which
    holds both the filter's noise and how the motion changes, is the covariance.  Times between frames may differ.

    Args:
        belief: of the tracker.

    Attributes:
        rates: of all bodies' columns: [m/s], [rad/s], and those of joints (column,).
        spread: their covariance (column, column).
    """

    def __init__(self, belief: Belief):
        self._bodies, self._hand_count = belief.bodies, belief.hand_count
        self.rates = np.zeros(belief.first_anchor)
        variances = np.full(belief.first_anchor, UNKNOWN_RAD_S**2)
        for columns in belief.bodies:
            variances[columns.start : columns.start + 3] = UNKNOWN_M_S**2
        self.spread = np.diag(variances)
        self._step, self._square = np.zeros(belief.first_anchor), np.zeros_like(self.spread)

    def learn(self, belief: Belief, before: dict[str, np.ndarray], dt: float) -> np.ndarray:
        """Take how bodies moved since ``before`` (:meth:`Belief.means`), ``dt`` [s] ago, and return that (column,)."""
        step, start = self._step, 0
        shifts = belief.position - before["position"]
        for body, columns in enumerate(self._bodies):
            first = columns.start
            step[first : first + 3] = shifts[body]
            step[first + 3 : first + 6] = difference(belief.rotation[body], before["rotation"][body])
            if body < self._hand_count:
                joints = belief.joints[body]
                step[first + 6 : columns.stop] = joints - before["joints"][start : start + len(joints)]
                start += len(joints)
        share = 1.0 - math.exp(-dt / MEMORY_S)
        news = step / dt - self.rates
        self.rates += share * news
        np.multiply((share * news)[:, None], news, out=self._square)
        self.spread += self._square
        self.spread *= 1.0 - share
        return step

    def of(self, body: int) -> tuple[np.ndarray, np.ndarray]:
        """Rates of a body (n,) and their covariance (n, n); of an object about its middle."""
        columns = self._bodies[body]
        return self.rates[columns].copy(), self.spread[columns, columns].copy()

    def snapshot(self) -> dict[str, np.ndarray]:
        """What is known of velocities, to be kept."""
        return {"rates": self.rates.copy(), "spread": self.spread.copy()}

    def restore(self, kept: dict[str, np.ndarray]) -> None:
        """Take what :meth:`snapshot` returned."""
        self.rates[...], self.spread[...] = kept["rates"], kept["spread"]


def extrapolated(estimate: Estimate, time: float) -> Estimate:
    """An estimate some time [s] later, every body moving on as it does, as unsure as that is."""
    moved = {name: dict(values) for name, values in _parts(estimate).items()}
    turns = {}
    for name, twist in estimate.twist.items():
        change, width = twist * time, len(twist)
        turn = exp(change[3:6])
        turns[name] = matrix(turn)
        moved["position"][name] = estimate.position[name] + change[:3]
        moved["rotation"][name] = multiply(turn, estimate.rotation[name])
        if name in estimate.joints:
            moved["joints"][name] = estimate.joints[name] + change[6:]
        follows, reach = np.eye(width), time * np.eye(width)
        follows[3:6, 3:6] = turns[name]
        reach[3:6, 3:6] = time * left_jacobian(change[3:6])
        covariance = follows @ estimate.covariance[name] @ follows.T
        covariance += reach @ estimate.twist_covariance[name] @ reach.T
        moved["covariance"][name] = 0.5 * (covariance + covariance.T)
    contacts = tuple(_carried(contact, estimate, moved, turns) for contact in estimate.contacts)
    return replace(estimate, timestamp=estimate.timestamp + time, contacts=contacts, innovations={}, **moved)


def _parts(estimate: Estimate) -> dict[str, dict[str, np.ndarray]]:
    return {name: getattr(estimate, name) for name in ("position", "rotation", "joints", "covariance")}


def _carried(contact: Contact, estimate: Estimate, moved: dict[str, dict], turns: dict[str, np.ndarray]) -> Contact:
    """A contact goes with its object."""
    turn, name = turns[contact.object], contact.object
    point = turn @ (contact.point - estimate.position[name]) + moved["position"][name]
    return contact._replace(point=point, normal=turn @ contact.normal)
