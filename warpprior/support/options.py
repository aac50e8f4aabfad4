"""Fields of dataclasses that are options of the command line: of commands, and of formats where one is named."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

REQUIRED = dataclasses.MISSING
OPTION = "option"  # key of a field's metadata


def option(
    meaning: str | Callable[[], str],
    default: Any = None,
    *,
    flag: str | None = None,
    shown: str | None = None,
    read: Callable[[str], Any] | None = None,
    exclusive: str | None = None,
    **argument: Any,
) -> Any:
    """A field that is an option of the command line.

    A ``bool`` is a switch; a tuple is given item by item, unless ``read`` or ``nargs`` says how else.

    Args:
        meaning: its help; a function is called when help is printed, for what takes long to know.
        default: its value where it is not given: a value, a field of :mod:`warpprior.support.limits` with a range, or
            REQUIRED.
        flag: as typed; None makes ``--num-frames`` of ``num_frames``.
        shown: the default as help shows it, where the value does not say it.
        read: makes the value of the text; ValueError says what is wrong with it.
        exclusive: of the options that name the same group, one may be given.
        argument: more keywords of ``argparse.ArgumentParser.add_argument``: metavar, choices, nargs.
    """
    metadata = {OPTION: {"meaning": meaning, "flag": flag, "shown": shown, "read": read, "exclusive": exclusive}}
    metadata[OPTION]["argument"] = argument
    if isinstance(default, dataclasses.Field):
        metadata |= default.metadata
        default = default.default
    if callable(default):
        return dataclasses.field(default_factory=default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def argument(metavar: str, meaning: str | Callable[[], str], default: Any = REQUIRED, **more: Any) -> Any:
    """A field that is given by its place on the command line, without a flag; arguments as of :func:`option`."""
    return option(meaning, default, flag="", metavar=metavar, **more)
