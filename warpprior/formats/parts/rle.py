"""Run-length masks of COCO: column by column, runs of zeros and ones in turn, as numbers or in their packed text."""

from __future__ import annotations

from typing import Any

import numpy as np

from warpprior.support.errors import InputError
from warpprior.support.picture_headers import PIXEL_LIMIT

_FIRST, _MORE, _SIGN = 48, 32, 16


def is_rle(value: Any) -> bool:
    """Is it a dictionary with ``size`` and ``counts``?"""
    return isinstance(value, dict) and "size" in value and "counts" in value


def decode_rle(value: Any, where: str) -> np.ndarray:
    """The mask (height, width) bool.

    Args:
        value: ``{"size": [height, width], "counts": runs or text}``.
        where: for messages.

    Raises:
        InputError: no such dictionary, too large a size, or runs that do not fill it.
    """
    accepted = 'needs {"size": [height, width], "counts": ...} as COCO has it'
    if not is_rle(value):
        raise InputError(where, "is no run-length mask", accepted)
    size, counts = value["size"], value["counts"]
    good = isinstance(size, list) and len(size) == 2 and all(type(n) is int and n > 0 for n in size)
    if not good or size[0] * size[1] > PIXEL_LIMIT:
        raise InputError(f"{where}: size", f"is {str(size)[:40]}", accepted)
    height, width = size
    if isinstance(counts, bytes):
        counts = counts.decode("latin-1")
    runs = _unpack(counts, where) if isinstance(counts, str) else counts
    plain = isinstance(runs, list) and all(type(run) is int and 0 <= run <= height * width for run in runs)
    if not plain or sum(runs) != height * width:
        raise InputError(f"{where}: counts", f"do not add up to {width} x {height} pixels", accepted)
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, np.array(runs, dtype=np.int64)).reshape(width, height).T


def _unpack(text: str, where: str) -> list[int]:
    """Runs of the packed text: five bits a character; from the third on, what a run is longer than the last but one."""
    runs: list[int] = []
    place = 0
    while place < len(text):
        value, shift, code = 0, 0, _MORE
        while code & _MORE:
            code = ord(text[place]) - _FIRST if place < len(text) else -1
            if not 0 <= code < 64 or shift > 30:
                raise InputError(f"{where}: counts", "is no packed run-length text", "needs COCO's own")
            value |= (code & 31) << shift
            shift, place = shift + 5, place + 1
        if code & _SIGN:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
    return runs
