"""What is kept of a sequence: which frames of which bodies are wrong, and the signs of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from warpprior.bench.verdicts.displaced import MOVED, TURNED, displaced
from warpprior.bench.verdicts.sequences import Sequence, errors, is_wrong
from warpprior.checks.run import check
from warpprior.refinement.run import refine
from warpprior.result import Result
from warpprior.support.errors import InputError
from warpprior.verdicts.judge import signs_of
from warpprior.verdicts.traces import find_traces

Row = dict[str, Any]
MEASURED, PICTURES = "measured in space, too", "pictures alone"
GIVEN = (MEASURED, PICTURES)
DIGITS = 4


def measure(sequence: Sequence) -> list[Row]:
    """Refine a sequence, and hold signs against errors; the estimate of right data also moved and turned."""
    row: Row = {"name": sequence.name, "fault": sequence.fault, "traced": sequence.traced, "moved": False, "bodies": {}}
    try:
        result = refine(sequence.scene, device="cpu")
    except InputError as error:
        return [row | {"refused": str(error)}]
    rows = [row | described(result, errors(sequence, result))]
    for number, kind in enumerate((MOVED, TURNED) if not sequence.fault else ()):
        wrong = displaced(result, kind, np.random.default_rng([sequence.seed, number]))
        rows.append(row | {"fault": kind, "moved": True} | described(wrong, errors(sequence, wrong)))
    return rows


def described(result: Result, off: dict[str, tuple[np.ndarray, np.ndarray]]) -> Row:
    """The row of a result whose bodies are so far off [mm] and turned [degrees] (frame,) each."""
    found = {MEASURED: _signs(result), PICTURES: _signs(_of_pictures(result))}
    bodies = {
        name: {
            "wrong": is_wrong(*each).astype(int).tolist(),
            "off": np.round(each[0], 1).tolist(),
            "turned": np.round(each[1], 1).tolist(),
            **{given: found[given][name] for given in GIVEN},
        }
        for name, each in off.items()
    }
    levels = [f"{each.code} ({each.level})" for each in result.findings if each.level != "note"]
    return {"bodies": bodies, "findings": sorted(set(levels)), "notes": list(result.notes)}


def _of_pictures(result: Result) -> Result:
    """The result as it is told without what was measured in space, which estimates do not use either."""
    scene = replace(result.scene, keypoints3d={}, centers={}, read_depth=None)
    return replace(result, scene=scene, findings=check(scene, brief=True))


def _signs(result: Result) -> dict[str, dict[str, Any]]:
    """Signs by body, as one number where all frames have the same."""
    found = {}
    for name, own in signs_of(result, find_traces(result)).items():
        rounded = {sign: np.round(values, DIGITS) for sign, values in own.items()}
        found[name] = {
            sign: float(values[0]) if np.ptp(values) == 0.0 else values.tolist() for sign, values in rounded.items()
        }
    return found
