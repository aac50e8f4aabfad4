"""Ranges of settings, so that a slip of the keyboard ends in a sentence and not in NaN.

A setting says its range where it is declared: ``sigma_px: float = positive(8.0)``.
"""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Iterator, Mapping
from typing import Any

from warpprior.support.errors import InputError

LEAST, MOST = 1e-9, 1e9  # far beyond what makes sense, well within single precision
RANGE = "range"  # key of a field's metadata


def number(default: float | None, low: float, high: float = MOST) -> Any:
    """A field of a settings dataclass that takes numbers from ``low`` to ``high``, ends included."""
    return dataclasses.field(default=default, metadata={RANGE: (low, high)})


def positive(default: float | None) -> Any:
    """A field that is divided by, as a sigma is."""
    return number(default, LEAST)


def weight(default: float) -> Any:
    """A field that may be zero, which switches something off."""
    return number(default, 0.0)


def share(default: float) -> Any:
    """A field from 0 to 1."""
    return number(default, 0.0, 1.0)


_RANGES = {
    "seed": (0, 2**31 - 1),
    "iterations": (0, 50_000),  # a captured graph draws at most warpprior.render.canvas.EPOCH_LIMIT times
    "initialise_passes": (0, 100),
    "seeding_rounds": (0, 10_000),
    "contact_points": (1, 8192),
    "anchors": (0, 64),
    "gate": (0, 0.999999),
    "stick_frames": (0, 1000),
    "patience": (1, 10_000),
    "contact_patience": (1, 10_000),
    "adaptive_window": (2, 100_000),
    "sample_count": (1, 1_000_000),
    "margin_px": (0, 10_000),
    "window_margin": (0, 10),
    "tolerance": (0, 1),
    "final_rate": (0, 1),
    "free_normal": (0, 1),
    "penetration_share": (0, 1),
}
_POSITIVE = {"sigma", "softness", "reach", "tau", "knee", "rate"}  # words of names whose values are divided by


def check_ranges(settings: object, prefix: str = "") -> None:
    """Every number in a settings dataclass, and in those inside it, is finite, not negative and not absurd.

    Args:
        settings: the dataclass.
        prefix: what its keys begin with.

    Raises:
        InputError: names the setting with dots, its value and its range.
    """
    for key, name, kind, value, metadata in _numbers(settings, prefix):
        guess = _RANGES.get(name, (LEAST if _POSITIVE & set(name.split("_")) else 0, MOST))
        low, high = metadata.get(RANGE, guess)
        whole = kind.startswith("int")
        good = isinstance(value, numbers.Integral if whole else numbers.Real) and not isinstance(value, bool)
        if not good or not low <= value <= high:
            accepted = f"a whole number from {low} to {high}" if whole else f"a number from {low:g} to {high:g}"
            raise InputError(f"settings: {key}", f"{value!r}", accepted)


def _numbers(settings: object, prefix: str) -> Iterator[tuple[str, str, str, object, Mapping]]:
    """Dotted key, name, declared type, value and metadata of each number."""
    for field in dataclasses.fields(settings):
        value, key = getattr(settings, field.name), prefix + field.name
        kind = field.type if isinstance(field.type, str) else getattr(field.type, "__name__", str(field.type))
        if dataclasses.is_dataclass(value):
            yield from _numbers(value, f"{key}.")
        elif isinstance(value, tuple):
            for index, item in enumerate(value):
                if dataclasses.is_dataclass(item):
                    yield from _numbers(item, f"{key}.{index}.")
        elif kind.startswith(("int", "float")) and value is not None:
            yield key, field.name, kind, value, field.metadata
