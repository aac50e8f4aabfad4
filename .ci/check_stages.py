"""Check exported stages with everybody else's readers, and print a table.

    python .ci/check_stages.py out/stages [--newton PYTHON] [--blender PYTHON] [--cases demo handover]

Validators of OpenUSD and NVIDIA and our own run here; Newton and Blender in Pythons of their own where they are given:
``.venv-newton/bin/python`` of ``make test-newton``, and one with ``pip install bpy usd-core`` (CPython 3.11).  What is
not given or not installed is a dash.  Scenes and results are made in the folder unless they are there.  The exit code
is 1 if anything is not as it must be, which is marked with a !.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MUSTARD = ROOT.parent / "shared" / "data" / "allegro_mustard"
CASES = ("demo", "allegro_mustard", "robot_lift", "handover", "grasp_lift")  # the last is tracked
PLACE_MM, PIXELS, LOAD_S, BALL_MM, BALL_SPEED = 0.01, 0.3, 2.0, 60.0, 50.0


def main() -> int:
    """Make what is missing, check each stage, print the table."""
    parser = argparse.ArgumentParser(description="Check exported stages with others' readers.")
    parser.add_argument("folder", type=Path, help="where scenes and results are, or are made")
    parser.add_argument("--newton", help="a Python with Newton and this package")
    parser.add_argument("--blender", help="a Python with bpy and usd-core")
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=CASES)
    args = parser.parse_args()
    rows, good = [], True
    for case in args.cases:
        if case == "allegro_mustard" and not MUSTARD.is_dir():
            print(f"{case}: left out, {MUSTARD} is not here")
            continue
        scene, result = make(args.folder, case)
        found = {**validated(result / "scene.usdc"), **in_newton(args.newton, scene, result)}
        found.update(in_blender(args.blender, result / "scene.usdc"))
        rows.append({"case": case, "MB": f"{(result / 'scene.usdc').stat().st_size / 1e6:.1f}", **found})
        good &= not any(str(value).endswith("!") for value in found.values())
        print(f"{case}: {found}", flush=True)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    print("\n| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    for row in rows:
        print("| " + " | ".join(str(row.get(name, "-")) for name in columns) + " |")
    print("all as it must be" if good else "what ends in ! is not as it must be")
    return 0 if good else 1


def make(folder: Path, case: str) -> tuple[Path, Path]:
    """Scene and result folder of a case."""
    scene = MUSTARD if case == "allegro_mustard" else folder / case / "scene"
    result = folder / case / "result"
    program, device = [sys.executable, "-m", "warpprior"], ["--device", "cpu", "--quiet"]
    if case == "demo" and not result.is_dir():
        subprocess.run([*program, "demo", "--output-dir", str(folder / case), *device], check=True)
    if not scene.is_dir():
        words = ["simulate", case, "--num-frames", "40", "--seed", "7", "--output-dir", str(scene)]
        subprocess.run([*program, *words, *device], check=True)
    if not result.is_dir():
        command = "track" if case == "grasp_lift" else "refine"
        subprocess.run([*program, command, str(scene), "--output-dir", str(result), *device], check=True)
    return scene, result


def judged(value: float, most: float, digits: int = 4) -> str:
    """A number, with a mark where it is more than it may be."""
    return f"{value:.{digits}f}" + ("" if value <= most else " !")


def validated(stage: Path) -> dict[str, str]:
    """Errors and warnings of both validators, and our own findings."""
    from warpprior.usd import check_stage

    found = {"ours": judged(len(check_stage(stage)), 0, 0), "OpenUSD": "-", "NVIDIA": "-"}
    try:
        from pxr import Usd, UsdValidation

        context = UsdValidation.ValidationContext(UsdValidation.ValidationRegistry().GetOrLoadAllValidators())
        found["OpenUSD"] = judged(len(context.Validate(Usd.Stage.Open(str(stage)))), 0, 0)
    except (ImportError, AttributeError):  # OpenUSD before 26.3
        pass
    try:
        from usd_validation_nvidia import ValidationEngine

        found["NVIDIA"] = judged(len(list(ValidationEngine().validate(str(stage)).issues())), 0, 0)
    except ImportError:
        pass
    return found


def in_newton(python: str | None, scene: Path, result: Path) -> dict[str, str]:
    """What examples/isaac/newton_replay.py finds."""
    if python is None:
        return {}
    answer = result / "newton.json"
    program = ROOT / "examples/isaac/newton_replay.py"
    words = [python, str(program), str(scene), str(result), "--json", str(answer)]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(ROOT)})
    found = json.loads(answer.read_text(encoding="utf-8"))
    answer.unlink()
    place, balls = found["placement"], found["ball"].values()
    caught = sum(one["ball_moved_mm"] < BALL_MM and one["ball_speed_mm_s"] < BALL_SPEED for one in balls)
    row = {
        "Newton, default [mm]": judged(place["default_mm"], PLACE_MM),
        "in time [mm]": judged(place["in_time_mm"], PLACE_MM),
        "load [CPU s]": judged(place["load_s"], LOAD_S, 1),
        "bare bodies": judged(place["bodies_without_colliders"], 0, 0),
        "balls caught": f"{caught} of {len(balls)}" + ("" if caught == len(balls) else " !"),
    }
    for about in found["replay"].values():
        frames = about["frames"][1] - about["frames"][0]
        for what in ("refined", "truth"):
            if what in about:
                row[f"held, {what}"] = f"{about[what]['held']} of {frames}, {about[what]['most_mm']:.0f} mm"
    return row


def in_blender(python: str | None, stage: Path) -> dict[str, str]:
    """What Blender shows against what OpenUSD says."""
    if python is None:
        return {}
    words = [python, str(ROOT / ".ci" / "blender_stage.py"), str(stage)]
    printed = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    found = json.loads(next(line for line in printed.splitlines() if line.startswith("{")))
    missing = f", {found['missing']} missing !" if found["missing"] else ""
    return {
        "Blender, vertices [mm]": judged(found["vertices_mm"], PLACE_MM) + missing,
        "camera [px]": judged(found["camera_px"], PIXELS),
    }


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
