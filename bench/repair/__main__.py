"""``python -m warpprior.bench.repair --output-dir DIR``: forty clips as published pipelines leave them, repaired.

Each has hands 1 to 4 cm deep in what they hold, and everything trembles by 3 px; it is written as a run of NVIDIA
video_to_data, repaired by ``warpprior repair`` with its usual settings, and read again.  A clip passes the filter where
nothing is more than 2 cm deep in anything else in any frame.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from warpprior.bench.repair.bundle import write_run
from warpprior.bench.repair.clips import FRAMES, Clip, kinds, make_clip
from warpprior.bench.repair.figures import measured, summary
from warpprior.bench.repair.hand_model import right_hand_arrays
from warpprior.cli import main as warpprior
from warpprior.cli.running import FITS_BADLY, OK
from warpprior.formats import read
from warpprior.kernels import silence_warp


def main(arguments: list[str] | None = None) -> int:
    """Make, repair and measure the clips, print a line for each, and what comes of all."""
    purpose = (__doc__ or "").partition(": ")[2].partition(".")[0]
    parser = argparse.ArgumentParser(prog="python -m warpprior.bench.repair", description=purpose)
    parser.add_argument("--output-dir", type=Path, required=True, metavar="DIR", help="clips, as made and repaired")
    parser.add_argument("--clips", type=int, nargs="*", metavar="I", help="only these, from 0 on")
    parser.add_argument("--first", type=int, metavar="N", help="only the first N")
    parser.add_argument("--frames", type=int, default=FRAMES, metavar="N", help="of each (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("words", nargs="*", metavar="-- OPTION", help="options of warpprior repair")
    given = parser.parse_args(arguments)
    silence_warp()
    warnings.simplefilter("ignore")
    models = given.output_dir / "mano"
    models.mkdir(parents=True, exist_ok=True)
    arrays: Any = right_hand_arrays()
    np.savez(models / "MANO_RIGHT.npz", **arrays)
    found: dict[str, dict[str, float]] = {}
    for number in given.clips or range(len(kinds()))[: given.first]:
        clip = make_clip(number, given.frames)
        found[clip.name] = figures = repaired(clip, given.output_dir / f"{number:02d}", models, given.words)
        print(f"{number:2} {clip.name:30}", "  ".join(f"{k} {v:.2f}" for k, v in figures.items()), flush=True)
        if given.json is not None:
            given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print("\n".join(summary(list(found.values()))))
    return 0


def repaired(clip: Clip, folder: Path, models: Path, words: list[str]) -> dict[str, float]:
    """Write a clip, repair it, read it again, and measure both."""
    shutil.rmtree(folder, ignore_errors=True)
    write_run(clip.scene, clip.poses, folder / "run")
    command = ["repair", f"v2d:{folder / 'run'}", "--output-dir", str(folder / "repaired"), "--mano", str(models)]
    began = time.process_time()
    code = warpprior([*command, "--device", "cpu", "--quiet", *words])
    seconds = time.process_time() - began
    if code not in (OK, FITS_BADLY):
        raise SystemExit(f"{clip.name}: exit code {code}")
    recording = read(folder / "run", "v2d", mano=models)
    again = read(folder / "repaired", "v2d", mano=models)
    before, after = ({item.name: item.initial for item in one.scene.bodies} for one in (recording, again))
    return {**measured(clip, recording.scene, before, after), "cpu_s": seconds}


if __name__ == "__main__":
    sys.exit(main())
