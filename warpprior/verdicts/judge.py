"""Judge an estimate: ok, suspect or lost, per body and frame, with reasons."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from warpprior.result import Result, Verdict
from warpprior.support.wording import frame_list
from warpprior.verdicts.doubt import LOST, SUSPECT, contributions, doubt_of, signs
from warpprior.verdicts.traces import Traces, find_traces

OK_STATUS, SUSPECT_STATUS, LOST_STATUS = "ok", "suspect", "lost"
TELLING = 0.5  # of the odds of what tells most, from which other reasons are named, too
MOST_REASONS = 3
BADLY = 0.1  # share of doubtful frames


def judged(result: Result, device: str = "cpu") -> Result:
    """The result with a verdict on each estimated body, and a note on those that are doubted.

    Misses of labels and keypoints, overlap, gaps, jumps, evidence that was left out and errors in the data are
    weighed as simulated faults have it (``python -m warpprior.bench.verdicts``).  What leaves no trace in any of them,
    such as one common scale of everything, is not found.
    """
    traces = find_traces(result.scene, result.poses, device)
    verdicts, notes = {}, []
    for name, found in _signs(result, traces).items():
        verdict = verdicts[name] = _verdict(found, traces[name])
        notes += _notes(name, verdict)
    return replace(result, verdicts=verdicts, notes=(*result.notes, *notes))


def fits_badly(result: Result) -> bool:
    """Whether some body is lost in some frame, or doubtful in more than a tenth of them."""
    found = [verdict.status for verdict in result.verdicts.values() if len(verdict.status)]
    return any((s == LOST_STATUS).any() or np.mean(s != OK_STATUS) > BADLY for s in found)


def signs_of(result: Result, device: str = "cpu") -> dict[str, dict[str, np.ndarray]]:
    """Signs that a body is wrong (frame,) each, by name of the estimated body."""
    return _signs(result, find_traces(result.scene, result.poses, device))


def _signs(result: Result, traces: dict[str, Traces]) -> dict[str, dict[str, np.ndarray]]:
    errors = sum(finding.level == "error" for finding in result.findings)
    found = {}
    for name, each in traces.items():
        left_out = {frame for frames in result.left_out.get(name, {}).values() for frame in frames}
        found[name] = signs(each, left_out, errors)
    return found


def _verdict(found: dict[str, np.ndarray], traces: Traces) -> Verdict:
    doubt = doubt_of(found)
    status = np.where(doubt < SUSPECT, OK_STATUS, np.where(doubt < LOST, SUSPECT_STATUS, LOST_STATUS))
    odds = contributions(found)
    reasons = []
    for frame, one in enumerate(status):
        if one == OK_STATUS:
            reasons.append("")
            continue
        ranked = sorted(odds, key=lambda name: -odds[name][frame])
        most = odds[ranked[0]][frame]
        named = [name for name in ranked[:MOST_REASONS] if odds[name][frame] > max(TELLING * most, 0.0)]
        reasons.append("; ".join(dict.fromkeys(_worded(name, traces, frame) for name in named)))
    return Verdict(doubt, status.astype(np.str_), np.array(reasons, dtype=np.str_))


def _worded(name: str, traces: Traces, frame: int) -> str:
    """A sign in words, with its number."""

    def value(trace: str, usually: bool) -> float:
        return float(np.nanmedian(traces[trace]) if usually else traces[trace][frame])

    often = name.endswith("usually")
    when = " in most frames" if often else ""
    kind = name.removesuffix(" usually")
    if kind == "border":
        return f"drawing and label are {value('border_px', often):.1f} px apart{when}"
    if kind == "keypoints":
        return f"keypoints are {100.0 * value('keypoints', often):.0f} % of their size off{when}"
    if kind == "inside":
        return f"bodies lie {value('inside_mm', often):.0f} mm in each other{when}"
    if kind == "gap":
        return f"it moves {value('gap_mm', often):.0f} mm from all that could carry it{when}"
    if kind in ("jump", "jumps"):
        far = f"{value('jump_mm', often):.0f} mm and {value('jump_deg', often):.0f} degrees"
        return f"it is {far} from between its neighbours{when}"
    return {
        "unseen": "no label shows it",
        "left out": f"evidence of it contradicts the rest{when}",
        "error in the data": "a check found an error in the data",
    }[kind]


def _notes(name: str, verdict: Verdict) -> list[str]:
    doubted = np.flatnonzero(verdict.status != OK_STATUS)
    if not len(doubted):
        return []
    worst = doubted[np.argmax(verdict.doubt[doubted])]
    return [
        f"{name}: doubtful in {frame_list(doubted)} ({np.count_nonzero(verdict.status == LOST_STATUS)} of them lost); "
        f"frame {worst}: {verdict.reasons[worst]}."
    ]
