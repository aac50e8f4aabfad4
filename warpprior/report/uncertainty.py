"""How sure the places of bodies are, in the picture: ellipses of three standard deviations."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bodies import posed_keypoints
from warpprior.bodies.body import Body
from warpprior.report.picture import INK, require_cv2
from warpprior.scene import Camera, Poses, box_center
from warpprior.uncertainty import point_covariance

SIGMAS = 3.0

_STEP = 2e-3  # of a joint, for derivatives [rad or m]
_POINTS_AT_ONCE = 2_000_000  # vertices posed at a time: bounds the memory
_NEAR = 1e-3  # least depth [m]
_CIRCLE = np.stack([f(np.linspace(0.0, 2.0 * np.pi, 48, endpoint=False)) for f in (np.cos, np.sin)], axis=1)


@dataclass(frozen=True, eq=False)
class Spots:
    """Points of a body in a picture and how sure they are.  The first is the body itself, others are its fingertips.

    Attributes:
        places: (frame, point, 2) [px], NaN behind the camera.
        spread: covariance of the places (frame, point, 2, 2) [px^2].
    """

    places: np.ndarray
    spread: np.ndarray


def spots_of(body: Body, poses: Poses, camera: Camera, device: str = "cpu") -> Spots:
    """The middle of a rigid body, or the root and the fingertips of one with joints, to first order.

    Args:
        body: whose.
        poses: with ``covariance``.
        camera: of the picture.
        device: Warp device that poses the surface.
    """
    assert poses.covariance is not None
    tips = [] if body.keypoints is None else np.flatnonzero(body.keypoints.tips).tolist()
    middle = box_center(body, poses.scale) if body.is_rigid else np.zeros(3)
    arms = Rotation.from_quat(poses.rotation).apply(middle)[:, None]
    spread = point_covariance(poses.covariance, arms)
    if tips:
        reach = posed_keypoints(body, poses, device)[:, tips].astype(np.float64) - poses.position[:, None]
        slopes = _joint_slopes(body, poses, tips, device)
        arms = np.concatenate([arms, reach], axis=1)
        spread = np.concatenate([spread, point_covariance(poses.covariance, reach, slopes)], axis=1)
    return _projected(camera, poses.position[:, None] + arms, spread)


def draw_spots(image: np.ndarray, spots: Spots, frame: int, color: tuple[int, int, int]) -> bool:
    """Draw a frame's ellipses that are smaller than the picture; changes ``image``.

    Returns:
        False where the ellipse of the body itself would be larger than the picture.
    """
    cv2 = require_cv2()
    largest = max(image.shape[:2])
    known = True
    for point, (place, spread) in enumerate(zip(spots.places[frame], spots.spread[frame], strict=True)):
        if not np.isfinite(place).all() or np.abs(place).max() > 3.0 * largest:
            continue
        sizes, axes = np.linalg.eigh(spread)
        radii = SIGMAS * np.sqrt(np.maximum(sizes, 0.0))
        if radii[1] > largest:
            known = known and point > 0
            continue
        line = np.round(16.0 * (place - 0.5 + _CIRCLE * radii @ axes.T)).astype(np.int32)
        for paint, thickness in ((INK, 3), (color, 1)):
            cv2.polylines(image, [line[:, None]], True, paint, thickness, cv2.LINE_AA, shift=4)
    return known


def _projected(camera: Camera, points: np.ndarray, spread: np.ndarray) -> Spots:
    """Points (frame, point, 3) [m] and their covariance (frame, point, 3, 3) [m^2] in the picture."""
    depth = np.where(points[..., 2] > _NEAR, points[..., 2], np.nan)
    across, down = points[..., 0] / depth, points[..., 1] / depth
    jacobian = np.zeros((*points.shape[:2], 2, 3))
    jacobian[..., 0, 0], jacobian[..., 0, 2] = camera.fx / depth, -camera.fx * across / depth
    jacobian[..., 1, 1], jacobian[..., 1, 2] = camera.fy / depth, -camera.fy * down / depth
    places = np.stack([camera.fx * across + camera.cx, camera.fy * down + camera.cy], axis=-1)
    return Spots(places, jacobian @ spread @ np.swapaxes(jacobian, -1, -2))


def _joint_slopes(body: Body, poses: Poses, chosen: list[int], device: str) -> np.ndarray:
    """Derivative of keypoints by the joint coordinates (frame, keypoint, 3, coordinate), by central differences."""
    count = body.coordinate_count
    steps = _STEP * np.concatenate([np.eye(count), -np.eye(count)])
    slopes = np.zeros((poses.frame_count, len(chosen), 3, count))
    at_once = max(1, _POINTS_AT_ONCE // max(1, 2 * count * body.vertex_count))
    for start in range(0, poses.frame_count if count else 0, at_once):
        part = poses.frames(slice(start, start + at_once))
        moved = replace(
            part.frames(np.repeat(np.arange(part.frame_count), 2 * count)),
            joints=(part.joints[:, None] + steps).reshape(-1, count),
        )
        points = posed_keypoints(body, moved, device)[:, chosen].astype(np.float64)
        forward, backward = np.split(points.reshape(part.frame_count, 2 * count, len(chosen), 3), 2, axis=1)
        slopes[start : start + at_once] = np.moveaxis((forward - backward) / (2.0 * _STEP), 1, -1)
    return slopes
