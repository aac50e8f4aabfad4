"""Which frames there are, where files are numbered in their own ways."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from warpprior.io.scene_file import FRAME_LIMIT
from warpprior.support.errors import InputError

Value = TypeVar("Value")
_DENSE = 2  # numbers that leave out more than every second one are times


@dataclass(frozen=True)
class Timeline:
    """The frames of a sequence by the numbers that files have.

    Attributes:
        numbers: of the frames, increasing.
        uneven: files without numbers may have more or fewer rows than there are frames, as beside a video.
    """

    numbers: tuple[int, ...]
    uneven: bool = False

    @staticmethod
    def of(numbers: Iterable[int], where: str, notes: list[str]) -> Timeline:
        """All frames from the first number to the last, or the numbers as they are where they are times.

        Raises:
            InputError: there is none, or there are too many.
        """
        given = sorted(set(numbers))
        if not given:
            raise InputError(where, "no numbered file", "files whose names end in a number")
        span = given[-1] - given[0] + 1
        if (span > FRAME_LIMIT and len(given) <= FRAME_LIMIT) or span > _DENSE * len(given) + 1:
            if len(given) > 1:
                notes.append(f"{where}: numbers are taken for times; the {len(given)} frames are taken one by one")
            return Timeline(tuple(given))
        if span > FRAME_LIMIT:
            raise InputError(where, f"{span} frames", f"at most {FRAME_LIMIT}")
        if given[0] > 0:
            notes.append(f"{where}: the first frame is number {given[0]}; it is frame 0 here")
        return Timeline(tuple(range(given[0], given[-1] + 1)))

    @property
    def count(self) -> int:
        return len(self.numbers)

    def by_frame(self, found: Mapping[int, Value], where: str, notes: list[str]) -> dict[int, Value]:
        """The same by frame; those of other numbers are left out, with a note.

        Raises:
            InputError: none is of a frame.
        """
        place = {number: frame for frame, number in enumerate(self.numbers)}
        kept = {place[number]: value for number, value in found.items() if number in place}
        if found and not kept:
            accepted = f"numbers from {self.numbers[0]} to {self.numbers[-1]}, as the frames have them"
            raise InputError(where, f"has numbers {min(found)} to {max(found)}", accepted)
        if len(kept) < len(found):
            notes.append(f"{where}: {len(found) - len(kept)} of no frame were left out")
        return kept

    def by_place(self, found: Mapping[int, Value], where: str, notes: list[str]) -> dict[int, Value]:
        """The same of numbers that are places, counted from 0; those beyond the last frame are left out, with a note.

        Raises:
            InputError: none is of a frame.
        """
        kept = {place: value for place, value in found.items() if 0 <= place < self.count}
        if found and not kept:
            raise InputError(where, f"has frames from {min(found)} on", f"there are {self.count} frames")
        if len(kept) < len(found):
            notes.append(f"{where}: {len(found) - len(kept)} beyond the last frame were left out")
        return kept

    def rows(self, count: int, where: str, notes: list[str]) -> np.ndarray:
        """Frames of ``count`` rows without numbers, -1 for those beyond the last one.

        Raises:
            InputError: there are not as many as frames, and they have to be.
        """
        if count != self.count and not self.uneven:
            raise InputError(where, f"has {count} rows", f"as many as there are frames, {self.count}")
        if count != self.count:
            what = f"{count - self.count} at its end were left out" if count > self.count else "the last have none"
            notes.append(f"{where}: {count} rows for {self.count} frames; {what}")
        frames = np.arange(count)
        frames[self.count :] = -1
        return frames
