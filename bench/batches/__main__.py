"""``python -m warpprior.bench.batches --output-dir DIR``: 190 good clips, 10 bad ones, two workers, killed twice.

The batch is killed with SIGKILL after a third of the clips, with Ctrl-C after two thirds, and resumed.  Every good clip
must be refined once, and every bad one named, with what is wrong with it.  Then some good clips are refined by one
worker, to see what a clip takes beyond its own work.  Exits with 1 where something is not as it must be.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from datetime import datetime
from pathlib import Path

from warpprior.batches.clips import clips_of
from warpprior.bench.batches import traps
from warpprior.bench.batches.clips import BAD, make_clips

TIMED = 30  # clips of which it is measured what they take beyond their work


class Batch:
    """A batch in a process of its own, run again and again."""

    def __init__(self, source: Path, output_dir: Path, *words: str):
        self.output_dir = output_dir
        self._command = [sys.executable, "-m", "warpprior", "batch", str(source), "--output-dir", str(output_dir)]
        self._command += words
        self.peak_mib = 0  # of the process that hands out the clips
        self.said: list[str] = []

    def run(self, *words: str, until: int | None = None, by: signal.Signals = signal.SIGKILL) -> tuple[int, float]:
        """Exit code and seconds of one run, ended by a signal when so many clips are done."""
        log = self.output_dir.with_suffix(".log")
        began = time.monotonic()
        with open(log, "w") as stream:
            process = subprocess.Popen([*self._command, *words], stdout=stream, stderr=stream, preexec_fn=_hear_ctrl_c)
            while process.poll() is None:
                self.peak_mib = max(self.peak_mib, _peak_mib(process.pid))
                if until is not None and len(self.done()) >= until:
                    process.send_signal(by)
                    until = None
                time.sleep(0.05)
        self.said = log.read_text(encoding="utf-8").splitlines()
        return process.returncode, time.monotonic() - began

    def lines(self) -> list[dict]:
        """What the journal has noted."""
        path = self.output_dir / "journal" / "all.jsonl"
        whole = path.read_text(encoding="utf-8").rpartition("\n")[0].splitlines() if path.exists() else []
        return [json.loads(line) for line in whole]

    def done(self) -> list[dict]:
        """The lines of clips that were refined."""
        return [line for line in self.lines() if line["status"] == "done"]


def main() -> int:
    """Run it, print what came out, and judge it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output-dir", type=Path, required=True, metavar="DIR")
    parser.add_argument("--clips", type=int, default=190)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--iterations", type=int, default=3)
    parser.add_argument("--clip-timeout", type=float, default=60.0)
    parser.add_argument("--ray", metavar="ADDRESS")
    given = parser.parse_args()
    folder = given.output_dir.absolute()
    good = make_clips(folder, given.clips)
    shutil.rmtree(folder / "out", ignore_errors=True)
    (folder / "traps").mkdir(exist_ok=True)
    os.environ[traps.FOLDER] = str(folder / "traps")
    words = ["--device", "cpu", "--iterations", str(given.iterations)]
    bad = ["--term", f"{traps.__file__}:Trap", "--clip-timeout", str(given.clip_timeout), "--jobs", str(given.jobs)]
    ray = [] if given.ray is None else ["--ray", given.ray]
    batch = Batch(folder / "clips", folder / "out", *words, *bad, *ray)
    problems = [*_kill_and_resume(batch, given.clips), *_judge(batch, folder / "clips", good)]
    _say_figures(batch)
    if given.ray is None:
        _say_overhead(folder, good, words)
    for problem in problems:
        print(f"wrong: {problem}")
    return 1 if problems else 0


def _kill_and_resume(batch: Batch, count: int) -> list[str]:
    problems = []
    for words, until, by, wanted in (
        ((), count // 3, signal.SIGKILL, -signal.SIGKILL),
        (("--resume",), 2 * count // 3, signal.SIGINT, 130),
        (("--resume",), None, signal.SIGKILL, 1),
    ):
        code, seconds = batch.run(*words, until=until, by=by)
        title, done = " ".join(words) or "first run", len(batch.done())
        print(f"{title}: exit code {code} after {seconds:.0f} s, {done} clips done", flush=True)
        if code != wanted:
            problems.append(f"exit code {code}, not {wanted}: {batch.said[-1:]}")
    return problems


def _judge(batch: Batch, clips: Path, good: list[str]) -> list[str]:
    problems = []
    times = Counter(line["clip"] for line in batch.done())
    for name in good:
        if times[name] != 1:
            problems.append(f"{name} was refined {times[name]} times")
        record = json.loads((batch.output_dir / name / "config.json").read_text(encoding="utf-8"))
        if record["complete"] is not True:
            problems.append(f"{name} is not complete")
    latest = {line["clip"]: line for line in batch.lines()}
    for clip in clips_of(clips):
        if clip.name in good:
            continue
        _, word = BAD[Path(clip.scene).name]
        line = latest.get(clip.name)
        if line is None or line["status"] == "done" or word not in line["said"]:
            problems.append(f"{clip.name} is not named with what is wrong with it: {line}")
        elif not any(f"error: {clip.name}: " in said for said in batch.said):
            problems.append(f"{clip.name} was not printed")
        else:
            print(f"  {line['status']:10} {clip.name}: {line['said']}")
    return problems


def _say_figures(batch: Batch) -> None:
    done = batch.done()
    workers = max(line["peak_mib"] for line in done)
    print(f"most memory: {workers} MiB of a worker, {batch.peak_mib} MiB of the process that hands out the clips")
    work = [line["work_seconds"] for line in done if line["work_seconds"] is not None]
    print(f"a clip: {statistics.median(work):.2f} s of work (median)")


def _say_overhead(folder: Path, good: list[str], words: list[str]) -> None:
    """What clips of one worker take beyond their work: the time between the ends of two less the work on the second."""
    listed = folder / "timed.txt"
    listed.write_text("".join(f"clips/{name}\n" for name in good[:TIMED]), encoding="utf-8")
    shutil.rmtree(folder / "timed", ignore_errors=True)
    batch = Batch(listed, folder / "timed", *words, "--jobs", "1")
    _, seconds = batch.run()
    done = batch.done()
    ends = [datetime.fromisoformat(line["ended"]).timestamp() for line in done]
    beyond = [
        after - before - line["work_seconds"] for before, after, line in zip(ends, ends[1:], done[1:], strict=False)
    ]
    work = sum(line["work_seconds"] for line in done)
    middle, most = statistics.median(beyond), max(beyond)
    print(f"beyond its own work, a clip takes {middle:.3f} s (median of {len(beyond)}; most {most:.3f} s)")
    print(f"{len(done)} clips, one worker: {seconds:.1f} s in all, {work:.1f} s of it work")
    _, seconds = batch.run("--resume")
    print(f"to find that they are finished: {seconds:.1f} s in all, {len(batch.lines()) - len(done)} lines noted")


def _peak_mib(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) >> 10 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return 0


def _hear_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it, and theirs


if __name__ == "__main__":
    sys.exit(main())
