"""Run every variant on every scene, keeping each result in a file of its own, so that nothing is computed twice."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import warpprior
from warpprior.ablation.sources import Source
from warpprior.ablation.workers import work
from warpprior.io.leftovers import TEMPORARY, move, new_token, remove_tree
from warpprior.io.results import write_json
from warpprior.metrics import Evaluator
from warpprior.settings import RefineSettings
from warpprior.support.device import self_healing
from warpprior.support.errors import InputError, WarppriorError
from warpprior.support.files import read_bytes
from warpprior.support.progress import Progress

RUNS_FOLDER = "runs"
KEPT = (  # metrics whose value at each frame is kept
    *("chamfer_mm", "chamfer_2d_px", "chamfer_2d_mm", "add_mm", "add_s_mm", "rotation_deg", "translation_mm"),
    *("keypoint_mm", "keypoint_root_mm", "keypoint_pa_mm", "keypoint_pa_mirror_mm", "acceleration_error_mm"),
    *("mask_iou", "penetration_mm", "slip_mm", "shared_volume_cm3", "contact_f1"),
)


def ablate(
    sources: Sequence[Source],
    variants: dict[str, RefineSettings],
    folder: Path,
    *,
    device: str = "cpu",
    jobs: int = 1,
    progress: Progress | None = None,
) -> list[dict]:
    """Refine every scene with every variant, but for what ``folder`` holds already.

    Args:
        sources: the scenes.
        variants: settings by name.
        folder: where the runs are kept, in ``runs/<variant>/<scene>.json``.  A run is used again if scene, settings
            and version of the program are the same.
        device: Warp device.
        jobs: processes that work side by side; results do not depend on it, but times do.
        progress: called with runs done, runs in all, and the scene that was done.

    Returns:
        one run for each variant and scene, in that order: ``variant``, ``scene``, ``frames``, ``seconds``, metrics
        ``before`` and ``after``; or ``error`` where the scene was refused with that variant.  Where it could not even
        be read, ``error`` stands alone, and nothing is kept: the next call tries again.
    """
    report = progress or (lambda done, total, text: None)
    total = len(sources) * len(variants)
    missing = {source.name: _missing(source, variants, folder) for source in sources}
    done = total - sum(len(some) for some in missing.values())
    report(done, total, "")
    tasks = [(source, missing[source.name], folder, device) for source in sources if missing[source.name]]
    refused: dict[str, str] = {}
    for task, count, error in work(run_variants, tasks, jobs):
        done += count
        if error is not None:
            refused[task[0].name] = str(error)
        report(done, total, task[0].name)
    return [
        {"variant": name, "scene": source.name, "error": refused[source.name]}
        if source.name in refused and name in _missing(source, variants, folder)
        else kept_run(_path(folder, name, source))
        for name in variants
        for source in sources
    ]


def run_variants(
    source: Source, variants: dict[str, RefineSettings], folder: Path, device: str
) -> Iterator[tuple[str, dict]]:
    """Refine one scene with some variants, writing each run; yields the variant and its run."""
    scene = self_healing(lambda: source.open(device))
    evaluator = Evaluator(scene, device=device)
    before = _trim(self_healing(lambda: evaluator({body.name: body.initial for body in scene.bodies})))
    for name, settings in variants.items():
        run = {"key": run_key(source, settings), "variant": name, "scene": source.name, "frames": scene.frame_count}
        path = _path(folder, name, source)
        path.parent.mkdir(parents=True, exist_ok=True)
        run |= {"device": device, "before": before} | self_healing(
            lambda s=settings: _refine(scene, s, evaluator, device)
        )
        write_json(path, run)
        yield name, run


def _refine(scene, settings: RefineSettings, evaluator: Evaluator, device: str) -> dict:
    """Time and metrics of one refinement; what refuses the scene becomes an ``error``."""
    from warpprior.refinement.run import refine

    start = time.perf_counter()
    try:
        result = refine(scene, settings, device=device, check_first=False)
    except WarppriorError as error:
        return {"error": str(error)}
    seconds = time.perf_counter() - start
    if not result.complete:
        raise KeyboardInterrupt
    camera = None if result.scene.world is None else result.scene.world.camera
    after = _trim(evaluator(result.poses, camera=camera))
    return {"seconds": seconds, "after": after, "notes": list(result.notes)}


def _trim(metrics: dict) -> dict:
    """Summaries, and of the values at each frame those the table needs."""

    def kept(rows: dict) -> dict:
        return {name: values for name, values in rows.items() if name in KEPT}

    pairs = {
        key: {"summary": pair["summary"], "per_frame": kept(pair["per_frame"])}
        for key, pair in metrics["pairs"].items()
    }
    per_frame = {body: kept(rows) for body, rows in metrics["per_frame"].items()}
    return {"summary": metrics["summary"], "per_frame": per_frame, "pairs": pairs}


def _missing(source: Source, variants: dict[str, RefineSettings], folder: Path) -> dict[str, RefineSettings]:
    """The variants of which the folder has no run of this scene."""
    missing = {}
    for name, settings in variants.items():
        run = read_run(_path(folder, name, source))
        if run is None or run.get("key") != run_key(source, settings):
            missing[name] = settings
    return missing


def run_key(source: Source, settings) -> str:
    """A text that changes with the scene, the settings or the version of the program."""
    text = json.dumps([source.identity(), settings.as_dict(), warpprior.__version__], sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _path(folder: Path, variant: str, source: Source) -> Path:
    return folder / RUNS_FOLDER / variant.replace(" ", "_") / f"{source.name}.json"


def forget_runs(folder: Path) -> None:
    """Remove the runs of a study; stopped at any moment, all are there or none."""
    runs = folder / RUNS_FOLDER
    if runs.is_dir() and not runs.is_symlink():
        aside = folder / f"{TEMPORARY}{new_token()}"
        move(runs, aside)
        remove_tree(aside)


def kept_run(path: Path) -> dict:
    """A run that was written or found to be there."""
    run = read_run(path)
    assert run is not None, f"{path} was written"
    return run


def read_run(path: Path) -> dict | None:
    """A run that was written before; None when there is none, or it is damaged."""
    try:
        run = json.loads(read_bytes(path, "a run"))
    except (InputError, ValueError, RecursionError):
        return None
    return run if isinstance(run, dict) else None
