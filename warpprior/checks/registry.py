"""The checks: functions that look at the evidence and say what they find, entered by a decorator."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from warpprior.checks.evidence import Evidence
from warpprior.checks.finding import Finding

Check = Callable[[Evidence], Iterator[Finding]]

CHECKS: list[Check] = []
"""All checks, in the order in which they are made."""


def check(function: Check) -> Check:
    """Enter a check; a module of this folder needs no more."""
    CHECKS.append(function)
    return function
