"""Levels of noise by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from warpprior.support.errors import InputError

Noise = TypeVar("Noise")


def named_level(argument: str, name: str | Noise, kind: type[Noise], levels: Mapping[str, Noise]) -> Noise:
    """The noise of a level's name; what is of that kind already is returned as it is.

    Raises:
        InputError: naming the argument, when there is no such level.
    """
    if isinstance(name, kind):
        return name
    if not isinstance(name, str) or name not in levels:
        raise InputError(argument, repr(name), f"one of {', '.join(levels)}")
    return levels[name]
