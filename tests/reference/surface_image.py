"""Float64 twin of what pixels see: where a pixel's ray meets the plane of a face."""

import numpy as np


def ray(camera, pixel):
    """Direction (3,) of unit depth through the centre of a pixel, numbered row by row."""
    row, column = divmod(int(pixel), camera.width)
    return np.array([(column + 0.5 - camera.cx) / camera.fx, (row + 0.5 - camera.cy) / camera.fy, 1.0])


def depth(corners, direction):
    """Depth at which a ray meets the plane of a triangle (3, 3)."""
    normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
    return (normal @ corners[0]) / (normal @ direction)


def weights(corners, direction):
    """Barycentric weights (3,) of the place where the ray meets the plane."""
    place = np.linalg.solve(np.asarray(corners, np.float64).T, direction)
    return place / place.sum()
