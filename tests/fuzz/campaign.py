"""Campaigns: workers that read changed files are watched, what they find is kept, and tables say what was tried."""

from __future__ import annotations

import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

from tests.fuzz.formats import Format
from tests.fuzz.worker import ACCEPTED, REFUSED, Outcome, work

START_SECONDS = 120.0  # for a worker, until it reads
BATCH = 100_000  # of cases that one worker is given at most
KEPT = 3  # findings of the same kind and place of which the files are kept

FORMATS = "tests.fuzz.formats"  # the module with their table

_context = get_context("spawn")


@dataclass
class Finding:
    """A file that was not read as it should be, and the command that reads it again."""

    format: str
    case: int
    outcome: Outcome
    path: Path | None = None

    @property
    def command(self) -> str:
        """What shows it again."""
        return f"python -m tests.fuzz --format {self.format} --file {self.path}"


@dataclass
class Tally:
    """What became of the files of one format."""

    format: str
    seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    @property
    def tried(self) -> int:
        """Files in all."""
        return sum(self.counts.values())

    def add(self, case: int, outcome: Outcome, path: Path, kept: Path | None) -> None:
        """Count a file; where something was found, copy it, if not many of the same kind have been."""
        self.counts[outcome.kind] += 1
        if not outcome.is_finding:
            return
        alike = sum(_signature(one.outcome) == _signature(outcome) for one in self.findings)
        finding = Finding(self.format, case, outcome)
        self.findings.append(finding)
        if kept is not None and alike < KEPT:
            kept.parent.mkdir(parents=True, exist_ok=True)
            finding.path = Path(shutil.copy(path, kept))
            print(f"{self.format} {case}: {outcome.kind}: {outcome.text}\n    {finding.command}", file=sys.stderr)


def _signature(outcome: Outcome) -> str:
    """What findings of one cause have in common."""
    return f"{outcome.kind} {outcome.text.partition(': ')[0][:60]}"


def fuzz(
    names: Sequence[str],
    *,
    seed: int = 0,
    seconds: float = 60.0,
    cases: int | None = None,
    jobs: int = 2,
    folder: Path | None = None,
    module: str = FORMATS,
) -> list[Tally]:
    """Read changed files of some formats.

    Args:
        names: of the formats.
        seed: of all changes.
        seconds: for all formats together, each its share.
        cases: files of each format; None as many as there is time for.
        jobs: workers side by side.
        folder: where files are kept that show something; None keeps none.
        module: that has the table ``FORMATS``.

    Returns:
        what became of them, by format.
    """
    share = seconds * jobs / len(names)
    workers = jobs if len(names) == 1 else 1
    shares = [(name, share / workers, range(k, cases or BATCH, workers)) for name in names for k in range(workers)]
    with ThreadPoolExecutor(jobs) as pool:
        found = list(pool.map(lambda one: _Watch(module, one[0], seed, folder).run(*one[1:]), shares))
    merged: dict[str, Tally] = {}
    for tally in found:
        one = merged.setdefault(tally.format, Tally(tally.format))
        one.counts.update(tally.counts)
        one.findings += tally.findings
        one.seconds = max(one.seconds, tally.seconds)
    return list(merged.values())


class _Watch:
    """Has workers read files of one format, and starts another where one ends.

    Args:
        module: that has the table of formats.
        name: of the format.
        seed: of all changes.
        folder: where files are kept.
    """

    def __init__(self, module: str, name: str, seed: int, folder: Path | None):
        self._format: Format = import_module(module).FORMATS[name]
        self._given, self._name, self._folder = (module, name, seed), name, folder

    def run(self, seconds: float, cases: range) -> Tally:
        """What became of the cases that there was time for; the time begins with the first."""
        tally, start = Tally(self._name), None
        while cases:
            case = cases[0]
            for case, outcome, path in self._answers(cases):
                start = time.monotonic() if start is None else start
                if outcome is None:
                    continue
                if outcome.kind == "hang":  # or the machine was busy
                    outcome = next(again for _, again, _ in self._answers(range(case, case + 1)) if again is not None)
                kept = (
                    None
                    if self._folder is None
                    else self._folder / f"{self._name}-{case}{Path(self._format.file).suffix}"
                )
                tally.add(case, outcome, Path(path), kept)
                tally.seconds = time.monotonic() - start
                if tally.seconds > seconds:
                    return tally
            cases = range(case + cases.step, cases.stop, cases.step)
        return tally

    def _answers(self, cases: range) -> Iterator[tuple[int, Outcome | None, str]]:
        """What one worker says of each case, None before, until it is through, dies or hangs; and its file."""
        link, theirs = _context.Pipe(duplex=False)
        process = _context.Process(target=work, args=(*self._given, cases, theirs), daemon=True)
        process.start()
        theirs.close()
        case, path, place = None, "", None
        try:
            if not link.poll(START_SECONDS):
                raise RuntimeError(f"{self._name}: the worker does not start")
            path, place = link.recv()
            while True:
                if not link.poll(START_SECONDS if case is None else self._format.seconds):
                    yield case or 0, Outcome("hang", f"over {self._format.seconds:g} s"), path
                    return
                number, outcome = link.recv()
                case = number if outcome is None else None
                yield number, outcome, path
                # The peak of memory stays: what comes after could not be told from it.
                if outcome is not None and (number == cases[-1] or outcome.kind == "memory"):
                    return
        except EOFError:
            process.join()
            if case is None:
                raise RuntimeError(f"{self._name}: the worker ended by itself ({process.exitcode})") from None
            yield case, Outcome("crash", f"exit code {process.exitcode}"), path
        finally:
            process.kill()
            process.join()
            if place is not None:
                shutil.rmtree(place, ignore_errors=True)


def format_tallies(tallies: Sequence[Tally]) -> str:
    """The table."""
    rows = [("format", "tried", "refused", "accepted", "findings", "per second")]
    total = Counter()
    for one in tallies:
        counts = (one.tried, one.counts[REFUSED], one.counts[ACCEPTED], len(one.findings))
        total.update(dict(enumerate(counts)))
        rate = one.tried / one.seconds if one.seconds > 0.0 else 0.0
        rows.append((one.format, *map(str, counts), f"{rate:.0f}"))
    rows.append(("all", *(str(total[k]) for k in range(4)), ""))
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = ["  ".join(row[k].ljust(w) if k == 0 else row[k].rjust(w) for k, w in enumerate(widths)) for row in rows]
    kinds = Counter(f"{one.format}: {_signature(finding.outcome)}" for one in tallies for finding in one.findings)
    return "\n".join([*lines, *(f"{count:6d}  {text}" for text, count in kinds.most_common())])
