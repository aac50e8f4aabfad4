"""Contact heat: how strongly each vertex is in touch at each frame, and its colours."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from warpprior.bodies.readers.mesh_files.linear_light import to_linear
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


@dataclass(frozen=True)
class HeatPalette:
    """Heat over time as the few values that occur, and which of them each vertex has.

    Attributes:
        heat: values in [0, 1] (value,) float32, ascending.
        heat_indices: of ``heat`` (frame, vertex) int32.
        colors: linear RGB (color, 3) float32.
        color_indices: of ``colors`` (frame, vertex) int32.
    """

    heat: np.ndarray
    heat_indices: np.ndarray
    colors: np.ndarray
    color_indices: np.ndarray


def heat_palette(heat: np.ndarray, base: np.ndarray) -> HeatPalette:
    """The palette of quantised heat (frame, vertex) over the body's own sRGB colour, (3,) or (vertex, 3)."""
    steps = np.round(heat * _STEPS).astype(np.int64)
    own, which = np.unique(base.reshape(-1, 3), axis=0, return_inverse=True)
    found_steps, heat_indices = _found(steps, _STEPS + 1)
    pairs, color_indices = _found(steps + (_STEPS + 1) * which.reshape(-1), (_STEPS + 1) * len(own))
    values = (found_steps / _STEPS).astype(np.float32)
    colors = heat_colors(((pairs % (_STEPS + 1)) / _STEPS).astype(np.float32), own[pairs // (_STEPS + 1)])
    return HeatPalette(values, heat_indices, colors, color_indices)


def _found(numbers: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Which of the numbers below ``most`` occur, ascending, and the place of each among them, int32."""
    occurs = np.zeros(most, dtype=bool)
    occurs[numbers] = True
    places = np.cumsum(occurs, dtype=np.int32) - 1
    return np.flatnonzero(occurs), places[numbers].astype(np.int32)


def heat_colors(heat: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Linear RGB (..., 3) float32 of heat (...) over the body's own sRGB colour (..., 3)."""
    return linear_color(warm_colors(heat, base))


def warm_colors(heat: np.ndarray, base: np.ndarray) -> np.ndarray:
    """The same as sRGB, as pictures and other files have colours."""
    amount = heat[..., None]
    warm = base + (_WARM - base) * np.minimum(2.0 * amount, 1.0)
    return warm + (_HOT - warm) * np.maximum(2.0 * amount - 1.0, 0.0)


def linear_color(srgb: np.ndarray) -> np.ndarray:
    """Linear values (float32), which USD stores, of sRGB colours in [0, 1]."""
    return to_linear(np.clip(np.asarray(srgb, np.float64), 0.0, 1.0)).astype(np.float32)


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
