"""The process that reads changed files: what it does with each is told before and after, for it may not survive."""

from __future__ import annotations

import os
import resource
import shutil
import sys
import tempfile
import traceback
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

from tests.fuzz.formats import FORMATS, Format
from tests.fuzz.mutators import mutate

MOST_CHARACTERS = 300  # of a message
MOST_BYTES = 4 << 20  # of a changed file
MOST_GROWTH = 2 << 30  # [bytes] of memory, for one file
ROOM = 4 << 30  # [bytes] of address space above what the process has at its start
REFUSED, ACCEPTED = "refused", "accepted"


@dataclass(frozen=True)
class Outcome:
    """What a reader did with a file.

    Attributes:
        kind: ``refused`` or ``accepted``, or what is wrong: ``untyped``, ``message``, ``memory``, ``warning``,
            ``output``; of those who watch also ``crash`` and ``hang``.
        text: the message, or where it happened.
    """

    kind: str
    text: str = ""

    @property
    def is_finding(self) -> bool:
        """It should not be."""
        return self.kind not in (REFUSED, ACCEPTED)


def changed_file(name: str, files: Sequence[bytes], seed: int, case: int) -> bytes:
    """One case of a campaign: the same for the same format, seed and number."""
    return mutate(Random(f"{seed}/{name}/{case}"), FORMATS[name].mutators, files)[:MOST_BYTES]


def work(name: str, seed: int, cases: range, link: Connection) -> None:
    """Read changed files of one format, and send ``(case, None)`` before and ``(case, outcome)`` after each.

    Args:
        name: of the format.
        seed: of the campaign.
        cases: numbers of the files.
        link: to those who watch; the first thing sent is the path of the file that is rewritten.
    """
    errors = os.dup(2)
    try:
        _work(name, seed, cases, link)
    except BaseException:  # a fault of ours: readers' exceptions are outcomes
        os.dup2(errors, 2)
        raise


def _work(name: str, seed: int, cases: range, link: Connection) -> None:
    with Reader(name) as reader:
        link.send(str(reader.path))
        for case in cases:
            data = changed_file(name, reader.files, seed, case)
            link.send((case, None))
            link.send((case, reader.read(data)))


class Reader:
    """A folder with one file that is rewritten and read again and again.

    Args:
        name: of the format.
    """

    def __init__(self, name: str):
        self.format: Format = FORMATS[name]
        self._place = Path(tempfile.mkdtemp(prefix="fuzz-"))
        self._folder = self._place / "scene"
        self.format.beside(self._folder)
        self.path = self._folder / self.format.file
        self.files = self.format.seeds(self._folder)
        self._names = [path.name for path in self._folder.rglob("*") if path.is_file()] + [self.path.name]
        self._own_errors = tempfile.TemporaryFile()
        os.dup2(self._own_errors.fileno(), 1)
        os.dup2(self._own_errors.fileno(), 2)
        for data in self.files:  # libraries are loaded, and seeds are what they should be
            outcome = self.read(data)
            if outcome.kind == REFUSED and "composed" not in outcome.text:
                raise AssertionError(f"{name}: a seed is not read: {outcome}")
        self._at_start = _peak()
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, -1))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *error: object) -> None:
        shutil.rmtree(self._place, ignore_errors=True)

    def read(self, data: bytes) -> Outcome:
        """What becomes of a file with these bytes."""
        from warpprior import WarppriorError

        self.path.write_bytes(data)
        os.lseek(self._own_errors.fileno(), 0, os.SEEK_SET)  # what libraries print goes there, too
        self._own_errors.truncate(0)
        warned: list[str] = []
        with warnings.catch_warnings():
            warnings.simplefilter("always", RuntimeWarning)  # of NumPy, about numbers that no one caught
            warnings.showwarning = lambda message, *more: warned.append(f"{message} at {_last_of_ours()}")
            try:
                self.format.read(self.path)
                outcome = Outcome(ACCEPTED)
            except WarppriorError as error:
                outcome = self._judge(str(error))
            except Exception as error:
                outcome = Outcome("untyped", _place(error))
        if outcome.is_finding:
            return outcome
        grown = _peak() - getattr(self, "_at_start", _peak())
        if grown > MOST_GROWTH:
            return Outcome("memory", f"{grown >> 20} MiB")
        if warned:
            return Outcome("warning", warned[0])
        sys.stdout.flush()
        sys.stderr.flush()
        printed = os.pread(self._own_errors.fileno(), 200, 0).strip()
        return Outcome("output", repr(printed)) if printed and not self.format.has_pictures else outcome

    def _judge(self, message: str) -> Outcome:
        """A refusal is one short line that names the file, and no exhaustion of memory."""
        if len(message) > MOST_CHARACTERS or not message.isprintable():
            return Outcome("message", f"{len(message)} characters: {message[:400]!r}")
        if not any(name in message for name in (*self._names, f"{self._folder.name}/")):
            return Outcome("message", f"names no file: {message}")
        if "more memory than there is" in message:
            return Outcome("memory", message)
        words = ("Error:", "Error(", "NoneType", "object is not", "object has no", "Traceback", "positional argument")
        if any(word in message for word in words):
            return Outcome("message", f"speaks of its insides: {message}")
        return Outcome(REFUSED, message)


def _peak() -> int:
    """The most memory that this process and those it waited for ever held [bytes]."""
    return 1024 * max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def _last_of_ours() -> str:
    """The line of the package that is being run."""
    frames = [frame for frame in traceback.extract_stack() if "warpprior" in frame.filename]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "no line of ours"


def _place(error: Exception) -> str:
    """The exception, and the last lines of ours and of all that it went through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "warpprior" in frame.filename] or frames
    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in (ours[-1], frames[-1])]
    return f"{type(error).__name__} at {' <- '.join(dict.fromkeys(places))}: {str(error)[:200]}"
