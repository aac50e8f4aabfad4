"""A banana: a tapered tube along an arc, with five soft edges."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import PchipInterpolator

from warpprior.bodies.body import Body, rigid_body
from warpprior.scenes.objects.rings import ring_count, stack_rings

_BEND = 0.124  # radius of the arc [m]
_SPAN = np.radians(94.0)  # of the arc
# Half width along the length: share of it, and the half width [m].
_TAPER = np.array(
    [
        (0.00, 0.0040),
        (0.05, 0.0062),
        (0.12, 0.0125),
        (0.25, 0.0165),
        (0.45, 0.0180),
        (0.65, 0.0172),
        (0.80, 0.0135),
        (0.88, 0.0085),
        (0.92, 0.0058),
        (1.00, 0.0050),
    ]
)


def banana(name: str = "banana", *, edge: float = 0.0042) -> Body:
    """A banana, some 190 x 60 x 36 mm, lying flat, its inside towards +y, its stem towards +x.

    Its origin is the middle of its bounding box.
    """
    steps = round(_BEND * _SPAN / edge)
    share = np.linspace(0.0, 1.0, steps + 1)
    half = _smooth(share)
    rings, shares, turns = [], [], []
    for s, width in zip([0.0, *share, 1.0], [0.0, *half, 0.0], strict=True):
        count = 1 if width == 0.0 else ring_count(2.0 * np.pi * width, edge)
        turn = 2.0 * np.pi * np.arange(count) / count
        angle = _SPAN * (s - 0.5)
        # Five edges, one of them along the inside of the bend.
        radius = width * (1.0 + 0.035 * np.cos(5.0 * turn))
        inward = radius * np.cos(turn)
        along = np.array([np.sin(angle), -np.cos(angle)])
        x, y = ((_BEND - inward) * along[k] for k in (0, 1))
        rings.append(np.stack([x, y, radius * np.sin(turn)], axis=1))
        shares.append(np.full(count, s))
        turns.append(turn)
    vertices, faces = stack_rings(rings)
    colors = _peel(np.concatenate(shares), np.concatenate(turns))
    vertices -= 0.5 * (vertices.min(axis=0) + vertices.max(axis=0))
    return rigid_body(name, vertices, faces, colors=colors.astype(np.float32))


def _smooth(share: np.ndarray) -> np.ndarray:
    """Half width at shares of the length, without the corners of the table."""
    return PchipInterpolator(*_TAPER.T)(share)


def _peel(share: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Vertex colours: yellow, green at the stem, brown at the tip, a sticker on one side and specks on the other."""
    colors = np.tile(np.array([0.95, 0.80, 0.22]), (len(share), 1))
    colors[(np.abs(np.sin(2.5 * turn)) < 0.22)] = (0.86, 0.68, 0.15)
    colors[share > 0.84] = (0.62, 0.70, 0.25)
    colors[share > 0.97] = (0.35, 0.25, 0.12)
    colors[share < 0.06] = (0.28, 0.18, 0.10)
    sticker = np.hypot((share - 0.55) * 8.0, (turn - 0.5 * np.pi) * 0.8) < 0.75
    colors[sticker] = (0.15, 0.30, 0.70)
    specks = np.sin(61.0 * share) * np.sin(5.0 * turn + 17.0 * share) > 0.72
    colors[specks & (turn > np.pi) & (share < 0.84)] = (0.45, 0.28, 0.10)
    return colors
