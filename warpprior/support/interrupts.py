"""Ctrl-C where Python alone does not do: around code that drops it, that cannot hear it, or that starts processes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Value = TypeVar("Value")


@contextmanager
def postponed() -> Iterator[None]:
    """Within it Ctrl-C is put off, for code that would drop it and go on; in other threads it does nothing."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    came = []
    signal.signal(signal.SIGINT, lambda *what: came.append(what))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        before(*came[-1])


@contextmanager
def blocked() -> Iterator[None]:
    """Within it Ctrl-C waits, and processes that are started never see it: who starts them ends them.

    Where the system cannot block signals (Windows) it does nothing.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def call_aside(function: Callable[[], Value], meanwhile: Callable[[], None] = lambda: None) -> Value:
    """Call what is long in native code in a thread of its own, so that Ctrl-C is heard meanwhile.

    After an interrupt the function goes on, and nobody waits for it.

    Args:
        function: what is long.
        meanwhile: called again and again while it goes on.
    """
    if threading.current_thread() is not threading.main_thread():
        return function()
    answers: list[Value] = []
    errors: list[BaseException] = []

    def call() -> None:
        try:
            answers.append(function())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.1)  # without a limit Windows would not hear of Ctrl-C
        meanwhile()
    if errors:
        raise errors[0]
    return answers[0]
