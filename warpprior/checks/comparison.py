"""Is another reading of the data clearly better than the given one?  Witnesses are compared frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from warpprior.checks.evidence import Likeness, Placed, View

FEWEST_FRAMES = 3
LEAST_AGREEMENT = 0.35
AS_GOOD = 0.04  # of the agreement: readings closer to each other than that are not told apart
BEARING_SIZES, DEPTH_FACTOR = 0.6, 2.0  # one sigma of a rough guess: in sizes of what is seen, and times its depth
MISS_SHARE = 0.12  # of the keypoints' size: one sigma of a rough guess of a body that bends


@dataclass(frozen=True)
class Demands:
    """What another reading must show before it is taken for clearly better.

    Attributes:
        gain: of the agreement.
        factor: how many times the agreement of what is given.
        often: share of the frames in which it agrees better.
        against: by how much a witness may speak against it.
    """

    gain: float
    factor: float
    often: float
    against: float


ALONE = Demands(0.12, 1.4, 0.8, 0.0)
"""Of one body: among many readings of a rough guess one agrees somewhat better by chance."""
TOGETHER = Demands(0.04, 1.0, 0.6, 0.02)
"""Of all bodies read alike: what is wrong for one of them costs more than chance gains."""


@dataclass(frozen=True)
class Choice:
    """A reading that agrees clearly better.

    Attributes:
        number: its place among those that were tried.
        as_good: places of others that agree as well.
        stated, cured: agreement of what is given and of the reading, means over frames, in [0, 1].
        often: share of the frames in which it is better.
        rows: in which (places of the frames).
    """

    number: int
    as_good: tuple[int, ...]
    stated: float
    cured: float
    often: float
    rows: np.ndarray

    @property
    def numbers(self) -> dict[str, float]:
        """The same, for a finding's evidence."""
        return {"agreement": self.stated, "agreement_cured": self.cured, "frames_better": self.often}


def may_be_bettered(before: Sequence[np.ndarray]) -> bool:
    """Could any reading be clearly better than what witnesses say of the given one, [1, frame] each?"""
    if not before:
        return False
    stated = float(np.nanmean(np.nanmean(before, axis=0)))
    return stated < min(1.0 - ALONE.gain, 1.0 / ALONE.factor)


def clearly_better(
    before: Sequence[np.ndarray],
    after: Sequence[np.ndarray],
    denied: np.ndarray | None = None,
    demands: Demands = ALONE,
) -> Choice | None:
    """The first of the readings that agree clearly better, in most frames, no witness speaking against them.

    Args:
        before: what each witness says of the given reading (1, frame), in [0, 1], NaN where it sees nothing.
        after: what it says of other readings (reading, frame), the simplest first.
        denied: readings (reading,) bool that something else speaks against.
        demands: what clearly better means.
    """
    gains = [each - own for each, own in zip(after, before, strict=True)]
    total, own = np.nanmean(after, axis=0), np.nanmean(before, axis=0)[0]
    heard = np.isfinite(own)
    if heard.sum() < FEWEST_FRAMES:
        return None
    means, stated = np.nanmean(total[:, heard], axis=1), float(np.mean(own[heard]))
    often = np.mean((total - own)[:, heard] > 0.0, axis=1)
    agreed = np.all([np.nanmean(each, axis=1) > -demands.against for each in gains], axis=0)
    good = agreed & (often >= demands.often) & (means >= LEAST_AGREEMENT)
    if denied is not None:
        good &= ~denied
    good &= (means > stated + demands.gain) & (means > demands.factor * stated)
    if not good.any():
        return None
    best = np.where(good, means, -1.0).max()
    near = np.flatnonzero(good & (means >= best - AS_GOOD))
    first = int(near[0])
    rows = np.flatnonzero(heard & (total[first] > own))
    others = tuple(int(each) for each in near[1:])
    return Choice(first, others, stated, float(means[first]), float(often[first]), rows)


def nearness(bearing: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """How well a place agrees, in [0, 1]: by how far it is off across the view, in sizes, and by log of depth."""
    return np.exp(-0.5 * (bearing / BEARING_SIZES) ** 2 - 0.5 * (depth / np.log(DEPTH_FACTOR)) ** 2)


def agreement_with_label(view: View, middle: np.ndarray, share: np.ndarray, placed: Placed, focal: float) -> np.ndarray:
    """How well a body agrees with its label (reading, frame), in [0, 1]: as it is, or laid on it and then by its place.

    Args:
        view: of the body.
        middle: of its surface (reading, frame, 3) [m].
        share: overlap as it is (reading, frame).
        placed: laid on the label.
        focal: of the small pictures [px].
    """
    depth = np.maximum(middle[..., 2], 1e-3)
    apart = (middle[..., :2] / depth[..., None] - placed.middle[..., :2] / placed.middle[..., 2:]) * focal
    near = nearness(np.linalg.norm(apart, axis=2) / view.size, np.log(depth / placed.middle[..., 2]))
    return np.maximum(share, placed.share * near)


def agreement(like: Likeness) -> np.ndarray:
    """How well sets of points agree in form, place and size (frame,), in [0, 1]."""
    near = nearness(np.linalg.norm(like.shift, axis=1) / like.size, np.log(like.factor))
    return likeness(like.miss) * near


def likeness(miss: np.ndarray) -> np.ndarray:
    """How well points agree that miss each other by so much of their size, in [0, 1]."""
    return np.where(np.isfinite(miss), np.exp(-0.5 * (miss / MISS_SHARE) ** 2), 0.0)
