"""Kernels compiled side by side before a run, which its first launches would do one after the other."""

from __future__ import annotations

import importlib
import importlib.util
import os
import pkgutil
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import warp as wp

from warpprior.support.interrupts import call_aside
from warpprior.support.progress import Progress

PACKAGE = "warpprior.kernels"
OF_GPUS = ("block_rows", "block_solve", "border_fields", "frame_solve")  # what a CPU has libraries for
MOST_WORKERS = 8  # compilers at once
_COMPILING = threading.Lock()

_loaded: set[tuple[str, str]] = set()  # module and device


def load_kernels(names: Iterable[str], device: str, progress: Progress | None = None) -> None:
    """Load modules of kernels, from the cache if they are there, with as many compilers as there are cores.

    Args:
        names: of files in ``kernels/``; what is not there is left out.
        device: the Warp device.
        progress: called with modules done, modules in all, and what is being done.
    """
    missing = [name for name in sorted(set(names)) if (name, device) not in _loaded and _exists(name)]
    if not missing:
        return
    wp.init()  # once: threads would each begin to
    modules = [_module(name) for name in missing]
    done: list[wp.Module] = []

    def load_one(module: wp.Module) -> None:
        wp.force_load(device, modules=[module], max_workers=0)
        done.append(module)

    def load() -> None:
        # Who was interrupted may still be at it.
        with _COMPILING, ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, MOST_WORKERS)) as pool:
            list(pool.map(load_one, modules))

    def report() -> None:
        if progress is not None:
            progress(len(done), len(modules), "compiling kernels")

    call_aside(load, report)
    _loaded.update((name, device) for name in missing)


def all_kernels(device: str) -> list[str]:
    """Names of all files in ``kernels/`` that are used on a device."""
    package = importlib.import_module(PACKAGE)
    unused = OF_GPUS if device == "cpu" else ()
    return sorted(found.name for found in pkgutil.iter_modules(package.__path__) if found.name not in unused)


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
