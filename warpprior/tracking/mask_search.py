"""Where a body may be that its contour does not show where it is believed: begun anew at several places.

Nothing here depends on how sure the belief is: it may be sure and wrong.  A place is judged by the picture alone: by
how far the contour stays from the label's border, and by what of the label the body leaves unexplained.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from warpprior.scene import Poses
from warpprior.tracking.manifold import exp, multiply

EAGER, EVERY = 10, 4  # a search for each of the first so many pictures in a row, then for every so manieth
LEAST_PIXELS = 30  # of a drawing and a label that are compared
LEAST_TURN = 0.15  # label and drawing that are turned less than this against each other are turned alike [rad]
LONG = 1.5  # what is not so many times longer than wide has no direction


def is_due(missed: int) -> bool:
    """Whether a body that was missed in so many pictures in a row, this one included, is worth a search."""
    return missed <= EAGER or missed % EVERY == 0


class Shape(NamedTuple):
    """Area, middle and direction of a mask in the picture.

    Attributes:
        area: [px^2].
        middle: mean column and row (2,).
        direction: which way it is longest, from the columns to the rows [rad]; None: it is as long as wide, or small.
    """

    area: int
    middle: np.ndarray
    direction: float | None


NOTHING = Shape(0, np.zeros(2), None)


def shape_of(mask: np.ndarray, corner: tuple[int, int] = (0, 0)) -> Shape:
    """Of a mask (height, width) whose first pixel is in this column and row."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return NOTHING
    mask = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float64)
    by_column, by_row = mask.sum(axis=0), mask.sum(axis=1)
    area = float(by_row.sum())
    u, v = np.arange(len(by_column)), np.arange(len(by_row))
    middle_u, middle_v = by_column @ u / area, by_row @ v / area
    u, v = u - middle_u, v - middle_v
    middle = np.array([middle_u + columns[0] + corner[0], middle_v + rows[0] + corner[1]])
    uu, vv, uv = by_column @ (u * u), by_row @ (v * v), v @ mask @ u
    root = float(np.hypot(uu - vv, 2.0 * uv))
    if area < LEAST_PIXELS or (uu + vv + root) < LONG**2 * (uu + vv - root):
        return Shape(int(area), middle, None)
    return Shape(int(area), middle, 0.5 * float(np.arctan2(2.0 * uv, uu - vv)))


def turn_between(drawn: Shape, label: Shape) -> float:
    """By how much less than a right angle a label is turned against a drawing, in the picture [rad]; 0: not told."""
    if drawn.direction is None or label.direction is None:
        return 0.0
    turn = (label.direction - drawn.direction + 0.5 * np.pi) % np.pi - 0.5 * np.pi
    return float(turn) if abs(turn) > LEAST_TURN else 0.0


def turned_in_picture(pose: Poses, angle: float) -> Poses:
    """A pose turned about its line of sight by an angle in the picture, from columns to rows [rad]."""
    ray = pose.position[0] / np.linalg.norm(pose.position[0])
    return replace(pose, rotation=multiply(exp(angle * ray), pose.rotation[0])[None])


def different(poses: list[Poses], least_rad: float = LEAST_TURN) -> Iterator[Poses]:
    """Those poses that are turned otherwise than all before them."""
    kept: list[Poses] = []
    for pose in poses:
        cosines = [abs(float(pose.rotation[0] @ other.rotation[0])) for other in kept]
        if all(2.0 * np.arccos(min(cosine, 1.0)) > least_rad for cosine in cosines):
            kept.append(pose)
            yield pose
