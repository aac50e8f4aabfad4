"""Keypoints and bounding boxes as detectors return them, and where fingertips are in the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from warpprior.bodies.body import Body, Keypoints
from warpprior.bodies.posing import posed_keypoints
from warpprior.scene import Camera, Poses
from warpprior.scenes.noise.correlated import CORRELATION, correlated
from warpprior.scenes.observe import Pictures

_LOOK_PX = 2.0  # distance of the places around a keypoint where it is looked for
_PLACES = np.array([(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)], dtype=float)
_LEAST_AREA = 30  # pixels of a body that a detector notices


@dataclass(frozen=True)
class KeypointNoise:
    """How detected keypoints differ from the truth.

    Attributes:
        sigma: standard deviation per axis of a keypoint that is seen [px].
        hidden: how many times that of one that is hidden.
        correlation: of the error of one frame with the next.
        outliers: share of keypoints that are somewhere else, without knowing it.
        outlier_distance: how far away they are [m].
        confidence: of a keypoint that is seen, and of one that is hidden; between them by the visible share.
        confidence_spread: standard deviation of the confidence.
        dropout: share of frames in which the detector finds nothing.
        thickness: of a body over its own keypoints: deeper ones are behind another part of it [m].
    """

    sigma: float = 4.0
    hidden: float = 2.5
    correlation: float = 0.5
    outliers: float = 0.0
    outlier_distance: float = 0.06
    confidence: tuple[float, float] = (0.92, 0.35)
    confidence_spread: float = 0.05
    dropout: float = 0.0
    thickness: float = 0.022

    @staticmethod
    def person() -> KeypointNoise:
        """Of a person: hips lie some 12 cm below the skin; what is somewhere else is at the scale of a body."""
        return KeypointNoise(outlier_distance=0.4, thickness=0.15)


@dataclass(frozen=True)
class BoxNoise:
    """How detected boxes differ from the exact ones.

    Attributes:
        sigma: standard deviation of each side [px].
        correlation: of the error of one frame with the next.
        dropout: share of frames without a box.
    """

    sigma: float = 3.0
    correlation: float = CORRELATION
    dropout: float = 0.0


def detect_keypoints(
    body: Body,
    truth: Poses,
    camera: Camera,
    random: np.random.Generator,
    noise: KeypointNoise | None = None,
    *,
    pictures: Pictures | None = None,
    label: int | None = None,
) -> np.ndarray:
    """A body's keypoints as a detector would return them.

    Args:
        body: with keypoints.
        truth: its motion.
        camera: the camera.
        random: source of all noise.
        noise: what to do to them.
        pictures: exact pictures of all actors, to find which keypoints are hidden; None hides none.
        label: the body's label in them.

    Returns:
        (frame, keypoint, 3): u, v [px] and confidence in [0, 1].  Confidence is 0 for keypoints outside the picture,
        which keep their place, and in frames without a detection.

    Raises:
        ValueError: pictures without a label.
    """
    noise = noise or KeypointNoise()
    points = posed_keypoints(body, truth).astype(float)
    frame_count, count = points.shape[:2]
    places = project(points, camera)
    visible = np.ones((frame_count, count))
    if pictures is not None:
        if label is None:
            raise ValueError("which keypoints are hidden is found in pictures only with the body's label")
        visible = visible_share(points, places, pictures, label, noise.thickness)
    spread = noise.sigma * (noise.hidden + (1.0 - noise.hidden) * visible)
    errors = correlated(random, frame_count, 2 * count, noise.correlation).reshape(frame_count, count, 2)
    found = places + spread[..., None] * errors

    stray = random.random((frame_count, count)) < noise.outliers
    heading = random.uniform(0.0, 2.0 * np.pi, size=(frame_count, count))
    away = noise.outlier_distance * np.array([camera.fx, camera.fy]) / np.maximum(points[..., 2:], 1e-3)
    away = away * np.stack([np.cos(heading), np.sin(heading)], axis=-1)
    found[stray] += away[stray]

    seen, unseen = noise.confidence
    confidence = unseen + (seen - unseen) * visible
    confidence = np.clip(confidence + noise.confidence_spread * random.normal(size=confidence.shape), 0.05, 1.0)
    inside = (found >= 0.0).all(axis=-1) & (found[..., 0] <= camera.width) & (found[..., 1] <= camera.height)
    confidence[~inside | (points[..., 2] <= 0.0)] = 0.0
    confidence[random.random(frame_count) < noise.dropout] = 0.0
    return np.concatenate([found, confidence[..., None]], axis=-1)


def visible_share(
    points: np.ndarray, places: np.ndarray, pictures: Pictures, label: int, thickness: float
) -> np.ndarray:
    """How much of each keypoint is seen, in [0, 1].

    A place near a keypoint shows it unless something nearer than it is seen there: another body at all, the body
    itself by more than its own thickness, since keypoints are inside.

    Args:
        points: keypoints in the camera frame (frame, keypoint, 3) [m].
        places: the same in the picture (frame, keypoint, 2) [px].
        pictures: exact pictures of all actors.
        label: the body's label in them.
        thickness: of the body over its own keypoints [m].
    """
    height, width = pictures.labels.shape[1:]
    share = np.zeros(points.shape[:2])
    frames = np.arange(len(points))[:, None]
    for offset in _LOOK_PX * _PLACES:
        column, row = np.moveaxis(np.floor(np.clip(places + offset, -1e6, 1e6)).astype(int), -1, 0)
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        pick = frames, np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)
        depth, own = pictures.depths[pick], pictures.labels[pick] == label
        hidden = (depth > 0.0) & (depth < points[..., 2] - np.where(own, thickness, 0.0))
        share += inside & ~hidden
    return share / len(_PLACES)


def detect_boxes(
    labels: np.ndarray, label: int, random: np.random.Generator, noise: BoxNoise | None = None
) -> np.ndarray:
    """Boxes around what is seen of a body, as a detector would return them.

    Args:
        labels: exact label images (frame, height, width).
        label: the body's.
        random: source of all noise.
        noise: what to do to them.

    Returns:
        (frame, 4): left, top, right, bottom [px], within the picture; NaN where the body is not seen.
    """
    noise = noise or BoxNoise()
    frame_count, height, width = labels.shape
    errors = noise.sigma * correlated(random, frame_count, 4, noise.correlation)
    lost = random.random(frame_count) < noise.dropout
    boxes = np.full((frame_count, 4), np.nan)
    for frame in np.flatnonzero(~lost):
        owned = labels[frame] == label
        if owned.sum() < _LEAST_AREA:
            continue
        rows, columns = np.flatnonzero(owned.any(axis=1)), np.flatnonzero(owned.any(axis=0))
        box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]) + errors[frame]
        box = np.array([*np.sort(box[[0, 2]]), *np.sort(box[[1, 3]])])[[0, 2, 1, 3]]
        boxes[frame] = np.clip(box, 0.0, [width, height, width, height])
    return boxes


def fingertip_discs(body: Body, truth: Poses, camera: Camera, *, radius: float = 0.009) -> np.ndarray:
    """Centre and radius in the image of every fingertip (frame, finger, 3) [px], for :attr:`MaskNoise.cut`.

    A fingertip is a keypoint that is a vertex; its centre lies a radius [m] from it towards its link's origin.
    """
    assert body.keypoints is not None
    tips = np.flatnonzero(np.asarray(body.keypoints.vertices) >= 0)
    points = posed_keypoints(body, truth).astype(float)
    joints = np.stack([points[:, _before(body.keypoints, tip)] for tip in tips.tolist()], axis=1)
    back = joints - points[:, tips]
    centers = points[:, tips] + radius * back / np.linalg.norm(back, axis=-1, keepdims=True)
    return np.concatenate([project(centers, camera), 1.3 * camera.fx * radius / centers[..., 2:]], axis=-1)


def _before(keypoints: Keypoints, tip: int) -> int:
    """The keypoint at the origin of the link that a fingertip follows."""
    same = np.asarray(keypoints.links) == keypoints.links[tip]
    return int(np.flatnonzero(same & (np.asarray(keypoints.vertices) < 0))[0])


def project(points: np.ndarray, camera: Camera) -> np.ndarray:
    """Pixels (..., 2) of points (..., 3) in the camera frame."""
    depth = np.maximum(points[..., 2], 1e-3)
    u, v = camera.fx * points[..., 0] / depth + camera.cx, camera.fy * points[..., 1] / depth + camera.cy
    return np.stack([u, v], axis=-1)
