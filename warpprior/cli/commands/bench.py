"""``warpprior bench``: time the parts of the project, from a source checkout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from warpprior.cli.options import option
from warpprior.cli.shared import Common, OnDevice
from warpprior.support.limits import LEAST, number

PLACE = 11
SUMMARY = "time the parts, from a source checkout"


@dataclass(frozen=True, kw_only=True)
class Options(OnDevice, Common):
    """Options of ``bench``."""

    only: tuple[str, ...] = option("cases whose name contains TEXT", (), metavar="TEXT")
    list: bool = option("list the cases and stop", False)
    compare: Path | None = option(
        "compare with a baseline (default: bench/baseline.json)", nargs="?", const=Path(), metavar="FILE"
    )
    max_ratio: float | None = option("fail when a case takes R times its baseline", number(None, LEAST), metavar="R")
    update_baseline: bool = option("write the times into bench/baseline.json", False)
    json: Path | None = option("write all numbers as JSON", metavar="FILE")


def run(options: Options) -> int:
    """Time the cases; 1 when an answer is wrong or a case takes ``max_ratio`` times its baseline.

    Raises:
        InputError: not run from a source checkout, no such case, or no baseline.
    """
    import importlib

    from warpprior.cli.running import start_warp
    from warpprior.support.errors import InputError

    try:
        program = importlib.import_module("warpprior.bench.program")
    except ModuleNotFoundError as error:
        if error.name not in ("warpprior.bench", "warpprior.bench.program"):
            raise
        where = "the benchmark is part of the source checkout only"
        raise InputError("warpprior bench", where, "clone the repository and run `make bench` in it") from None
    return program.run(
        start_warp(options.device, options.quiet),
        only=options.only,
        list_only=options.list,
        compare=options.compare,
        max_ratio=options.max_ratio,
        update_baseline=options.update_baseline,
        json_file=options.json,
        quiet=options.quiet,
    )
