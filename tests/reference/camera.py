"""Float64 twins of projection and of pose increments."""

import numpy as np
from scipy.spatial.transform import Rotation

NEAR = 0.05


def advance_pose(pose, increment):
    """Pose (7,) after increments (6,) of x/z, y/z, log z and a rotation vector on the right."""
    depth = max(pose[2], NEAR)
    bearing = pose[:2] / depth + increment[:2]
    moved = depth * np.exp(increment[2])
    turned = Rotation.from_quat(pose[3:]).as_matrix() @ Rotation.from_rotvec(increment[3:]).as_matrix()
    return np.concatenate([bearing * moved, [moved], Rotation.from_matrix(turned).as_quat()])


def carry(pose, points):
    """Points (n, 3) of the body in the camera frame."""
    return points @ Rotation.from_quat(pose[3:]).as_matrix().T + pose[:3]


def project(points, focal, center):
    """u, v [px] and depth (n, 3) of points (n, 3); nearer than the near plane they are seen as if on it."""
    depth = np.maximum(points[:, 2], NEAR)
    return np.column_stack([points[:, :2] / depth[:, None] * focal + center, points[:, 2]])
