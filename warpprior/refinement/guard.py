"""Guard: each body goes back to where its labels were met best, when a part of a run leads it away from them.

Every body is judged by itself: what one gains is no consolation for what another loses.  And every frame has one vote
of bounded weight, so that a few frames whose labels are wrong do not undo what is right in all others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from warpprior.scene import SceneBody
from warpprior.support.wording import frame_list
from warpprior.system.overlap import BORDER
from warpprior.system.problem import Problem

TOLERATED_LOSS = 0.02  # of overlap with the labels, for the sake of physics, at least
TOLERATED_SIGMAS = 0.25  # of the labels' noise, by which borders may move: a small body's overlap is mostly border
MOST_TOLERATED = 3.0  # times the least
MOST_PER_FRAME = 0.05  # change of overlap that counts of one frame: two in five must lose as much to be heard
LEFT = 0.5  # share of a body's usual overlap, below which a frame hardly meets its label


@dataclass
class _Best:
    """Where a body's labels were met best so far."""

    overlap: np.ndarray  # (frame,), NaN where there is no label
    transforms: np.ndarray  # (frame, 7 + coordinate) float32
    shared: np.ndarray  # all unknowns that frames share


class Guard:
    """The best motion of each estimated body so far.

    Args:
        problem: the sequence's; its motion is the first to be the best.
    """

    def __init__(self, problem: Problem):
        self._problem = problem
        transforms, shared = problem.motion.read_transforms(), problem.shared.values.copy()
        self._best = {
            body.name: _Best(self._overlap(body), transforms[body.name], shared) for body in problem.motion.estimated
        }

    def _overlap(self, body: SceneBody) -> np.ndarray:
        """Overlap of a body with its label (frame,), NaN where there is none."""
        motion = self._problem.motion
        if motion.scene.labels is None:
            return np.full(motion.frame_count, np.nan)
        overlap = self._problem.overlap(body)
        overlap.measure(motion.screen)
        return overlap.by_frame

    def _times_tolerated(self, body: SceneBody) -> float:
        """How many times the least tolerated loss a body loses where its borders move within the labels' noise."""
        if self._problem.motion.scene.labels is None:
            return 1.0
        area = self._problem.overlap(body).labelled[:, 0]
        if not area.any():
            return 1.0
        sigma, _ = self._problem.noise("labels")
        loss = TOLERATED_SIGMAS * sigma * BORDER / np.sqrt(np.median(area[area > 0.0]))
        return float(np.clip(loss / TOLERATED_LOSS, 1.0, MOST_TOLERATED))

    def check(self, part: str, *, undo: bool = True) -> list[str]:
        """Judge what a part did; returns what is to be said of it, one sentence each.

        A body goes back where it left its labels, unless ``undo`` is false, or where its motion became infinite.

        Args:
            part: its name.
            undo: take back what left the labels.
        """
        motion, shared = self._problem.motion, self._problem.shared
        infinite = motion.hold_finite()
        reasons: dict[str, str] = dict.fromkeys(infinite, "became infinite")
        if not (undo or infinite):
            return []
        for body in motion.estimated:
            if body.name in infinite:
                continue
            best, now = self._best[body.name], self._overlap(body)
            times = self._times_tolerated(body)
            change = robust_change(best.overlap, now, times)
            if undo and change < -TOLERATED_LOSS * times:
                before, after = np.nanmedian(best.overlap), np.nanmedian(now)
                lost = int((now < best.overlap - TOLERATED_LOSS * times).sum())
                count = int(np.isfinite(best.overlap).sum())
                reasons[body.name] = (
                    f"left its labels in {lost} of {count} frames (median IoU {before:.2f} to {after:.2f})"
                )
            elif change > 0.0 or not np.isfinite(best.overlap).any():
                self._best[body.name] = _Best(now, motion.read_transforms()[body.name], shared.values.copy())
        self._go_back(reasons)
        return [f"{part}: {name} {reason}; what it did to {name} was undone." for name, reason in reasons.items()]

    def _go_back(self, names: dict[str, str]) -> None:
        """Put bodies back to their best; what all share goes back when all do, what is a body's own with it.

        What is no longer estimated stays as it is.
        """
        if not names:
            return
        motion, shared = self._problem.motion, self._problem.shared
        values = shared.values.copy()
        for name in names:
            best = self._best[name].shared
            if len(names) == len(self._best):
                values = best.copy()
            else:
                own = shared.own(name)
                values[own] = best[own]
        shared.assign(np.where(shared.held, shared.values, values))
        motion.assign_transforms({name: self._best[name].transforms for name in names})

    def notes(self) -> list[str]:
        """Frames in which bodies hardly meet their labels at the end, one sentence a body."""
        found = []
        for body in self._problem.motion.estimated:
            overlap = self._overlap(body)
            if not np.isfinite(overlap).any():
                continue
            usual = float(np.nanmedian(overlap))
            frames = np.flatnonzero(overlap < LEFT * usual)
            if len(frames):
                values = overlap[frames]
                found.append(
                    f"{body.name}: in {frame_list(frames)} its drawing and its label hardly agree (IoU "
                    f"{values.min():.2f} to {values.max():.2f}, usually {usual:.2f}): one of them is wrong there."
                )
        return found

    def arrays(self) -> dict[str, np.ndarray]:
        """The state, for :meth:`restore`."""
        found = {}
        for name, best in self._best.items():
            found |= {f"{name}/overlap": best.overlap, f"{name}/transforms": best.transforms}
            found[f"{name}/shared"] = best.shared
        return found

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Take a state that :meth:`arrays` gave."""
        for name in self._best:
            values = (arrays[f"{name}/{part}"] for part in ("overlap", "transforms", "shared"))
            self._best[name] = _Best(*values)


def robust_change(before: np.ndarray, after: np.ndarray, times: float = 1.0) -> float:
    """Mean change of overlaps (frame,); 0 without a frame that has both.

    No frame counts more than ``times`` MOST_PER_FRAME.
    """
    change = after - before
    change = change[np.isfinite(change)]
    return float(np.clip(change, -times * MOST_PER_FRAME, times * MOST_PER_FRAME).mean()) if len(change) else 0.0
