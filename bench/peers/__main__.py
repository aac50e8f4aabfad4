"""``python -m warpprior.bench.peers``: how much faster than others' libraries, on one thread, every answer checked.

Each library is measured beside ours in a process of its own, in rounds in which each has its turn; times are CPU time
of one call, medians, so that what else the machine does hardly matters.  Libraries that are not installed are named,
with the line that installs them.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from warpprior.bench.peers.harness import Comparison, Library, compare, failed, load_libraries
from warpprior.bench.peers.topics import TOPICS
from warpprior.support.device import prepare_kernel_cache
from warpprior.support.environment import versions

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
LONGEST_S = 300.0  # of one library


def format_rows(rows: Iterable[Comparison]) -> list[str]:
    """The table, and below it what is wrong or missing."""
    lines = [f"{'ours':28} {'ms':>8}  {'library':10} {'ms':>9} {'ratio':>7} {'goal':>5}"]
    said = []
    for row in rows:
        ours, theirs, ratio, goal = (
            "-" if value is None else format(value, form)
            for value, form in ((row.ours_ms, ".4g"), (row.theirs_ms, ".4g"), (row.ratio, ".1f"), (row.goal, "g"))
        )
        below = row.goal is not None and row.ratio is not None and row.ratio < row.goal
        mark = "missing" if row.missing else "WRONG" if row.problem else "below goal" if below else ""
        lines.append(f"{row.name:28} {ours:>8}  {row.library:10} {theirs:>9} {ratio:>7} {goal:>5}  {mark}".rstrip())
        said += [] if row.problem is None else [row.problem if row.missing else f"{row.name}: {row.problem}"]
    return lines + list(dict.fromkeys(said))


def measure(name: str, library: Library, topics: Iterable[str], seconds: float) -> tuple[list[Comparison], str]:
    """Rows of one library, measured in a process of its own, and which version it is.

    Args:
        name: of its file.
        library: what that describes.
        topics: what it is asked; what it does not know is left out.
        seconds: CPU time of a topic, at least.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.json"
        command = [sys.executable, "-m", "warpprior.bench.peers", *topics]
        command += ["--library", name, "--seconds", str(seconds), "--json", str(file)]
        environment = {**os.environ, **ONE_THREAD}
        try:
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=LONGEST_S, check=False
            )
        except subprocess.TimeoutExpired:
            problem = f"took more than {LONGEST_S:.0f} s"
        else:
            if file.is_file():
                found = json.loads(file.read_text(encoding="utf-8"))
                return [Comparison(**row) for row in found["rows"]], found["versions"].get(library.name, "")
            last = [line for line in done.stderr.splitlines() if line.strip()][-1:]
            problem = f"ended with {done.returncode}: {''.join(last)[:200]}; its installation: {library.install}"
    return [row for topic in topics for row in failed(TOPICS[topic], library, problem)], ""


def main(arguments: list[str] | None = None, libraries: Mapping[str, Library] | None = None) -> int:
    """Measure, print the table, and keep it where asked; 1 where an answer is wrong, 0 else."""
    parser = argparse.ArgumentParser(prog="python -m warpprior.bench.peers", description=__doc__)
    libraries = load_libraries() if libraries is None else libraries
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help=f"some of {', '.join(TOPICS)} (default: all)")
    parser.add_argument("--library", choices=list(libraries), help="only this one, in this process")
    parser.add_argument("--seconds", type=float, default=5.0, help="CPU time of a topic, at least (default: 5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    chosen = parser.parse_args(arguments)
    for name in chosen.topics:
        if name not in TOPICS:
            parser.error(f"no topic {name!r}; there are {', '.join(TOPICS)}")
    topics = chosen.topics or list(TOPICS)
    rows: list[Comparison] = []
    found = {name: str(version) for name, version in versions().items()}
    if chosen.library is not None:
        prepare_kernel_cache()
        library = libraries[chosen.library]
        for topic in topics:
            rows += compare(TOPICS[topic], library, chosen.seconds)
        if not all(row.missing for row in rows):
            found[library.name] = library.version()
    else:
        for name, library in libraries.items():
            measured, version = measure(name, library, topics, chosen.seconds)
            found |= {library.name: version} if version else {}
            rows += measured
    print(*format_rows(rows), sep="\n")
    if chosen.json is not None:
        kept = {"versions": found, "rows": [dataclasses.asdict(row) for row in rows]}
        chosen.json.write_text(json.dumps(kept, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return 1 if any(row.problem and not row.missing for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
