"""Parts of a sequence: frames that are drawn together, one part after the other in the same buffers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any


class Part:
    """Some frames in a row.

    Args:
        start, stop: the first of them, and one past the last.
        frame_count: of the whole sequence.

    Attributes:
        start, stop: as given.
        whole: it is the whole sequence.
    """

    def __init__(self, start: int, stop: int, frame_count: int):
        self.start, self.stop = start, stop
        self.whole = start == 0 and stop == frame_count
        self._cuts: dict[int, tuple[Any, Any]] = {}

    @property
    def count(self) -> int:
        return self.stop - self.start

    @property
    def frames(self) -> slice:
        return slice(self.start, self.stop)

    def of(self, array: Any) -> Any:
        """The part's frames of an array [frame, ...]: a view, the same one at each call."""
        if self.whole:
            return array
        # The array is kept, too: its place in memory must not become another's.
        found = self._cuts.get(id(array))
        if found is None:
            found = self._cuts[id(array)] = (array, cut(array, self.start, self.stop))
        return found[1]


Parts = Sequence[Part]


def cut(array: Any, start: int, stop: int) -> Any:
    """Some frames in a row of an array [frame, ...]: a view, but of nothing, which Warp does not slice."""
    if array.size:
        return array[start:stop]
    return type(array)(shape=(stop - start, *array.shape[1:]), dtype=array.dtype, device=array.device)


def one_part(frame_count: int) -> tuple[Part, ...]:
    """The whole sequence."""
    return (Part(0, frame_count, frame_count),)


def equal_parts(frame_count: int, most: int) -> tuple[Part, ...]:
    """As few parts as there can be of at most ``most`` frames, of much the same length."""
    number = -(-frame_count // max(most, 1))
    bounds = [frame_count * index // number for index in range(number + 1)]
    return tuple(Part(start, stop, frame_count) for start, stop in pairwise(bounds))
