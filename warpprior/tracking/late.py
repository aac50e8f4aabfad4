"""Measurements that come late: what is kept of the last steps, so that they can be taken again in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from warpprior.observations import HandPose, Observation
from warpprior.support.errors import InputError
from warpprior.tracking.checks import LEAST_STEP, bits_missing


@dataclass(frozen=True, eq=False)  # arrays have no one answer to ==
class TakenStep:
    """One step as it was taken.

    Attributes:
        timestamp: of the observation [s].
        observation: a copy of what was seen.
        before: the tracker's state before it, :meth:`warpprior.Tracker.save`.
    """

    timestamp: float
    observation: Observation
    before: dict[str, np.ndarray]


class TakenSteps:
    """The steps of the last so many seconds, oldest first.

    Args:
        span_s: how late a measurement may be [s].
    """

    def __init__(self, span_s: float):
        self.span_s = span_s
        self._steps: list[TakenStep] = []

    def keep(self, step: TakenStep) -> None:
        """Remember a step, and forget those before which nothing can be merged any more."""
        self._steps.append(step)
        begin = step.timestamp - self.span_s
        while self._steps[0].timestamp < begin:
            del self._steps[0]

    def clear(self) -> None:
        """Forget all: the tracker is elsewhere."""
        self._steps.clear()

    def check(self, timestamp: float, last: float) -> None:
        """Refuse what is too late, or at the time of another observation.

        Raises:
            InputError: says how late it is, and how late it may be.
        """
        where, accepted = "track: timestamp", f"times that advance, or are at most {self.span_s:g} s late (late_s)"
        accepted += bits_missing(timestamp)
        if not self._steps or timestamp < last - self.span_s:
            raise InputError(where, f"{timestamp} is {last - timestamp:.6g} s before the last one, {last}", accepted)
        after = next((step for step in self._steps if step.timestamp > timestamp), None)
        before = timestamp if after is None else float(after.before["timestamp"])
        if np.isnan(before):
            raise InputError(where, f"{timestamp} is before the first one", accepted)
        times = [before, *(step.timestamp for step in self._steps)]
        if min(abs(time - timestamp) for time in times) < LEAST_STEP:
            accepted += "; what is seen at one time goes into one observation"
            raise InputError(where, f"{timestamp}, of which there is an observation already", accepted)

    def take_from(self, timestamp: float) -> list[TakenStep]:
        """Remove and return all steps after a time, oldest first."""
        later = [step for step in self._steps if step.timestamp > timestamp]
        del self._steps[len(self._steps) - len(later) :]
        return later


def copied(observation: Observation) -> Observation:
    """The same observation in arrays of its own: a live system reuses its buffers."""
    changes = {}
    for own in fields(Observation):
        value = getattr(observation, own.name)
        if isinstance(value, Mapping):
            changes[own.name] = {name: _copied(item) for name, item in value.items()}
        elif value is not None:
            changes[own.name] = _copied(value)
    return replace(observation, **changes)


def _copied(value: object) -> object:
    """A copy of an array, a list or a pose; anything else as it is."""
    if isinstance(value, HandPose):
        parts = {own.name: getattr(value, own.name) for own in fields(HandPose)}
        return replace(value, **{name: np.array(part) for name, part in parts.items() if part is not None})
    return np.array(value) if isinstance(value, (np.ndarray, list, tuple)) else value
