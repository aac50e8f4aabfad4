"""A request to end (SIGTERM, of schedulers and containers; Ctrl-Break on Windows) is what Ctrl-C is."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_NAMES = ("SIGTERM", "SIGBREAK")  # the second on Windows only


@contextmanager
def termination_interrupts() -> Iterator[None]:
    """Within it, what asks the process to end raises KeyboardInterrupt, unless somebody else listens to it."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        for name in _NAMES:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) == signal.SIG_DFL:
                before[number] = signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(*_) -> None:
    if callable(signal.getsignal(signal.SIGINT)):
        signal.raise_signal(signal.SIGINT)
    else:  # a job in the background, which Ctrl-C is not for
        raise KeyboardInterrupt
