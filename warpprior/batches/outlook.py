"""How long the rest of a batch takes, by what clips took so far: their seconds as a line over their frames."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from math import sqrt

from warpprior.support.progress import rounded

_RECENT = 400  # clips whose times count
_FEWEST = 3  # clips before anything is foretold


class Outlook:
    """Foretells what is left."""

    def __init__(self):
        self._seen: deque[tuple[int | None, float]] = deque(maxlen=_RECENT)

    def note(self, frames: int | None, seconds: float) -> None:
        """A clip has ended, well or not: both take time."""
        self._seen.append((frames, seconds))

    def seconds_per_clip(self) -> float:
        """Mean of recent clips; 0 before the first."""
        return sum(seconds for _, seconds in self._seen) / len(self._seen) if self._seen else 0.0

    def seconds_per_frame(self) -> float | None:
        """The same per frame, of those whose frames are known."""
        known = [(frames, seconds) for frames, seconds in self._seen if frames]
        return sum(seconds for _, seconds in known) / sum(frames for frames, _ in known) if known else None

    def left(self, waiting: Iterable[int | None], running: Iterable[tuple[int | None, float]], lanes: int) -> str:
        """How long the rest takes, ``"12 min left"``, or ``"10 to 15 min left"`` where clips differ; empty before that
        can be told.

        Args:
            waiting: frames of each clip that has not begun.
            running: frames of each that has, and the seconds it has taken.
            lanes: clips that are refined side by side.
        """
        if len(self._seen) < _FEWEST:
            return ""
        base, slope, spread = self._line()
        middle = self._mean_frames()

        def foreseen(frames: int | None) -> float:
            return base + slope * (middle if frames is None else frames)

        ahead = [foreseen(frames) for frames in waiting]
        under_way = [max(foreseen(frames) - seconds, 0.0) for frames, seconds in running]
        count = len(ahead) + len(under_way)
        if not count:
            return ""
        # The last clips leave lanes idle: no less than the longest takes.
        whole = max((sum(ahead) + sum(under_way)) / lanes, *ahead, *under_way, 0.0)
        error = 2.0 * spread * (count / sqrt(len(self._seen)) + sqrt(count)) / lanes
        low, high = rounded(max(whole - error, 0.0)), rounded(whole + error)
        return f"{low if low == high else f'{low} to {high}'} left"

    def _mean_frames(self) -> float:
        known = [frames for frames, _ in self._seen if frames is not None]
        return sum(known) / len(known) if known else 0.0

    def _line(self) -> tuple[float, float, float]:
        """Seconds of a clip without frames, seconds per frame, and the standard deviation around both."""
        middle, mean = self._mean_frames(), self.seconds_per_clip()
        pairs = [(middle if frames is None else frames, seconds) for frames, seconds in self._seen]
        around = sum((frames - middle) ** 2 for frames, _ in pairs)
        slope = sum((frames - middle) * (seconds - mean) for frames, seconds in pairs) / around if around else 0.0
        slope = min(max(slope, 0.0), mean / middle if middle else 0.0)  # neither part is negative
        base = mean - slope * middle
        squares = sum((seconds - base - slope * frames) ** 2 for frames, seconds in pairs)
        return base, slope, sqrt(squares / len(pairs))
