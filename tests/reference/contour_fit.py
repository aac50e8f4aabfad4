"""Float64 twin of the contour term for convex bodies: the outline is the convex hull of the projected vertices."""

import numpy as np
from scipy.spatial import ConvexHull
from scipy.spatial.transform import Rotation

from tests.reference.camera import advance_pose, carry, project


def outline(screen):
    """Corners of the convex hull of screen points (vertex, 2+): vertex indices in order."""
    return ConvexHull(screen[:, :2]).vertices


def inside(polygon, point):
    """Whether a point is strictly within a convex polygon (n, 2) whose corners are in hull order."""
    edges = np.roll(polygon, -1, axis=0) - polygon
    offsets = point - polygon
    return (edges[:, 0] * offsets[:, 1] - edges[:, 1] * offsets[:, 0] > 0.0).all()


class Contour:
    """Where an outline crosses the lines through pixel centres, one crossing per pixel of its length.

    Steep edges are crossed by rows, flat ones by columns.  A crossing counts where the two pixel centres on its line
    on either side of it lie in the window, one in the body and one out of it.

    Attributes:
        places: of the crossings within the window (crossing, 2) [px from its corner].
        points: the same on the body (crossing, 3) [m], camera frame.
        normals: of the outline (crossing, 2).
        lengths: of outline that each crossing stands for (crossing,) [px].
        pixels: the pixel within the body (crossing,), flat index in the window.
    """

    def __init__(self, vertices, screen, origin, width, height):
        order = outline(screen)
        polygon = screen[order, :2] - origin
        corners = vertices[order]
        places, points, normals, lengths, pixels = [], [], [], [], []
        for k in range(len(order)):
            a, b = polygon[k], polygon[(k + 1) % len(order)]
            along = (b - a) / np.linalg.norm(b - a)
            line_axis = 1 if abs(b[1] - a[1]) >= abs(b[0] - a[0]) else 0  # coordinate that is constant on a line
            low, high = sorted((a[line_axis], b[line_axis]))
            for line in range(int(np.ceil(low - 0.5)), int(np.ceil(high - 0.5))):
                t = (line + 0.5 - a[line_axis]) / (b[line_axis] - a[line_axis])
                place = a + t * (b - a)
                other = int(np.floor(place[1 - line_axis] - 0.5))
                pair = [(other + step, line) if line_axis == 1 else (line, other + step) for step in (0, 1)]
                if not all(0 <= x < width and 0 <= y < height for x, y in pair):
                    continue
                within = [inside(polygon, np.array([x + 0.5, y + 0.5])) for x, y in pair]
                if within[0] == within[1]:
                    continue
                za, zb = corners[k][2], corners[(k + 1) % len(order)][2]
                s = t * za / (t * za + (1.0 - t) * zb)
                places.append(place)
                points.append(corners[k] + s * (corners[(k + 1) % len(order)] - corners[k]))
                normals.append([along[1], -along[0]])
                lengths.append(1.0 / abs(along[line_axis]))
                x, y = pair[within.index(True)]
                pixels.append(y * width + x)
        self.places, self.points = np.array(places).reshape(-1, 2), np.array(points).reshape(-1, 3)
        self.normals, self.lengths = np.array(normals).reshape(-1, 2), np.array(lengths)
        self.pixels = np.array(pixels, dtype=int)

    def residuals(self, step, pose, field, origin, focal, center):
        """Distances [px] after an increment of the pose; crossings move with the body, along the outline's normal.

        ``field`` maps places (crossing, 2) [px from the window's corner] to distances (crossing,).
        """
        rest = Rotation.from_quat(pose[3:]).inv().apply(self.points - pose[:3])
        moved = project(carry(advance_pose(pose, step), rest), focal, center)[:, :2] - origin
        shift = np.einsum("nc,nc->n", moved - self.places, self.normals)
        return field(self.places + shift[:, None] * self.normals)


def robust_cost(residuals, weights, reach):
    """Sum of weighted squares, levelling off at ``reach``."""
    square = residuals**2
    return (weights * square / (1.0 + square / reach**2)).sum()
