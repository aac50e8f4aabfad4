"""What poses mean that put a body behind the camera: each convention of the field is tried, on labels if there are any.

Nothing is converted: the answer goes into a message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from warpprior.bodies.body import Body
from warpprior.scene import Poses

Overlap = Callable[[Body, Poses, np.ndarray], "float | None"]
"""How well a body drawn in poses of these frames covers its label, in [0, 1]; None where nothing shows it."""

MOST_FRAMES = 5  # that are drawn
GOOD, CLEAR = 0.3, 0.1  # of the overlap: it may be the right convention; it is better than the next by that
ORDER = " with quaternions w, x, y, z"
FLIP = np.array([1.0, -1.0, -1.0])  # from OpenGL's camera axes to OpenCV's, and back


def middle_depth(body: Body, motion: Poses) -> np.ndarray:
    """Depth (frame,) [m] of the middle of the body's surface, its joints not moved."""
    x, y, z, w = motion.rotation.T
    axis_z = np.stack([2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)], axis=1)
    return motion.position[:, 2] + np.sum(axis_z * motion.scale * rest_middle(body, motion), axis=1)


def rest_middle(body: Body, motion: Poses) -> np.ndarray:
    """Middle of the body's surface in its own frame, its joints not moved (frame or 1, 3) [m, at scale 1]."""
    middle = 0.5 * (body.surfaces.min(axis=1) + body.surfaces.max(axis=1)).astype(np.float64)
    return middle if motion.moments is None or len(middle) == 1 else middle[motion.moments]


def likely_readings(
    body: Body, motion: Poses, frames: np.ndarray, *, quaternions: bool, overlap: Overlap | None
) -> str:
    """What to do with poses that are all behind the camera, in words.

    Args:
        body: the body.
        motion: its poses as stated, without missing frames.
        frames: which frames of the scene these are (frame,).
        quaternions: the rotations were stored as such, so their order may be another.
        overlap: tells which convention puts the body on its label; None where there are no labels.
    """
    picked = np.unique(np.linspace(0, motion.frame_count - 1, MOST_FRAMES).astype(int))
    motion = motion.frames(picked)
    tried = [(words, read) for words, read in _readings(motion, quaternions) if (middle_depth(body, read) > 0.0).all()]
    shares = [(overlap(body, read, frames[picked]) if overlap is not None else None) or 0.0 for _, read in tried]
    best = max(shares, default=0.0)
    near = [words for share, (words, _) in zip(shares, tried, strict=True) if share >= max(GOOD, best - CLEAR)]
    near = [words for words in near if ORDER not in words] or near
    if near:
        return f"z points forward; these look like {' or '.join(near[:2])}: so read, IoU with the label is {best:.2f}"
    plain = [words for words, _ in tried if ORDER not in words]
    return f"z points forward{'; these may be ' if plain else ''}{' or '.join(plain[:2])}"


def _readings(motion: Poses, quaternions: bool) -> Iterator[tuple[str, Poses]]:
    """Conventions by their words, with the poses that they would mean."""
    from scipy.spatial.transform import Rotation

    for order, columns in (("", [0, 1, 2, 3]), (ORDER, [1, 2, 3, 0]))[: 1 + quaternions]:
        turn, place = Rotation.from_quat(motion.rotation[:, columns]), motion.position
        inverse = turn.inv()
        back = -inverse.apply(place)
        flipped, both = (Rotation.from_matrix(FLIP[:, None] * some.as_matrix()) for some in (turn, inverse))
        for words, rotation, position in (
            ("inverse poses (camera in the body's frame)", inverse, back),
            ("OpenGL poses (multiply by diag(1, -1, -1) from the left)", flipped, place * FLIP),
            ("inverse OpenGL poses (invert, then multiply by diag(1, -1, -1))", both, back * FLIP),
        ):
            yield words + order, replace(motion, position=position, rotation=rotation.as_quat())
