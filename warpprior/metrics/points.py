"""Errors of corresponding points as benchmarks for hands count them: absolute, root-relative, aligned; AUC; F-score."""

from __future__ import annotations

import numpy as np

from warpprior.metrics.procrustes import procrustes

AUC_LIMIT_MM = 50.0
AUC_STEPS = 100
F_SCORE_LIMITS_MM = (5.0, 15.0)


def point_errors(points: np.ndarray, truth: np.ndarray, roots: tuple[np.ndarray, np.ndarray]) -> dict[str, np.ndarray]:
    """Distances of corresponding points (frame, point) [mm] after each kind of alignment.

    Args:
        points, truth: estimated and true points (frame, point, 3) [m].
        roots: estimated and true root (frame, 3) [m], which ``root`` brings together.

    Returns:
        ``absolute``; ``root``: without the error of the root's position; ``pa``: after the best similarity; and
        ``pa_mirror``: where that may be a mirror image, too.
    """
    points, truth = points.astype(np.float64), truth.astype(np.float64)
    own_root, true_root = (root.astype(np.float64)[:, None] for root in roots)
    placed = {
        "absolute": points,
        "root": points - own_root + true_root,
        "pa": procrustes(points, truth),
        "pa_mirror": procrustes(points, truth, reflect=True),
    }
    return {name: 1e3 * np.linalg.norm(own - truth, axis=2) for name, own in placed.items()}


def area_under_curve(errors: np.ndarray) -> float:
    """Area under the curve of correct points: the share of errors up to t, for t from 0 to 50 mm in 100 steps.

    Args:
        errors: [mm], any shape; NaN does not count.
    """
    errors = np.sort(errors[np.isfinite(errors)])
    if not len(errors):
        return float("nan")
    shares = np.searchsorted(errors, np.linspace(0.0, AUC_LIMIT_MM, AUC_STEPS), side="right") / len(errors)
    return float(np.mean(0.5 * (shares[1:] + shares[:-1])))


def f_scores(points: np.ndarray, truth: np.ndarray) -> dict[float, np.ndarray]:
    """F-score of two point sets per frame (frame,), for each of :data:`F_SCORE_LIMITS_MM`.

    Precision is the share of estimated points with a true one nearer than the limit, recall the share of true points
    with an estimated one nearer; the F-score is their harmonic mean.

    Args:
        points, truth: (frame, point, 3) [m]; they need not correspond.
    """
    from scipy.spatial import KDTree

    scores = {limit: np.zeros(len(points)) for limit in F_SCORE_LIMITS_MM}
    reach = 1e-3 * max(F_SCORE_LIMITS_MM) * 1.001
    for frame, (own, true) in enumerate(zip(points, truth, strict=True)):
        own_tree, true_tree = KDTree(own), KDTree(true)
        to_truth, to_own = (
            1e3 * tree.query(asked, distance_upper_bound=reach)[0]
            for tree, asked in ((true_tree, own), (own_tree, true))
        )
        for limit, score in scores.items():
            precision, recall = np.mean(to_truth < limit), np.mean(to_own < limit)
            if precision + recall > 0.0:
                score[frame] = 2.0 * precision * recall / (precision + recall)
    return scores
