"""``python -m tests.fuzz``: read damaged files of every format, and say in a table what became of them."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tests.fuzz.campaign import format_tallies, fuzz
from tests.fuzz.formats import FORMATS
from tests.fuzz.worker import Reader

FINDINGS = Path("out") / "fuzz"


def main() -> int:
    """Run a campaign, or read one file again; 1 when something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--format", action="append", choices=FORMATS, help="only this one; repeatable")
    parser.add_argument("--seconds", type=float, default=600.0, help="for all formats together (default: %(default)s)")
    parser.add_argument("--cases", type=int, help="files of each format (default: as many as there is time for)")
    parser.add_argument("--seed", type=int, default=0, help="of all changes (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: %(default)s)")
    parser.add_argument("--output-dir", type=Path, default=FINDINGS, help="for what was found (default: %(default)s)")
    parser.add_argument("--file", type=Path, help="read this file of --format, and say what becomes of it")
    options = parser.parse_args()
    if options.file is not None:
        if options.format is None:
            parser.error("--file needs --format")
        with Reader(FORMATS[options.format[0]]) as reader:
            outcome = reader.read(options.file.read_bytes())
        print(f"{outcome.kind}: {outcome.text}")
        return int(outcome.is_finding)
    tallies = fuzz(
        options.format or list(FORMATS),
        seed=options.seed,
        seconds=options.seconds,
        cases=options.cases,
        jobs=options.jobs,
        folder=options.output_dir,
    )
    print(format_tallies(tallies))
    return int(any(one.findings for one in tallies))


if __name__ == "__main__":
    sys.exit(main())
