"""Arrays that took long to compute, kept in files beside the kernel cache under a hash of what they came from."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from warpprior.support.device import start_warp

MOST_BYTES = 256 << 20  # of all entries of a folder; the oldest go first


def kept_folder(name: str) -> Path:
    """The folder of that name beside the kernel cache."""
    import warp as wp

    start_warp()  # it chooses the kernel cache
    return Path(str(wp.config.kernel_cache_dir)) / name


def hash_of(words: str, arrays: Iterable[np.ndarray]) -> str:
    """Hash of words and of arrays with their types and shapes."""
    digest = hashlib.blake2b(words.encode(), digest_size=20)
    for values in arrays:
        digest.update(f"{values.dtype} {values.shape}".encode())
        digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def keep(folder: Path, key: str, arrays: dict[str, np.ndarray]) -> None:
    """Keep an entry ``key.npz``, whole or not at all; where nothing can be written, nothing is."""
    named: dict[str, Any] = {"key": np.array(key), **arrays}
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        _make_room(folder)
        descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=".tmp-")
        try:
            with open(descriptor, "wb") as stream:
                np.savez_compressed(stream, **named)
            os.replace(temporary, folder / f"{key}.npz")
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def touch(path: Path) -> None:
    """Make an entry one of the newest."""
    with contextlib.suppress(OSError):
        os.utime(path)


def _make_room(folder: Path) -> None:
    """Remove the oldest entries beyond the limit, and what was left half written."""
    entries = sorted((path.stat().st_mtime, path.stat().st_size, path) for path in folder.iterdir() if path.is_file())
    total = sum(size for _, size, _ in entries)
    for _, size, path in entries:
        if total <= MOST_BYTES:
            return
        path.unlink(missing_ok=True)
        total -= size
