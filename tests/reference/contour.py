"""Float64 twin of the contour term for convex bodies: the outline is the convex hull of the projected vertices."""

import numpy as np
from scipy.spatial import ConvexHull

from tests.reference.camera import project

LOOSE = 1e-6  # [px] residuals this small are those of contours that may hide


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
        edges: the two vertices that each lies between (crossing, 2), and the share of the second (crossing,).
        normals: of the outline (crossing, 2).
        lengths: of outline that each crossing stands for (crossing,) [px].
        pixels: the pixel within the body (crossing,), flat index in the window.
    """

    def __init__(self, vertices, screen, origin, width, height):
        order = outline(screen)
        polygon = screen[order, :2] - origin
        corners = vertices[order]
        places, points, edges, normals, lengths, pixels = [], [], [], [], [], []
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
                edges.append([order[k], order[(k + 1) % len(order)], s])
                normals.append([along[1], -along[0]])
                lengths.append(1.0 / abs(along[line_axis]))
                x, y = pair[within.index(True)]
                pixels.append(y * width + x)
        self.places, self.points = np.array(places).reshape(-1, 2), np.array(points).reshape(-1, 3)
        self.normals, self.lengths = np.array(normals).reshape(-1, 2), np.array(lengths)
        self.pixels = np.array(pixels, dtype=int)
        edges = np.array(edges).reshape(-1, 3)
        self.edges, self.shares = edges[:, :2].astype(int), edges[:, 2]

    def depths(self, vertices):
        """How far from the camera each crossing is (crossing,) [m] once the surface has moved."""
        first, second = (vertices[self.edges[:, k], 2] for k in range(2))
        return first + self.shares * (second - first)

    def residuals(self, vertices, fields, layers, origin, focal, center, bias=0.0, biased=False):
        """Distances [px] (crossing,) once the surface has moved: crossings move with it, along the outline's normal.

        Args:
            vertices: (vertex, 3) after the step.
            fields: two functions from places (crossing, 2) [px from the window's corner] to distances (crossing,).
            layers: which of them each crossing is measured in (crossing,).
            origin: of the window [px].
            focal, center: of the camera after the step.
            bias: how far labels reach too far [px] after the step.
            biased: crossings (crossing,) that feel it.
        """
        first, second = (vertices[self.edges[:, k]] for k in range(2))
        moved = first + self.shares[:, None] * (second - first)
        shift = np.einsum("nc,nc->n", project(moved, focal, center)[:, :2] - origin - self.places, self.normals)
        places = self.places + shift[:, None] * self.normals
        return np.where(layers == 0, fields[0](places), fields[1](places)) + np.where(biased, bias, 0.0)


def robust_cost(residuals, weights, reach):
    """Sum of weighted squares, levelling off at ``reach``."""
    square = residuals**2
    return (weights * square / (1.0 + square / reach**2)).sum()
