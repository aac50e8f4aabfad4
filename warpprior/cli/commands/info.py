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
    compile: bool = option("compile all kernels into the cache first, so that no run has to", False)


def run(options: Options) -> int:
    """Print what this installation consists of, with all kernels compiled where that is asked for."""
    import json

    from warpprior.support import environment

    if options.compile:
        _compile_kernels(options.quiet)
    found = environment.info()
    print(json.dumps(found, indent=1) if options.json else environment.format_info(found))
    return 0


def _compile_kernels(quiet: bool) -> None:
    """Compile for the device that commands take by default, and for the CPU, with as many compilers as cores."""
    from warpprior.support.device import prepare_kernel_cache, resolve_device
    from warpprior.support.kernel_loading import all_kernels, load_kernels
    from warpprior.support.progress import progress_bar

    prepare_kernel_cache()
    with progress_bar("compile", quiet=quiet) as progress:
        for device in dict.fromkeys((resolve_device(None), "cpu")):
            load_kernels(all_kernels(device), device, progress)
