"""``warpprior export``: write a pose file, or the scene's initial poses, as a USD stage."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from warpprior.cli.options import REQUIRED, option
from warpprior.cli.shared import Common, IntoFile, Measured

PLACE = 8
SUMMARY = "write a motion as a USD stage"


@dataclass(frozen=True, kw_only=True)
class Options(Measured, IntoFile, Common):
    """Options of ``export``."""

    output: Path = option("stage to write (.usdc, .usda, .usd)", REQUIRED, metavar="FILE")


def run(options: Options) -> int:
    """Write the stage."""
    from warpprior.cli.running import OK, first_frames, read_scene, say, say_warnings, start_warp
    from warpprior.io import prepare_file
    from warpprior.support.device import self_healing
    from warpprior.support.progress import progress_bar
    from warpprior.usd import export_usd

    with prepare_file(options.output, overwrite=options.overwrite):
        start_warp("cpu", options.quiet)
        scene, poses = first_frames(read_scene(options.scene, options.quiet), options.poses, options.num_frames)
        say_warnings(scene)
        with progress_bar("export", quiet=options.quiet) as progress:
            self_healing(lambda: export_usd(scene, poses, options.output, progress=progress))
    say(options.quiet, f"{scene.frame_count} frames in {options.output}")
    return OK
