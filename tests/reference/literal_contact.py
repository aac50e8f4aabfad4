"""Float64 twin of contact as the paper prints it, by points; ``distance(point) -> float`` is the touched body's."""

import numpy as np
from scipy.spatial.transform import Rotation


def moved(pose, shift=(0.0, 0.0, 0.0), turn=(0.0, 0.0, 0.0)):
    """A pose (7,) moved by a translation [m] and turned on the right by a rotation vector [rad]."""
    rotation = Rotation.from_quat(pose[3:]) * Rotation.from_rotvec(turn)
    return np.concatenate([np.asarray(pose[:3], np.float64) + shift, rotation.as_quat()])


def to_link(pose, point):
    """R^T (v - p)."""
    return Rotation.from_quat(pose[3:]).inv().apply(np.asarray(point, np.float64) - pose[:3])


def penetration(points, poses, distance):
    """Sum of the depths of each frame (frame,)."""
    return np.array(
        [sum(max(0.0, -distance(to_link(pose, p))) for p in at) for at, pose in zip(points, poses, strict=True)]
    )


def sliding(points, poses, distances, segments, threshold):
    """Sum of the ways of the points nearer than the threshold, each frame (frame,)."""
    result = np.zeros(len(points))
    for t in range(1, len(points)):
        if segments[t] == segments[t - 1]:
            for i in np.flatnonzero(distances[t] < threshold):
                way = to_link(poses[t], points[t, i]) - to_link(poses[t - 1], points[t - 1, i])
                result[t] += np.linalg.norm(way)
    return result
