"""Hand-written adjoints on whatever tape the caller has open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def record_adjoint(adjoint: Callable[[], None], arrays: list[Any]) -> None:
    """Have the tape that is recording, if any, call ``adjoint`` in its backward pass."""
    import warp as wp

    tape = wp._src.context.runtime.tape  # the only handle on the current tape that Warp has
    if tape is not None:
        tape.record_func(adjoint, arrays)
