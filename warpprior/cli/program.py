"""The program: one command, its errors in one line each, and its exit code.

Exit codes: 0 done, 1 failed while running, 2 bad input or usage, 3 done but it fits badly (with --strict),
130 interrupted, by Ctrl-C, SIGTERM or SIGHUP.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import warpprior
from warpprior.cli.interrupts import INTERRUPTED, WATCH
from warpprior.cli.messages import complain, explained
from warpprior.cli.termination import termination_interrupts

if TYPE_CHECKING:
    from warpprior.cli.options import Parser

_VERSION = f"warpprior {warpprior.__version__}"

_EPILOG = """\
examples:
  warpprior demo
      a simulated hand lifts and turns a mug; refine both and look at the result
  warpprior refine recordings/mug --output-dir out/mug
      poses, numbers, a video and a USD stage from label images, a camera, a mesh and rough poses
  warpprior refine recordings/mug --output-dir out/free --without sliding --set contour.sigma_px=3
      the same without one term, and with another setting
  warpprior refine recordings/* --output-dir out
      many scenes in one process, a folder each; one that fails does not stop the others
  warpprior track recordings/mug --output-dir out/tracked --observe fingertips,center --smooth
      frame by frame and with uncertainty, from measured fingertips and the object's place
  warpprior simulate robot_lift --output-dir out/scene --seed 3
      a scene folder with known truth

The same from Python: warpprior.refine, track, simulate, demo, evaluate, export_usd and info.
Exit codes: 0 done, 1 failed while running, 2 bad input or usage, 3 done but it fits badly (with --strict),
130 interrupted, by Ctrl-C, SIGTERM or SIGHUP.
"""


@contextmanager
def _speaking() -> Iterator[None]:
    """Within it warnings, and errors that nobody can catch, are said our way; afterwards as before."""
    before = sys.unraisablehook, warnings.showwarning
    sys.unraisablehook, warnings.showwarning = _pass_interrupt_on, _show_warning
    try:
        yield
    finally:
        sys.unraisablehook, warnings.showwarning = before


@termination_interrupts()
@_speaking()
def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the words after the program's name; None takes them from ``sys.argv``.

    Returns:
        The exit code.
    """
    try:
        _prepare_streams()
        words = sys.argv[1:] if arguments is None else list(arguments)
        if words == ["--version"]:  # in the time that it takes to start: the parser is not built
            print(_VERSION)
            return 0
        from warpprior.cli.places import formats_named

        code = _answer(build_parser(words[0] if words else None, formats_named(words)).parse_args(words))
    except KeyboardInterrupt:
        code = None
    if code is None or (WATCH.came and code != INTERRUPTED):  # or somebody dropped it
        if WATCH.claim():
            complain("interrupted")
        return INTERRUPTED
    return code


def _answer(given: argparse.Namespace) -> int:
    """The exit code of the command; what went wrong is said in one line."""
    from warpprior.cli.options import read_options
    from warpprior.cli.places import give_options

    give_options(given, given.formats)
    options = read_options(given.command.Options, given)
    try:
        with _interrupts_first():
            return given.command.run(options)
    except BrokenPipeError:  # the reader of our output, for instance `head`, has gone
        _silence_output()
        return 1
    except Exception as error:
        if options.debug and not isinstance(error, MemoryError):
            traceback.print_exc()
        code, said = explained(error)
        complain(f"error: {said}")
        if isinstance(error, OSError):
            _silence_output()
        return code


@contextmanager
def _interrupts_first() -> Iterator[None]:
    """What goes wrong after Ctrl-C comes of it: libraries make errors of their own of it, and so do other programs."""
    try:
        yield
    except Exception as error:
        if WATCH.came:
            raise KeyboardInterrupt from error
        raise


def build_parser(word: str | None = None, formats: Sequence[str] = ()) -> Parser:
    """The parser of the program, which sets ``command`` to the module of what was asked for.

    Args:
        word: the first one typed: where it is a command, the others are not loaded.  None loads all.
        formats: that are named: their options are taken too.
    """
    from warpprior.cli.commands import command_names, load_command, load_commands
    from warpprior.cli.options import Parser
    from warpprior.cli.places import add_format_options

    parser = Parser(
        prog="warpprior",
        description="Turn noisy per-frame estimates of hands and objects into physically consistent motion.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=_VERSION)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, command in ({word: load_command(word)} if word in command_names() else load_commands()).items():
        summary = command.SUMMARY
        one = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        one.add_options(command.Options)
        if formats:
            add_format_options(one, formats)
        one.set_defaults(command=command, formats=formats)
    return parser


def _prepare_streams() -> None:
    """Make standard input, output and errors usable whatever the caller did to them."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # closed: the next file opened would take its place and receive what was meant for a terminal
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))
        elif isinstance(stream, io.TextIOWrapper):  # names of files may hold what the terminal cannot show
            stream.reconfigure(errors="backslashreplace")


def _pass_interrupt_on(event) -> None:
    """Repeat a Ctrl-C that came while a destructor ran: Python prints what is raised there and goes on."""
    if event.exc_type is not None and issubclass(event.exc_type, KeyboardInterrupt):
        timer = threading.Timer(0.01, WATCH.repeat)
        timer.daemon = True
        timer.start()
    else:
        sys.__unraisablehook__(event)


def _silence_output() -> None:
    """Drop what is still to be printed where nothing can be, so that leaving does not fail on it again."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    complain(f"warning: {message}")
