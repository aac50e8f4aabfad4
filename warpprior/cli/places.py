"""Options of formats: where the command line names a format, what it offers is taken too."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from warpprior.formats.place import NAME, STAGE, Place, is_stage

if TYPE_CHECKING:
    from warpprior.cli.options import Parser

_FLAG = "--format"
_FIRST = ("import",)  # commands whose first word may be a format


def formats_named(words: Sequence[str]) -> list[str]:
    """Names of formats that a command line may name: ``FORMAT:PATH``, ``--format FORMAT``, ``import FORMAT``, a stage.

    Whether there are such formats is not asked: nothing is imported for other command lines.  Where ``import`` is given
    no name, the paths are looked at.
    """
    found = [word.partition(":")[0] for word in words[1:] if ":" in word]
    found += [word.partition("=")[2] for word in words if word.startswith(f"{_FLAG}=")]
    found += [after for before, after in pairwise(words) if before == _FLAG]
    found += [word for word in words[1:2] if words[0] in _FIRST]
    found += [STAGE for before, word in pairwise(words) if is_stage(word) and _may_be_read(before, word)]
    found = list(dict.fromkeys(name for name in found if NAME.fullmatch(name)))
    return found or [name for word in words[1:] if words[0] in _FIRST for name in _guessed(word)]


def _may_be_read(before: str, word: str) -> bool:
    """Is a path one that is read, not the value of an option, as ``--output``?"""
    return not before.startswith("-") or os.path.isfile(word)


def _guessed(word: str) -> list[str]:
    """The format that a path is of, where that can be told."""
    if word.startswith("-") or not os.path.exists(word):
        return []
    from warpprior.formats.registry import guess_format
    from warpprior.support.errors import InputError

    try:
        return [guess_format(Path(word))[0].name]
    except InputError:
        return []  # said where it is read


def add_format_options(parser: Parser, names: Sequence[str]) -> None:
    """Options of these formats, in groups of their own; names of no format are passed over."""
    from warpprior.formats.registry import find_format, is_format

    for name in filter(is_format, names):
        parser.add_options(find_format(name).Options, title=f"options of {name}")


def give_options(given: argparse.Namespace, names: Sequence[str]) -> None:
    """Give each place among what was parsed the options of its format, in place.

    ``given.format_options`` holds those of all formats that were named, by name.
    """
    given.format_options = {}
    if not names:
        return
    from warpprior.cli.options import read_options
    from warpprior.formats.registry import find_format, is_format

    made = given.format_options
    made |= {name: read_options(find_format(name).Options, given) for name in names if is_format(name)}

    def whole(value):
        if isinstance(value, list):
            return [whole(item) for item in value]
        return replace(value, options=made.get(value.format)) if isinstance(value, Place) else value

    for key, value in list(vars(given).items()):
        setattr(given, key, whole(value))
