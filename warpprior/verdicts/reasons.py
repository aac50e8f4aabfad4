"""Why a body is doubted, in words and numbers."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from warpprior.finding import Finding
from warpprior.verdicts.doubt import FINDINGS, USUALLY, Signs, contributions
from warpprior.verdicts.traces import Traces

TELLING = 0.4  # of the odds of what tells most, from which other reasons are named, too
MOST_REASONS = 3

WORDS = {
    "border_mm": "drawing and label are {:.0f} mm apart",
    "size_mm": "its label has the size of a body {:.0f} mm nearer or farther",
    "middle_mm": "the middles of drawing and label are {:.0f} mm apart",
    "unmet": "drawing and label disagree in {:.0%} of their pixels",
    "hue": "its colours are not those of the picture (hues {:.2f} apart)",
    "keypoints_mm": "it misses detected keypoints by {:.0f} mm",
    "keypoints_apart_mm": "all detected keypoints are {:.0f} mm to one side",
    "keypoints_size_mm": "its keypoints have the size of a hand {:.0f} mm nearer or farther",
    "measured_mm": "it is {:.0f} mm from measured keypoints",
    "measured_deg": "it is turned by {:.0f} degrees against measured keypoints",
    "measured_middle_mm": "it is {:.0f} mm from its measured middle",
    "depth_mm": "it is {:.0f} mm from measured depth",
    "unseen": "no label shows it for {:.0f} frames",
    "sigma_mm": "where it is, is known to {:.0f} mm (1 sigma)",
    "sigma_deg": "how it is turned, is known to {:.0f} degrees (1 sigma)",
    "inside_mm": "bodies lie {:.0f} mm in each other",
    "gap_mm": "it moves {:.0f} mm from all that could carry it",
    "free_mm": "it touches nothing that says how far away it is ({:.0f} mm)",
    "jump_mm": "it is {:.0f} mm from between its neighbours in time",
    "jump_deg": "it is turned by {:.0f} degrees from between its neighbours in time",
    "break_mm": "a step of {:.0f} mm parts it from most frames",
    "break_deg": "a turn of {:.0f} degrees parts it from most frames",
    "residual of contour": "its outline misses the label by {:.1f} times what is usual, squared",
    "residual of image": "its colours differ by {:.1f} times what is usual, squared",
    "residual of keypoints": "keypoints miss by {:.1f} times what is usual, squared",
    "residual of pose": "its joints are {:.1f} times as far from the first guess as is usual, squared",
    "residual of boxes": "it misses detected boxes: they cost {:.1f}",
    "residual of smoothness": "it accelerates {:.1f} times as much as is usual, squared",
    "residual of sliding": "contacts slip {:.1f} times as much as is usual, squared",
    "residual of penetration": "overlap costs {:.0f}",
    "residual of consistency": "its motion against the first guess costs {:.2f}",
    "untold": "how sure it is, is not known",
    "unfitted": "how well terms fit is not known",
    "uncoloured": "no colours confirm it",
    "unlabelled": "there are no labels",
    "label left out": "its label contradicts the other frames",
    "points left out": "its keypoints contradict other evidence",
}


class Reasons:
    """Words for signs that one body is wrong.

    Args:
        name: of the body.
        traces: of it.
        signs: made of them.
        findings: of a check of the scene.
    """

    def __init__(self, name: str, traces: Traces, signs: Signs, findings: Iterable[Finding]):
        self._name, self._traces, self._findings = name, traces, tuple(findings)
        self._odds = contributions(signs)

    def said(self, frame: int) -> str:
        """What speaks most against the body in a frame."""
        odds = {sign: float(added[frame]) for sign, added in self._odds.items()}
        ranked = sorted((sign for sign in odds if sign and odds[sign] > 0.0), key=lambda sign: -odds[sign])
        if not ranked:
            return "nothing confirms it"
        telling = [sign for sign in ranked[:MOST_REASONS] if odds[sign] >= TELLING * odds[ranked[0]]]
        return "; ".join(dict.fromkeys(self._worded(sign, frame) for sign in telling))

    def _worded(self, sign: str, frame: int) -> str:
        level, _, kind = sign.partition(": ")
        if kind:
            return self._found(level, kind.removesuffix(" of another"), of_another=kind.endswith(" of another"))
        often, trace = sign.endswith(USUALLY), sign.removesuffix(USUALLY)
        words, values = WORDS[trace], self._traces.get(trace)
        if values is not None:
            words = words.format(float(np.nanmedian(values) if often else values[frame]))
        return f"{words} in most frames" if often else words

    def _found(self, level: str, kind: str, *, of_another: bool) -> str:
        codes = [
            each.code
            for each in self._findings
            if each.code in FINDINGS[kind]
            and each.level == level
            and (each.body not in (None, self._name)) == of_another
        ]
        whose = " of another body" if of_another else ""
        return f"the check of the data found{whose} {', '.join(dict.fromkeys(codes))} ({level})"
