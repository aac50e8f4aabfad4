"""What an estimator says itself: how sure it is, how well its terms fit, how far it went from the first guess."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.scene import Poses
from warpprior.uncertainty import POSITION_LIMIT, TURN_LIMIT


def sigma_traces(poses: Poses, symmetry: str) -> dict[str, np.ndarray]:
    """Standard deviations along the least known directions (frame,), NaN where none are stated.

    Turns that the symmetry hides do not count.
    """
    count = poses.frame_count
    if poses.covariance is None:
        return {"sigma_mm": np.full(count, np.nan), "sigma_deg": np.full(count, np.nan)}
    place, turn = poses.covariance[:, :3, :3], poses.covariance[:, 3:6, 3:6]
    if symmetry == "sphere":
        turn = np.zeros_like(turn)
    elif symmetry != "none":
        across = np.delete(Rotation.from_quat(poses.rotation).as_matrix(), "xyz".index(symmetry), axis=2)
        turn = np.swapaxes(across, 1, 2) @ turn @ across
    return {
        "sigma_mm": 1e3 * np.minimum(_largest(place), POSITION_LIMIT),
        "sigma_deg": np.degrees(np.minimum(_largest(turn), TURN_LIMIT)),
    }


def _largest(covariance: np.ndarray) -> np.ndarray:
    found = np.full(len(covariance), np.nan)
    known = np.isfinite(covariance).all(axis=(1, 2))
    found[known] = np.sqrt(np.maximum(np.linalg.eigvalsh(covariance[known])[:, -1], 0.0))
    return found


def start_traces(poses: Poses, initial: Poses, symmetry: str) -> dict[str, np.ndarray]:
    """How far the estimate is from the first guess (frame,): in depth, as a share; across; turned."""
    offset = poses.position - initial.position
    nearer = np.maximum(np.minimum(np.abs(poses.position[:, 2]), np.abs(initial.position[:, 2])), 1e-3)
    turn = Rotation.from_quat(initial.rotation).inv() * Rotation.from_quat(poses.rotation)
    if symmetry == "sphere":
        angle = np.zeros(poses.frame_count)
    elif symmetry == "none":
        angle = turn.magnitude()
    else:
        axis = "xyz".index(symmetry)
        angle = np.arccos(np.clip(turn.as_matrix()[:, axis, axis], -1.0, 1.0))
    return {
        "moved_along": np.abs(offset[:, 2]) / nearer,
        "moved_across_mm": 1e3 * np.linalg.norm(offset[:, :2], axis=1),
        "turned_deg": np.degrees(angle),
    }


def residual_traces(residuals: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Residuals of terms (frame,), by ``residual of TERM``."""
    return {f"residual of {term}": np.asarray(values, dtype=np.float64) for term, values in residuals.items()}
