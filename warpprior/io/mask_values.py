"""Masks in the place of label images: what segmenters write, 0 and 255, or a probability times 255 with soft edges.

In a label image 255 says don't-care, so a mask that is taken for one says nothing at all of its body.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from warpprior.io.scene_file import BodyEntry
from warpprior.scene import IGNORE_LABEL
from warpprior.support.errors import InputError

MIDDLE = 127  # values above are the body
TONES = 8  # at least so many values that are no labels on either side of the middle


def mask_table(counts: np.ndarray, bodies: Sequence[BodyEntry], where: str, notes: list[str]) -> np.ndarray | None:
    """Which label each value stands for (256,) uint8, where the images are masks of the only body; else None.

    Args:
        counts: pixels of each value in all images together (256,).
        bodies: those that have labels.
        where: names the images in errors.
        notes: a warning is appended.

    Raises:
        InputError: the images are soft masks, and there are several bodies.
    """
    labels = [body.label for body in bodies]
    binary, soft = _is_binary(counts, labels), _is_soft(counts, labels)
    if soft and len(bodies) != 1:
        found = "are masks with soft edges, whose values are no labels"
        raise InputError(where, found, what_to_write(bodies))
    if not (binary or soft) or len(bodies) != 1 or bodies[0].known:
        return None
    taken = f"values above {MIDDLE} were taken as {bodies[0].name}"
    what = f"hold no values but 0 and 255: 255 was taken as {bodies[0].name}, not as don't-care"
    notes.append(f"labels: {what}" if binary else f"labels: are masks with soft edges, values from 0 to 255: {taken}")
    return np.where(np.arange(256) > MIDDLE, labels[0], 0).astype(np.uint8)


def what_to_write(bodies: Sequence[BodyEntry]) -> str:
    """How label images are made from masks of these bodies, in words."""
    if len(bodies) == 1:
        return f"write {bodies[0].label} where {bodies[0].name} is: (mask > {MIDDLE}) * {bodies[0].label}"
    shown = ", ".join(f"{body.label} where {body.name} is" for body in bodies[:4])
    return f"write one image per frame with {shown}{', ...' if len(bodies) > 4 else ''}"


def _is_binary(counts: np.ndarray, labels: Sequence[int]) -> bool:
    """No value but 0 and 255, and both of them."""
    return IGNORE_LABEL not in labels and set(np.flatnonzero(counts)) == {0, IGNORE_LABEL}


def _is_soft(counts: np.ndarray, labels: Sequence[int]) -> bool:
    """Many tones on either side of the middle, and fewer pixels of any label than bright ones.

    Instances are numbered without gaps from below, and what a data set calls don't-care is 255 alone.
    """
    others = counts.copy()
    others[[0, IGNORE_LABEL, *labels]] = 0
    tones = min(np.count_nonzero(others[:MIDDLE]), np.count_nonzero(others[MIDDLE + 1 :]))
    bright = counts[MIDDLE + 1 :].sum() - sum(counts[label] for label in labels if label > MIDDLE)
    hardly_labelled = 2 * int(counts[list(labels)].sum()) < int(bright)
    return bool(tones >= TONES and hardly_labelled)
