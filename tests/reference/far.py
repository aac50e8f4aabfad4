"""The far term in float64: moments of points on the screen against a label's."""

import numpy as np


def value(points, shares, focal, target, gate, sigma):
    """Value of one frame; ``points`` (point, 3), ``target`` (u, v, radius, weight of the radius)."""
    depth = np.maximum(points[:, 2], 0.05)
    u, v = focal[0] * points[:, 0] / depth, focal[1] * points[:, 1] / depth
    mean_u, mean_v = shares @ u, shares @ v
    spread = max(shares @ (u**2 + v**2) - mean_u**2 - mean_v**2, 1e-2)
    wide = target[3] * target[2] * (0.5 * np.log(spread) - np.log(max(target[2], 0.1)))
    square = ((mean_u - target[0]) ** 2 + (mean_v - target[1]) ** 2 + wide**2) / sigma**2
    return gate * (np.sqrt(1.0 + square) - 1.0)
