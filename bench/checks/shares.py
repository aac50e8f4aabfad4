"""What a check costs: its processor time, alone and as a share of the refinement and tracking that it comes first in.

python -m warpprior.bench.checks.shares             # twelve scenes
python -m warpprior.bench.checks.shares --seeds 1   # six
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from statistics import median

from warpprior.bench.checks.__main__ import FIRST_SEED, sequences
from warpprior.checks.run import check
from warpprior.refinement.run import refine


def processor_seconds(call: Callable[[], object]) -> float:
    """Processor time of a call, which does not depend on what else runs."""
    began = time.process_time()
    call()
    return time.process_time() - began


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2, help="sequences of each kind of scene (default: 2)")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED, help="(default: %(default)s)")
    options = parser.parse_args()
    rows, warm = [], True
    print(f"{'sequence':30} {'full':>6} {'brief':>6} {'refine':>7} {'share':>6}   processor seconds")
    for title, scene in sequences(options.seeds, options.first_seed):
        if warm:  # kernels are loaded once
            check(scene)
            refine(scene, device="cpu", check_first=False)
            warm = False
        full, brief = (processor_seconds(partial(check, scene, brief=short)) for short in (False, True))
        refined = processor_seconds(partial(refine, scene, device="cpu", check_first=False))
        rows.append((full, brief, refined, brief / refined))
        print(f"{title:30} {full:6.2f} {brief:6.2f} {refined:7.2f} {100 * brief / refined:5.1f} %", flush=True)
    columns = [*zip(*rows, strict=True)]
    for words, of in (("median", median), ("worst", max)):
        full, brief, refined, share = (of(column) for column in columns)
        print(f"{words:30} {full:6.2f} {brief:6.2f} {refined:7.2f} {100 * share:5.1f} %")


if __name__ == "__main__":
    main()
