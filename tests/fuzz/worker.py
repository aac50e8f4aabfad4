"""The process that reads changed files: what it does with each is told before and after, for it may not survive."""

from __future__ import annotations

import os
import resource
import shutil
import sys
import tempfile
import traceback
import warnings
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

from tests.fuzz.formats import Format
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


def work(module: str, name: str, seed: int, cases: range, link: Connection) -> None:
    """Read changed files of one format, and send ``(case, None)`` before and ``(case, outcome)`` after each.

    Args:
        module: that has a table ``FORMATS``.
        name: of the format.
        seed: of the campaign.
        cases: numbers of the files.
        link: to those who watch; the first thing sent is the file that is rewritten, and the folder to remove.
    """
    errors = os.dup(2)
    try:
        _work(import_module(module).FORMATS[name], f"{seed}/{name}", cases, link)
    except BaseException:  # a fault of ours: readers' exceptions are outcomes
        os.dup2(errors, 2)
        raise


def _work(chosen: Format, seed: str, cases: range, link: Connection) -> None:
    reader = Reader(chosen)
    reader.guard()
    link.send((str(reader.path), str(reader.place)))  # which those who watch remove: this process may not be able to
    for case in cases:
        data = reader.changed(seed, case)
        link.send((case, None))
        link.send((case, reader.read(data)))


class Reader:
    """A folder with one file that is rewritten and read again and again.

    Args:
        chosen: the format.
    """

    def __init__(self, chosen: Format):
        self.format = chosen
        self.place = Path(tempfile.mkdtemp(prefix="fuzz-"))
        self._folder = self.place / "scene"
        chosen.beside(self._folder)
        self.path = self._folder / chosen.file
        self.files = chosen.seeds(self._folder)
        self._names = [path.name for path in self._folder.rglob("*") if path.is_file()]
        self._names += [self.path.name, f"{self._folder.name}/"]
        self._printed: int | None = None
        self._at_start = 0
        for data in self.files:  # libraries are loaded, and seeds are what they should be
            outcome = self.read(data)
            assert outcome.kind != REFUSED, f"{chosen.file}: a seed is not read: {outcome}"

    def guard(self) -> None:
        """Limit this process, and take what is printed for a fault."""
        self._at_start = _peak()
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, -1))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        self._printed = os.memfd_create("printed")
        for descriptor in (1, 2):
            os.dup2(self._printed, descriptor)

    def changed(self, seed: str, case: int) -> bytes:
        """One file of a campaign: the same for the same seed and number."""
        return mutate(Random(f"{seed}/{case}"), self.format.mutators, self.files)[:MOST_BYTES]

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *error: object) -> None:
        shutil.rmtree(self.place, ignore_errors=True)

    def read(self, data: bytes) -> Outcome:
        """What becomes of a file with these bytes."""
        from warpprior import WarppriorError

        self.path.write_bytes(data)
        if self._printed is not None:
            os.lseek(self._printed, 0, os.SEEK_SET)
            os.truncate(self._printed, 0)
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
        grown = _peak() - self._at_start
        if grown > MOST_GROWTH and self._printed is not None:
            return Outcome("memory", f"{grown >> 20} MiB")
        if warned:
            return Outcome("warning", warned[0])
        printed = self._what_was_printed()
        return Outcome("output", repr(printed)) if printed and not self.format.has_pictures else outcome

    def _what_was_printed(self) -> bytes:
        if self._printed is None:
            return b""
        sys.stdout.flush()
        sys.stderr.flush()
        return os.pread(self._printed, 200, 0).strip()

    def _judge(self, message: str) -> Outcome:
        """A refusal is one short line that names the file, and no exhaustion of memory."""
        if len(message) > MOST_CHARACTERS or not message.isprintable():
            return Outcome("message", f"{len(message)} characters: {message[:400]!r}")
        if not any(name in message for name in self._names):
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
