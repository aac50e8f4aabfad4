"""``warpprior check``: is the data of a scene folder in the form that it is taken for?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from warpprior.cli.options import option
from warpprior.cli.shared import Common, OnDevice, OneScene, folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from warpprior.finding import Finding
    from warpprior.formats import Recording
    from warpprior.scene import Scene

PLACE = 0
SUMMARY = "say what is wrong with a scene's data before anything is estimated, and what cures it"


@dataclass(frozen=True, kw_only=True)
class Options(OneScene, OnDevice, Common):
    """Options of ``check``."""

    json: Path | None = option("write the findings as JSON", metavar="FILE")
    output_dir: Path | None = folder("write a page with the first guess over some frames, as it is and cured", None)
    fix: Path | None = option("write the scene with all cures that can be applied", metavar="OUTPUT_SCENE")
    overwrite: bool = option("replace what --json, --output-dir and --fix name", False)


def run(options: Options) -> int:
    """Check, print what was found, and write it if asked; exit code 2 where there are errors."""
    from contextlib import ExitStack

    from warpprior.checks.door import finding_of_error
    from warpprior.checks.run import check, cure
    from warpprior.cli.running import BAD_INPUT, OK, say, start_warp
    from warpprior.formats import open_recording
    from warpprior.io import prepare_file, prepare_folder, prepare_output
    from warpprior.io.results import write_json
    from warpprior.report.check_page import write_check
    from warpprior.support.device import self_healing
    from warpprior.support.errors import InputError

    scene: Scene | None = None
    recording: Recording | None = None
    with ExitStack() as outputs:
        if options.json is not None:
            outputs.enter_context(prepare_file(options.json, overwrite=options.overwrite))
        if options.output_dir is not None:
            overwrite = {"overwrite": options.overwrite, "protect": [options.scene.path]}
            outputs.enter_context(prepare_output(options.output_dir, **overwrite))
        if options.fix is not None:
            outputs.enter_context(prepare_folder(options.fix, overwrite=options.overwrite))
        device = start_warp(options.device, options.quiet)
        try:
            opened = open_recording(options.scene, num_frames=options.num_frames, to_check=True)
        except InputError as error:
            refused = finding_of_error(error)
            if refused is None:
                raise
            found: tuple[Finding, ...] = (refused,)
        else:
            recording, scene = opened, opened.scene
            loaded = opened.scene
            found = self_healing(lambda: check(loaded, device=device))
        if options.json is not None:
            write_json(options.json, {"findings": [finding.as_dict() for finding in found]})
        say(options.quiet, *_lines(found))
        mended, applied = (None, []) if scene is None else cure(scene, found)
        if options.output_dir is not None:
            page = write_check(options.output_dir, found, scene, mended if applied else None, device=device)
            say(options.quiet, f"open: {page}")
        if options.fix is not None:
            _fix(options, recording, mended, applied)
    return BAD_INPUT if any(finding.level == "error" for finding in found) else OK


def _lines(found: Sequence[Finding]) -> list[str]:
    if not found:
        return ["nothing found: nothing that the scene shows contradicts what it says"]
    lines = []
    for finding in found:
        lines.append(f"{finding.level} {finding.code}: {finding.message}")
        lines += [f"  cure: {finding.cure}"] if finding.cure else []
    return lines


def _fix(options: Options, recording: Recording | None, mended: Scene | None, applied: Sequence[str]) -> None:
    from warpprior.cli.running import say
    from warpprior.formats import write

    assert options.fix is not None
    if mended is None or recording is None:
        say(options.quiet, "nothing written: the scene cannot be read before this is cured by hand")
    elif not applied:
        say(options.quiet, "nothing written: there is no cure that can be applied")
    else:
        write(recording.with_scene(mended), options.fix, "scene", overwrite=options.overwrite)
        say(options.quiet, f"{options.fix}: with {', '.join(applied)} cured; check it, too")
