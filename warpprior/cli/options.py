"""The options of a command: fields of a dataclass, said once, from which argparse is built.

``iterations: int | None = option("iterations at most", number(None, 1), metavar="N")`` becomes ``--iterations N``: the
field's name gives the flag, its annotation how the text is read, its range what is refused.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

from warpprior.support.limits import RANGE, describe, within
from warpprior.support.options import OPTION, REQUIRED, argument, option

__all__ = ["REQUIRED", "Parser", "argument", "names", "option", "read_options"]

_DIGITS = re.compile("-?[0-9]+")


class Parser(argparse.ArgumentParser):
    """A parser some of whose help is made when it is printed."""

    def __init__(self, *positional, **named):
        super().__init__(*positional, **named)
        self._late: list[tuple[argparse.Action, Callable[[], str]]] = []

    def add_options(self, options: type, *, title: str | None = None) -> None:
        """An argument for each field of a dataclass: first those of the class itself, then those of its bases.

        Args:
            options: the dataclass.
            title: they are a group of their own; those whose flag is taken already share it.
        """
        kinds = typing.get_type_hints(options)
        groups: dict[str, Any] = {}
        titled = None if title is None else self.add_argument_group(title)
        order = list(dict.fromkeys(name for base in options.__mro__ for name in inspect.get_annotations(base)))
        for field in sorted(dataclasses.fields(options), key=lambda field: order.index(field.name)):
            if OPTION not in field.metadata:
                continue  # nothing that is typed
            spec = field.metadata[OPTION]
            holder, group = self if title is None else titled, spec["exclusive"]
            if title is not None and self._is_taken(field.name):
                continue
            if group is not None:
                holder = groups[group] = groups.get(group) or self.add_mutually_exclusive_group()
            self._add(holder, field, spec, kinds[field.name])

    def _is_taken(self, name: str) -> bool:
        return any(action.dest == name for action in self._actions)

    def _add(self, holder, field: dataclasses.Field, spec: dict, kind: Any) -> None:
        names, more = [field.name], {**spec["argument"], **_reading(field, spec, kind)}
        if spec["flag"] != "":
            names = [spec["flag"] or "--" + field.name.replace("_", "-")]
            more |= {"dest": field.name, "required": _is_required(field)}
        # Nothing is put into the namespace but what was given: the defaults are the dataclass's own.
        action = holder.add_argument(*names, default=argparse.SUPPRESS, **more)
        ending = _default_text(field, spec)
        if callable(spec["meaning"]):
            self._late.append((action, lambda: spec["meaning"]() + ending))
        else:
            action.help = spec["meaning"] + ending

    def format_help(self) -> str:
        """The whole help."""
        for action, make in self._late:
            action.help = make()
        return super().format_help()


def read_options(options: type, given: argparse.Namespace) -> Any:
    """The dataclass ``options`` of what was parsed."""
    names = {field.name for field in dataclasses.fields(options)}
    values = {name: value for name, value in vars(given).items() if name in names}
    return options(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def _is_required(field: dataclasses.Field) -> bool:
    return field.default is REQUIRED and field.default_factory is REQUIRED


def _default_text(field: dataclasses.Field, spec: dict) -> str:
    if spec["shown"] is not None:
        return f" (default: {spec['shown']})"
    if isinstance(field.default, (int, float, str, Path)) and not isinstance(field.default, bool):
        return f" (default: {field.default})"
    return ""


def _reading(field: dataclasses.Field, spec: dict, kind: Any) -> dict[str, Any]:
    """How argparse reads the text of a field of this annotation."""
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        (kind,) = (choice for choice in typing.get_args(kind) if choice is not type(None))
    if kind is bool:
        return {"action": "store_true"}
    if spec["read"] is not None:
        return {"type": _said(spec["read"])}
    many = {}
    if typing.get_origin(kind) is tuple:
        kind = typing.get_args(kind)[0]
        many = {} if "nargs" in spec["argument"] else {"action": "append"}
    if kind not in (int, float):
        return {"type": kind, **many}
    if RANGE not in field.metadata:
        raise TypeError(f"option {field.name!r}: a number without a range; option(..., number(1, 0, 10))")
    return {"type": _number_reader(kind, field.metadata[RANGE]), **many}


def _number_reader(kind: type, limits: tuple[float, float]) -> Callable[[str], Any]:
    whole = kind is int

    def read(text: str):
        try:
            value = None if whole and not _DIGITS.fullmatch(text) else kind(text)
        except ValueError:
            value = None
        if not within(value, *limits, whole=whole):
            raise argparse.ArgumentTypeError(f"{text!r} is not {describe(*limits, whole=whole)}")
        return value

    return read


def _said(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """The same reader, whose ValueError argparse prints as it is."""

    def checked(text: str):
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return checked


def names(text: str) -> tuple[str, ...]:
    """Names of a text that separates them by commas.

    Raises:
        ValueError: one is empty.
    """
    found = tuple(name.strip() for name in text.split(","))
    if not all(found):
        raise ValueError(f"{text!r} is not a list of names, separated by commas")
    return found
