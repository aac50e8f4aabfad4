"""How far a command has come, for people: a bar on a terminal, gone when the work is done; next to nothing in logs."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from warpprior.support.errors import one_line

Progress = Callable[[float, float, str], None]  # how much is done, how much there is in all, what is being done

REDRAWN_EVERY = 0.1  # [s]
LOGGED_EVERY = 30.0  # a log gets at most one line per stage, and none sooner after another or the start [s]
_FIRST_GUESS = (3.0, 0.05)  # seconds and share of the work after which it is foreseeable how long the rest takes
_LEAST_BAR = 10  # columns


class Course:
    """Work of several parts that take unequally long, each of which reports its own progress.

    Args:
        progress: is told how far the whole has come, as a share of 1; None is told nothing.
        parts: in their order, with what each takes, in any unit.
    """

    def __init__(self, progress: Progress | None, parts: Mapping[str, float]):
        self._progress = progress
        total, passed = sum(parts.values()) or 1.0, 0.0
        self._spans: dict[str, tuple[float, float]] = {}
        for name, cost in parts.items():
            self._spans[name] = passed / total, cost / total
            passed += cost

    def part(self, name: str) -> Progress:
        """What reports the progress of a part."""
        start, length = self._spans[name]

        def report(done: float, total: float, text: str) -> None:
            if self._progress is not None:
                share = done / total if total > 0 else 1.0
                self._progress(start + length * min(max(share, 0.0), 1.0), 1.0, text)

        return report


@contextmanager
def progress_bar(title: str, *, quiet: bool = False, foretells: bool = True) -> Iterator[Progress]:
    """Yield ``progress(done, total, text)``, which shows it on standard error.

    On a terminal that is a bar, with how long the rest takes once that can be told.  Into anything else, a log, go
    lines of their own, one for each text at most, and only of work that takes longer than half a minute.

    Args:
        title: stands before the bar.
        quiet: show nothing.
        foretells: the bar says how long the rest takes; else the texts do.
    """
    if quiet:
        yield lambda done, total, text: None
    elif sys.stderr.isatty():
        with _bar(title, foretells) as progress:
            yield progress
    else:
        yield _Log(title)


@contextmanager
def _bar(title: str, foretells: bool) -> Iterator[Progress]:
    from tqdm import tqdm

    told = warnings.showwarning
    with tqdm(
        desc=title, total=1.0, leave=False, file=sys.stderr, bar_format=_shape(title, ""), dynamic_ncols=True
    ) as bar:
        began = drawn = time.monotonic()

        def show(done: float, total: float, text: str) -> None:
            nonlocal drawn
            bar.n = max(bar.n, min(done / total, 1.0) if total > 0 else 1.0)  # what is done twice is not undone
            now = time.monotonic()
            if now - drawn < REDRAWN_EVERY and bar.n < 1.0:
                return
            drawn = now
            bar.bar_format = _shape(title, text, time_left(now - began, bar.n) if foretells else "")
            bar.refresh()

        def warn(*warning, **places) -> None:
            bar.clear()
            told(*warning, **places)

        warnings.showwarning = warn
        try:
            yield show
        finally:
            warnings.showwarning = told


def _shape(title: str, text: str, left: str = "") -> str:
    """A line for tqdm, as wide as the terminal at most."""
    columns = _columns()
    room = columns - len(f"{title} 100 % || ") - 1  # for the bar and the words
    width = max(min(max(columns // 4, _LEAST_BAR), room), 1)
    words = _fitted(one_line(text), left, room - width)
    bar = f"{{bar:{width}}}"
    return "{desc} {percentage:3.0f} % |" + bar + "| " + words.replace("{", "{{").replace("}", "}}")


def _columns() -> int:
    """How wide the terminal is that standard error is shown on."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or shutil.get_terminal_size().columns
    except (OSError, ValueError, AttributeError):  # no terminal, or none that says so
        return shutil.get_terminal_size().columns


class _Log:
    """Progress as lines of a log, few."""

    def __init__(self, title: str):
        self._title, self._began, self._stages = title, time.monotonic(), {""}
        self._logged = self._began

    def __call__(self, done: float, total: float, text: str) -> None:
        now = time.monotonic()
        if text in self._stages or now - self._logged < LOGGED_EVERY:
            return
        self._stages.add(text)
        self._logged = now
        share = 100.0 * done / total if total > 0 else 100.0
        line = f"warpprior: {self._title}: {share:.0f} % after {rounded(now - self._began)}: {one_line(text)}"
        print(line, file=sys.stderr, flush=True)


def time_left(elapsed: float, share: float) -> str:
    """How long the rest takes, ``"20 s left"``; nothing as long as that cannot be told.

    Args:
        elapsed: since the start [s].
        share: of the work that is done.
    """
    if elapsed < _FIRST_GUESS[0] or not _FIRST_GUESS[1] <= share < 1.0:
        return ""
    return f"{rounded(elapsed * (1.0 - share) / share)} left"


def rounded(seconds: float) -> str:
    """A duration as people say it."""
    if seconds >= 5400.0:
        return f"{seconds / 3600.0:.0f} h"
    if seconds >= 90.0:
        return f"{seconds / 60.0:.0f} min"
    step = 5 if seconds > 10.0 else 1
    return f"{max(step * round(seconds / step), 1)} s"


def _fitted(text: str, left: str, room: int) -> str:
    """What is being done and how long it takes, as much of it as there are columns: without its end, or not at all."""
    ends = [len(text), *(match.start() for match in reversed([*re.finditer(r", | \(", text)])), 0]
    for end in ends:
        line = ", ".join(filter(None, [text[:end], left]))
        if len(line) <= room:
            return line
    return ""
