"""The command that tracks, from a scene folder to a result folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from warpprior.commands.results import places_of, read_start, run_into
from warpprior.commands.running import start_warp


def track(
    scene_folder: Path,
    output_dir: Path,
    *,
    observe: Sequence[str] = ("auto",),
    smooth: bool = False,
    lag: int | None = None,
    initial: Path | None = None,
    device: str | None = None,
    num_frames: int | None = None,
    assignments: Sequence[str] = (),
    paper_literal: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
) -> int:
    """Track the bodies of a scene folder frame by frame, and write a result folder with covariances.

    Args:
        scene_folder: folder with ``scene.toml``.
        output_dir: result folder.
        observe: names of the observations to use; ``auto`` is what the scene offers.
        smooth: when the sequence has ended, let later frames correct earlier ones.
        lag: let so many later frames correct each frame; None none.  Not together with ``smooth``.
        initial: result folder or pose file to start from; None starts from the scene's initial poses.
        device: as :func:`warpprior.support.device.resolve_device`.
        num_frames: use only the first ones.
        assignments: ``key=value`` texts, see :func:`warpprior.support.overrides.apply_overrides`.
        paper_literal: start from the paper's equations as printed.
        overwrite: ``output_dir`` may hold an earlier result.
        quiet: no progress bar and no table.

    Raises:
        InputError, RunError, MissingExtraError: see the functions it calls.
    """
    from warpprior.io import prepare_output
    from warpprior.support.overrides import apply_overrides
    from warpprior.tracking.run import track as estimate
    from warpprior.tracking.settings import TrackSettings

    settings = apply_overrides(TrackSettings.paper_literal() if paper_literal else TrackSettings(), assignments)
    with prepare_output(output_dir, overwrite=overwrite, protect=places_of(scene_folder, initial)):
        chosen = start_warp(device, quiet)
        scene = read_start(scene_folder, initial, num_frames)
        return run_into(
            output_dir,
            scene,
            lambda progress: estimate(
                scene, settings, observe=observe, smooth=smooth, lag=lag, device=chosen, progress=progress
            ),
            "track",
            chosen,
            settings.seed,
            quiet=quiet,
        )
