"""Check a scene: every check is made, and what they found is put in order."""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from collections.abc import Iterable

import numpy as np

from warpprior import checks
from warpprior.checks.evidence import Evidence
from warpprior.checks.registry import CHECKS
from warpprior.finding import LEVELS, Finding
from warpprior.scene import Scene, check_is_scene
from warpprior.support.device import resolve_device


def check(scene: Scene, *, brief: bool = False, device: str | None = "cpu") -> tuple[Finding, ...]:
    """Find out whether a scene's data is in the form that it is taken for.

    Nothing is estimated and nothing is changed.  Each convention that data of the field comes in, and each usual slip,
    is held against what the scene itself shows: label images, keypoints, first poses, meshes, depth.  A finding says
    what is wrong, in which frames, by which numbers, and what cures it; a note, what cannot be told.

    Args:
        scene: to be checked.
        brief: fewer frames are drawn, and what estimators say themselves is left to them.
        device: where bodies are drawn: ``cpu``, ``cuda``; None takes a GPU if there is one.

    Returns:
        The findings, errors first.
    """
    check_is_scene(scene, "check")
    for module in pkgutil.iter_modules(checks.__path__):
        importlib.import_module(f"{checks.__name__}.{module.name}")
    evidence = Evidence(scene, brief=brief, device=resolve_device(device))
    found = []
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of medians of nothing, which are NaN and say nothing
        for one, thorough in CHECKS.items():
            if not (thorough and brief):
                found += evidence.once(one)
    return tuple(sorted(found, key=lambda finding: LEVELS.index(finding.level)))


def cure(scene: Scene, found: Iterable[Finding]) -> tuple[Scene, list[str]]:
    """The scene with the cures of errors and warnings that can be applied, and what was cured.

    One cure of each body and code is applied: what others say may be mended by it, which another check tells.
    """
    applied: list[str] = []
    for finding in found:
        if finding.mend is None or finding.level == "note":
            continue
        scene = finding.mend(scene)
        applied.append(finding.code if finding.body is None else f"{finding.code} of {finding.body}")
    return scene, applied
