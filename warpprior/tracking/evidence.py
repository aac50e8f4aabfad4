"""What a picture says about the pose of one rigid body, as information: six numbers, and how sure each is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from warpprior.scene import Poses
from warpprior.tracking.manifold import exp, left_jacobian, multiply

UNSEEN = 1e-9  # of the largest eigenvalue: directions of less information are not observed


class Evidence(NamedTuple):
    """A Gaussian in the error of a pose: minus its logarithm is ``x' information x / 2 - vector' x`` and a constant.

    The error x is that of position, then of rotation, both in camera axes: true position minus given position [m], and
    phi [rad] in R_true = Exp(phi) R_given.  What is not observed has no information.

    Attributes:
        information: symmetric, not negative (6, 6).
        vector: (6,); the Gauss-Newton step is x = information^-1 vector.
        cost: squared residuals in units of their noise, where they were looked at last.
        fits: what was looked for was found; if not, the little that is said may be wrong.
        anew: it was found by a search, and no belief in where it should be went into that.
    """

    information: np.ndarray
    vector: np.ndarray
    cost: float
    fits: bool = True
    anew: bool = False

    def weakened(self, share: float) -> Evidence:
        """What did not fit: a share of the information."""
        return Evidence(share * self.information, share * self.vector, self.cost, fits=False)

    def rows(self) -> tuple[np.ndarray, np.ndarray]:
        """The same as independent measurements of unit noise: (k, 6) and values (k,), k the observed directions."""
        values, vectors = np.linalg.eigh(self.information)
        seen = values > UNSEEN * max(float(values[-1]), 1e-300)
        lengths = np.sqrt(values[seen])
        return lengths[:, None] * vectors[:, seen].T, (vectors[:, seen].T @ self.vector) / lengths


NO_EVIDENCE = Evidence(np.zeros((6, 6)), np.zeros(6), 0.0)


def error_from_unknowns(position: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """(6, 6) that turns an error of a pose into the alignment's unknowns (x/z, y/z, log z, rotation in the body).

    Args:
        position: of the pose (3,) [m].
        rotation: camera_from_body (3, 3).
    """
    x, y, z = position
    change = np.zeros((6, 6))
    change[:3, :3] = np.array([[1.0, 0.0, -x / z], [0.0, 1.0, -y / z], [0.0, 0.0, 1.0]]) / z
    change[3:, 3:] = rotation.T
    return change


def without_unseen_turns(symmetry: str, rotation: np.ndarray) -> np.ndarray:
    """(6, 6) projection that forgets turns about an axis of symmetry; ``rotation`` is camera_from_body (3, 3)."""
    kept = np.eye(6)
    if symmetry == "sphere":
        kept[3:, 3:] = 0.0
    elif symmetry != "none":
        axis = rotation[:, "xyz".index(symmetry)]
        kept[3:, 3:] -= np.outer(axis, axis)
    return kept


def move(poses: Poses, error: np.ndarray) -> Poses:
    """One frame's pose with its error (6,) put right."""
    return Poses(
        position=poses.position + error[:3],
        rotation=multiply(exp(error[3:]), poses.rotation[0])[None],
        joints=poses.joints,
        shape=poses.shape,
        scale=poses.scale,
    )


def seen_from(evidence: Evidence, error: np.ndarray) -> Evidence:
    """What was found at a pose moved by ``error`` (6,), expressed about the pose before that."""
    change = np.eye(6)
    change[3:, 3:] = left_jacobian(error[3:])
    information = change.T @ evidence.information @ change
    information = 0.5 * (information + information.T)
    return Evidence(information, change.T @ evidence.vector + information @ error, evidence.cost)
