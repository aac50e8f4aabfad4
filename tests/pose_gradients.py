"""Gradients of coverage by the pose of a body, along its six freedoms: by supersampling, and from arrays of poses."""

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from tests.silhouette_scenes import true_coverage


def numeric_by_pose(camera, bodies, poses, name, weights, *, samples=8):
    """Central differences (6,) of weighted supersampled coverage, by position [m] and turns on the left [rad]."""
    steps = np.array([*[5e-4] * 2, 2e-3, *[1e-2] * 3])
    changes = np.concatenate([np.diag(steps), -np.diag(steps)])
    many = {key: motion.frames([0] * 12) for key, motion in poses.items()}
    turned = Rotation.from_rotvec(changes[:, 3:]) * Rotation.from_quat(many[name].rotation)
    many[name] = replace(many[name], position=many[name].position + changes[:, :3], rotation=turned.as_quat())
    coverage = true_coverage(camera, bodies, many, samples=samples)
    totals = (weights * coverage).sum(axis=(1, 2, 3))
    return (totals[:6] - totals[6:]) / (2.0 * steps)


def analytic_by_pose(position, rotation):
    """Gradient (6,) by position and turns on the left, from those of positions and quaternions of one frame."""
    gradient, q = rotation.grad.numpy()[0].astype(float), rotation.numpy()[0].astype(float)
    turns = [np.array([q[3], q[2], -q[1], -q[0]]), np.array([-q[2], q[3], q[0], -q[1]]), [q[1], -q[0], q[3], -q[2]]]
    return np.concatenate([position.grad.numpy()[0], 0.5 * np.array(turns) @ gradient])
