"""The brief check that estimators make before they begin."""

from __future__ import annotations

from dataclasses import replace

from warpprior.checks.run import check
from warpprior.finding import Finding
from warpprior.result import Result
from warpprior.scene import Scene
from warpprior.support.errors import InputError


def checked_first(scene: Scene, *, device: str, strict: bool) -> tuple[Finding, ...]:
    """What a brief check finds.

    Raises:
        InputError: an error was found, and the run is strict.
    """
    found = check(scene, brief=True, device=device)
    errors = [finding for finding in found if finding.level == "error"]
    if strict and errors:
        first = errors[0]
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise InputError(f"scene {scene.name!r}: {first.code}{more}", first.message, first.cure)
    return found


def with_findings(result: Result, found: tuple[Finding, ...]) -> Result:
    """The result with what was found, errors and warnings as its first notes."""
    said = tuple(_note(finding) for finding in found if finding.level != "note" and not _is_warned_of(finding, result))
    return replace(result, findings=found, notes=(*said, *result.notes)) if found else result


def _is_warned_of(finding: Finding, result: Result) -> bool:
    """What a reader of the scene's files has said already."""
    return finding.message in result.scene.warnings


def _note(finding: Finding) -> str:
    cure = f"; cure: {finding.cure}" if finding.cure else ""
    return f"check, {finding.level} {finding.code}: {finding.message}{cure}"
