"""``python -m warpprior.bench.gpu PART --device DEVICE --json FILE``: one part, what it finds in FILE as it comes."""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

from warpprior.bench.gpu.parts import PARTS
from warpprior.bench.gpu.record import Record
from warpprior.support.device import prepare_kernel_cache, resolve_device


def main(arguments: list[str] | None = None) -> int:
    """Run a part; 1 where something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m warpprior.bench.gpu", description=__doc__)
    parser.add_argument("part", choices=list(PARTS))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--json", type=Path, required=True, metavar="FILE")
    parser.add_argument("--brief", action="store_true", help="as little as shows that the part runs")
    chosen = parser.parse_args(arguments)
    prepare_kernel_cache()
    warnings.simplefilter("ignore")
    record = Record(chosen.json)
    # What devices there are is asked for most where the one that is wanted is not found.
    device = chosen.device if chosen.part == "machine" else resolve_device(chosen.device)
    PARTS[chosen.part](device, record, chosen.brief)
    print(*record.wrong, sep="\n")
    return 1 if record.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
