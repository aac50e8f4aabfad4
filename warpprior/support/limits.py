"""Ranges of numbers, so that a slip of the keyboard ends in a sentence and not in NaN.

A setting or an option says its range where it is declared: ``sigma_px: float = positive(8.0)``.  What is read from
files is held against a range by the same :func:`within`, and :func:`describe` puts every range into words.
"""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Iterator
from typing import Any

from warpprior.support.errors import InputError

LEAST, MOST = 1e-9, 1e9  # far beyond what makes sense, well within single precision
MOST_WHOLE = 2**31 - 1  # of counts and seeds
RANGE = "range"  # key of a field's metadata
FINITE = (-1e300, 1e300)  # NaN and infinity are not within, whole numbers of any length can be compared with it
ABOVE_ZERO = (5e-324, 1e300)
_WORDS = {FINITE: "a finite number", ABOVE_ZERO: "a finite number greater than zero"}


def number(default: Any, low: float, high: float = MOST) -> Any:
    """A field of a dataclass that takes numbers from ``low`` to ``high``, ends included; None where it may be None."""
    return dataclasses.field(default=default, metadata={RANGE: (low, high)})


def positive(default: Any) -> Any:
    """A field that is divided by, as a sigma is."""
    return number(default, LEAST)


def weight(default: Any) -> Any:
    """A field that may be zero, which switches something off."""
    return number(default, 0.0)


def share(default: Any) -> Any:
    """A field from 0 to 1."""
    return number(default, 0.0, 1.0)


def within(value: object, low: float, high: float, *, whole: bool = False) -> bool:
    """Is the value a number (a whole one), and from ``low`` to ``high``?  NaN, truth values and texts are not."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral if whole else numbers.Real):
        return False
    given: Any = value
    return bool(low <= given <= high)


def describe(low: float, high: float, *, whole: bool = False) -> str:
    """A range in words: ``a number from 0 to 1``."""
    if (low, high) in _WORDS:
        return _WORDS[low, high]
    return f"a whole number from {low} to {high}" if whole else f"a number from {low:g} to {high:g}"


def check_ranges(settings: object, what: str = "settings", *, prefix: str = "") -> None:
    """Hold every number in a dataclass, and in those inside it, against the range of its field, else finite ones.

    Args:
        settings: the dataclass.
        what: it is, for messages.
        prefix: what its keys begin with.

    Raises:
        InputError: names the setting with dots, its value and its range.
    """
    for key, field, value in _numbers(settings, prefix):
        low, high = field.metadata.get(RANGE, FINITE)
        kind = _kind(field)
        whole, may_be_none = kind.startswith("int"), "None" in kind
        if not (value is None and may_be_none) and not within(value, low, high, whole=whole):
            raise InputError(f"{what}: {key}", f"{value!r}", describe(low, high, whole=whole))


def without_range(settings: object) -> list[str]:
    """Numbers of a dataclass, and of those inside it, whose fields declare no range: dotted keys."""
    return [key for key, field, _ in _numbers(settings, "") if RANGE not in field.metadata]


def named_items(values: tuple) -> list[tuple[str, Any]]:
    """Items of a tuple with what they are called in keys: their ``name``, or their number."""
    return [(str(getattr(item, "name", index)), item) for index, item in enumerate(values)]


def open_fields(settings: object) -> tuple[str, ...]:
    """Fields whose items are reached as if they were fields themselves; the class lists them in ``OPEN``."""
    return getattr(type(settings), "OPEN", ())


def _numbers(settings: Any, prefix: str) -> Iterator[tuple[str, dataclasses.Field, object]]:
    """Dotted key, field and value of each number."""
    for field in dataclasses.fields(settings):
        value, key = getattr(settings, field.name), prefix + field.name
        if dataclasses.is_dataclass(value):
            yield from _numbers(value, f"{key}.")
        elif isinstance(value, tuple):
            start = prefix if field.name in open_fields(settings) else f"{key}."
            for name, item in named_items(value):
                if dataclasses.is_dataclass(item):
                    yield from _numbers(item, f"{start}{name}.")
                elif RANGE in field.metadata:
                    yield f"{key}.{name}", field, item
        elif _kind(field).startswith(("int", "float")):
            yield key, field, value


def _kind(field: dataclasses.Field) -> str:
    """The annotation as text; that of its items for a tuple."""
    kind = field.type if isinstance(field.type, str) else getattr(field.type, "__name__", str(field.type))
    return kind.removeprefix("tuple[")
