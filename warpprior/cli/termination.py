"""A request to end is what Ctrl-C is: SIGTERM of schedulers, SIGHUP of a terminal that is closed, Ctrl-Break."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_NAMES = ("SIGTERM", "SIGHUP", "SIGBREAK")  # the last on Windows only


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
