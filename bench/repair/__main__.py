"""``python -m warpprior.bench.repair --output-dir DIR``: forty clips as published pipelines leave them, repaired.

Each has hands 1 to 4 cm deep in what they hold and everything trembling by 3 px; it is written as a run of NVIDIA
video_to_data, repaired by ``warpprior repair`` with its usual settings, and read again.  A clip passes the filter where
nothing is more than 2 cm deep in anything else in any frame.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np

from warpprior.bench.repair.bundle import write_run
from warpprior.bench.repair.clips import FRAMES, Clip, deepest_mm, high_pass_px, kinds, make_clip
from warpprior.bench.repair.hand_model import parameters_of, right_hand_arrays
from warpprior.bodies import posed_vertices
from warpprior.cli import main as warpprior
from warpprior.formats import Recording, read
from warpprior.kernels import silence_warp
from warpprior.metrics import evaluate
from warpprior.scene import Poses, Scene

FILTER_MM = 20.0


def main(arguments: list[str] | None = None) -> int:
    """Make, repair and measure the clips, print a line for each and what comes of all."""
    parser = argparse.ArgumentParser(prog="python -m warpprior.bench.repair", description=(__doc__ or "").partition(".")[0])
    parser.add_argument("--output-dir", type=Path, required=True, metavar="DIR", help="clips and repaired clips")
    parser.add_argument("--first", type=int, metavar="N", help="only the first N clips")
    parser.add_argument("--clips", type=int, nargs="*", metavar="I", help="only these, by number")
    parser.add_argument("--frames", type=int, default=FRAMES, metavar="N", help="of each (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("words", nargs="*", metavar="-- OPTION", help="options of warpprior repair")
    given = parser.parse_args(arguments)
    silence_warp()
    warnings.simplefilter("ignore")
    models = given.output_dir / "mano"
    models.mkdir(parents=True, exist_ok=True)
    np.savez(models / "MANO_RIGHT.npz", **right_hand_arrays())
    found: dict[str, dict[str, float]] = {}
    chosen = given.clips if given.clips else range(len(kinds()))[: given.first]
    for number in chosen:
        clip = make_clip(number, given.frames)
        found[clip.name] = figures = repair(clip, given.output_dir / f"{number:02d}", models, given.words)
        print(f"{number:2} {clip.name:30}", "  ".join(f"{k} {v:.2f}" for k, v in figures.items()), flush=True)
        if given.json is not None:
            given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print("\n".join(summary(list(found.values()))))
    return 0


def repair(clip: Clip, folder: Path, models: Path, words: list[str]) -> dict[str, float]:
    """Write a clip, repair it, and measure both."""
    shutil.rmtree(folder, ignore_errors=True)
    write_run(clip.scene, clip.poses, folder / "run")
    place, mano = f"v2d:{folder / 'run'}", ["--mano", str(models)]
    command = ["repair", place, "--output-dir", str(folder / "repaired"), *mano, "--device", "cpu", "--quiet", *words]
    began = time.process_time()
    code = warpprior(command)
    seconds = time.process_time() - began
    if code not in (0, 3):
        raise SystemExit(f"{clip.name}: exit code {code}")
    recording = read(folder / "run", "v2d", mano=models)
    shutil.copytree(folder / "repaired/result", folder / "again/outputs/result", dirs_exist_ok=True)
    again = read(folder / "again", "v2d", mano=models)
    before = {item.name: item.initial for item in recording.scene.bodies}
    return {**measured(clip, recording, before, {item.name: item.initial for item in again.scene.bodies}), "s": seconds}


def measured(clip: Clip, recording: Recording, before: dict[str, Poses], after: dict[str, Poses]) -> dict[str, float]:
    """Figures of one clip, before and after."""
    scene = with_truth(recording.scene, clip.scene)
    true = {item.name: item.truth for item in scene.bodies}
    figures: dict[str, float] = {}
    metrics = {when: evaluate(scene, poses, device="cpu") for when, poses in (("before", before), ("after", after))}
    for when, poses in (("before", before), ("after", after)):
        rows = metrics[when]["per_frame"]
        figures[f"deepest_{when}"] = float(deepest_mm(scene, poses).max())
        own = {name: high_pass_px(scene, name, poses[name]) for name in poses}
        less = {name: own[name] - high_pass_px(scene, name, true[name]) for name in poses}
        figures[f"jitter_{when}"] = max(_rms(one) for one in less.values())
        figures[f"own_{when}"] = max(_rms(one) for one in own.values())
        figures[f"iou_{when}"] = float(np.mean([np.nanmean(_row(rows, name, "mask_iou")) for name in poses]))
        figures[f"worst_iou_{when}"] = min(float(np.nanmean(_row(rows, name, "mask_iou"))) for name in poses)
        figures[f"add_{when}"] = float(np.median(_row(rows, "object", "add_mm")))
        figures[f"hand_{when}"] = max(float(np.median(_row(rows, n, "keypoint_mm"))) for n in poses if n != "object")
    moved = posed_vertices(scene.body("object").body, after["object"]) - posed_vertices(scene.body("object").body, before["object"])
    figures["moved"] = 1e3 * float(np.median(np.linalg.norm(moved.mean(axis=1), axis=1)))
    figures["moved_most"] = 1e3 * float(np.linalg.norm(moved.mean(axis=1), axis=1).max())
    figures["truth_deepest"] = float(deepest_mm(scene, true).max())
    return figures


def with_truth(scene: Scene, simulated: Scene) -> Scene:
    """The scene that was read, with the simulated truth in its own terms."""
    bodies = []
    for item in scene.bodies:
        rigid = item.body.is_rigid
        found = next(one for one in simulated.bodies if one.body.is_rigid == rigid and (rigid or one.body.side == item.body.side))
        truth = found.initial
        if not rigid:
            hand = parameters_of(found.body, truth)
            from warpprior.formats.parts.mano_hands import hand_of
            from scipy.spatial.transform import Rotation

            root = hand_of(item, mirrored=item.body.side == "left").root(hand.shape)
            truth = Poses(hand.transl + root, Rotation.from_rotvec(hand.orient).as_quat(), hand.joints, hand.shape)
        bodies.append(replace(item, truth=truth))
    return replace(scene, bodies=tuple(bodies))


def summary(rows: list[dict[str, float]]) -> list[str]:
    """What comes of all."""
    lines = []
    for when in ("before", "after"):
        passing = sum(row[f"deepest_{when}"] <= FILTER_MM for row in rows)
        lines.append(f"{when}: {passing} of {len(rows)} pass; " + "; ".join(
            f"{name} {statistics.median(row[f'{name}_{when}'] for row in rows):.2f}, {worst(row[f'{name}_{when}'] for row in rows):.2f}"
            for name, worst in (("deepest", max), ("jitter", max), ("own", max), ("iou", min), ("worst_iou", min), ("add", max), ("hand", max))
        ))
    return lines


def _row(rows: dict, name: str, metric: str) -> np.ndarray:
    return np.array(rows[name][metric], dtype=float)


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt((values**2).sum(axis=1).mean()))


if __name__ == "__main__":
    sys.exit(main())
