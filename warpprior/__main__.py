"""``python -m warpprior``, and the program ``warpprior``: the command line, which Ctrl-C ends at any moment."""

import _signal  # pyright: ignore[reportMissingImports] - `signal` takes its time
import os
import sys


def main() -> None:
    """Run the command line and end the process."""
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:  # a shell's background jobs ignore it
        _signal.signal(_signal.SIGINT, _end)
    from warpprior.cli.interrupts import INTERRUPTED, WATCH
    from warpprior.cli.program import main as run

    try:
        with WATCH.program():
            code = run()
    except KeyboardInterrupt:  # one more, while the first was being answered
        code = INTERRUPTED
    if code == INTERRUPTED:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except OSError:
                pass
        WATCH.end(code)
    sys.exit(code)


def _end(*_) -> None:
    """Nothing has begun: there is nothing to undo, and no library that could drop an exception shall see one."""
    os.write(2, b"warpprior: interrupted\n")
    os._exit(130)


if __name__ == "__main__":
    main()
