"""Cuboids: a box of six colours, and a cracker box with printed panels."""

from __future__ import annotations

import numpy as np

from warpprior.bodies.body import Body, rigid_body

CRACKER_SIZE = (0.158, 0.060, 0.210)  # [m]
_BOX_COLORS = (
    (0.85, 0.35, 0.15),
    (0.20, 0.45, 0.75),
    (0.93, 0.90, 0.80),
    (0.25, 0.55, 0.35),
    (0.70, 0.70, 0.72),
    (0.55, 0.30, 0.55),
)


def box(name: str = "box", *, size=(0.058, 0.086, 0.160), spacing: float = 0.011) -> Body:
    """A cuboid of the given size [m], origin at its centre, faces divided every ``spacing``; six plain colours."""
    points, faces, sides = _cuboid(size, spacing)
    return rigid_body(name, points, faces, colors=np.array(_BOX_COLORS, dtype=np.float32)[sides])


def cracker_box(name: str = "cracker_box", *, spacing: float = 0.0075) -> Body:
    """A box of crackers, 158 x 60 x 210 mm, printed in front (+y), behind and on its sides; origin at its centre."""
    points, faces, sides = _cuboid(CRACKER_SIZE, spacing)
    return rigid_body(name, points, faces, colors=_print(points, sides).astype(np.float32))


def _print(points: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Vertex colours of the panels of the cracker box."""
    wide, deep, tall = CRACKER_SIZE
    x, y, z = points.T
    colors = np.tile(np.array([0.80, 0.12, 0.11]), (len(points), 1))
    front, back = sides == 4, sides == 1
    banner = (z > 0.18 * tall) & (z < 0.36 * tall) & (np.abs(x) < 0.42 * wide)
    colors[front & banner] = (0.96, 0.94, 0.88)
    colors[front & banner & (np.sin(150.0 * x) > 0.35) & (np.abs(z - 0.27 * tall) < 0.05 * tall)] = (0.13, 0.22, 0.55)
    # Two crackers on a plate, one darker.
    for cx, cz, color in ((-0.03, -0.035, (0.90, 0.68, 0.30)), (0.032, -0.060, (0.78, 0.52, 0.20))):
        colors[front & (np.maximum(np.abs(x - cx), np.abs(z - cz)) < 0.024)] = color
    colors[back & (np.abs(x) < 0.40 * wide) & (z > -0.40 * tall) & (z < 0.05 * tall)] = (0.93, 0.91, 0.84)
    colors[back & (np.abs(x) < 0.34 * wide) & (z < 0.0) & (z > -0.36 * tall) & (np.sin(300.0 * z) > 0.3)] = (
        0.3,
        0.3,
        0.3,
    )
    colors[back & (np.hypot(x - 0.03, z - 0.06) < 0.026)] = (0.95, 0.78, 0.20)
    colors[(sides == 0) & (np.abs(y) < 0.36 * deep) & (np.abs(z) < 0.38 * tall)] = (0.95, 0.93, 0.86)
    colors[(sides == 3) & (np.sin(90.0 * z) > 0.0)] = (0.16, 0.25, 0.58)
    colors[(sides == 5) & (x > 0.0)] = (0.95, 0.78, 0.20)
    colors[sides == 2] = (0.62, 0.50, 0.36)
    return colors


def _cuboid(size, spacing: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices, faces, and the side each vertex belongs to: -x, -y, -z, +x, +y, +z; the first one at edges."""
    counts = [max(1, round(length / spacing)) for length in size]
    corners: dict[tuple[int, int, int], int] = {}
    points, sides, faces = [], [], []

    def vertex(index: tuple[int, int, int], side: int) -> int:
        if index not in corners:
            corners[index] = len(points)
            points.append([(i / n - 0.5) * length for i, n, length in zip(index, counts, size, strict=True)])
            sides.append(side)
        return corners[index]

    for side in range(6):
        axis, upper = side % 3, side >= 3
        u, v = (axis + 1) % 3, (axis + 2) % 3
        for i in range(counts[u]):
            for j in range(counts[v]):
                quad = []
                for du, dv in ((0, 0), (1, 0), (1, 1), (0, 1)):
                    index = [0, 0, 0]
                    index[axis], index[u], index[v] = counts[axis] * upper, i + du, j + dv
                    quad.append(vertex((index[0], index[1], index[2]), side))
                quad = quad if upper else quad[::-1]
                faces += [[quad[0], quad[1], quad[2]], [quad[0], quad[2], quad[3]]]
    return np.array(points), np.array(faces), np.array(sides)
