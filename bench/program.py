"""What ``warpprior bench`` does: choose cases, time them, print a table, compare, and keep the baseline."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from warpprior.bench.baseline import (
    BASELINE,
    as_data,
    format_header,
    format_row,
    read_baseline,
    slower_cases,
    write_baseline,
)
from warpprior.bench.harness import Case, load_cases, run_cases
from warpprior.support.errors import InputError


def run(
    device: str,
    *,
    only: Sequence[str] = (),
    list_only: bool = False,
    compare: Path | None = None,
    max_ratio: float | None = None,
    update_baseline: bool = False,
    json_file: Path | None = None,
    quiet: bool = False,
) -> int:
    """Time the chosen cases on ``device``; the arguments are the options of ``warpprior bench``.

    Returns:
        0; 1 when an answer is wrong, or when a case takes more than ``max_ratio`` times its baseline.
    """
    chosen = choose(load_cases(), only)
    if list_only:
        print("\n".join(f"{one.name:40} {one.reference}" for one in chosen))
        return 0
    baseline = None
    if compare is not None or max_ratio is not None:
        default = compare in (None, Path())
        baseline = {} if default and not BASELINE.is_file() else read_baseline(BASELINE if default else compare, device)
    if not quiet:
        print(format_header(baseline is not None))
    results = run_cases(
        chosen, device, lambda result: None if quiet else print(format_row(result, baseline), flush=True)
    )
    if json_file is not None:
        json_file.write_text(json.dumps(as_data(results), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    if update_baseline:
        write_baseline(BASELINE, results, device)
    wrong = [result.name for result in results if result.problem is not None]
    slower = slower_cases(results, baseline, max_ratio) if baseline and max_ratio else []
    for names, fault in ((wrong, "wrong"), (slower, f"more than {max_ratio} times their baseline")):
        if names:
            print(f"{fault}: {', '.join(names)}")
    return 1 if wrong or slower else 0


def choose(cases: dict[str, Case], only: Sequence[str]) -> list[Case]:
    """The cases whose name contains one of the texts; all of them without any.

    Raises:
        InputError: a text that is in no name.
    """
    for text in only:
        if not any(text in name for name in cases):
            raise InputError("--only", f"no case is called like {text!r}", f"the cases are {', '.join(cases)}")
    return [one for name, one in cases.items() if not only or any(text in name for text in only)]
