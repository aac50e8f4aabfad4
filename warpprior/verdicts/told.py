"""What an estimator says itself: how sure it is, how well its terms fit."""

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


def residual_traces(residuals: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Residuals of terms (frame,), by ``residual of TERM``."""
    return {f"residual of {term}": np.asarray(values, dtype=np.float64) for term, values in residuals.items()}
