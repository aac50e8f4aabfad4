"""How fast bodies move and turn, how sure that is, and where they will be a little later."""

from __future__ import annotations

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
        spreads: covariance of each body's rates (columns of the body, likewise).
    """

    def __init__(self, belief: Belief):
        self.rates = np.zeros(belief.first_anchor)
        self.spreads = []
        for columns in belief.bodies:
            variances = np.full(columns.stop - columns.start, UNKNOWN_RAD_S**2)
            variances[:3] = UNKNOWN_M_S**2
            self.spreads.append(np.diag(variances))

    def learn(self, belief: Belief, before: dict[str, np.ndarray], dt: float) -> None:
        """Take how bodies moved since ``before`` (:meth:`Belief.means`), ``dt`` [s] ago."""
        share, start = 1.0 - np.exp(-dt / MEMORY_S), 0
        for body, columns in enumerate(belief.bodies):
            newest = np.empty(columns.stop - columns.start)
            newest[:3] = belief.position[body] - before["position"][body]
            newest[3:6] = difference(belief.rotation[body], before["rotation"][body])
            if body < belief.hand_count:
                stop = start + len(newest) - 6
                newest[6:] = belief.joints[body] - before["joints"][start:stop]
                start = stop
            news = newest / dt - self.rates[columns]
            self.rates[columns] += share * news
            spread = self.spreads[body]
            spread += share * (news[:, None] * news)
            spread *= 1.0 - share

    def snapshot(self) -> dict[str, np.ndarray]:
        """What is known of velocities, to be kept."""
        spreads = {f"spread/{body}": spread.copy() for body, spread in enumerate(self.spreads)}
        return {"rates": self.rates.copy(), **spreads}

    def restore(self, kept: dict[str, np.ndarray]) -> None:
        """Take what :meth:`snapshot` returned."""
        self.rates[...] = kept["rates"]
        for body, spread in enumerate(self.spreads):
            spread[...] = kept[f"spread/{body}"]


def extrapolated(estimate: Estimate, time: float, wander: dict[str, np.ndarray]) -> Estimate:
    """An estimate some time later, every body moving on as it does.

    Args:
        estimate: the newest.
        time: how much later [s].
        wander: variance of what each body may do besides, in that time, by name (6 + coordinate,).
    """
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
        covariance += reach @ estimate.twist_covariance[name] @ reach.T + np.diag(wander[name])
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
