"""The table of how well verdicts tell right from wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from warpprior.bench.verdicts.calibrate import area_under_curve, stacked
from warpprior.bench.verdicts.rows import GIVEN, Row
from warpprior.verdicts.doubt import SUSPECT, doubt_of

ALARMS = 0.02  # false ones that may be


def table(rows: Iterable[Row]) -> Iterator[str]:
    """Lines: all sequences, then each kind of fault, then those that leave no trace."""
    rows = list(rows)
    used = [row for row in rows if row["bodies"]]
    traced = [row for row in used if row["traced"] and not row["moved"]]
    count, refused = sum(not row["moved"] for row in rows), len(rows) - len(used)
    yield f"{count} sequences, {refused} of them refused before computing, {len(traced)} that can be told"
    for given in GIVEN:
        signs, wrong, _ = stacked(traced, (given,))
        doubt = doubt_of(signs)
        limit = np.quantile(doubt[~wrong], 1.0 - ALARMS)
        yield f"{given}: {len(wrong)} frames of bodies, {wrong.sum()} of them wrong"
        yield f"  area under the curve {area_under_curve(doubt, wrong):.3f}"
        yield f"  found {np.mean(doubt[wrong] > limit):.1%} at {ALARMS:.0%} false alarms (doubt above {limit:.2f})"
        yield f"  said: found {_share(doubt, wrong)}, false alarms {_share(doubt, ~wrong)} (doubt from {SUSPECT} on)"
    yield f"{'':40} {'':>5} {'':>6} {'':>6} " + " ".join(f"{given:>23}" for given in GIVEN)
    titles = " ".join(f"{'found':>11} {'alarms':>11}" for _ in GIVEN)
    yield f"{'fault':40} {'runs':>5} {'wrong':>6} {'good':>6} {titles}"
    apart = {row["fault"] for row in used if row["moved"] or not row["traced"]}
    for fault in sorted({row["fault"] for row in used}, key=lambda fault: (fault in apart, fault)):
        some = [row for row in used if row["fault"] == fault]
        cells = []
        for given in GIVEN:
            signs, wrong, _ = stacked(some, (given,))
            doubt = doubt_of(signs)
            cells += [f"{_share(doubt, wrong):>11}", f"{_share(doubt, ~wrong):>11}"]
        mark = "*" if fault in apart else ""
        title = f"{fault or 'none'}{mark}"
        yield f"{title:40} {len(some):5d} {wrong.sum():6d} {(~wrong).sum():6d} " + " ".join(cells)
    if apart:
        yield "* not in the figures above: estimates of right data moved by hand, and what leaves no trace"


def _share(doubt: np.ndarray, which: np.ndarray) -> str:
    return f"{np.mean(doubt[which] >= SUSPECT):.1%}" if which.any() else "-"
