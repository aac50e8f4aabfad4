"""Poses that are let go for a few iterations: those of one clip, or of several in the same launches.

A search says what it wants tried and is told what came of it, so that those of several clips can wait for each other:
what all of them want next is tried at once, as more frames.  Each clip learns what it would learn alone, to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from warpprior.refinement.body_fit import BodyFit
from warpprior.render.parts import Part

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Try:
    """What a search wants tried.

    Attributes:
        poses: of the body (frame, 7); None to find out what it costs where it is.
        frames: in which it is tried (frame,) bool; None for all.
        iterations: that the poses are given.
    """

    poses: np.ndarray | None = None
    frames: np.ndarray | None = None
    iterations: int = 0


Tried = tuple[np.ndarray, np.ndarray]
"""Where poses went (frame, 7), in frames that were not tried those given, and what they cost there (frame,)."""

Search = Generator[Try, Tried, T]


def search_alone(fit: BodyFit, search: Search[T]) -> T:
    """Do all that a search wants of a body; returns what it found."""
    try:
        asked = next(search)
        while True:
            costs, _ = _try(fit, asked)
            asked = search.send((fit.poses, costs))
    except StopIteration as end:
        return end.value


def _try(fit: BodyFit, asked: Try) -> tuple[np.ndarray, np.ndarray]:
    """What poses cost in the end (frame,), and where they went while the body was in sight in some frames only."""
    if asked.poses is None:
        return fit.observed_costs(), fit.poses
    frames = np.ones(len(asked.poses), dtype=bool) if asked.frames is None else asked.frames
    with fit.seen_in(frames):
        fit.place(asked.poses)
        fit.iterate(asked.iterations)
        return fit.observed_costs(), fit.poses


def search_together(
    fit: BodyFit, parts: Mapping[int, Part], searches: Mapping[int, Search], failed: Callable[[int, Exception], None]
) -> None:
    """Do all that searches of several clips want of the same body, each try of all at once.

    Args:
        fit: the body in all clips.
        parts: frames of each clip.
        searches: of the clips that search.
        failed: told of a search that went wrong, which ends; the others do not notice.
    """
    asked: dict[int, Try] = {}

    def go_on(clip: int, answer: Tried | None) -> None:
        asked.pop(clip, None)
        try:
            asked[clip] = next(searches[clip]) if answer is None else searches[clip].send(answer)
        except StopIteration:
            pass
        except Exception as error:
            failed(clip, error)

    for clip in searches:
        go_on(clip, None)
    while asked:
        kinds = {clip: (each.poses is not None, each.iterations) for clip, each in asked.items()}
        longest = max(kinds.values())
        now = {clip: asked[clip] for clip, kind in kinds.items() if kind == longest}
        for clip, answer in _try_together(fit, {clip: parts[clip] for clip in now}, now).items():
            go_on(clip, answer)


def _try_together(fit: BodyFit, parts: Mapping[int, Part], asked: Mapping[int, Try]) -> dict[int, Tried]:
    """What comes of tries of several clips, all alike in their iterations; in the others the body stays where it is."""
    poses, first = fit.poses, next(iter(asked.values()))
    frames = np.zeros(len(poses), dtype=bool)
    for clip, each in asked.items():
        frames[parts[clip].frames] = True if each.frames is None else each.frames
        if each.poses is not None:
            poses[parts[clip].frames] = each.poses
    costs, arrived = _try(fit, first if first.poses is None else Try(poses, frames, first.iterations))
    placed, found = fit.poses, {}
    for clip, part in parts.items():
        # Of a clip that is seen in all frames nothing is placed again alone: that may round its poses anew.
        where = arrived if frames[part.frames].all() else placed
        found[clip] = where[part.frames], costs[part.frames]
    return found
