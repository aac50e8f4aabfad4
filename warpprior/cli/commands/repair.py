"""``warpprior repair``: read others' files, refine, and write them back in the format that they came in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from warpprior.cli.options import option
from warpprior.cli.shared import Checked, Common, IntoFolder, OnDevice, OneScene, Refined, folder

if TYPE_CHECKING:
    from warpprior.formats import Recording
    from warpprior.settings import RefineSettings

PLACE = 14
POSE_SIGMA_M = 0.03  # of poses that come in: what pipelines leave is centimetres off, where nothing shows better
SUMMARY = "refine others' files and write them back in their own format, with nothing else changed"


@dataclass(frozen=True, kw_only=True)
class Options(OneScene, Refined, Checked, IntoFolder, OnDevice, Common):
    """Options of ``repair``."""

    output_dir: Path = folder("folder to write, in the format of SCENE")
    result_dir: Path | None = option(
        "keep the result folder, with its numbers and report, here (default: it is not kept)", metavar="DIR"
    )


def run(options: Options) -> int:
    """Refine into a result folder, and write its poses in the format of the source."""
    import tempfile
    from contextlib import ExitStack

    from warpprior.cli.refining import How, chosen_settings, refine_folder
    from warpprior.cli.running import FITS_BADLY, OK, say
    from warpprior.formats import open_recording
    from warpprior.formats.opening import check_writable, write
    from warpprior.io import load_result_poses, prepare_folder
    from warpprior.io.world_poses import load_result_camera
    from warpprior.support.errors import InputError

    settings, place = chosen_settings(options), options.scene
    if options.num_frames is not None:
        raise InputError("--num-frames", "given to repair", "whole sequences, so that nothing else is changed")
    recording = open_recording(place)
    check_writable(recording)
    settings = _holding_poses(settings, recording, options)
    with ExitStack() as outputs:
        outputs.enter_context(prepare_folder(options.output_dir, overwrite=options.overwrite))
        kept = options.result_dir
        result = Path(outputs.enter_context(tempfile.TemporaryDirectory())) / "result" if kept is None else kept
        how = How(
            device=options.device,
            overwrite=options.overwrite,
            check_first=not options.no_check,
            strict=options.strict,
            quiet=options.quiet or kept is None,  # files that are not kept are not to be opened
            table=True,
        )
        code, fits = refine_folder(place, result, settings, how)
        if code not in (OK, FITS_BADLY):
            return code
        poses = load_result_poses(result, recording.scene, notes=[])
        camera = load_result_camera(result, recording.scene.frame_count)
        said = write(recording.with_poses(poses, camera), options.output_dir, overwrite=options.overwrite)
    say(options.quiet, *said, f"repaired, in {options.output_dir}: {fits}")
    return code


def _holding_poses(settings: RefineSettings, recording: Recording, options: Options) -> RefineSettings:
    """Settings in which what came in is an observation, too, unless the recording or the caller says how good it is."""
    from warpprior.support.overrides import apply_overrides
    from warpprior.terms.given import CHANNEL

    said = any(word.startswith(("given.", "terms")) for word in options.assignments)
    if said or options.paper_literal or "given" in options.without or CHANNEL in recording.scene.noise:
        return settings
    return apply_overrides(settings, [f"given.sigma_m={POSE_SIGMA_M}"])
