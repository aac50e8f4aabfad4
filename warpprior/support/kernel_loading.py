"""Kernels compiled side by side before a run, which its first launches would do one after the other."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import warp as wp

from warpprior.support.progress import Progress

PACKAGE = "warpprior.kernels"
MOST_WORKERS = 8  # compilers at once

_loaded: set[tuple[str, str]] = set()  # module and device


def load_kernels(names: Iterable[str], device: str, progress: Progress | None = None) -> None:
    """Load modules of kernels, from the cache if they are there, with as many compilers as there are cores.

    Args:
        names: of files in ``kernels/``; what is not there is left out.
        device: the Warp device.
        progress: called with modules done, modules in all, and what is being done.
    """
    missing = [name for name in sorted(set(names)) if (name, device) not in _loaded and _exists(name)]
    modules = {name: _module(name) for name in missing}
    pool = ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, MOST_WORKERS))
    try:
        loads = {pool.submit(wp.force_load, device, modules=[modules[name]], max_workers=0): name for name in missing}
        for done, load in enumerate(as_completed(loads)):
            load.result()
            _loaded.add((loads[load], device))
            if progress is not None:
                progress(done + 1, len(missing), "compiling kernels")
    finally:
        pool.shutdown(cancel_futures=True)  # after Ctrl-C those that wait are left out


def count_uncompiled(names: Iterable[str]) -> int:
    """How many of the modules the kernel cache does not have, in any version."""
    cache = wp.config.kernel_cache_dir
    if cache is None:
        return 0
    return sum(not any(Path(cache).glob(f"wp_{PACKAGE}.{name}_*")) for name in set(names) if _exists(name))


def _exists(name: str) -> bool:
    return importlib.util.find_spec(f"{PACKAGE}.{name}") is not None


def _module(name: str) -> wp.Module:
    importlib.import_module(f"{PACKAGE}.{name}")
    return wp.get_module(f"{PACKAGE}.{name}")
