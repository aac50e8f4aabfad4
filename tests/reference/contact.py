"""Float64 twin of the contact terms, one point after the other; ``distance(point) -> float`` is the touched body's."""

import numpy as np
from scipy.spatial.transform import Rotation


def moved(pose, shift=(0.0, 0.0, 0.0), turn=(0.0, 0.0, 0.0)):
    """A pose (7,) moved by a translation [m] and turned on the right by a rotation vector [rad]."""
    rotation = Rotation.from_quat(pose[3:]) * Rotation.from_rotvec(turn)
    return np.concatenate([np.asarray(pose[:3], np.float64) + shift, rotation.as_quat()])


def to_link(pose, point):
    """R^T (v - p)."""
    return Rotation.from_quat(pose[3:]).inv().apply(np.asarray(point, np.float64) - pose[:3])


def huber(x, knee):
    """x^2 / 2 up to the knee, linear beyond."""
    return 0.5 * x * x if x < knee else knee * (x - 0.5 * knee)


def penetration(points, poses, distance, areas, sigma, allowance, knee, cap):
    """Area-weighted Huber of the capped depths of each frame (frame,)."""
    result = np.zeros(len(points))
    for frame, pose in enumerate(poses):
        for point, area in zip(points[frame], areas, strict=True):
            depth = max(0.0, -distance(to_link(pose, point)) - allowance)
            result[frame] += area * huber(cap * np.tanh(depth / cap) / sigma, knee)
    return result


def penetration_literal(points, poses, distance):
    """Sum of the depths of each frame (frame,)."""
    return np.array(
        [sum(max(0.0, -distance(to_link(pose, p))) for p in at) for at, pose in zip(points, poses, strict=True)]
    )


def contact_weight(distance, tau, eta, was_touching):
    """Soft weight of one point, zero out of contact."""
    touching = distance < tau - eta or (was_touching and distance <= tau + 2.0 * eta)
    return 1.0 / (1.0 + np.exp(-(tau - distance) / eta)) if touching else 0.0


def contact_value(distance, reference):
    """1 on the surface and inside it, falling with the distance."""
    return reference / max(distance, reference)


def sliding(points, poses, weights, normals, areas, segments, sigma, knee, floor):
    """Weighted mean Huber of the tangential slip of each frame (frame,); weights and normals (frame, point) frozen."""
    result = np.zeros(len(points))
    for t in range(1, len(points)):
        if segments[t] != segments[t - 1]:
            continue
        shares = areas * weights[t] * weights[t - 1]
        for i in np.flatnonzero(shares):
            way = to_link(poses[t], points[t, i]) - to_link(poses[t - 1], points[t - 1, i])
            normal = normals[t, i] + normals[t - 1, i]
            normal = normal / np.linalg.norm(normal)
            slip = np.linalg.norm(way - normal * (normal @ way))
            result[t] += shares[i] / (shares.sum() + floor) * huber(slip / sigma, knee)
    return result


def sliding_literal(points, poses, distances, segments, threshold):
    """Sum of the ways of the points nearer than the threshold, each frame (frame,)."""
    result = np.zeros(len(points))
    for t in range(1, len(points)):
        if segments[t] == segments[t - 1]:
            for i in np.flatnonzero(distances[t] < threshold):
                way = to_link(poses[t], points[t, i]) - to_link(poses[t - 1], points[t - 1, i])
                result[t] += np.linalg.norm(way)
    return result
