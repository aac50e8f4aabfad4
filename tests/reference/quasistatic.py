"""Float64 twin of the quasi-static pose transfer: the same estimate through NumPy's SVD."""

import numpy as np
from scipy.spatial.transform import Rotation

SINGULAR_DETERMINANT = 1.0e-5


def nearest_rotation(moment, fallback):
    """Proper rotation maximising tr(R^T moment), or ``fallback`` where moment does not determine one."""
    scale = np.linalg.norm(moment)
    if scale == 0.0:
        return fallback
    u, sigma, vt = np.linalg.svd(moment / scale)
    sign = np.sign(np.linalg.det(u @ vt))
    sigma = sigma * [1.0, 1.0, sign]
    if (sigma[1] + sigma[2]) * (sigma[0] + sigma[2]) * (sigma[0] + sigma[1]) <= SINGULAR_DETERMINANT:
        return fallback
    return u @ np.diag([1.0, 1.0, sign]) @ vt


def transfer(before, after, weights, pose, prior_motion, prior_weight, prior_strength):
    """Moment (3, 3), rotation (3, 3) and pose after (7,) of one frame; contacts (contact, 3), weights (contact,)."""
    pose, prior_motion = np.asarray(pose, float), np.asarray(prior_motion, float)
    origin_before, origin_after = pose[:3], pose[:3] + prior_motion[:3]
    points = np.vstack([before.reshape(-1, 3), origin_before])
    targets = np.vstack([after.reshape(-1, 3), origin_after])
    w = np.append(weights, prior_weight)
    share = w / w.sum() if w.sum() > 0 else np.append(np.zeros(len(w) - 1), 1.0)
    centroid_before, centroid_after = share @ points, share @ targets
    prior_rotation = Rotation.from_quat(prior_motion[3:]).as_matrix()
    moment = (targets - centroid_after).T @ (w[:, None] * (points - centroid_before)) + prior_strength * prior_rotation
    rotation = nearest_rotation(moment, prior_rotation)
    position = centroid_after + rotation @ (origin_before - centroid_before)
    quaternion = (Rotation.from_matrix(rotation) * Rotation.from_quat(pose[3:])).as_quat()
    return moment, rotation, np.concatenate([position, quaternion])


def information(moment, rotation):
    """K = tr(S) I - S for the symmetric part S of rotation^T moment."""
    stretch = rotation.T @ moment
    stretch = 0.5 * (stretch + stretch.T)
    return np.trace(stretch) * np.eye(3) - stretch
