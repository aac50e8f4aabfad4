"""What each command of the command line does.  Each returns the exit code and raises the errors of what it calls."""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from warpprior.device import prepare_kernel_cache, resolve_device, self_healing
from warpprior.errors import InputError, one_line
from warpprior.progress import progress_bar
from warpprior.result import Result
from warpprior.scene import Poses, Scene
from warpprior.tables import format_before_after, format_summary

OK, INTERRUPTED = 0, 130
DEFAULT_FRAMES = 60
DEMO_FRAMES, DEMO_FPS, DEMO_SEED = 40, 20.0, 7  # two seconds, and a grasp that shows the mug
MOST_LISTED_WARNINGS = 10


def refine(
    scene_folder: Path,
    output_dir: Path,
    *,
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
        device: as :func:`warpprior.device.resolve_device`.
        iterations: at most so many; None leaves it to the settings.
        seed: of everything random.
        num_frames: use only the first ones.
        without: terms to leave out.
        assignments: ``key=value`` texts, see :func:`warpprior.overrides.apply_overrides`.
        paper_literal: start from the paper's equations as printed.
        resume: continue the run whose checkpoint is in ``output_dir``.
        overwrite: ``output_dir`` may hold an earlier result.
        quiet: no progress bar and no table.

    Raises:
        InputError, RunError, MissingExtraError: see the functions it calls.
    """
    from warpprior.io import load_scene, prepare_output

    settings = _settings(iterations, seed, without, assignments, paper_literal)
    with prepare_output(output_dir, overwrite=overwrite, resume=resume, protect=[scene_folder]):
        chosen = _start(device, quiet)
        scene = load_scene(scene_folder, num_frames=num_frames)
        return _refine_into(output_dir, scene, settings, chosen, resume=resume, quiet=quiet)


def simulate(
    name: str,
    output_dir: Path,
    *,
    seed: int = 0,
    num_frames: int | None = None,
    object_name: str | None = None,
    mesh: Path | None = None,
    side: str | None = None,
    second_object: str | None = None,
    occluded_frames: tuple[int, int] | None = None,
    pose_noise: str | None = None,
    hand_noise: str | None = None,
    mask_noise: str = "M1",
    depth: bool = False,
    device: str | None = None,
    overwrite: bool = False,
    quiet: bool = False,
) -> int:
    """Make a built-in scene and write it as a scene folder; see :func:`warpprior.simulate` for the arguments."""
    from warpprior.io import save_scene
    from warpprior.scenes import simulate as build

    _refuse_existing(output_dir, overwrite)
    chosen = _start(device, quiet)
    scene = self_healing(
        lambda: build(
            name,
            seed=seed,
            frame_count=num_frames or DEFAULT_FRAMES,
            object=object_name,
            mesh=mesh,
            side=side,
            second_object=second_object,
            occluded_frames=occluded_frames,
            pose_noise=pose_noise,
            hand_noise=hand_noise,
            mask_noise=mask_noise,
            depth=depth,
            device=chosen,
        )
    )
    save_scene(scene, output_dir, overwrite=overwrite)
    _tell(quiet, f"{scene.frame_count} frames of {scene.name} in {output_dir}", f"next: warpprior refine {output_dir}")
    return OK


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
    _refuse_existing(scene_folder, overwrite)
    with prepare_output(result_folder, overwrite=overwrite, protect=[scene_folder]):
        chosen = _start(device, quiet)
        _tell(quiet, f"simulating a human hand that lifts and turns a mug, into {scene_folder}")
        count = num_frames or DEMO_FRAMES
        scene = self_healing(
            lambda: build("grasp_lift", object="mug", seed=seed, frame_count=count, fps=DEMO_FPS, device=chosen)
        )
        save_scene(scene, scene_folder, overwrite=overwrite)
        _tell(quiet, f"refining it on {chosen}, into {result_folder}")
        saved = load_scene(scene_folder)
        return _refine_into(result_folder, saved, settings, chosen, resume=False, quiet=quiet, brief=True)


def evaluate(
    scene_folder: Path,
    poses_file: Path | None = None,
    *,
    output: Path | None = None,
    device: str | None = None,
    num_frames: int | None = None,
    overwrite: bool = False,
    quiet: bool = False,
) -> int:
    """Measure a pose file, or the scene's initial poses, and print a table; optionally write all numbers as JSON."""
    from warpprior import metrics
    from warpprior.io import load_scene, prepare_file
    from warpprior.io.results import write_json

    if output is not None:
        prepare_file(output, overwrite=overwrite)
    chosen = _start(device, quiet)
    scene, poses = _first_frames(load_scene(scene_folder), poses_file, num_frames)
    _tell_warnings(scene, quiet)
    found = self_healing(lambda: metrics.evaluate(scene, poses, device=chosen))
    if output is not None:
        write_json(output, found)
    _tell(quiet, format_summary(found, [body.name for body in scene.bodies]))
    return OK


def ablate(
    scene_folders: Sequence[Path],
    output_dir: Path,
    *,
    simulated: str | None = None,
    seeds: Sequence[int] = range(10),
    object_name: str | None = None,
    mask_noise: str = "M1",
    variants: Sequence[str] = (),
    assignments: Sequence[str] = (),
    num_frames: int | None = None,
    jobs: int = 1,
    device: str | None = None,
    overwrite: bool = False,
    quiet: bool = False,
) -> int:
    """Refine scenes with every variant, keep the runs, and write and print the tables; see :mod:`warpprior.ablation`.

    Args:
        scene_folders: scenes with truth.
        output_dir: holds ``runs/`` and the tables; runs of the same scene and settings are used again.
        simulated: name of a scene that is simulated with each of ``seeds``, too.
        object_name, mask_noise, num_frames: of the simulated scenes.
        variants: none at all means all of the table.
        assignments: ``key=value`` texts that hold for every variant.
        jobs: processes side by side.
        overwrite: repeat runs that are there, and take a folder that holds something else.
    """
    import shutil

    from warpprior.ablation import ablate as run
    from warpprior.ablation.runs import RUNS_FOLDER
    from warpprior.ablation.sources import collect_sources
    from warpprior.ablation.table import TABLE_FILE, format_tables, write_tables
    from warpprior.ablation.variants import choose_variants
    from warpprior.io import prepare_output

    settings = choose_variants(variants, assignments)
    sources = collect_sources(
        scene_folders, simulated, seeds, object_name=object_name, mask_noise=mask_noise, frame_count=num_frames
    )
    if not (output_dir / RUNS_FOLDER).is_dir():
        _refuse_existing(output_dir, overwrite)
    with prepare_output(output_dir, overwrite=True, protect=scene_folders):
        if overwrite:
            shutil.rmtree(output_dir / RUNS_FOLDER, ignore_errors=True)
        chosen = _start(device, quiet)
        with progress_bar("ablate", quiet=quiet) as progress:
            runs = run(sources, settings, output_dir, device=chosen, jobs=jobs, progress=progress)
        rows = write_tables(output_dir, runs, {name: one.as_dict() for name, one in settings.items()}, chosen)
    refused = [error for row in rows.values() for error in row.get("errors", ())]
    _tell(quiet, format_tables(rows), *dict.fromkeys(refused), f"{len(runs)} runs; tables in {output_dir / TABLE_FILE}")
    return OK


def export(
    scene_folder: Path,
    poses_file: Path | None,
    output: Path,
    *,
    num_frames: int | None = None,
    overwrite: bool = False,
    quiet: bool = False,
) -> int:
    """Write a pose file, or the scene's initial poses, as a USD stage."""
    from warpprior.io import load_scene, prepare_file
    from warpprior.usd import export_usd

    prepare_file(output, overwrite=overwrite)
    _start("cpu", quiet)
    scene, poses = _first_frames(load_scene(scene_folder), poses_file, num_frames)
    _tell_warnings(scene, quiet)
    self_healing(lambda: export_usd(scene, poses, output))
    _tell(quiet, f"{scene.frame_count} frames in {output}")
    return OK


def convert_mano(model: Path, output: Path, *, overwrite: bool = False, quiet: bool = False) -> int:
    """Write the arrays of a MANO file, a published pickle for instance, as an ``.npz`` of plain arrays.

    Args:
        model: ``MANO_RIGHT.pkl`` or ``MANO_LEFT.pkl``; read without running any of it.
        output: ends in ``.npz``.
        overwrite: ``output`` may exist.
        quiet: print nothing.

    Raises:
        InputError: the file is damaged or no MANO model, or ``output`` cannot be used.
    """
    from warpprior.bodies.mano import read_mano_model
    from warpprior.io import prepare_file
    from warpprior.io.arrays import write_arrays

    if output.suffix.lower() != ".npz":
        raise InputError(str(output), "is no .npz", "give the output a name that ends in .npz")
    prepare_file(output, overwrite=overwrite)
    hand = read_mano_model(model)
    write_arrays(output, hand.arrays.as_dict())
    _tell(quiet, f'a {hand.side} hand in {output}; name it as the path of a body of kind "mano"')
    return OK


def info(*, as_json: bool = False) -> int:
    """Print versions, devices, extras and the kernel cache."""
    from warpprior import environment

    found = environment.info()
    print(json.dumps(found, indent=1) if as_json else environment.format_info(found))
    return OK


def bench(
    *,
    device: str | None = None,
    only: Sequence[str] = (),
    list_only: bool = False,
    compare: Path | None = None,
    max_ratio: float | None = None,
    update_baseline: bool = False,
    json_file: Path | None = None,
    quiet: bool = False,
) -> int:
    """Time the parts of the project; 1 when an answer is wrong or a case takes ``max_ratio`` times its baseline.

    Raises:
        InputError: not run from a source checkout, no such case, or no baseline.
    """
    try:
        program = importlib.import_module("warpprior.bench.program")
    except ModuleNotFoundError as error:
        if error.name not in ("warpprior.bench", "warpprior.bench.program"):
            raise
        where = "the benchmark is part of the source checkout only"
        raise InputError("warpprior bench", where, "clone the repository and run `make bench` in it") from None
    return program.run(
        _start(device, quiet),
        only=only,
        list_only=list_only,
        compare=compare,
        max_ratio=max_ratio,
        update_baseline=update_baseline,
        json_file=json_file,
        quiet=quiet,
    )


def _settings(
    iterations: int | None, seed: int, without: Sequence[str], assignments: Sequence[str], paper_literal: bool
):
    """The default settings with what the command line changes."""
    from warpprior.overrides import apply_overrides
    from warpprior.settings import RefineSettings

    direct = [f"seed={seed}"] + ([] if iterations is None else [f"iterations={iterations}"])
    start = RefineSettings.paper_literal() if paper_literal else RefineSettings()
    settings = apply_overrides(start, [*direct, *assignments])
    return settings.leaving_out(without)


def _start(device: str | None, quiet: bool = True) -> str:
    """Start Warp with a usable kernel cache and choose the device; say so when kernels will be compiled first."""
    cache = prepare_kernel_cache()
    chosen = resolve_device(device)
    if not any(cache.glob("wp_warpprior.kernels.*")):
        _tell(quiet, "the first run compiles kernels, which takes up to a minute; later runs do not")
    return chosen


def _refine_into(
    folder: Path, scene: Scene, settings, device: str, *, resume: bool, quiet: bool, brief: bool = False
) -> int:
    """Refine, measure, write the result folder and say what came out, in a short table if ``brief``."""
    from warpprior.estimators.refine import refine as estimate
    from warpprior.io import fingerprint, load_checkpoint, save_checkpoint, save_result

    _tell_warnings(scene, quiet)
    start = time.perf_counter()
    inputs = fingerprint(scene, settings.as_dict())
    found = load_checkpoint(folder, expected_fingerprint=inputs) if resume else None
    with progress_bar("refine", quiet=quiet) as progress:
        result = self_healing(
            lambda: estimate(
                scene,
                settings,
                device=device,
                progress=progress,
                keep=lambda arrays: save_checkpoint(folder, arrays, {"fingerprint": inputs}),
                resume_from=None if found is None else found[0],
            )
        )
    result = self_healing(lambda: _measured(result, device))
    result = self_healing(lambda: save_result(result, folder, device=device, seed=settings.seed))
    seconds = time.perf_counter() - start
    _tell(quiet, format_before_after(result.metrics, _estimated(scene), brief=brief), *result.notes)
    _tell(quiet, f"{scene.frame_count} frames in {seconds:.1f} s on {device}", _files_to_open(folder))
    return _exit_code(result, folder)


def _measured(result: Result, device: str) -> Result:
    """The result with the metrics of its start and of its end, and with its contacts."""
    from warpprior.contacts import find_contacts
    from warpprior.metrics import Evaluator

    evaluator = Evaluator(result.scene, device=device)
    start = {body.name: body.initial for body in result.scene.bodies}
    metrics = {"before": evaluator(start), "after": evaluator(result.poses)}
    contacts = result.contacts or find_contacts(result.scene, result.poses, device=device)
    return replace(result, metrics=metrics, contacts=contacts)


def _exit_code(result: Result, folder: Path) -> int:
    if result.complete:
        return OK
    print(f"warpprior: interrupted; the best so far is in {one_line(folder)}, continue with --resume", file=sys.stderr)
    return INTERRUPTED


def _estimated(scene: Scene) -> list[str]:
    return [body.name for body in scene.bodies if not body.known]


def _poses(scene: Scene, poses_file: Path | None) -> dict[str, Poses]:
    """Poses of the file or result folder, or the initial ones of the scene."""
    from warpprior.io import load_result_poses

    if poses_file is None:
        return {body.name: body.initial for body in scene.bodies}
    return load_result_poses(poses_file, scene)


def _first_frames(scene: Scene, poses_file: Path | None, count: int | None) -> tuple[Scene, dict[str, Poses]]:
    """Scene and poses cut to ``count`` frames; the pose file may hold the whole sequence or just those."""
    if count is None or count >= scene.frame_count:
        return scene, _poses(scene, poses_file)
    short = scene.first_frames(count)
    try:
        poses = _poses(scene, poses_file)
    except InputError:
        return short, _poses(short, poses_file)
    return short, {name: motion.frames(slice(0, count)) for name, motion in poses.items()}


def _refuse_existing(path: Path, overwrite: bool) -> None:
    """An existing file, or a folder with something in it, is replaced only on demand."""
    occupied = any(path.iterdir()) if path.is_dir() else path.exists()
    if occupied and not overwrite:
        raise InputError(str(path), "exists", "choose another place, or overwrite it (--overwrite)")


def _files_to_open(folder: Path) -> str:
    """The files worth opening, those that were written, best first."""
    meanings = {
        "report.html": "numbers and pictures in one page",
        "overlay.mp4": "before and after, over the images",
        "scene.usdc": "the motion as a USD stage",
        "poses.npz": "the poses",
    }
    lines = [f"  {folder / name}  {meaning}" for name, meaning in meanings.items() if (folder / name).is_file()]
    return "\n".join(["open:", *lines])


def _tell_warnings(scene: Scene, quiet: bool) -> None:
    for text in [] if quiet else scene.warnings[:MOST_LISTED_WARNINGS]:
        print(f"warpprior: warning: {one_line(text)}", file=sys.stderr)
    hidden = len(scene.warnings) - MOST_LISTED_WARNINGS
    if hidden > 0 and not quiet:
        print(f"warpprior: warning: and {hidden} more, in the report", file=sys.stderr)


def _tell(quiet: bool, *lines: str) -> None:
    for line in [] if quiet else lines:
        print(line, flush=True)
