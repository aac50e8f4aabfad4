"""Kernels compiled side by side before a run, which its first launches would do one after the other."""

from __future__ import annotations

import importlib
import importlib.util
import os
import threading
from collections.abc import Iterable
from functools import cache

import warp as wp

from warpprior.support.interrupts import call_aside

PACKAGE = "warpprior.kernels"
MOST_WORKERS = 8  # compilers at once
_COMPILING = threading.Lock()


def load_kernels(names: Iterable[str], device: str) -> None:
    """Load modules of kernels, from the cache if they are there, with as many compilers as there are cores.

    Args:
        names: of files in ``kernels/``; what is not there is left out.
        device: the Warp device.
    """
    _load(tuple(sorted(set(names))), device)


@cache
def _load(names: tuple[str, ...], device: str) -> None:
    modules = []
    for name in (f"{PACKAGE}.{name}" for name in names):
        if importlib.util.find_spec(name) is not None:
            importlib.import_module(name)
            modules.append(wp.get_module(name))
    workers = min(os.cpu_count() or 1, MOST_WORKERS)

    def load() -> None:
        with _COMPILING:  # who was interrupted may still be at it
            wp.force_load(device, modules=modules, max_workers=workers)

    call_aside(load)
