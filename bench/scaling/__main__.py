"""``python -m warpprior.bench.scaling --output-dir DIR``: time and memory over frames, pixels, faces and bodies.

Each point is refined in a fresh process on one thread.  Points that DIR has already are not measured again; the figures
are in DIR/scaling.json, the picture in DIR/scaling.svg.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from warpprior.bench.scaling.measure import LONGEST_S
from warpprior.bench.scaling.picture import draw
from warpprior.bench.scaling.points import AXES, SHORT, Point
from warpprior.io import save_scene
from warpprior.io.atomic import atomic_write
from warpprior.support.device import prepare_kernel_cache

BEYOND = f"took more than {LONGEST_S} s, or more memory than there is"
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def measure_in_a_process(point: Point, folder: Path) -> dict:
    """Simulate a point's scene in ``folder``, and measure its refinement in a fresh process.

    Returns:
        the figures, or ``{"problem": what went wrong}``.
    """
    save_scene(point.make(), folder, overwrite=True)
    command = [sys.executable, "-m", "warpprior.bench.scaling.measure", str(folder)]
    environment = {**os.environ, **ONE_THREAD}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        return {"problem": BEYOND}
    if done.returncode != 0:
        last = [line for line in done.stderr.splitlines() if line.strip()][-1:]
        return {"problem": f"ended with {done.returncode}: {''.join(last)[:200]}"}
    return json.loads(done.stdout)


def collect(
    points: dict[str, tuple[Point, ...]], folder: Path, measure: Callable[[Point, Path], dict] = measure_in_a_process
) -> dict[str, dict[int, dict]]:
    """Measure the points that the folder does not have, keep each as it comes, and return all."""
    found: dict[str, dict[int, dict]] = {}
    kept = folder / "points"
    kept.mkdir(parents=True, exist_ok=True)
    for axis, chosen in points.items():
        for point in chosen:
            file = kept / f"{point.name}.json"
            if not file.is_file():
                row = measure(point, folder / "scene")
                with atomic_write(file) as stream:
                    stream.write((json.dumps(row) + "\n").encode())
            found.setdefault(axis, {})[point.value] = row = json.loads(file.read_text(encoding="utf-8"))
            print(format_row(point, row), flush=True)
    return found


def format_row(point: Point, row: dict) -> str:
    """A line of the table."""
    start = f"{point.axis:8} {point.value:9}"
    if "problem" in row:
        return f"{start}  {row['problem']}"
    return (
        f"{start}  {row['seconds_per_frame']:7.3f} s per frame  {row['memory_mib']:7.0f} MiB"
        f" ({row['before_mib']:.0f} before)  {row['error_mm']:6.2f} mm off"
    )


def main(arguments: list[str] | None = None, measure: Callable[[Point, Path], dict] = measure_in_a_process) -> int:
    """Measure, print, draw; 1 where a point failed otherwise than by taking too much."""
    parser = argparse.ArgumentParser(prog="python -m warpprior.bench.scaling", description=__doc__)
    parser.add_argument("axes", nargs="*", metavar="AXIS", help=f"some of {', '.join(AXES)} (default: all)")
    parser.add_argument("--output-dir", type=Path, required=True, metavar="DIR", help="points, figures and picture")
    parser.add_argument("--short", action="store_true", help="only the first points, in a minute")
    parser.add_argument("--overwrite", action="store_true", help="measure again what is there already")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="the picture there, too")
    chosen = parser.parse_args(arguments)
    for axis in chosen.axes:
        if axis not in AXES:
            parser.error(f"no axis {axis!r}; there are {', '.join(AXES)}")
    known = SHORT if chosen.short else AXES
    folder = chosen.output_dir
    if chosen.overwrite:
        shutil.rmtree(folder / "points", ignore_errors=True)
    prepare_kernel_cache()
    found = collect({axis: known[axis] for axis in chosen.axes or known}, folder, measure)
    with atomic_write(folder / "scaling.json") as stream:
        stream.write((json.dumps(found, indent=1) + "\n").encode())
    for file in (folder / "scaling.svg", *filter(None, [chosen.picture])):
        with atomic_write(file) as stream:
            stream.write(draw(found))
    problems = [row["problem"] for rows in found.values() for row in rows.values() if "problem" in row]
    return 1 if any(problem != BEYOND for problem in problems) else 0


if __name__ == "__main__":
    sys.exit(main())
