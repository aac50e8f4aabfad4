"""SoftRas in float64, pixel by pixel and face by face: the twin of the scattered product."""

import numpy as np

TAIL = np.log(1e4 - 1.0)  # faces less probable than 1e-4 are left out


def edge_distance(points, start, end):
    """Squared distance of points (n, 2) to a segment."""
    along = end - start
    place = np.clip((points - start) @ along / max(along @ along, 1e-300), 0.0, 1.0)
    return ((points - start - place[:, None] * along) ** 2).sum(axis=1)


def probabilities(points, corners, softness):
    """Probability of a face (3, 2) at points (n, 2)."""
    square = np.min([edge_distance(points, corners[i], corners[(i + 1) % 3]) for i in range(3)], axis=0)
    sides = []
    for i in range(3):
        along, offset = corners[(i + 1) % 3] - corners[i], points - corners[i]
        sides.append(along[0] * offset[:, 1] - along[1] * offset[:, 0])
    inside = np.all(np.array(sides) >= 0.0, axis=0) | np.all(np.array(sides) <= 0.0, axis=0)
    depth = np.where(inside, square, -square) / softness
    return np.where(depth >= -TAIL, 1.0 / (1.0 + np.exp(-np.clip(depth, -700.0, 700.0))), 0.0)


def mask(screen, faces, width, height, softness):
    """One minus the product over all faces (height, width); ``screen`` (vertex, 2) [px], ``softness`` [px^2]."""
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    points = np.column_stack([columns.ravel(), rows.ravel()])
    outside = np.ones(len(points))
    for face in faces:
        outside = outside * (1.0 - probabilities(points, screen[face], softness))
    return (1.0 - outside).reshape(height, width)
