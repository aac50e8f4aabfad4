"""Float64 twin of the forward kinematics: 4 x 4 matrices, one link after the other."""

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bodies import JointType


def matrices(transforms):
    """(..., 7) position and quaternion xyzw to (..., 4, 4)."""
    transforms = np.asarray(transforms, dtype=np.float64)
    flat = transforms.reshape(-1, 7)
    result = np.tile(np.eye(4), (len(flat), 1, 1))
    result[:, :3, :3] = Rotation.from_quat(flat[:, 3:]).as_matrix()
    result[:, :3, 3] = flat[:, :3]
    return result.reshape(*transforms.shape[:-1], 4, 4)


def offsets(body, shape, scale):
    """parent_from_joint of this shape and size (link, 4, 4)."""
    result = matrices(body.joint_offsets)
    result[:, :3, 3] += body.joint_shape_directions.astype(np.float64) @ np.asarray(shape, np.float64)
    result[:, :3, 3] *= scale
    return result


def motion(body, link, joints):
    """Movement of one joint (4, 4) for the coordinates (coordinate,) of one frame."""
    result = np.eye(4)
    start, kind = body.coordinate_starts[link], body.joint_types[link]
    if start < 0:
        return result
    axis = body.joint_axes[link].astype(np.float64)
    moved = float(body.coordinate_gains[link]) * joints[start] + float(body.coordinate_biases[link])
    if kind == JointType.BALL:
        result[:3, :3] = Rotation.from_rotvec(joints[start : start + 3]).as_matrix()
    elif kind == JointType.HINGE:
        result[:3, :3] = Rotation.from_rotvec(axis * moved).as_matrix()
    elif kind == JointType.SLIDE:
        result[:3, 3] = axis * moved
    return result


def rest_links(body, shape, scale):
    """root_from_link with no joint moved (link, 4, 4)."""
    placed = offsets(body, shape, scale)
    for link, parent in enumerate(body.parents):
        if parent >= 0:
            placed[link] = placed[parent] @ placed[link]
    return placed


def links(body, pose, joints, shape, scale):
    """camera_from_link (link, 4, 4) of one frame; ``pose`` is camera_from_body (4, 4)."""
    placed = offsets(body, shape, scale)
    for link, parent in enumerate(body.parents):
        before = pose if parent < 0 else placed[parent]
        placed[link] = before @ placed[link] @ motion(body, link, joints)
    return placed
