"""Where a body may be that its contour does not show where it is believed: begun anew at several places.

Nothing here depends on how sure the belief is: it may be sure and wrong.  A place is judged by the picture alone: by
how far the contour stays from the label's border, and by what of the label the body leaves unexplained.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

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


def size_and_middle(mask: np.ndarray) -> np.ndarray:
    """Area [px^2], and mean column and row, of a mask (height, width)."""
    rows, columns = np.nonzero(mask)
    return np.array([len(rows), columns.mean(), rows.mean()]) if len(rows) else np.zeros(3)


def turn_between(drawn: np.ndarray, label: np.ndarray) -> float:
    """By how much less than a right angle a label is turned against a drawing, in the picture [rad]; 0: not told."""
    first, second = _direction(drawn), _direction(label)
    if first is None or second is None:
        return 0.0
    turn = (second - first + 0.5 * np.pi) % np.pi - 0.5 * np.pi
    return float(turn) if abs(turn) > LEAST_TURN else 0.0


def _direction(mask: np.ndarray) -> float | None:
    """Which way a mask is longest, from the columns to the rows [rad]."""
    rows, columns = np.nonzero(mask)
    if len(rows) < LEAST_PIXELS:
        return None
    (uu, uv), (_, vv) = np.cov(np.stack([columns, rows]))
    root = float(np.hypot(uu - vv, 2.0 * uv))
    if (uu + vv + root) < LONG**2 * (uu + vv - root):
        return None
    return 0.5 * float(np.arctan2(2.0 * uv, uu - vv))


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
