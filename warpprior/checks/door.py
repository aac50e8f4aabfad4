"""What readers of scene folders noticed: their warnings and refusals as findings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from warpprior.checks.evidence import Evidence
from warpprior.checks.registry import check
from warpprior.finding import Finding
from warpprior.support.errors import InputError


@dataclass(frozen=True)
class Notice:
    """A kind of warning or refusal: which fault it is, how it reads, and what cures it."""

    code: str
    reads: str
    cure: str


WARNINGS = (
    Notice("keypoints_missing_marker", "left out as not found|taken as no box", "mark what is missing with NaN"),
    Notice("label_values", "255 was taken as|are masks with soft edges", "write label numbers: (mask > 127) * label"),
    Notice("frame_offset", "these pictures perhaps from 1", "rename the files: frames are numbered from 0"),
    Notice(
        "initial_missing",
        "has no finite pose in|pose was interpolated|; it was interpolated",
        "give a rough pose in these frames; none is needed of a body with keypoints",
    ),
)
REFUSALS = (
    Notice("pose_inverse", "look like inverse poses", "invert the poses"),
    Notice("opengl_axes", "OpenGL", "multiply rotations and positions by diag(1, -1, -1) from the left"),
    Notice("depth_scale", "depth_scale", "[frames] depth_scale: metres per unit"),
    Notice("keypoints_normalised", "from the corner of the picture", "multiply u and v by the picture's size"),
    Notice("mesh_units", "mesh_scale", "[[body]] mesh_scale: metres per unit of the file"),
    Notice(
        "label_values", r"whose values are no labels|is in none of \d+ images", "write label numbers, not 0 and 255"
    ),
    Notice("initial_missing", "no frame has a finite pose", "give a rough pose in one frame at least"),
    Notice("keypoints_missing_marker", "needs points that were found", "mark what is missing with NaN"),
)


@check
def noticed_when_read(evidence: Evidence) -> Iterator[Finding]:
    """Faults that were mended, or guessed, when the scene was read."""
    for text in evidence.scene.warnings:
        notice = next((each for each in WARNINGS if re.search(each.reads, text)), None)
        if notice is not None:
            frames = _frames(text, evidence.scene.frame_count)
            yield Finding(notice.code, "warning", None, frames, text, notice.cure, {})


def finding_of_error(error: InputError) -> Finding | None:
    """A refusal as a finding; None where it is about something else than the form of the data."""
    text = f"{error.found} {error.accepted} {error.where}"
    notice = next((each for each in REFUSALS if re.search(each.reads, text)), None)
    if notice is None:
        return None
    return Finding(
        notice.code, "error", None, (), f"{error.where}: {error.found}", f"{notice.cure}: {error.accepted}", {}
    )


def _frames(text: str, count: int) -> tuple[int, ...]:
    """The frames that a warning names."""
    found = re.search(r"frames? ([\d, -]+)", text)
    if found is None:
        return ()
    spans = [re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part) for part in found[1].split(",")]
    named = {n for span in spans if span for n in range(int(span[1]), int(span[2] or span[1]) + 1)}
    return tuple(sorted(n for n in named if n < count))
