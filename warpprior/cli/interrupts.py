"""Ctrl-C ends the program soon, whatever it is at, with one line and exit code 130.

Python raises KeyboardInterrupt where it can.  It cannot while native code runs, a compiler for instance, and some code
drops what is raised.  So a thread hears of Ctrl-C too: it raises it once more after a while, and then ends the process.
"""

from __future__ import annotations

import _thread
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

INTERRUPTED = 130
_AT_THE_END = (
    ("warpprior.io.locks", "release_all"),
    ("warpprior.support.device", "forget_unfinished_builds"),
)
_PATIENCE_S = 0.6  # from Ctrl-C to raising it once more, and from there to the end


class Watch:
    """What is known of interrupts in this process.

    Attributes:
        came: Ctrl-C came while the program was watched, even if nobody saw it.
    """

    def __init__(self):
        self.came = False
        self._active = False
        self._at_stake = False
        self._repeats = 0  # signals under way that no user sent
        self._ending = _thread.allocate_lock()

    @contextmanager
    def program(self) -> Iterator[None]:
        """Around the whole program, in its main thread."""
        if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # a shell's job in the background
            yield
            return
        heard, told = socket.socketpair()  # Windows takes no pipe
        told.setblocking(False)
        # Not one of threading's: it launches nothing, and must not count among those that might.
        _thread.start_new_thread(self._listen, (heard,))
        signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
        self._active = True
        signal.signal(signal.SIGINT, self._raise)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # what was to be done is done
            self._active = False
            signal.set_wakeup_fd(-1)
            told.close()

    @contextmanager
    def stake(self) -> Iterator[Callable[[bool], None]]:
        """Yield a function that says whether there is something by now that shall be saved, or no longer.

        While there is, the first Ctrl-C only raises KeyboardInterrupt.
        """

        def say(something: bool) -> None:
            self._at_stake = something

        try:
            yield say
        finally:
            self._at_stake = False

    def repeat(self) -> None:
        """Raise KeyboardInterrupt in the main thread: what was raised before got lost."""
        if self._active:
            self._repeats += 1
        thread = threading.main_thread().ident
        if hasattr(signal, "pthread_kill") and thread is not None:
            signal.pthread_kill(thread, signal.SIGINT)
        else:
            _thread.interrupt_main()

    def claim(self) -> bool:
        """Whether it is left to the caller to say that the program was interrupted; from here on no more are heard."""
        if self._active:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        return not self._active or self._ending.acquire(blocking=False)

    def end(self, code: int) -> NoReturn:
        """End the process at once, not waiting for native code that other threads are in."""
        # What was not imported yet has left nothing, and this is no moment to import it.
        for module, name in _AT_THE_END:
            with suppress(Exception):
                if module in sys.modules:
                    getattr(sys.modules[module], name)()
        if "multiprocessing" in sys.modules:
            for child in sys.modules["multiprocessing"].active_children():
                child.kill()
        os._exit(code)

    def _raise(self, *_) -> None:
        self.came = self.came or not self._at_stake
        raise KeyboardInterrupt

    def _listen(self, heard: socket.socket) -> None:
        """Wait for the Ctrl-C after which the program shall end, and see to it."""
        saved = False
        while True:
            signals = heard.recv(1)
            if not signals:  # the program has ended
                return
            if signals[0] != signal.SIGINT:
                continue
            if self._repeats:
                self._repeats -= 1
            elif self._at_stake and not saved:
                saved = True
            else:
                break
        time.sleep(_PATIENCE_S)
        self.repeat()
        time.sleep(_PATIENCE_S)
        if self._ending.acquire(blocking=False):
            with suppress(OSError):  # the terminal may be gone
                if os.isatty(2):
                    os.write(2, b"\r\x1b[K")  # over what is left of a progress bar
                os.write(2, b"warpprior: interrupted\n")
            self.end(INTERRUPTED)


WATCH = Watch()
