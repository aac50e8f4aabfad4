"""Polygons as files give them, one behind the other, split into fans of triangles."""

from __future__ import annotations

import numpy as np

from warpprior.bodies.repair import MAX_FACES
from warpprior.support.errors import InputError


def split_fans(where: str, sides: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The polygon of each triangle (face,), and its corners as places in the list of all corners (face, 3).

    Args:
        where: the file, for messages.
        sides: corners of each polygon (polygon,).

    Raises:
        InputError: a polygon of less than three corners, or too many triangles.
    """
    short = np.flatnonzero(sides < 3)
    if len(short):
        found = f"face {short[0]} has {sides[short[0]]} corners"
        raise InputError(where, found, "faces have three corners or more")
    counts = sides.astype(np.int64) - 2
    count = int(counts.sum())
    if count > MAX_FACES:
        raise InputError(where, f"{count} faces", f"simplify it to at most {MAX_FACES}")
    polygons = np.repeat(np.arange(len(sides)), counts)
    begin = (np.cumsum(sides) - sides)[polygons]
    second = begin + 1 + np.arange(count) - (np.cumsum(counts) - counts)[polygons]
    return polygons, np.column_stack([begin, second, second + 1])
