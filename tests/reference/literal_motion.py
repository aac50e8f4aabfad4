"""Float64 twin of consistency and smoothness as printed: sums over surface points, rotation logarithms by SciPy."""

import numpy as np
from scipy.spatial.transform import Rotation


def differences(values, segments, dt, order):
    """First or second differences per frame interval; each a (frame it is stored at, difference) pair."""
    found = []
    for t in range(1, len(values)):
        if segments[t] != segments[t - 1]:
            continue
        here = (values[t] - values[t - 1]) / dt[t]
        if order == 1:
            found.append((t, here))
        elif t + 1 < len(values) and segments[t + 1] == segments[t]:
            ahead = (values[t + 1] - values[t]) / dt[t + 1]
            found.append((t, 2.0 * (ahead - here) / (dt[t] + dt[t + 1])))
    return found


def rigid(poses, surface, segments, dt, sigma, order):
    """Half the mean square velocity (order 1) or acceleration (2) of surface points (point, 3), in sigmas (frame,)."""
    moved = np.array([Rotation.from_quat(pose[3:]).apply(surface) + pose[:3] for pose in poses])
    result = np.zeros(len(poses))
    for frame, change in differences(moved, segments, dt, order):
        result[frame] = 0.5 * np.mean(np.sum(change**2, axis=1)) / sigma**2
    return result


def root(poses, segments, dt, position_sigma, rotation_sigma, order):
    """The same of a root's position and rotation (frame,)."""
    result = np.zeros(len(poses))
    for frame, change in differences(poses[:, :3], segments, dt, order):
        result[frame] = 0.5 * change @ change / position_sigma**2
    rotations = Rotation.from_quat(poses[:, 3:])
    steps = np.zeros((len(poses), 3))
    steps[1:] = (rotations[:-1].inv() * rotations[1:]).as_rotvec()
    angles = np.cumsum(steps, axis=0)  # differences of these are the steps
    for frame, change in differences(angles, segments, dt, order):
        result[frame] += 0.5 * change @ change / rotation_sigma**2
    return result


def joints(values, segments, dt, sigmas, order):
    """The same of joint coordinates (frame, coordinate), averaged over them (frame,)."""
    result = np.zeros(len(values))
    for frame, change in differences(values, segments, dt, order):
        result[frame] = 0.5 * np.mean((change / sigmas) ** 2)
    return result
