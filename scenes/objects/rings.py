"""Surfaces of stacked rings whose triangles keep one size: rings of different counts are zipped together."""

from __future__ import annotations

import itertools

import numpy as np


def ring_count(length: float, edge: float) -> int:
    """Vertices of a ring of a given length that are about ``edge`` apart; at least six."""
    return max(6, round(length / edge))


def zip_rings(lower: np.ndarray, upper: np.ndarray) -> list[tuple[int, int, int]]:
    """Triangles between two closed rings of vertex numbers that begin at the same angle; a ring of one is a pole.

    Seen from outside, both rings run to the right and ``upper`` is above.
    """
    a, b = len(lower), len(upper)
    steps_a, steps_b = (0 if a == 1 else a), (0 if b == 1 else b)
    i = j = 0
    faces = []
    while i < steps_a or j < steps_b:
        # The ring that is behind goes on.
        if j == steps_b or (i < steps_a and (i + 0.5) * b <= (j + 0.5) * a):
            faces.append((lower[i % a], lower[(i + 1) % a], upper[j % b]))
            i += 1
        else:
            faces.append((lower[i % a], upper[(j + 1) % b], upper[j % b]))
            j += 1
    return faces


def zip_all(rings: list[np.ndarray]) -> np.ndarray:
    """Triangles (face, 3) int32 of consecutive rings of vertex numbers."""
    faces = [face for lower, upper in itertools.pairwise(rings) for face in zip_rings(lower, upper)]
    return np.array(faces, dtype=np.int32)


def stack_rings(rings: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and triangles of rings of points (n, 3) from the first pole to the last; both ends are closed."""
    starts = np.cumsum([0] + [len(ring) for ring in rings])
    numbers = [np.arange(first, last) for first, last in itertools.pairwise(starts)]
    return np.concatenate(rings), zip_all(numbers)


def resample(corners: np.ndarray, edge: float) -> np.ndarray:
    """Points about ``edge`` apart along a line through given corners, which all stay."""
    corners = np.asarray(corners, dtype=float)
    points = [corners[:1]]
    for start, end in itertools.pairwise(corners):
        count = max(1, round(float(np.linalg.norm(end - start)) / edge))
        points.append(start + np.arange(1, count + 1)[:, None] / count * (end - start))
    return np.concatenate(points)


def revolve(outline: np.ndarray, edge: float) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """A solid of revolution about z.

    Args:
        outline: corners (corner, 2) of radius and height, from the axis along the outside and back to the axis,
            counter-clockwise with the radius to the right and the height upwards [m].
        edge: wanted length of edges [m].

    Returns:
        Vertices (vertex, 3), faces (face, 3), and the vertex numbers of each ring, which begins at the x axis.
    """
    rings, numbers, start = [], [], 0
    for radius, height in resample(outline, edge):
        count = 1 if radius < 1e-9 else ring_count(2.0 * np.pi * radius, edge)
        angle = np.arange(count) * (2.0 * np.pi / count)
        rings.append(np.stack([radius * np.cos(angle), radius * np.sin(angle), np.full(count, height)], axis=1))
        numbers.append(np.arange(start, start + count))
        start += count
    return np.concatenate(rings), zip_all(numbers), numbers


def arc(center: tuple[float, float], radius: float, first: float, last: float, count: int = 4) -> list:
    """Corners on an arc in the plane of an outline, from one angle to another [degrees]."""
    angle = np.radians(np.linspace(first, last, count + 1))
    return list(zip(center[0] + radius * np.cos(angle), center[1] + radius * np.sin(angle), strict=True))


def cylindrical(vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Angle about z in (-pi, pi], height, and distance from the axis."""
    return np.arctan2(vertices[:, 1], vertices[:, 0]), vertices[:, 2], np.hypot(vertices[:, 0], vertices[:, 1])
