"""Time codes of a stage at the frames of a sequence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from warpprior.support.errors import InputError

if TYPE_CHECKING:
    from pxr import Usd

MOST_FRAMES = 100_000
_NEAR = 1e-4  # of a frame: a sample there is the frame's own


def frame_codes(
    stage: Usd.Stage, where: str, sampled: np.ndarray, fps: float | None, frame_count: int | None, notes: list[str]
) -> tuple[np.ndarray, float]:
    """The time code of each frame, and the frames per second.

    Frames begin at the stage's first time code, or at the first sample where it says none, and are ``fps`` apart, or as
    far as the stage's own frames.

    Args:
        stage: the stage.
        where: names it.
        sampled: time codes of what moves, sorted.
        fps: frames per second; None: the stage's.
        frame_count: None: as many as the stage has.
        notes: what was found is appended.

    Raises:
        InputError: no finite range, or more frames than are read.
    """
    per_second = float(stage.GetTimeCodesPerSecond())
    said = any(stage.HasAuthoredMetadata(key) for key in ("timeCodesPerSecond", "framesPerSecond"))
    own = float(stage.GetFramesPerSecond()) if stage.HasAuthoredMetadata("framesPerSecond") else per_second
    rate = own if fps is None else fps
    start, end = (float(sampled[0]), float(sampled[-1])) if len(sampled) else (0.0, 0.0)
    if stage.HasAuthoredTimeCodeRange():
        start, end = float(stage.GetStartTimeCode()), float(stage.GetEndTimeCode())
    step = per_second / rate if rate else 0.0
    if not (np.isfinite([start, end, step]).all() and step > 0.0 and end >= start):
        found = f"time codes {start:g} to {end:g}, {rate:g} frames per second"
        raise InputError(where, found, "a range of finite numbers, and a rate above zero")
    there = int(min((end - start) / step + 1.5, MOST_FRAMES + 1))
    count = there if frame_count is None else frame_count
    if not 1 <= count <= MOST_FRAMES:
        raise InputError(where, f"time codes {start:g} to {end:g} at {rate:g} frames per second", "fewer frames")
    if frame_count is not None and there not in (1, frame_count):
        raise InputError(where, f"has {there} frames at {rate:g} per second", f"{frame_count} were asked for")
    if not said and len(sampled) > 1:
        notes.append(f"its rate is not said; {per_second:g} time codes per second are taken, as USD has it")
    elif fps is None and abs(step - 1.0) > 1e-9:
        notes.append(f"{rate:g} frames per second are {step:g} time codes apart")
    outside = int(((sampled < start - _NEAR * step) | (sampled > end + _NEAR * step)).sum())
    if outside:
        notes.append(f"samples at {outside} time codes outside of {start:g} to {end:g} are left out")
    return start + step * np.arange(count), rate


def samples_of(attributes: Iterable[Usd.Attribute]) -> np.ndarray:
    """Time codes at which any of the attributes has a sample, sorted."""
    found: set[float] = set()
    for attribute in attributes:
        found.update(attribute.GetTimeSamples())
    return np.array(sorted(found), dtype=np.float64)


def between_samples(codes: np.ndarray, sampled: np.ndarray) -> np.ndarray:
    """Frames that lie in a gap of samples wider than a frame, without one of their own (frame,) bool."""
    if len(sampled) < 2 or len(codes) < 2:
        return np.zeros(len(codes), dtype=bool)
    step = codes[1] - codes[0]
    after = np.searchsorted(sampled, codes - _NEAR * step).clip(max=len(sampled) - 1)
    before = np.maximum(after - 1, 0)
    own = np.abs(sampled[after] - codes) <= _NEAR * step
    wide = sampled[after] - sampled[before] > 1.5 * step
    outside = (codes < sampled[0] - 0.5 * step) | (codes > sampled[-1] + 0.5 * step)
    return (~own & wide) | outside


def said_gaps(name: str, gaps: np.ndarray) -> Sequence[str]:
    """What is to be said of frames between samples, or nothing."""
    count = int(gaps.sum())
    return [f"{name}: {count} of {len(gaps)} frames have no sample of their own and are interpolated"] if count else []
