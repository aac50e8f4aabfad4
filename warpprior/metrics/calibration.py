"""Whether an estimate is as sure as it may be: its errors against the covariance that it states."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import gammainc, gammaincinv

from warpprior.metrics.pose_errors import align_symmetry, fill_holes, matrices
from warpprior.scene import Poses
from warpprior.uncertainty import bounded_covariance, normalised_squares, observable, pose_errors, standard_deviations

BAND = 0.95  # share of a consistent estimate's frames whose NEES is within the band


def stated_errors(covariance: np.ndarray) -> dict[str, np.ndarray]:
    """Root mean square errors of position and rotation that a covariance (frame, d, d) states, per frame (frame,)."""
    sigma = standard_deviations(covariance)
    return {
        "stated_position_mm": 1e3 * np.linalg.norm(sigma[:, :3], axis=1),
        "stated_rotation_deg": np.degrees(np.linalg.norm(sigma[:, 3:6], axis=1)),
    }


def consistency(poses: Poses, truth: Poses, symmetry: str = "none") -> tuple[dict[str, np.ndarray], dict[str, dict]]:
    """Errors of a motion in units of its own covariance; :mod:`warpprior.metrics` defines the rows.

    Turns that the body's symmetry hides, and directions that are not observable, do not count.

    Args:
        poses: with ``covariance``.
        truth: true motion, NaN where it is not known.
        symmetry: ``none``, ``sphere``, ``x``, ``y`` or ``z``.

    Returns:
        rows per frame (frame,), and ``pose`` and, of bodies with joints, ``joints``: see :func:`describe_squares`.
    """
    scored = ~fill_holes(truth)[1]
    size = 6 + poses.joints.shape[1]
    errors = np.full((poses.frame_count, size), np.nan)
    errors[scored] = symmetric_errors(poses.frames(scored), truth.frames(scored), symmetry)
    assert poses.covariance is not None
    covariance = bounded_covariance(poses.covariance)
    ratios = error_sigmas(errors[:, :6], covariance[:, :6, :6])
    basis = visible_directions(poses, symmetry)
    visible = np.einsum("fki,fi->fk", basis, errors[:, :6])
    squares, dof = normalised_squares(visible, basis @ covariance[:, :6, :6] @ basis.transpose(0, 2, 1))
    rows = {"nees": squares, "nees_level": level_of(squares, dof), "position_sigmas": _largest(ratios[:, :3])}
    if symmetry != "sphere":
        rows["rotation_sigmas"] = _largest(ratios[:, 3:])
    figures = {"pose": describe_squares(squares, dof)}
    if size > 6:
        rows["joint_nees"], dof = normalised_squares(errors[:, 6:], covariance[:, 6:, 6:], lengths=0)
        figures["joints"] = describe_squares(rows["joint_nees"], dof)
    return rows, figures


def symmetric_errors(poses: Poses, truth: Poses, symmetry: str) -> np.ndarray:
    """:func:`warpprior.uncertainty.pose_errors` after the turn within the symmetry that brings the estimate nearest."""
    aligned = align_symmetry(symmetry, poses, truth)
    return pose_errors(replace(poses, rotation=aligned.rotation), truth)


def error_sigmas(errors: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Magnitudes of errors (frame, d) over their standard deviations; NaN where one is not observable."""
    sigma, observed = standard_deviations(covariance), observable(covariance)
    return np.where(observed, np.abs(errors) / np.maximum(sigma, 1e-9), np.nan)


def level_of(squares: np.ndarray, dof: np.ndarray) -> np.ndarray:
    """Share of chi-squared draws that are smaller, in [0, 1]; spread evenly for a consistent estimate; NaN for none."""
    known = (dof > 0) & np.isfinite(squares)
    return np.where(known, gammainc(0.5 * np.maximum(dof, 1), 0.5 * np.where(known, squares, 0.0)), np.nan)


def mean_band(dof: float, count: int = 1, share: float = BAND) -> tuple[float, float]:
    """Bounds that hold the mean of ``count`` independent chi-squared draws with probability ``share``, both sides."""
    tails = np.array([0.5 - 0.5 * share, 0.5 + 0.5 * share])
    low, high = 2.0 * gammaincinv(0.5 * dof * count, tails) / count
    return float(low), float(high)


def describe_squares(squares: np.ndarray, dof: np.ndarray) -> dict:
    """Figures of normalised squared errors over frames.

    Args:
        squares: (frame,), NaN where there is none.
        dof: their degrees of freedom (frame,).

    Returns:
        ``frames`` that count; their mean ``dof``; ``mean`` of the squares over ``dof`` (1 is ideal, more is too sure);
        shares of frames ``inside`` the two-sided 95 % band, ``above`` it (too sure) and ``below`` it (too careful).
    """
    levels = level_of(squares, dof)
    known = np.isfinite(levels)
    if not known.any():
        return {"frames": 0}
    levels, edge = levels[known], 0.5 - 0.5 * BAND
    return {
        "frames": int(known.sum()),
        "dof": float(dof[known].mean()),
        "mean": float(squares[known].sum() / dof[known].sum()),
        "inside": float(np.mean((levels >= edge) & (levels <= 1.0 - edge))),
        "above": float(np.mean(levels > 1.0 - edge)),
        "below": float(np.mean(levels < edge)),
    }


def _largest(values: np.ndarray) -> np.ndarray:
    """Of the values that are not NaN (frame,); NaN where there is none."""
    return np.where(np.isnan(values).all(axis=1), np.nan, np.nan_to_num(values, nan=-np.inf).max(axis=1))


def visible_directions(poses: Poses, symmetry: str) -> np.ndarray:
    """Directions of the pose's error that can be seen (frame, k, 6): not the turns that a symmetry hides."""
    frame_count = poses.frame_count
    if symmetry == "none":
        return np.tile(np.eye(6), (frame_count, 1, 1))
    place = np.tile(np.eye(6)[:3], (frame_count, 1, 1))
    if symmetry == "sphere":
        return place
    axis = "xyz".index(symmetry)
    across = np.zeros((frame_count, 2, 6))
    across[:, :, 3:] = np.delete(matrices(poses.rotation), axis, axis=2).transpose(0, 2, 1)
    return np.concatenate([place, across], axis=1)
