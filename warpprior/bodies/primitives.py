"""Closed triangle surfaces of simple solids, centred on the origin, axes along z, outward normals."""

from __future__ import annotations

import numpy as np

from warpprior.bodies.repair import Surface

SEGMENTS = 32  # around the axis
RINGS = 8  # from equator to pole


def make_box(size: np.ndarray) -> Surface:
    """A box with sides ``size`` (3,) [m]."""
    corners = np.array([[x, y, z] for z in (-0.5, 0.5) for y in (-0.5, 0.5) for x in (-0.5, 0.5)])
    quads = np.array([[0, 2, 3, 1], [4, 5, 7, 6], [0, 1, 5, 4], [2, 6, 7, 3], [0, 4, 6, 2], [1, 3, 7, 5]])
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    return Surface(corners * np.asarray(size, dtype=np.float64), faces, closed=True)


def make_cylinder(radius: float, length: float) -> Surface:
    """A cylinder [m] with flat ends."""
    return _revolve([(0.0, -length / 2), (radius, -length / 2), (radius, length / 2), (0.0, length / 2)])


def make_cone(radius: float, length: float) -> Surface:
    """A cone [m] with its tip up, and half of its length on either side of the origin."""
    return _revolve([(0.0, -length / 2), (radius, -length / 2), (0.0, length / 2)])


def make_sphere(radius: float) -> Surface:
    """A sphere [m]."""
    return make_capsule(radius, 0.0)


def make_capsule(radius: float, length: float) -> Surface:
    """A cylinder [m] of ``length`` with half spheres on its ends."""
    angles = np.linspace(0.0, np.pi / 2, RINGS + 1)
    cap = [(radius * np.sin(a), length / 2 + radius * np.cos(a)) for a in angles]
    profile = [(r, -z) for r, z in cap] + [(r, z) for r, z in reversed(cap)]
    if length == 0.0:
        del profile[RINGS]
    profile[0], profile[-1] = (0.0, profile[0][1]), (0.0, profile[-1][1])
    return _revolve(profile)


def _revolve(profile: list[tuple[float, float]]) -> Surface:
    """Turn a profile of (radius, height), from the lower pole to the upper, about z."""
    angles = 2.0 * np.pi * np.arange(SEGMENTS) / SEGMENTS
    rings = [[r * np.cos(angles), r * np.sin(angles), np.full(SEGMENTS, z)] for r, z in profile[1:-1]]
    poles = [[0.0, 0.0, profile[0][1]], [0.0, 0.0, profile[-1][1]]]
    vertices = np.concatenate([np.swapaxes(rings, 1, 2).reshape(-1, 3), poles])
    ring_count = len(rings)
    low, high = len(vertices) - 2, len(vertices) - 1
    here = np.arange(SEGMENTS)
    following = (here + 1) % SEGMENTS
    faces = [np.column_stack([np.full(SEGMENTS, low), following, here])]
    for ring in range(ring_count - 1):
        a, b = ring * SEGMENTS, (ring + 1) * SEGMENTS
        faces.append(np.column_stack([a + here, a + following, b + following]))
        faces.append(np.column_stack([a + here, b + following, b + here]))
    top = (ring_count - 1) * SEGMENTS
    faces.append(np.column_stack([np.full(SEGMENTS, high), top + here, top + following]))
    return Surface(vertices, np.concatenate(faces), closed=True)
