"""Those who refine clips, whoever they are: lanes side by side, each with one clip at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Generic, TypeVar

from warpprior.batches.record import RefinedClip
from warpprior.batches.work import Task

SPARED = 0.8  # share of the memory that is free, which all lanes may take together
FAILED_STARTS = 3  # of one lane in turn, after which the batch is given up


@dataclass
class Lane:
    """A place for a clip.

    Attributes:
        number: from 0, by which it is named.
        task: what it is at.
        began: when it did, by the monotonic clock [s].
        ready: it has started.
        failed_starts: in turn.
    """

    number: int
    task: Task | None = None
    began: float = 0.0
    ready: bool = False
    failed_starts: int = 0


AnyLane = TypeVar("AnyLane", bound=Lane)


class Team(ABC, Generic[AnyLane]):
    """Those who refine clips: processes of this machine, or actors of a cluster.

    Attributes:
        retries_itself: a clip whose process ends is begun again by them.
    """

    retries_itself: bool

    def __init__(self) -> None:
        self._lanes: list[AnyLane] = []  # by their numbers

    @property
    def size(self) -> int:
        """Clips that are refined side by side."""
        return len(self._lanes)

    def free(self) -> list[int]:
        """Lanes that can be given a clip."""
        return [lane.number for lane in self._lanes if lane.ready and lane.task is None]

    def busy(self) -> list[tuple[int, Task, float]]:
        """Lanes that are at a clip, with it and since when they are."""
        return [(lane.number, lane.task, lane.began) for lane in self._lanes if lane.task is not None]

    @abstractmethod
    def give(self, number: int, task: Task) -> None:
        """Have a lane refine a clip."""

    @abstractmethod
    def stop(self, number: int, said: str) -> None:
        """End a lane's process, which takes too long at its clip; the next :meth:`wait` tells of it."""

    @abstractmethod
    def wait(self, seconds: float) -> list[tuple[Task, RefinedClip]]:
        """What became of clips, as soon as there is one, or after some seconds.

        Raises:
            WarppriorError: processes cannot be started.
        """
