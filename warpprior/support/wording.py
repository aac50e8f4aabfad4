"""Phrases that messages and notes share: lists of frames, nearest names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import numpy as np


def frame_list(frames: Iterable[int], limit: int = 6) -> str:
    """``"frame 3"``, ``"frames 3, 7-9"``; beyond ``limit`` runs ``"frames 3, 7-9, ... (24 in all)"``."""
    frames = np.unique(np.asarray(list(frames), dtype=np.int64))
    if len(frames) == 1:
        return f"frame {frames[0]}"
    runs = np.split(frames, np.flatnonzero(np.diff(frames) > 1) + 1)
    spans = [str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs if len(run)]
    shown = ", ".join(spans[:limit])
    return f"frames {shown}" if len(spans) <= limit else f"frames {shown}, ... ({len(frames)} in all)"


def nearest(name: str, names: Iterable[str]) -> str:
    """``"did you mean 'fx'? "`` when one of ``names`` is close to ``name``, else nothing."""
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}? " if close else ""


def shown(value: object, limit: int = 80) -> str:
    """How a message quotes a value: as Python writes it, on one line and cut to ``limit`` characters."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no integers of more than some thousand digits
        text = f"a number of {type(value).__name__} with too many digits"
    return text if len(text) <= limit else text[: limit - 3] + "..."
