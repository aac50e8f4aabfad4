"""Noise of label images: levels M0 to M3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from scipy import ndimage

from warpprior.scene import IGNORE_LABEL
from warpprior.scenes.noise.correlated import CORRELATION
from warpprior.scenes.noise.levels import named_level

_CELL = 8  # pixels per node of the coarse grid noise is drawn on


@dataclass(frozen=True)
class MaskNoise:
    """How label images differ from the truth.

    Attributes:
        wander: standard deviation of the boundary [px], a smooth Gaussian process in the image and over time.
        wander_length: distance over which the boundary's error is correlated [px].
        bias: how far every boundary with the background lies out or, on a draw per sequence, in [px].
        cut: share of frames in which a fingertip is missing, per finger.
        holes: share of the labelled area lost to holes.
        dropout: share of frames without any label.
        swaps: share of frames with the labels of two bodies exchanged.
    """

    wander: float = 0.0
    wander_length: float = 20.0
    bias: float = 0.0
    cut: float = 0.0
    holes: float = 0.0
    dropout: float = 0.0
    swaps: float = 0.0


MASK_NOISE = {
    "M0": MaskNoise(),
    "M1": MaskNoise(wander=1.5, bias=1.0),
    "M2": MaskNoise(wander=1.5, bias=2.0, cut=0.3, holes=0.05),
    "M3": MaskNoise(wander=1.5, bias=2.0, cut=0.3, holes=0.05, dropout=0.10, swaps=0.03),
}


def mask_noise(name: str | MaskNoise) -> MaskNoise:
    """The noise of a level's name; a :class:`MaskNoise` is returned as it is."""
    return named_level("mask_noise", name, MaskNoise, MASK_NOISE)


def disturb_labels(
    labels: np.ndarray,
    noise: MaskNoise,
    random: np.random.Generator,
    *,
    fingertips: np.ndarray | None = None,
) -> np.ndarray:
    """Label images as a segmentation would return them.

    Pixels that say nothing (255) stay as they are: what occludes is not a segmentation's to change.

    Args:
        labels: exact labels (frame, height, width) uint8, 0 is background.
        noise: what to do to them.
        random: source of all noise.
        fingertips: centre and radius of each fingertip in the image (frame, finger, 3) [px], for ``noise.cut``.

    Returns:
        New label images of the same shape.
    """
    silent = labels == IGNORE_LABEL
    # What lies around silent pixels goes on under them, so that no border of theirs moves or grows.
    labels = np.stack([_fill(picture, quiet) for picture, quiet in zip(labels, silent, strict=True)])
    disturbed = labels.copy()
    frame_count, height, width = labels.shape
    if noise.wander > 0.0 or noise.bias > 0.0:
        bias = noise.bias * random.choice([-1.0, 1.0])
        waves = _Waves(random, height, width, noise.wander_length)
        for frame in range(frame_count):
            waves.advance()
            # Noise costs time only where something is labelled.
            part = _around(labels[frame], noise.wander * waves.highest + abs(bias) + 2.0)
            moved = _move_boundaries(labels[frame][part], noise.wander * waves.at(*part), bias)
            disturbed[frame][part] = moved
    if noise.cut > 0.0 and fingertips is not None:
        cut = random.random(fingertips.shape[:2]) < noise.cut
        for frame, finger in zip(*np.nonzero(cut), strict=True):
            _erase_discs(disturbed[frame], fingertips[frame, finger][None])
    if noise.holes > 0.0:
        for frame in range(frame_count):
            _make_holes(disturbed[frame], noise.holes, random)
    if noise.swaps > 0.0:
        values = [value for value in np.unique(labels) if value not in (0, 255)]
        for frame in np.flatnonzero(random.random(frame_count) < noise.swaps):
            if len(values) > 1:
                first, second = random.choice(values, 2, replace=False)
                picture = disturbed[frame].copy()
                disturbed[frame][picture == first] = second
                disturbed[frame][picture == second] = first
    if noise.dropout > 0.0:
        disturbed[random.random(frame_count) < noise.dropout] = 0
    disturbed[silent] = IGNORE_LABEL
    return disturbed


def _fill(labels: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """A label image with its missing pixels given the label of the nearest other one."""
    if not missing.any() or missing.all():
        return np.where(missing, 0, labels).astype(np.uint8)
    nearest = ndimage.distance_transform_edt(missing, return_distances=False, return_indices=True)
    rows, columns = cast(np.ndarray, nearest)
    return labels[rows, columns]


class _Waves:
    """Two smooth fields of unit variance, correlated over ``length`` [px] in the image, and in time."""

    def __init__(self, random: np.random.Generator, height: int, width: int, length: float):
        # Filtering white noise with a Gaussian of s px gives a correlation exp(-d^2 / (4 s^2)): 1/e at 2 s.
        self.random, self.spread = random, 0.5 * length / _CELL
        margin = int(np.ceil(3.0 * self.spread)) + 1
        self.shape = (2, height // _CELL + 2 * margin + 2, width // _CELL + 2 * margin + 2)
        self.rows = (np.arange(height) + 0.5) / _CELL + margin
        self.columns = (np.arange(width) + 0.5) / _CELL + margin
        self.fields: np.ndarray | None = None

    def advance(self) -> None:
        """Go on to the next frame, or to the first."""
        white = self.random.normal(size=self.shape)
        fresh = ndimage.gaussian_filter(white, (0.0, self.spread, self.spread), mode="wrap")
        # Variance of filtered white noise is that of the continuous filter: 1 / (4 pi s^2).
        fresh *= np.sqrt(4.0 * np.pi) * self.spread
        if self.fields is not None:
            fresh = CORRELATION * self.fields + np.sqrt(1.0 - CORRELATION**2) * fresh
        self.fields = fresh

    @property
    def highest(self) -> float:
        """No value of this frame is larger."""
        return float(np.abs(self._now).max())

    @property
    def _now(self) -> np.ndarray:
        """The fields of this frame."""
        assert self.fields is not None  # advance() comes first
        return self.fields

    def at(self, rows: slice, columns: slice) -> np.ndarray:
        """Values (2, row, column) in part of the picture."""
        return np.stack([_bilinear(field, self.rows[rows], self.columns[columns]) for field in self._now])


def _around(labels: np.ndarray, margin: float) -> tuple[slice, slice]:
    """Rows and columns of what is labelled, with a margin [px] around it; none of either where nothing is."""
    rows, columns = np.flatnonzero(labels.any(axis=1)), np.flatnonzero(labels.any(axis=0))
    if len(rows) == 0:
        return slice(0, 0), slice(0, 0)
    wide = int(np.ceil(margin))
    down, across = (slice(max(int(line[0]) - wide, 0), int(line[-1]) + 1 + wide) for line in (rows, columns))
    return down, across


def _bilinear(field: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Values of a coarse field on the grid of the given rows and columns, in units of its nodes."""
    i, j = np.floor(rows).astype(int), np.floor(columns).astype(int)
    u, v = (rows - i)[:, None], columns - j
    tall = (1.0 - u) * field[i] + u * field[i + 1]
    return (1.0 - v) * tall[:, j] + v * tall[:, j + 1]


def _move_boundaries(labels: np.ndarray, wander: np.ndarray, bias: float) -> np.ndarray:
    """Warp a label image by a displacement (2, height, width) [px], then grow what is labelled; below 0 shrink it."""
    height, width = labels.shape
    if labels.size == 0:
        return labels
    rows = np.clip(np.arange(height)[:, None] + np.rint(wander[0]).astype(int), 0, height - 1)
    columns = np.clip(np.arange(width)[None] + np.rint(wander[1]).astype(int), 0, width - 1)
    moved = labels[rows, columns]
    if bias > 0.0:
        found = cast("tuple[np.ndarray, np.ndarray]", ndimage.distance_transform_edt(moved == 0, return_indices=True))
        distance, nearest = found
        return np.where(distance <= bias, moved[nearest[0], nearest[1]], 0).astype(np.uint8)
    if bias < 0.0:
        distance = cast(np.ndarray, ndimage.distance_transform_edt(moved > 0))
        return np.where(distance > -bias, moved, 0).astype(np.uint8)
    return moved


def _erase_discs(labels: np.ndarray, discs: np.ndarray) -> None:
    """Set to background, in place, discs (disc, 3) of column, row and radius [px]."""
    height, width = labels.shape
    for x, y, radius in discs:
        top, bottom = max(int(y - radius), 0), min(int(y + radius) + 1, height)
        left, right = max(int(x - radius), 0), min(int(x + radius) + 1, width)
        rows, columns = np.arange(top, bottom)[:, None] + 0.5 - y, np.arange(left, right)[None] + 0.5 - x
        labels[top:bottom, left:right][rows**2 + columns**2 <= radius**2] = 0


def _make_holes(labels: np.ndarray, share: float, random: np.random.Generator) -> None:
    """Erase, in place, discs of 3 to 8 px until about the given share of the labelled area is gone."""
    rows, columns = np.nonzero(labels)
    if len(rows) == 0:
        return
    missing = share * len(rows)
    while missing > 0.0:
        pick, radius = random.integers(len(rows)), random.uniform(3.0, 8.0)
        _erase_discs(labels, np.array([[columns[pick] + 0.5, rows[pick] + 0.5, radius]]))
        missing -= np.pi * radius**2
