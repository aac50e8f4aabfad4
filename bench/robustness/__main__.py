"""``python -m warpprior.bench.robustness``."""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from pathlib import Path

from warpprior.bench.robustness.harness import Row, load_rows, median_and_worst, run_trial
from warpprior.kernels import silence_warp


def main(arguments: list[str] | None = None) -> int:
    """Run the rows that are named, print their figures, and keep them where asked."""
    rows = load_rows()
    parser = argparse.ArgumentParser(prog="python -m warpprior.bench.robustness", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"some of {', '.join(rows)} (default: all)")
    parser.add_argument("--first", type=int, metavar="N", help="only the first N sequences of each row")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--list", action="store_true", help="name the rows and end")
    chosen = parser.parse_args(arguments)
    for name in chosen.rows:
        if name not in rows:
            parser.error(f"no row {name!r}; there are {', '.join(rows)}")
    if chosen.list:
        print("\n".join(f"{name:24} {len(row.trials):3}  {row.title}" for name, row in rows.items()))
        return 0
    silence_warp()
    warnings.simplefilter("ignore")
    kept: dict[str, dict] = {}
    for name in chosen.rows or rows:
        kept[name] = _run(rows[name], chosen.first)
        if chosen.json is not None:
            chosen.json.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return 0


def _run(row: Row, first: int | None) -> dict:
    """Figures of a row's first sequences, or of all, printed as they come."""
    print(f"{row.name}: {row.title}", flush=True)
    found = {}
    for sequence, make in list(row.trials.items())[:first]:
        found[sequence] = run_trial(make)
        print(f"  {sequence:36}", "  ".join(f"{k} {v:.2f}" for k, v in found[sequence].items()), flush=True)
    summary = median_and_worst(found.values())
    print(f"  {'median, worst':36}", "  ".join(f"{k} {m:.2f}, {w:.2f}" for k, (m, w) in summary.items()), flush=True)
    return {"title": row.title, "sequences": found, "summary": summary}


if __name__ == "__main__":
    sys.exit(main())
