"""Metrics once more, by other means: SciPy's alignments, trapezia, all pairs.  float64 NumPy."""

import numpy as np
from scipy.linalg import orthogonal_procrustes
from scipy.spatial.transform import Rotation


def align_proper(points, target):
    """One frame's points (point, 3) after the best similarity, by SciPy's solution of Wahba's problem."""
    center, target_center = points.mean(0), target.mean(0)
    rotation, _ = Rotation.align_vectors(target - target_center, points - center)
    turned = rotation.apply(points - center)
    scale = np.sum(turned * (target - target_center)) / np.sum(turned**2)
    return scale * turned + target_center


def align_any(points, target):
    """The same where a mirror image may be taken, both sets scaled to unit size first, as benchmarks do it."""
    center, target_center = points.mean(0), target.mean(0)
    size, target_size = np.linalg.norm(points - center), np.linalg.norm(target - target_center)
    turn, scale = orthogonal_procrustes((points - center) / size, (target - target_center) / target_size)
    return (points - center) / size @ turn * scale * target_size + target_center


def area_under_curve(errors, limit=50.0, steps=100):
    """Mean over points of the area under each point's own curve; errors (frame, point) [mm]."""
    thresholds = np.linspace(0.0, limit, steps)
    areas = []
    for point in errors.T:
        curve = np.array([np.mean(point <= threshold) for threshold in thresholds])
        areas.append(np.sum(0.5 * (curve[1:] + curve[:-1]) * np.diff(thresholds)) / limit)
    return np.mean(areas)


def f_score(points, truth, limit):
    """One frame, by all pairs; limit in the unit of the points."""
    pairs = np.linalg.norm(points[:, None] - truth[None], axis=2)
    precision, recall = np.mean(pairs.min(1) < limit), np.mean(pairs.min(0) < limit)
    return 0.0 if precision + recall == 0.0 else 2.0 / (1.0 / precision + 1.0 / recall) if precision * recall else 0.0
