"""Hand-written adjoints on whatever tape the caller has open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


def current_tape() -> Any:
    """The tape that is recording, or None."""
    import warp as wp

    wp.init()
    return wp._src.context.runtime.tape  # the only handle on it that Warp has


def record_adjoint(adjoint: Callable[[], None], arrays: list[Any]) -> None:
    """Have the tape that is recording, if any, call ``adjoint`` in its backward pass."""
    tape = current_tape()
    if tape is not None:
        tape.record_func(adjoint, arrays)


@contextmanager
def unrecorded() -> Iterator[None]:
    """Within it nothing is recorded on the tape that is recording, if any."""
    import warp as wp

    tape = current_tape()
    wp._src.context.runtime.tape = None
    try:
        yield
    finally:
        wp._src.context.runtime.tape = tape
