"""Keypoints and middles of bodies in space, as a tracker on a depth camera measures them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bodies.body import Body
from warpprior.bodies.posing import posed_keypoints
from warpprior.scene import Camera, Poses, box_center
from warpprior.scenes.noise.detections import project
from warpprior.scenes.noise.levels import named_level


@dataclass(frozen=True)
class Point3DNoise:
    """How points measured in space differ from the truth.  Errors are white: independent in every frame and axis.

    Attributes:
        sigma_keypoint_m: standard deviation per axis of a keypoint [m].
        sigma_center_m: the same of the middle of a body [m].
        outliers: share of points that are somewhere else, without knowing it.
        outlier_distance: how far away they are, in any direction [m].
        dropout: share of frames in which nothing of a body is measured.
    """

    sigma_keypoint_m: float = 0.004
    sigma_center_m: float = 0.015
    outliers: float = 0.0
    outlier_distance: float = 0.06
    dropout: float = 0.0


POINT_NOISE = {"exact": Point3DNoise(0.0, 0.0), "sensor": Point3DNoise()}


def point_noise(name: str | Point3DNoise) -> Point3DNoise:
    """The noise of a level's name; a :class:`Point3DNoise` is returned as it is."""
    return named_level("point_noise", name, Point3DNoise, POINT_NOISE)


def measure_keypoints(
    body: Body, truth: Poses, camera: Camera, random: np.random.Generator, noise: Point3DNoise | None = None
) -> np.ndarray:
    """A body's keypoints as they are measured in space.

    Args:
        body: with keypoints.
        truth: its motion.
        camera: points that are truly outside its picture are not measured.
        random: source of all noise; as much is drawn whatever the noise is.
        noise: what to do to them.

    Returns:
        (frame, keypoint, 4): x, y, z [m] in the camera frame and confidence: 1, or 0 where nothing is measured and
        x, y, z are NaN.
    """
    noise = noise or Point3DNoise()
    exact = posed_keypoints(body, truth).astype(np.float64)
    points, lost = _disturb(exact, noise.sigma_keypoint_m, noise, random)
    unseen = _outside(exact, camera) | lost[:, None]
    points[unseen] = np.nan
    return np.concatenate([points, np.where(unseen, 0.0, 1.0)[..., None]], axis=-1)


def measure_center(
    body: Body, truth: Poses, camera: Camera, random: np.random.Generator, noise: Point3DNoise | None = None
) -> np.ndarray:
    """The middle of a body's bounding box at rest, as it is measured in space.

    The arguments are those of :func:`measure_keypoints`.

    Returns:
        (frame, 3) [m] in the camera frame; NaN where nothing is measured.
    """
    noise = noise or Point3DNoise()
    exact = truth.position + Rotation.from_quat(truth.rotation).apply(box_center(body, truth.scale))
    points, lost = _disturb(exact[:, None], noise.sigma_center_m, noise, random)
    points[_outside(exact, camera)[:, None] | lost[:, None]] = np.nan
    return points[:, 0]


def _disturb(
    points: np.ndarray, sigma: float, noise: Point3DNoise, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Points (frame, point, 3) with their errors, and which frames are lost (frame,) bool."""
    found = points + sigma * random.normal(size=points.shape)
    stray = random.random(points.shape[:2]) < noise.outliers
    heading = random.normal(size=points.shape)
    heading /= np.linalg.norm(heading, axis=-1, keepdims=True)
    found += np.where(stray[..., None], noise.outlier_distance * heading, 0.0)
    return found, random.random(len(points)) < noise.dropout


def _outside(points: np.ndarray, camera: Camera) -> np.ndarray:
    """Which points (..., 3) [m] the picture does not show."""
    places = project(points, camera)
    shown = ((places >= 0.0) & (places <= [camera.width, camera.height])).all(axis=-1)
    return ~shown | (points[..., 2] <= 0.0)
