"""Do the labels belong to the bodies they are given to?"""

from __future__ import annotations

import itertools

import numpy as np

from warpprior.io.pose_readings import rest_middle
from warpprior.scene import Camera, SceneBody

_SAMPLES = 160  # pixels looked at along the longer side of an image
_SHARE = 0.8


def note_swapped_labels(camera: Camera, bodies: tuple[SceneBody, ...], labels: np.ndarray, notes: list[str]) -> None:
    """Note pairs of bodies whose labels fit better the other way round.

    In most frames in which both are visible, each body's projected middle must lie far nearer to the other's pixels
    than to its own: rough poses put bodies that touch each other too near to decide.

    Args:
        camera: the pinhole camera.
        bodies: with their initial poses.
        labels: (frame, height, width) uint8.
        notes: warnings are appended.
    """
    if len(bodies) < 2:
        return
    stride = -(-max(camera.width, camera.height) // _SAMPLES)
    thinned = labels[:, ::stride, ::stride]
    middles = [_project_middle(camera, item) for item in bodies]
    masses = [_mask_centre(thinned == item.label, stride) for item in bodies]
    for first, second in itertools.combinations(range(len(bodies)), 2):
        straight = _distance(middles[first], masses[first]) + _distance(middles[second], masses[second])
        crossed = _distance(middles[first], masses[second]) + _distance(middles[second], masses[first])
        both = np.isfinite(straight) & np.isfinite(crossed)
        if both.any() and np.mean(crossed[both] < 0.5 * straight[both]) >= _SHARE:
            names = f"{bodies[first].name} and {bodies[second].name}"
            notes.append(f"labels: those of {names} look exchanged: each body lies on the other's pixels")


def _project_middle(camera: Camera, item: SceneBody) -> np.ndarray:
    """Pixel (frame, 2) of the middle of the body's surface, without joints moved, NaN behind the camera."""
    from scipy.spatial.transform import Rotation

    middle = rest_middle(item.body, item.initial)
    points = Rotation.from_quat(item.initial.rotation).apply(middle * item.initial.scale) + item.initial.position
    depth = np.where(points[:, 2] > 1e-3, points[:, 2], np.nan)
    return points[:, :2] / depth[:, None] * [camera.fx, camera.fy] + [camera.cx, camera.cy]


def _mask_centre(mask: np.ndarray, stride: int) -> np.ndarray:
    """Mean pixel (frame, 2) of a thinned mask (frame, row, column), NaN where it is empty."""
    rows, columns = mask.sum(axis=2), mask.sum(axis=1)
    count = rows.sum(axis=1).astype(np.float64)
    count[count == 0] = np.nan
    x = columns @ (np.arange(mask.shape[2]) * stride + 0.5) / count
    y = rows @ (np.arange(mask.shape[1]) * stride + 0.5) / count
    return np.stack([x, y], axis=1)


def _distance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.linalg.norm(first - second, axis=1)
