"""Judge an estimate: ok, suspect or lost, per body and frame, with reasons."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from warpprior.result import STATUSES, Result, Verdict
from warpprior.support.wording import frame_list
from warpprior.verdicts.doubt import LOST, SUSPECT, Signs, doubt_of, signs
from warpprior.verdicts.reasons import Reasons
from warpprior.verdicts.traces import Traces, find_traces

OK_STATUS, SUSPECT_STATUS, LOST_STATUS = STATUSES
BADLY = 0.1  # share of doubtful frames


def judged(result: Result, device: str = "cpu") -> Result:
    """The result with a verdict on each estimated body, and a note where it fits badly.

    Misses of labels, keypoints and depth, what was measured in space, overlap, gaps and jumps, how well terms fit and
    how sure they are, evidence that was left out and what a check found are weighed as simulated faults have it
    (``python -m warpprior.bench.verdicts``).  What leaves no trace in any of them, such as one common scale of
    everything, is not found.

    Args:
        result: of any estimator.
        device: where bodies are drawn.
    """
    traces = find_traces(result, device)
    verdicts = {
        name: _verdict(found, Reasons(name, traces[name], found, result.findings))
        for name, found in signs_of(result, traces).items()
    }
    result = replace(result, verdicts=verdicts)
    return replace(result, notes=(*result.notes, *_notes(result)))


def fits_badly(result: Result) -> bool:
    """Whether some body is lost in some frame, or doubtful in more than a tenth of them."""
    return any(is_bad(verdict.status) for verdict in result.verdicts.values())


def is_bad(status: np.ndarray) -> bool:
    """The same of one body, by its statuses (frame,)."""
    return bool((status == LOST_STATUS).any() or np.mean(status != OK_STATUS) > BADLY)


def signs_of(result: Result, traces: dict[str, Traces]) -> dict[str, Signs]:
    """Signs that a body is wrong (frame,) each, by name of the estimated body."""
    return {name: signs(name, own, result.findings, result.left_out.get(name, {})) for name, own in traces.items()}


def _verdict(found: Signs, reasons: Reasons) -> Verdict:
    doubt = doubt_of(found)
    status = np.where(doubt < SUSPECT, OK_STATUS, np.where(doubt < LOST, SUSPECT_STATUS, LOST_STATUS))
    said = ["" if one == OK_STATUS else reasons.said(frame) for frame, one in enumerate(status)]
    return Verdict(doubt, status.astype(np.str_), np.array(said, dtype=np.str_))


def _notes(result: Result) -> list[str]:
    """One sentence where a body may be wrong; that the result fits badly, first of all."""
    notes = []
    for name, verdict in result.verdicts.items():
        doubted = np.flatnonzero(verdict.status != OK_STATUS)
        if not len(doubted):
            continue
        lost, worst = np.count_nonzero(verdict.status == LOST_STATUS), doubted[np.argmax(verdict.doubt[doubted])]
        how = f"{lost} of them lost; " if lost else ""
        start = "fits badly, it may be wrong" if is_bad(verdict.status) else "may be wrong"
        notes.append(f"{name}: {start} in {frame_list(doubted)} ({how}frame {worst}: {verdict.reasons[worst]}).")
    return notes
