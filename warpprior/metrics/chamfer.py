"""Chamfer distance between the estimated and the true surface, in space and in the picture."""

from __future__ import annotations

import numpy as np

from warpprior.metrics.surfaces import PosedBody
from warpprior.scene import Camera

POINT_COUNT = 1000
_NEAREST_DEPTH_M = 1e-6


def chamfer_3d(estimate: PosedBody, truth: PosedBody) -> np.ndarray:
    """Mean of the two one-sided mean distances from points of one surface to the other surface (frame,) [m].

    Distances are exact and not squared; the points are 1,000 of those spread evenly over each surface.
    """
    sides = []
    for body, target in ((estimate, truth), (truth, estimate)):
        points = target.to_own(_some(body.points))
        frames = np.repeat(np.arange(len(points)), points.shape[1])
        distances = target.measure(frames, points.reshape(-1, 3), signed=False)
        sides.append(distances.reshape(points.shape[:2]).mean(axis=1))
    return 0.5 * (sides[0] + sides[1])


def chamfer_2d(camera: Camera, points: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The same between the projections of two point sets, as sets of points in the picture (frame,) [px].

    Every point is projected, hidden ones too.  NaN where a point is not in front of the camera.

    Args:
        camera: the pinhole camera.
        points, truth: (frame, point, 3) [m].
    """
    result = np.full(len(points), np.nan)
    for frame, pair in enumerate(zip(_some(points), _some(truth), strict=True)):
        if min(side[:, 2].min() for side in pair) > _NEAREST_DEPTH_M:
            own, true = (_project(camera, side) for side in pair)
            result[frame] = 0.5 * (_nearest(own, true).mean() + _nearest(true, own).mean())
    return result


def _nearest(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Distance of each point to the nearest of the others (point,), by a tree that is sooner made for one question."""
    from scipy.spatial import KDTree

    return KDTree(others, balanced_tree=False, compact_nodes=False).query(points)[0]


def pixel_size(camera: Camera, position: np.ndarray) -> np.ndarray:
    """Edge of a pixel at the depth of a position (frame, 3): (frame,) [m], by the mean of fx and fy."""
    return position[:, 2] / (0.5 * (camera.fx + camera.fy))


def _some(points: np.ndarray) -> np.ndarray:
    return points[:, :: max(1, points.shape[1] // POINT_COUNT)]


def _project(camera: Camera, points: np.ndarray) -> np.ndarray:
    points = points.astype(np.float64)
    return points[:, :2] / points[:, 2:] * [camera.fx, camera.fy] + [camera.cx, camera.cy]
