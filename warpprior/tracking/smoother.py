"""The Rauch-Tung-Striebel smoother on the manifold, over a finished sequence or the last few frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from warpprior.tracking.belief import Belief
from warpprior.tracking.manifold import difference, exp, left_jacobian, multiply


@dataclass
class Step:
    """What the filter keeps of one frame.

    Attributes:
        transition: from the errors after the last frame's update to those before this one's (width, width).
        predicted: means before the update, as :meth:`Belief.means`, and ``predicted_covariance``.
        updated: means after it, and ``covariance``.
    """

    transition: np.ndarray
    predicted: dict[str, np.ndarray]
    predicted_covariance: np.ndarray
    updated: dict[str, np.ndarray]
    covariance: np.ndarray


def smooth_steps(belief: Belief, steps: list[Step]) -> list[tuple[dict[str, np.ndarray], np.ndarray]]:
    """Means and covariances of every frame in the light of the later ones.

    Args:
        belief: has the columns; it is not changed.
        steps: of the frames, in order.

    Returns:
        For each frame, means as :meth:`Belief.means` has them and covariance (width, width).
    """
    found = [(steps[-1].updated, steps[-1].covariance)]
    for now, after in zip(steps[-2::-1], steps[:0:-1], strict=True):
        later, later_covariance = found[-1]
        spread = after.transition @ now.covariance
        gain = cho_solve(_factor(after.predicted_covariance), spread, check_finite=False).T
        change = gain @ _difference(belief, later, after.predicted)
        covariance = now.covariance + gain @ (later_covariance - after.predicted_covariance) @ gain.T
        means, jacobian = _moved(belief, now.updated, change)
        covariance = jacobian @ covariance @ jacobian.T
        found.append((means, 0.5 * (covariance + covariance.T)))
    return found[::-1]


def _factor(covariance: np.ndarray):
    """Cholesky factor; a touch of the diagonal is added where contacts are known exactly."""
    scale = 1e-12 * np.diag(covariance).max()
    return cho_factor(covariance + scale * np.eye(len(covariance)), lower=True, check_finite=False)


def _difference(belief: Belief, after: dict[str, np.ndarray], before: dict[str, np.ndarray]) -> np.ndarray:
    """The error that leads from one mean to another (width,)."""
    out = np.zeros(belief.width)
    start = 0
    for body, columns in enumerate(belief.bodies):
        own = out[columns]
        own[:3] = after["position"][body] - before["position"][body]
        own[3:6] = difference(after["rotation"][body], before["rotation"][body])
        count = len(own) - 6
        own[6:] = after["joints"][start : start + count] - before["joints"][start : start + count]
        start += count
    same = (after["anchor_point"] == before["anchor_point"]) & (after["anchor_point"] >= 0)
    shift = (after["anchors"] - before["anchors"]) * same[:, None]
    if belief.remembers:
        out[belief.first_anchor :] = shift.ravel()
    return out


def _moved(
    belief: Belief, means: dict[str, np.ndarray], change: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Means moved by an error, and the Jacobian that brings the covariance there."""
    moved = {name: values.copy() for name, values in means.items()}
    jacobian = np.eye(belief.width)
    start = 0
    for body, columns in enumerate(belief.bodies):
        own = change[columns]
        moved["position"][body] += own[:3]
        moved["rotation"][body] = multiply(exp(own[3:6]), means["rotation"][body])
        count = len(own) - 6
        moved["joints"][start : start + count] += own[6:]
        start += count
        turn = slice(columns.start + 3, columns.start + 6)
        jacobian[turn, turn] = left_jacobian(own[3:6])
    if belief.remembers:
        moved["anchors"] += change[belief.first_anchor :].reshape(-1, 3)
    return moved, jacobian
