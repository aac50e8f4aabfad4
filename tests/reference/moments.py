"""Moments of the visible part of convex bodies in float64, by Green's theorem on their projected outlines.

A convex body projects onto a convex polygon.  What one convex body hides of another behind it is the intersection of
the two polygons, which is convex too, so that the moments of what is seen are exact differences.
"""

import numpy as np
from scipy.spatial import ConvexHull
from scipy.spatial.transform import Rotation


def moved(pose, change):
    """Pose (7,) after a shift along the camera's axes [m] and a turn about them, through the body's origin [rad]."""
    rotation = Rotation.from_rotvec(change[3:]) * Rotation.from_quat(pose[3:])
    return np.concatenate([pose[:3] + change[:3], rotation.as_quat()])


def outline(vertices, pose, camera):
    """Outline of a convex body in the picture (corner, 2) [px], turning from x to y; none behind the camera."""
    points = Rotation.from_quat(pose[3:]).apply(vertices.astype(np.float64)) + pose[:3]
    if (points[:, 2] <= 0.05).any():
        return np.zeros((0, 2))
    screen = points[:, :2] / points[:, 2:] * [camera.fx, camera.fy] + [camera.cx, camera.cy]
    return screen[ConvexHull(screen).vertices]


def clip(polygon, corner, direction):
    """The part of a convex polygon on the left of a line."""
    kept = []
    for start, stop in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        sides = [direction[0] * (p - corner)[1] - direction[1] * (p - corner)[0] for p in (start, stop)]
        if sides[0] >= 0.0:
            kept.append(start)
        if sides[0] * sides[1] < 0.0:
            kept.append(start + (stop - start) * sides[0] / (sides[0] - sides[1]))
    return np.array(kept).reshape(-1, 2)


def intersection(polygon, other):
    """Common part of two convex polygons."""
    if len(other) == 0:
        return other
    for start, stop in zip(other, np.roll(other, -1, axis=0), strict=True):
        if len(polygon) == 0:
            break
        polygon = clip(polygon, start, stop - start)
    return polygon


def raw_moments(polygon):
    """Integrals of 1, x, y, xx, xy, yy over a polygon (6,)."""
    if len(polygon) < 3:
        return np.zeros(6)
    (x, y), (p, q) = polygon.T, np.roll(polygon, -1, axis=0).T
    cross = x * q - p * y
    return np.array(
        [
            cross.sum() / 2.0,
            ((x + p) * cross).sum() / 6.0,
            ((y + q) * cross).sum() / 6.0,
            ((x * x + x * p + p * p) * cross).sum() / 12.0,
            ((2.0 * x * y + x * q + p * y + 2.0 * p * q) * cross).sum() / 24.0,
            ((y * y + y * q + q * q) * cross).sum() / 12.0,
        ]
    )


def central_moments(raw):
    """Area, centroid and central second moments (6,); zero without area."""
    area = raw[0]
    if area <= 0.0:
        return np.zeros(6)
    u, v = raw[1] / area, raw[2] / area
    return np.array([area, u, v, raw[3] / area - u * u, raw[4] / area - u * v, raw[5] / area - v * v])


def visible_moments(vertices, pose, camera, hidden_by=()):
    """Moments of what the picture shows of a convex body.

    Args:
        vertices: (vertex, 3) of the body.
        pose: (7,) position and quaternion xyzw, camera_from_body.
        camera: pinhole camera.
        hidden_by: (vertices, pose) of one convex body in front of it, or nothing.

    Returns:
        area, centroid u, v, central second moments uu, uv, vv (6,).
    """
    frame = np.array([[0, 0], [camera.width, 0], [camera.width, camera.height], [0, camera.height]], dtype=float)
    seen = intersection(outline(vertices, pose, camera), frame)
    # Far corners lose digits: integrate about the middle of what is seen.
    middle = seen.mean(axis=0) if len(seen) else np.zeros(2)
    raw = raw_moments(seen - middle)
    if hidden_by:
        raw = raw - raw_moments(intersection(seen, outline(*hidden_by, camera)) - middle)
    if raw[0] <= 1e-9:
        return np.zeros(6)
    return central_moments(raw) + np.array([0.0, *middle, 0.0, 0.0, 0.0])
