"""The checks: functions that look at the evidence and say what they find, entered by a decorator."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from warpprior.checks.evidence import Evidence
from warpprior.finding import Finding

Check = Callable[[Evidence], Iterator[Finding]]

CHECKS: dict[Check, bool] = {}
"""All checks, in the order in which they are made, and whether each is for thorough ones only."""


def check(function: Check) -> Check:
    """Enter a check; a module of this folder needs no more."""
    CHECKS[function] = False
    return function


def thorough_check(function: Check) -> Check:
    """Enter a check that is left out of the brief form, which estimators make first."""
    CHECKS[function] = True
    return function
