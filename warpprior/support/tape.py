"""Hand-written adjoints on whatever tape the caller has open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from warpprior.support.device import start_warp


def _runtime() -> Any:
    """Warp's own state, the only handle on the current tape that it has."""
    import warp as wp

    start_warp()
    return getattr(wp, "_src").context.runtime  # noqa: B009 - types do not know of it


def current_tape() -> Any:
    """The tape that is recording, or None."""
    return _runtime().tape


def record_adjoint(adjoint: Callable[[], None], arrays: list[Any]) -> None:
    """Have the tape that is recording, if any, call ``adjoint`` in its backward pass."""
    tape = current_tape()
    if tape is not None:
        tape.record_func(adjoint, arrays)


@contextmanager
def unrecorded() -> Iterator[None]:
    """Within it nothing is recorded on the tape that is recording, if any."""
    runtime = _runtime()
    tape, runtime.tape = runtime.tape, None
    try:
        yield
    finally:
        runtime.tape = tape
