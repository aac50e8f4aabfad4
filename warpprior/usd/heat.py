"""Contact heat: how strongly each vertex is in touch at each frame, and its colours."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.spatial import KDTree

from warpprior.result import ContactPoints

SPREAD = 0.006  # heat falls to 1/e this far from a contact point [m]
_REACH = 3.0 * SPREAD
_STEPS = 255  # heat is stored in steps of 1/255, so that arrays repeat and files stay small
_FAINT = 1.0 / _STEPS

# Heat 0, 0.5, 1: the body's own colour, then amber, then red (sRGB).
_WARM = np.array([1.00, 0.72, 0.05])
_HOT = np.array([0.86, 0.05, 0.03])


def contact_heat(contacts: Iterable[ContactPoints], positions: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Heat in [0, 1] per vertex of every body that takes part in a contact.

    Each contact point warms the vertices of both bodies around it by ``weight * exp(-(distance / 6 mm)^2)``; where
    points overlap the strongest counts.

    Args:
        contacts: contact points in the camera frame.
        positions: vertices of every body in the camera frame, by name (frame, vertex, 3) [m].

    Returns:
        ``{body: (frame, vertex) float32}``, quantised to 1/255.
    """
    heat: dict[str, np.ndarray] = {}
    for contact in contacts:
        for name in (contact.body, contact.other):
            if name not in positions:
                continue
            surface = positions[name]
            field = heat.setdefault(name, np.zeros(surface.shape[:2], np.float32))
            for frame in range(len(surface)):
                _warm(field[frame], surface[frame], contact.points[frame], contact.weight[frame])
    return {name: quantised(field) for name, field in heat.items()}


def quantised(heat: np.ndarray) -> np.ndarray:
    """Heat clipped to [0, 1] and rounded to steps of 1/255."""
    return (np.round(np.clip(heat, 0.0, 1.0) * _STEPS) / _STEPS).astype(np.float32)


def heat_colors(heat: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Linear RGB (frame, vertex, 3) float32 of heat (frame, vertex) over the body's own sRGB colour (..., 3)."""
    amount = heat[..., None]
    warm = base + (_WARM - base) * np.minimum(2.0 * amount, 1.0)
    color = warm + (_HOT - warm) * np.maximum(2.0 * amount - 1.0, 0.0)
    return linear_color(color)


def linear_color(srgb: np.ndarray) -> np.ndarray:
    """Linear values (float32), which USD stores, of sRGB colours in [0, 1]."""
    srgb = np.clip(np.asarray(srgb, np.float64), 0.0, 1.0)
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4).astype(np.float32)


def _warm(field: np.ndarray, surface: np.ndarray, points: np.ndarray, weight: np.ndarray) -> None:
    """Raise the heat of one frame's vertices near its active contact points."""
    active = weight > _FAINT
    if not active.any():
        return
    points, weight = points[active], weight[active]
    vertices = np.arange(len(surface))
    for axis in range(3):
        place = surface[vertices, axis]
        low, high = points[:, axis].min() - _REACH, points[:, axis].max() + _REACH
        vertices = vertices[(place > low) & (place < high)]
    if len(vertices) == 0:
        return
    pairs = KDTree(surface[vertices]).sparse_distance_matrix(KDTree(points), _REACH, output_type="coo_matrix")
    value = weight[pairs.col] * np.exp(-((pairs.data / SPREAD) ** 2))
    np.maximum.at(field, vertices[pairs.row], value.astype(np.float32))
