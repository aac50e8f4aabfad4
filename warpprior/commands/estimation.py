"""The commands that estimate motion, from a scene folder to a result folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from warpprior.commands.results import places_of, read_start, run_into
from warpprior.commands.running import refuse_existing, start_warp, tell
from warpprior.result import Result
from warpprior.scene import Scene
from warpprior.support.device import self_healing
from warpprior.support.progress import Progress

DEMO_FRAMES, DEMO_FPS, DEMO_SEED = 40, 20.0, 7  # two seconds, and a grasp that shows the mug


def refine(
    scene_folder: Path,
    output_dir: Path,
    *,
    initial: Path | None = None,
    device: str | None = None,
    iterations: int | None = None,
    seed: int = 0,
    num_frames: int | None = None,
    without: Sequence[str] = (),
    assignments: Sequence[str] = (),
    paper_literal: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
) -> int:
    """Refine a scene folder and write a result folder.

    Everything that can be refused is refused before computing.  An interrupted run leaves its best so far, marked
    incomplete, and can be resumed.

    Args:
        scene_folder: folder with ``scene.toml``.
        output_dir: result folder.
        initial: result folder or pose file to start from; None starts from the scene's initial poses.
        device: as :func:`warpprior.support.device.resolve_device`.
        iterations: at most so many; None leaves it to the settings.
        seed: of everything random.
        num_frames: use only the first ones.
        without: terms to leave out.
        assignments: ``key=value`` texts, see :func:`warpprior.support.overrides.apply_overrides`.
        paper_literal: start from the paper's equations as printed.
        resume: continue the run whose checkpoint is in ``output_dir``.
        overwrite: ``output_dir`` may hold an earlier result.
        quiet: no progress bar and no table.

    Raises:
        InputError, RunError, MissingExtraError: see the functions it calls.
    """
    from warpprior.io import prepare_output

    settings = _settings(iterations, seed, without, assignments, paper_literal)
    with prepare_output(output_dir, overwrite=overwrite, resume=resume, protect=places_of(scene_folder, initial)):
        chosen = start_warp(device, quiet)
        scene = read_start(scene_folder, initial, num_frames)
        return _refine_into(output_dir, scene, settings, chosen, resume=resume, quiet=quiet)


def demo(
    output_dir: Path | str = "out/demo",
    *,
    device: str | None = None,
    iterations: int | None = None,
    seed: int = DEMO_SEED,
    num_frames: int | None = None,
    without: Sequence[str] = (),
    assignments: Sequence[str] = (),
    paper_literal: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
) -> int:
    """Simulate a human hand that lifts and turns a mug, refine both, and say which files to open."""
    from warpprior.io import load_scene, prepare_output, save_scene
    from warpprior.scenes import simulate as build

    scene_folder, result_folder = Path(output_dir) / "scene", Path(output_dir) / "result"
    settings = _settings(iterations, seed, without, assignments, paper_literal)
    refuse_existing(scene_folder, overwrite)
    with prepare_output(result_folder, overwrite=overwrite, protect=[scene_folder]):
        chosen = start_warp(device, quiet)
        tell(quiet, f"simulating a human hand that lifts and turns a mug, into {scene_folder}")
        count = num_frames or DEMO_FRAMES
        scene = self_healing(
            lambda: build("grasp_lift", object="mug", seed=seed, frame_count=count, fps=DEMO_FPS, device=chosen)
        )
        save_scene(scene, scene_folder, overwrite=overwrite)
        tell(quiet, f"refining it on {chosen}, into {result_folder}")
        saved = load_scene(scene_folder)
        return _refine_into(result_folder, saved, settings, chosen, resume=False, quiet=quiet, brief=True)


def _settings(
    iterations: int | None, seed: int, without: Sequence[str], assignments: Sequence[str], paper_literal: bool
):
    """The default settings with what the command line changes."""
    from warpprior.settings import RefineSettings
    from warpprior.support.overrides import apply_overrides

    direct = [f"seed={seed}"] + ([] if iterations is None else [f"iterations={iterations}"])
    start = RefineSettings.paper_literal() if paper_literal else RefineSettings()
    settings = apply_overrides(start, [*direct, *assignments])
    return settings.leaving_out(without)


def _refine_into(
    folder: Path, scene: Scene, settings, device: str, *, resume: bool, quiet: bool, brief: bool = False
) -> int:
    """Refine, from the checkpoint on if ``resume``, write the result folder and say what came out."""
    from warpprior.io import fingerprint, load_checkpoint, save_checkpoint
    from warpprior.refinement.run import refine as estimate

    inputs = fingerprint(scene, settings.as_dict())
    found = load_checkpoint(folder, expected_fingerprint=inputs) if resume else None

    def run(progress: Progress) -> Result:
        return estimate(
            scene,
            settings,
            device=device,
            progress=progress,
            keep=lambda arrays: save_checkpoint(folder, arrays, {"fingerprint": inputs}),
            resume_from=None if found is None else found[0],
        )

    remedy = ", continue with --resume"
    return run_into(folder, scene, run, "refine", device, settings.seed, remedy=remedy, quiet=quiet, brief=brief)
