"""Campaigns: workers that read changed files are watched, what they find is kept, and tables say what was tried."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from tests.fuzz.formats import FORMATS
from tests.fuzz.worker import ACCEPTED, REFUSED, Outcome, Reader, changed_file, work

START_SECONDS = 120.0  # for a worker, until it reads
BATCH = 100_000  # of cases that one worker is given at most
KEPT = 3  # findings of the same kind and place of which the files are kept

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

    def add(self, case: int, outcome: Outcome, data: Callable[[], bytes], folder: Path | None) -> None:
        """Count a file; keep it where something was found, if not much of the kind has been."""
        self.counts[outcome.kind] += 1
        if not outcome.is_finding:
            return
        alike = sum(_signature(one.outcome) == _signature(outcome) for one in self.findings)
        finding = Finding(self.format, case, outcome)
        self.findings.append(finding)
        if folder is not None and alike < KEPT:
            folder.mkdir(parents=True, exist_ok=True)
            finding.path = folder / f"{self.format}-{case}-{outcome.kind}{Path(FORMATS[self.format].file).suffix}"
            finding.path.write_bytes(data())
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
) -> list[Tally]:
    """Read changed files of some formats.

    Args:
        names: of the formats.
        seed: of all changes.
        seconds: for all formats together, each its share.
        cases: files of each format; None as many as there is time for.
        jobs: workers side by side.
        folder: where files are kept that show something; None keeps none.

    Returns:
        what became of them, by format.
    """
    share = seconds * jobs / len(names)
    workers = jobs if len(names) == 1 else 1
    shares = [(name, share / workers, range(k, cases or BATCH, workers)) for name in names for k in range(workers)]
    with ThreadPoolExecutor(jobs) as pool:
        found = list(pool.map(lambda one: _watch(*one, seed=seed, folder=folder), shares))
    merged: dict[str, Tally] = {}
    for tally in found:
        one = merged.setdefault(tally.format, Tally(tally.format))
        one.counts.update(tally.counts)
        one.findings += tally.findings
        one.seconds = max(one.seconds, tally.seconds)
    return list(merged.values())


def _watch(name: str, seconds: float, cases: range, *, seed: int, folder: Path | None) -> Tally:
    """Have workers read the cases until time is up, each from where the one before ended."""
    tally, end, files = Tally(name), None, []
    while cases:
        for case, outcome, path in _answers(name, seed, cases):
            start = time.monotonic()
            end = start + seconds if end is None else end
            if outcome is not None:
                if outcome.kind == "hang" and not files:
                    again = next(_answers(name, seed, range(case, case + 1)))[1]  # the machine may have been busy
                    outcome = again or outcome
                tally.add(case, outcome, lambda: Path(path).read_bytes(), folder)  # noqa: B023 - used at once
            cases = range(case + cases.step, cases.stop, cases.step)
            tally.seconds = seconds - (end - time.monotonic())
            if time.monotonic() > end:
                return tally
    return tally


def _answers(name: str, seed: int, cases: range) -> Iterator[tuple[int, Outcome | None, str]]:
    """What one worker says of each case, until it has done all of them, dies or hangs; and the path of its file."""
    link, theirs = _context.Pipe(duplex=False)
    process = _context.Process(target=work, args=(name, seed, cases, theirs), daemon=True)
    process.start()
    theirs.close()
    case = None
    try:
        if not link.poll(START_SECONDS):
            raise RuntimeError(f"{name}: the worker does not start")
        path = link.recv()
        while True:
            most = FORMATS[name].seconds
            if not link.poll(most if case is not None else START_SECONDS):
                yield case, Outcome("hang", f"over {most:g} s"), path
                return
            number, outcome = link.recv()
            case = number if outcome is None else None
            if outcome is not None:
                yield number, outcome, path
                if outcome.kind == "memory":  # the peak stays: the next one could not be told from it
                    return
            if outcome is not None and number == cases[-1]:
                return
    except EOFError:
        process.join()
        if case is None:
            raise RuntimeError(f"{name}: the worker ended with {process.exitcode} while it read nothing") from None
        yield case, Outcome("crash", f"exit code {process.exitcode}"), path
    finally:
        process.kill()
        process.join()


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


def replay(name: str, data: bytes) -> Outcome:
    """What becomes of one file, here."""
    with Reader(name) as reader:
        return reader.read(data)


def case_of(name: str, seed: int, case: int) -> bytes:
    """The file of one case."""
    with Reader(name) as reader:
        return changed_file(name, reader.files, seed, case)
