"""The variants that are compared: settings with something left out."""

from __future__ import annotations

from collections.abc import Sequence

from warpprior.settings import STEPS, TERMS, RefineSettings
from warpprior.support.errors import InputError
from warpprior.support.overrides import apply_overrides

FULL, LITERAL = "full", "paper-literal"
LEFT_OUT = {
    "without sliding": ("sliding",),
    "without penetration": ("penetration",),
    "without smoothness": ("smoothness",),
    "without hypotheses": ("hypotheses",),
    "render only": ("sliding", "penetration", "consistency", "smoothness", "rest"),
}
LONGEST_NAME = 100


def variant_names() -> list[str]:
    """The variants of the table, in its order; those whose ingredient this version does not have are left out."""
    return [FULL, *(name for name, terms in LEFT_OUT.items() if _can_leave_out(terms)), LITERAL]


def _can_leave_out(terms: Sequence[str]) -> bool:
    try:
        RefineSettings().leaving_out(terms)
    except InputError:
        return False
    return True


def choose_variants(names: Sequence[str], assignments: Sequence[str] = ()) -> dict[str, RefineSettings]:
    """Settings by variant.

    Args:
        names: of :func:`variant_names`, or ``without TERM`` for any term or step; none at all means all of the table.
        assignments: ``key=value`` texts that hold for every variant.

    Raises:
        InputError: a variant that does not exist, or an assignment that is refused.
    """
    chosen = {}
    for name in names or variant_names():
        start = RefineSettings.paper_literal() if name == LITERAL else RefineSettings()
        settings = apply_overrides(start, assignments)
        term = name.removeprefix("without ")
        if name in variant_names():
            settings = settings.leaving_out(LEFT_OUT.get(name, ()))
        elif term != name and _can_leave_out([term]):
            settings = settings.leaving_out([term])
        else:
            accepted = f"one of {', '.join(variant_names())}, or 'without' and one of {', '.join((*TERMS, *STEPS))}"
            raise InputError("--variant", repr(name[:LONGEST_NAME]), accepted)
        chosen[name] = settings
    return chosen
