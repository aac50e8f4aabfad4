"""``warpprior info``: versions, devices, extras and the kernel cache."""

from __future__ import annotations

from dataclasses import dataclass

from warpprior.cli.options import option
from warpprior.cli.shared import Common

PLACE = 10
SUMMARY = "show versions, devices, extras and the kernel cache"


@dataclass(frozen=True, kw_only=True)
class Options(Common):
    """Options of ``info``."""

    json: bool = option("as JSON", False)


def run(options: Options) -> int:
    """Print what this installation consists of."""
    import json

    from warpprior.support import environment

    found = environment.info()
    print(json.dumps(found, indent=1) if options.json else environment.format_info(found))
    return 0
