"""What goes between the host and a device, or waits for it, while something runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import warp as wp

METHODS = ("numpy", "assign", "list")  # of arrays
FUNCTIONS = ("synchronize", "synchronize_device", "synchronize_stream", "from_numpy")


@contextmanager
def counted_copies() -> Iterator[Counter[str]]:
    """Within it calls that copy or wait are counted by name; "array" is one that is made of numbers of the host."""
    found: Counter[str] = Counter()

    def counted(name: str, plain: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **words: Any) -> Any:
            found[name] += 1
            return plain(*arguments, **words)

        return call

    made = wp.array.__init__

    def make(array: wp.array, data: Any = None, *arguments: Any, **words: Any) -> None:
        if data is not None:
            found["array"] += 1
        made(array, data, *arguments, **words)

    before = [(wp.array, name, getattr(wp.array, name)) for name in METHODS]
    before += [(wp, name, getattr(wp, name)) for name in FUNCTIONS]
    for owner, name, plain in before:
        setattr(owner, name, counted(name, plain))
    setattr(wp.array, "__init__", make)  # noqa: B010 - it is put back below
    try:
        yield found
    finally:
        for owner, name, plain in before:
            setattr(owner, name, plain)
        setattr(wp.array, "__init__", made)  # noqa: B010
