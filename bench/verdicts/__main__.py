"""How well verdicts tell right from wrong: area under the curve, what is found, false alarms; and their weights.

python -m warpprior.bench.verdicts                              # the table, over 201 sequences
python -m warpprior.bench.verdicts --keep FILE                  # the same, from where FILE was left
python -m warpprior.bench.verdicts --seed 100 --sequences 90 --calibrate  # weights for warpprior/verdicts/weights.py

Frames of bodies are what is counted; one is wrong that is more than 2 cm or 20 degrees off, modulo symmetry.  Each
sequence counts twice: with what simulated scenes have that was measured in space (keypoints, middles, in some of them
depth images), and without.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from pathlib import Path

from warpprior.bench.verdicts.calibrate import fit_all, samples
from warpprior.bench.verdicts.rows import Row, measure
from warpprior.bench.verdicts.sequences import sequences
from warpprior.bench.verdicts.table import table
from warpprior.kernels import silence_warp


def main(arguments: list[str] | None = None) -> int:
    """Run what is missing of the sequences, print the table, and weights where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sequences", type=int, default=201, help="how many (default: 201)")
    parser.add_argument("--seed", type=int, default=710, help="of the first (default: 710)")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="go on from this file, and write it")
    parser.add_argument("--calibrate", action="store_true", help="print weights that tell right from wrong best")
    options = parser.parse_args(arguments)
    silence_warp()
    warnings.simplefilter("ignore")
    rows: list[Row] = []
    if options.keep is not None and options.keep.exists():
        rows = json.loads(options.keep.read_text(encoding="utf-8"))
    done = sum(not row["moved"] for row in rows)
    for sequence in sequences(options.sequences, options.seed, skip=done):
        rows += measure(sequence)
        if options.keep is not None:
            options.keep.write_text(json.dumps(rows) + "\n", encoding="utf-8")
    print(*table(rows), sep="\n")
    if options.calibrate:
        print(json.dumps(fit_all(*samples(row for row in rows if row["traced"])), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
