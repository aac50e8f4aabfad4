"""``warpprior demo``, and :func:`warpprior.demo`: a simulated human hand lifts and turns a mug; both are refined."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warpprior.cli.options import option
from warpprior.cli.shared import Common, IntoFolder, OnDevice, Refined, folder
from warpprior.support.limits import MOST_WHOLE, number

if TYPE_CHECKING:
    from warpprior.result import Result

PLACE = 4
SUMMARY = "simulate a human hand that lifts and turns a mug, then refine both"
FPS = 20.0  # so that the default frames are two seconds


@dataclass(frozen=True, kw_only=True)
class Options(Refined, IntoFolder, OnDevice, Common):
    """Options of ``demo``, and keyword arguments of :func:`demo`."""

    output_dir: Path = folder("folder for the scene and the result", Path("out/demo"))
    num_frames: int = option("number of frames", number(40, 2, MOST_WHOLE), metavar="N")
    seed: int = option("seed", number(7, 0, MOST_WHOLE), metavar="N")  # a grasp that shows the mug


def demo(output_dir: Path | str = "out/demo", **options: Any) -> Result:
    """Simulate a human hand that lifts and turns a mug, refine both, and say which files to open.

    Args:
        output_dir: the scene is written into ``scene`` below it, the result into ``result``.
        options: keyword arguments named as in ``warpprior demo --help``: ``device``, ``num_frames``, ``seed``,
            ``iterations``, ``without`` (a tuple of names), ``assignments`` (``("key=value",)``), ``paper_literal``,
            ``overwrite`` and ``quiet``.

    Returns:
        What was estimated, with its numbers and contacts, as it is in the result folder.

    Raises:
        InputError: the folders are in use and ``overwrite`` is not set, or an option is out of range.
        RunError: the file system refused.
    """
    return _perform(Options(output_dir=Path(output_dir), **options))


def run(options: Options) -> int:
    """The demo as a command."""
    from warpprior.cli.results import exit_code

    return exit_code(_perform(options))


def _perform(options: Options) -> Result:
    from warpprior.cli.refining import chosen_settings, inputs_of, refine_into
    from warpprior.cli.running import say, start_warp
    from warpprior.io import load_scene, prepare_folder, prepare_output, save_scene
    from warpprior.scenes import simulate
    from warpprior.support.device import self_healing

    scene_folder, result_folder = options.output_dir / "scene", options.output_dir / "result"
    settings = chosen_settings(options)
    with (
        prepare_folder(scene_folder, overwrite=options.overwrite),
        prepare_output(result_folder, overwrite=options.overwrite, protect=[scene_folder]),
    ):
        device = start_warp(options.device, options.quiet)
        say(options.quiet, f"simulating a human hand that lifts and turns a mug, into {scene_folder}")
        frames = {"frame_count": options.num_frames, "fps": FPS}
        scene = self_healing(lambda: simulate("grasp_lift", object="mug", seed=options.seed, **frames, device=device))
        save_scene(scene, scene_folder, overwrite=options.overwrite)
        say(options.quiet, f"refining it on {device}, into {result_folder}")
        saved = load_scene(scene_folder)
        inputs = inputs_of(saved, settings)
        return refine_into(result_folder, saved, settings, device, inputs, quiet=options.quiet, brief=True)
