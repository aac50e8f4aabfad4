"""Frames that are looked at together, so that memory does not grow with the sequence."""

from __future__ import annotations


def pieces(frame_count: int, most: int) -> list[slice]:
    """All frames, in order, at most ``most`` at a time, but at least one."""
    most = max(most, 1)
    return [slice(start, min(start + most, frame_count)) for start in range(0, frame_count, most)]
