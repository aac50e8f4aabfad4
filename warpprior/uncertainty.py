"""What the covariance of a motion says: errors in its coordinates, and how sure the place of a body's points is.

The coordinates of an error are, all in camera axes: position_true - position_estimate [m]; the rotation vector phi
[rad] with R_true = Exp(phi) R_estimate; differences of the joint coordinates [rad or m].  That is 6 + coordinates.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.scene import Poses

# Standard deviations beyond which a direction says nothing; NaN and anything larger is read as this.
POSITION_LIMIT = 10.0  # [m]
TURN_LIMIT = np.pi  # [rad], of rotations and joints
UNSURE_M, UNSURE_RAD = 0.05, 0.3  # those that are worth a note
_KNOWN = 0.5  # a direction is observable below this share of its limit
_LEAST = 1e-9  # smallest standard deviation that is believed [m or rad]
_ROUNDING = 1e-14  # of eigenvalues, as a share of the largest


def pose_errors(poses: Poses, truth: Poses) -> np.ndarray:
    """What must be added to an estimate to get the truth (frame, 6 + coordinate), NaN where the truth has no pose."""
    errors = np.full((poses.frame_count, 6 + poses.joints.shape[1]), np.nan)
    errors[:, :3] = truth.position - poses.position
    errors[:, 6:] = truth.joints - poses.joints
    scored = np.isfinite(truth.rotation).all(axis=1)
    if scored.any():
        turn = Rotation.from_quat(truth.rotation[scored]) * Rotation.from_quat(poses.rotation[scored]).inv()
        errors[scored, 3:6] = turn.as_rotvec()
    errors[~np.isfinite(errors).all(axis=1)] = np.nan
    return errors


def bounded_covariance(covariance: np.ndarray, lengths: int = 3) -> np.ndarray:
    """The same covariance (frame, d, d) without NaN, and no direction larger than the limits.

    A coordinate that is NaN gets the limit and no correlation.  Directions of larger spread keep their direction.
    The first ``lengths`` coordinates are positions, the others turns and joints.
    """
    bounded = np.array(covariance, dtype=np.float64)
    limits = _limits(bounded.shape[-1], lengths)
    for _ in range(2):  # numbers that are missing on the diagonal, then any others
        frames, rows = np.nonzero(~np.isfinite(bounded.diagonal(axis1=1, axis2=2)))
        bounded[frames, rows, :] = bounded[frames, :, rows] = 0.0
        bounded[frames, rows, rows] = limits[rows] ** 2
        frames, rows, columns = np.nonzero(~np.isfinite(bounded))
        bounded[frames, rows, rows] = bounded[frames, columns, columns] = np.nan
    scale = np.outer(limits, limits)
    large = np.flatnonzero(np.trace(bounded / scale, axis1=1, axis2=2) > 1.0)
    if len(large):
        spread, axes = np.linalg.eigh(bounded[large] / scale)
        bounded[large] = (axes * np.minimum(spread, 1.0)[:, None]) @ axes.transpose(0, 2, 1) * scale
    return bounded


def standard_deviations(covariance: np.ndarray) -> np.ndarray:
    """Of every coordinate (frame, d) [m, rad]; at most the limits."""
    return np.sqrt(np.maximum(bounded_covariance(covariance).diagonal(axis1=1, axis2=2), 0.0))


def observable(covariance: np.ndarray) -> np.ndarray:
    """Which coordinates are known at all (frame, d) bool: their deviation is below half of the limit."""
    return standard_deviations(covariance) < _KNOWN * _limits(np.shape(covariance)[-1], 3)


def normalised_squares(errors: np.ndarray, covariance: np.ndarray, lengths: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Squared errors in units of their covariance, e' C^-1 e (NEES).

    For errors drawn from the covariance these are distributed as chi-squared with that many degrees of freedom.
    Directions that are not observable are left out of both.

    Args:
        errors: (frame, d), NaN where there is none.
        covariance: (frame, d, d).
        lengths: so many of the coordinates, the first, are positions; the others are turns and joints.

    Returns:
        the squares (frame,), NaN where there is no error, and their degrees of freedom (frame,) int.
    """
    limits = _limits(errors.shape[1], lengths)
    scaled = bounded_covariance(covariance, lengths) / np.outer(limits, limits)
    spread, axes = np.linalg.eigh(scaled)
    observed = (spread < _KNOWN**2) & np.all(np.isfinite(errors), axis=1)[:, None]
    along = np.einsum("fi,fik->fk", errors / limits, axes)
    spread = np.maximum(spread, np.maximum(_ROUNDING * spread[:, -1:], (_LEAST / limits.max()) ** 2))
    dof = observed.sum(axis=1)
    squares = np.where(observed, along**2 / spread, 0.0).sum(axis=1)
    return np.where(dof > 0, squares, np.nan), dof


def point_covariance(covariance: np.ndarray, arms: np.ndarray, slopes: np.ndarray | None = None) -> np.ndarray:
    """Covariance of the places of points that a body carries (frame, point, 3, 3) [m^2], camera axes, to first order.

    Args:
        covariance: of the body's pose (frame, d, d).
        arms: from the body's origin to the points, in camera axes (frame, point, 3) [m].
        slopes: derivative of the points by the joint coordinates (frame, point, 3, coordinate), or None: the joints do
            not move them.
    """
    frame_count, point_count = arms.shape[:2]
    size = 6 if slopes is None else 6 + slopes.shape[-1]
    jacobian = np.zeros((frame_count, point_count, 3, size))
    jacobian[..., :3] = np.eye(3)
    x, y, z = np.moveaxis(arms, -1, 0)
    jacobian[..., 0, 4], jacobian[..., 0, 5] = z, -y  # phi x arm
    jacobian[..., 1, 3], jacobian[..., 1, 5] = -z, x
    jacobian[..., 2, 3], jacobian[..., 2, 4] = y, -x
    if slopes is not None:
        jacobian[..., 6:] = slopes
    spread = bounded_covariance(covariance)[:, None, :size, :size]
    return jacobian @ spread @ np.swapaxes(jacobian, -1, -2)


def _limits(size: int, lengths: int) -> np.ndarray:
    return np.where(np.arange(size) < lengths, POSITION_LIMIT, TURN_LIMIT)
