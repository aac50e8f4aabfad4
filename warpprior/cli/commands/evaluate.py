"""``warpprior evaluate``: measure a pose file, or the scene's initial poses."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from warpprior.cli.options import option
from warpprior.cli.shared import Common, IntoFile, Measured, OnDevice

PLACE = 5
SUMMARY = "measure poses against labels, contact and truth"


@dataclass(frozen=True, kw_only=True)
class Options(Measured, IntoFile, OnDevice, Common):
    """Options of ``evaluate``."""

    output: Path | None = option("write all numbers as JSON, per frame too", metavar="FILE")


def run(options: Options) -> int:
    """Measure, print a table, and write all numbers if asked."""
    from warpprior import metrics
    from warpprior.cli.running import OK, first_frames, read_scene, say, say_warnings, start_warp, with_result_camera
    from warpprior.io import prepare_file
    from warpprior.io.results import write_json
    from warpprior.support.device import self_healing
    from warpprior.support.progress import progress_bar
    from warpprior.support.tables import format_summary

    with nullcontext() if options.output is None else prepare_file(options.output, overwrite=options.overwrite):
        device = start_warp(options.device, options.quiet)
        scene, poses = first_frames(read_scene(options.scene, options.quiet), options.poses, options.num_frames)
        scene = with_result_camera(scene, options.poses)
        say_warnings(scene)
        with progress_bar("evaluate", quiet=options.quiet) as progress:
            found = self_healing(lambda: metrics.evaluate(scene, poses, device=device, progress=progress))
        if options.output is not None:
            write_json(options.output, found)
    say(options.quiet, format_summary(found, [body.name for body in scene.bodies]))
    return OK
