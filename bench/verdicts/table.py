"""The table of how well verdicts tell right from wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from warpprior.bench.verdicts.calibrate import area_under_curve, stacked
from warpprior.bench.verdicts.rows import GIVEN, Row
from warpprior.bench.verdicts.sequences import WRONG_DEG, WRONG_MM
from warpprior.verdicts.doubt import SUSPECT, doubt_of

ALARMS = 0.02  # false ones that may be
NEAR = (0.5, 1.5)  # times the limit: errors that might be called either


def table(rows: Iterable[Row]) -> Iterator[str]:
    """Lines: all sequences, then each kind of fault, then those that leave no trace and estimates moved by hand."""
    rows = list(rows)
    used = [row for row in rows if row["bodies"]]
    traced = [row for row in used if row["traced"] and not row["moved"]]
    count, refused = sum(not row["moved"] for row in rows), len(rows) - len(used)
    yield f"{count} sequences, {refused} of them refused before computing, {len(traced)} that can be told"
    for given in GIVEN:
        doubt, wrong, times = _told(traced, given)
        clear = (times < NEAR[0]) | (times > NEAR[1])
        yield f"{given}: {len(wrong)} frames of bodies, {wrong.sum()} of them wrong"
        yield f"  all: {_figures(doubt, wrong)}"
        yield f"  less than 1 or more than 3 cm (10, 30 degrees) off: {_figures(doubt[clear], wrong[clear])}"
    yield f"{'':46} {'':>6} {'':>6} {'':>6} " + " ".join(f"{given:>23}" for given in GIVEN)
    titles = " ".join(f"{'found':>11} {'alarms':>11}" for _ in GIVEN)
    yield f"{'fault':46} {'runs':>6} {'wrong':>6} {'good':>6} {titles}"
    apart = {row["fault"] for row in used if row["moved"] or not row["traced"]}
    for fault in sorted({row["fault"] for row in used}, key=lambda fault: (fault in apart, fault)):
        yield _line(fault, fault in apart, [row for row in used if row["fault"] == fault])
    if apart:
        yield "* not in the figures above: estimates of right data moved by hand, and what leaves no trace"


def _told(rows: Sequence[Row], given: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Doubt, what is wrong, and how many times the limit each is off (sample,)."""
    signs, wrong, _ = stacked(rows, (given,))
    bodies = [body for row in rows for body in row["bodies"].values()]
    times = [np.maximum(np.array(b["off"]) / WRONG_MM, np.array(b["turned"]) / WRONG_DEG) for b in bodies]
    return doubt_of(signs), wrong, np.concatenate(times)


def _figures(doubt: np.ndarray, wrong: np.ndarray) -> str:
    if wrong.all() or not wrong.any():
        return "no frames that are wrong, or none that are right"
    limit = np.quantile(doubt[~wrong], 1.0 - ALARMS)
    return (
        f"area under the curve {area_under_curve(doubt, wrong):.3f}; found {np.mean(doubt[wrong] > limit):.1%} at "
        f"{ALARMS:.0%} false alarms (doubt above {limit:.2f}); from {SUSPECT} on {_share(doubt, wrong)} found, "
        f"{_share(doubt, ~wrong)} false alarms"
    )


def _line(fault: str, apart: bool, rows: Sequence[Row]) -> str:
    told = [_told(rows, given) for given in GIVEN]
    wrong = told[0][1]
    cells = [f"{_share(doubt, which):>11}" for doubt, *_ in told for which in (wrong, ~wrong)]
    title = f"{fault or 'none'}{'*' if apart else ''}"
    return f"{title:46} {len(rows):6d} {wrong.sum():6d} {(~wrong).sum():6d} " + " ".join(cells)


def _share(doubt: np.ndarray, which: np.ndarray) -> str:
    return f"{np.mean(doubt[which] >= SUSPECT):.1%}" if which.any() else "-"
