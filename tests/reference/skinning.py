"""Float64 twin of shape and pose blend shapes and linear blend skinning."""

import numpy as np

from tests.reference import kinematics


def features(body, joints):
    """Entries of (R - I) of the non-root joints, row by row (9 * (link - 1),)."""
    turns = [kinematics.motion(body, link, joints)[:3, :3] - np.eye(3) for link in range(1, body.link_count)]
    return np.array(turns).reshape(-1)


def surface(body, pose, joints, shape, scale, *, blend_joints=None, links=None):
    """Vertices in the camera frame (vertex, 3) of one frame; ``pose`` is camera_from_body (4, 4).

    Pose blend shapes follow ``blend_joints``, by default the joints; ``links`` are those of the pose if known.
    """
    rest = body.vertices.astype(np.float64) + body.shape_directions.astype(np.float64) @ np.asarray(shape, np.float64)
    if body.pose_directions.shape[2] > 0:
        rest = rest + body.pose_directions.astype(np.float64) @ features(
            body, joints if blend_joints is None else blend_joints
        )
    rest = rest * scale
    carried = kinematics.links(body, pose, joints, shape, scale) if links is None else links
    carried = carried @ np.linalg.inv(kinematics.rest_links(body, shape, scale))
    weights = body.skin_weights.astype(np.float64)
    blended = np.einsum("vi,vixy->vxy", weights / weights.sum(axis=1, keepdims=True), carried[body.skin_links])
    return np.einsum("vxy,vy->vx", blended[:, :3, :3], rest) + blended[:, :3, 3]
