"""Sizes of memory: as people write them, what a process has, and what there is."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from pathlib import Path
from typing import Any

from warpprior.support.errors import InputError

UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "t": 1000**4, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
MIB = 2**20
_trim: Any = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
_GROUP = Path("/sys/fs/cgroup")
_GROUPS = (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))


def read_size(size: str | float, where: str = "memory") -> int:
    """Bytes, from a number of them or from text like ``4GiB``, ``500 MB`` or ``1.5g``.

    Raises:
        InputError: it is not a positive size.
    """
    found = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*([kmgt]?i?)b?\s*", str(size).lower())
    bytes_ = int(float(found[1]) * UNITS[found[2]]) if found and found[2] in UNITS else 0
    if bytes_ < 1:
        raise InputError(where, repr(size), "a size like 4GiB, 500MB or a number of bytes")
    return bytes_


def write_size(count: float) -> str:
    """A number of bytes, for people."""
    return f"{count / 2**30:.1f} GiB" if count >= 0.95 * 2**30 else f"{max(count, 0) / MIB:.0f} MiB"


def held_bytes(process: int | None = None) -> int:
    """What a process, this one if no other is named, has in memory; 0 where the system does not say."""
    try:
        return int(Path(f"/proc/{process or 'self'}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError, IndexError):  # no sysconf, or no such file
        return 0


def give_back() -> None:
    """Hand to the system what was freed: the C library keeps it for later, in pieces that often fit nothing."""
    if _trim is not None:
        _trim(0)


def free_bytes() -> int | None:
    """What this process may still take without swapping; None where the system does not say."""
    found = [value for value in (_machine(), _group()) if value is not None]
    return min(found) if found else None


def _machine() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    except (OSError, ValueError, StopIteration):
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _group() -> int | None:
    """Of a container that has a limit."""
    for limit, used in _GROUPS:
        try:
            return int((_GROUP / limit).read_text()) - int((_GROUP / used).read_text())
        except (OSError, ValueError):  # there is none: "max" is no number
            continue
    return None
