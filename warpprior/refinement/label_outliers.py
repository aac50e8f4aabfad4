"""Frames whose label is of something else: it jumps away and back, or grows as no body can from frame to frame.

A segmenter that loses its object takes another one for a while, or everything, or noise.  Each such label fits some
pose of the body, and the more of it there is the better the fit looks; so they are found by what labels say of each
other, before anything is fitted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from warpprior.scene import Scene, SceneBody
from warpprior.system.label_fields import label_boxes
from warpprior.system.motion import frame_paces
from warpprior.system.overlap import FEWEST_PIXELS

SIZES_APART = 0.5  # what is hidden or not moves the middle of a label by this many of its sizes
BURST_M_S = 1.0  # what is held moves no faster for a single frame, there and back
BURST_AT_ENDS = 2.0  # times as fast, where the sequence ends before it could come back
ON_THE_WAY = 0.5  # share of that speed, that is kept up while out of sight
STEADY = 3.0  # times the usual step, that is no jump in any frame
GROWN = 2.5  # times the spread of the labels around it, that no body grows by
AROUND = 10  # frames on each side that a label's spread is held against
USUALLY_FULL = 75  # percentile of a label's areas and spreads, that is seen in full
LEAST_KEPT = 0.6  # share of frames that must agree, lest the few be taken for the many

Apart = Callable[[np.ndarray, np.ndarray], np.ndarray]
DIRECTIONS = np.array([each for each in np.ndindex(3, 3, 3) if each != (1, 1, 1)]) - 1.0
DIRECTIONS /= np.linalg.norm(DIRECTIONS, axis=1, keepdims=True)  # all around, in which a body's length is measured


@dataclass(frozen=True)
class Footprints:
    """Where a label lies in each frame, by whole images.

    Attributes:
        area: pixels (frame,).
        middle: centroid (frame, 2) [px], NaN without pixels.
        spread: root of the mean squared distance from it (frame,) [px], NaN without pixels.
        boxes: left, top, right, bottom (frame, 4) [px], NaN without pixels.
    """

    area: np.ndarray
    middle: np.ndarray
    spread: np.ndarray
    boxes: np.ndarray

    @property
    def usable(self) -> np.ndarray:
        """Frames in which the label is large enough to say something (frame,) bool."""
        return self.area >= FEWEST_PIXELS


def measure_footprints(labels: np.ndarray, label: int) -> Footprints:
    """Footprints of a label in images (frame, height, width) uint8."""
    count = len(labels)
    area, middle, spread = np.zeros(count), np.full((count, 2), np.nan), np.full(count, np.nan)
    boxes = label_boxes(labels, label)
    for frame in np.flatnonzero(np.isfinite(boxes[:, 0])):
        left, top, right, bottom = boxes[frame].astype(int)
        rows, columns = np.nonzero(labels[frame, top:bottom, left:right] == label)
        area[frame] = len(rows)
        middle[frame] = left + columns.mean() + 0.5, top + rows.mean() + 0.5
        spread[frame] = _spread((rows, columns))
    return Footprints(area, middle, spread, boxes)


@dataclass(frozen=True)
class LabelOutliers:
    """Frames whose labels contradict the others'.

    Attributes:
        frames: left out, in order.
        reason: what is wrong with them, as a part of a sentence; empty without any.
        undecided: why nothing was left out although labels jump; empty where that is not so.
    """

    frames: tuple[int, ...] = ()
    reason: str = ""
    undecided: str = ""


def find_label_outliers(scene: Scene, body: SceneBody) -> LabelOutliers:
    """Frames in which a body's label is not of that body, as the labels of all frames tell.

    Args:
        scene: with labels.
        body: of the scene, estimated.
    """
    assert scene.labels is not None, "the scene has labels"
    found = measure_footprints(scene.labels, body.label)
    times = np.cumsum(1.0 / frame_paces(scene))
    grown = _grown(scene.labels, body.label, found)
    frames = np.flatnonzero(found.usable & ~grown)
    kept = frames
    if len(frames) > 2:
        size = float(np.median(np.sqrt(found.area[frames])))
        vertices = body.body.vertices * body.initial.scale
        # Two of three directions show in a picture.
        spread_m = float(np.sqrt(vertices.var(axis=0).sum() * 2.0 / 3.0))
        # Pixels of a metre, as the body is seen usually and in full.
        pixels, most = (np.percentile(found.spread[frames], (50, USUALLY_FULL)) / max(spread_m, 1e-9)).tolist()
        length = most * float(np.ptp(vertices @ DIRECTIONS.T, axis=0).max())
        burst = BURST_M_S / scene.fps * pixels
        hidden = np.zeros(len(found.area))
        hidden[frames] = _hidden_shares(scene.labels, body.label, found, frames, length)

        def apart(before: np.ndarray, after: np.ndarray) -> np.ndarray:
            """How far apart labels of a body at rest may lie: far, where one body spans both and the rest may hide."""
            one, other = frames[before], frames[after]
            lowest = np.minimum(found.boxes[one, :2], found.boxes[other, :2])
            highest = np.maximum(found.boxes[one, 2:], found.boxes[other, 2:])
            spanned = (highest - lowest).max(axis=-1) <= length + burst
            return np.maximum(SIZES_APART * size, np.where(spanned, 0.5 * length * (hidden[one] + hidden[other]), 0.0))

        kept = frames[_longest_chain(_steady(scene, found.middle, frames, pixels), times[frames], burst, apart)]
    usable = int(found.usable.sum())
    if usable and len(kept) < LEAST_KEPT * usable:
        agree = f"at most {len(kept)} of {usable} frames agree"
        return LabelOutliers(undecided=f"its labels jump as no body moves, and {agree} where it is")
    left = np.setdiff1d(np.flatnonzero(found.usable), kept)
    if not len(left):
        return LabelOutliers()
    reasons = []
    jumped = left[~grown[left]]
    if len(jumped):
        away = _distances_from(found.middle, kept, jumped)
        reasons.append(f"{_span(away, 'px')} away from where those around them have it")
    if grown[left].any():
        ratio = found.spread[left[grown[left]]] / np.median(found.spread[kept]) if len(kept) else np.zeros(1)
        reasons.append(f"{_span(ratio, 'times')} as far spread out as theirs")
    return LabelOutliers(tuple(int(frame) for frame in left), " or ".join(reasons))


def _steady(scene: Scene, middle: np.ndarray, frames: np.ndarray, pixels: float) -> np.ndarray:
    """Where labels lie in some frames (frame, 2) [px]; where the camera moves, where they do in the world (frame, 3).

    ``pixels`` are those of a metre, which tell how far away the body is.
    """
    if scene.world is None or not scene.world.moves or scene.world.camera is None:
        return middle[frames]
    camera, path = scene.camera, scene.world.camera.from_its_first().frames(frames)
    rays = (middle[frames] - [camera.cx, camera.cy]) / [camera.fx, camera.fy]
    away = camera.fx / max(pixels, 1e-9)
    return pixels * path.moved_places(away * np.column_stack([rays, np.ones(len(frames))]))


def _grown(labels: np.ndarray, label: int, found: Footprints) -> np.ndarray:
    """Frames whose label is spread much wider than in the frames around them (frame,) bool.

    What comes out from behind something else grows as well, but no wider than the two were together.
    """
    grown = np.zeros(len(found.area), dtype=bool)
    usable = np.flatnonzero(found.usable)
    for place, frame in enumerate(usable):
        around = np.delete(usable[max(place - AROUND, 0) : place + AROUND + 1], min(place, AROUND))
        if not len(around) or found.spread[frame] <= GROWN * np.median(found.spread[around]):
            continue
        together = [_spread(np.nonzero(image)) for image in labels[around]]
        grown[frame] = found.spread[frame] > np.median(together)
    return grown


def _spread(places: tuple[np.ndarray, ...]) -> float:
    """Root of the mean squared distance of pixels (rows, columns) from their middle."""
    return float(np.sqrt(sum(each.var() for each in places)))


def _hidden_shares(labels: np.ndarray, label: int, found: Footprints, frames: np.ndarray, length: float) -> np.ndarray:
    """Share of a body that other labels, or the picture's border, may hide in some frames (place in ``frames``,).

    Of a body that is seen left of a hand, and then right of it, the label jumps and the body does not.

    Args:
        labels: images (frame, height, width) uint8.
        label: of the body.
        found: its footprints.
        frames: which.
        length: how long the body can look [px].
    """
    full = float(np.percentile(found.area[frames], USUALLY_FULL))
    shares = np.zeros(len(frames))
    for place, frame in enumerate(frames):
        missing = full - found.area[frame]
        if missing <= 0.0:
            continue
        column, row = found.middle[frame]
        left, right, top, bottom = (
            int(at + end) for at in (column, row) for end in (-0.5 * length, 0.5 * length + 1.0)
        )
        near = labels[frame, max(top, 0) : bottom, max(left, 0) : right]
        outside = (right - left) * (bottom - top) - near.size
        hiding = outside + np.count_nonzero((near != 0) & (near != label))
        shares[place] = min(missing, hiding) / full
    return shares


def _longest_chain(middle: np.ndarray, times: np.ndarray, burst: float, apart: Apart) -> np.ndarray:
    """Which points (point, 2) belong to one motion (point,) bool: the largest set of pieces that reach each other.

    A step is a jump where it is long and neither the step before nor the one after is like it: what flies goes on.

    Args:
        middle: where a label lies [px].
        times: of the points, in frames.
        burst: how far a body gets in a single frame [px].
        apart: how far some points and others may lie apart though nothing moves [px].
    """
    steps = np.diff(middle, axis=0)
    lengths, durations = np.linalg.norm(steps, axis=1), np.diff(times)
    steady = STEADY * np.median(lengths / durations)

    def reach(duration: float | np.ndarray) -> float | np.ndarray:
        return max(burst, steady) * (1.0 + ON_THE_WAY * (duration - 1.0))

    alike = np.zeros(len(steps), dtype=bool)
    if len(steps) > 1:
        rates = steps / durations[:, None]
        same = np.linalg.norm(np.diff(rates, axis=0), axis=1) < 0.5 * np.minimum(lengths[1:], lengths[:-1])
        alike[1:] |= same
        alike[:-1] |= same
    places = np.arange(len(middle))
    still = apart(places[:-1], places[1:])
    breaks = (lengths > still + reach(1.0)) & ~alike
    if not breaks.any():
        return np.ones(len(middle), dtype=bool)
    starts = np.concatenate([[0], np.flatnonzero(breaks) + 1])
    ends = np.concatenate([np.flatnonzero(breaks), [len(middle) - 1]])
    scores, origins = (ends - starts + 1).astype(float), np.full(len(starts), -1)
    for here in range(len(starts)):
        own = scores[here]
        for before in range(here):
            away = float(np.linalg.norm(middle[starts[here]] - middle[ends[before]]))
            allowed = float(apart(ends[before], starts[here]) + reach(times[starts[here]] - times[ends[before]]))
            total = own + scores[before] - 0.5 * away / allowed  # of two sets as large, the one that moves less
            if away <= allowed and total > scores[here]:
                scores[here], origins[here] = total, before
    kept, piece = np.zeros(len(middle), dtype=bool), int(scores.argmax())
    while piece >= 0:
        kept[starts[piece] : ends[piece] + 1] = True
        piece = int(origins[piece])
    farther = still + (BURST_AT_ENDS - 1.0) * max(burst, steady)
    first, last = np.flatnonzero(kept)[[0, -1]]
    if first and lengths[first - 1] <= reach(durations[first - 1]) + farther[first - 1]:
        kept[:first] = True
    if last < len(steps) and lengths[last] <= reach(durations[last]) + farther[last]:
        kept[last:] = True
    return kept


def _distances_from(middle: np.ndarray, kept: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """How far (frame,) [px] middles lie from where the kept frames around them have it."""
    expected = np.column_stack([np.interp(frames, kept, middle[kept, axis]) for axis in range(2)])
    return np.linalg.norm(middle[frames] - expected, axis=1)


def _span(values: np.ndarray, unit: str) -> str:
    """Least and largest value in words."""
    low, high = f"{values.min():.3g}", f"{values.max():.3g}"
    return f"{low} {unit}" if low == high else f"{low} to {high} {unit}"
