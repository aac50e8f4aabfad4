"""Refine one scene in this process, and print what it took: ``python -m warpprior.bench.scaling.measure FOLDER``."""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np

MIB = 1024.0
LONGEST_S = 120  # of CPU time


def measure(folder: Path) -> dict[str, float]:
    """What a refinement of a scene folder took.

    Returns:
        ``seconds_per_frame``, CPU time of ``refine`` in a process that has its kernels; ``wall_per_frame``;
        ``memory_mib``, the most that the process had, and ``before_mib``, what it had before; ``error_mm``, how far
        the middle object is off in the end, its median over frames, by the truth.
    """
    from warpprior.io import load_scene
    from warpprior.refinement.run import refine
    from warpprior.support.device import prepare_kernel_cache

    prepare_kernel_cache()
    warnings.simplefilter("ignore")
    scene = load_scene(folder)
    refine(scene.first_frames(2), device="cpu")
    before = peak_mib()
    cpu, wall = time.process_time(), time.perf_counter()
    result = refine(scene, device="cpu")
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    errors = []
    for item in scene.bodies:
        if item.truth is not None and not item.known and item.body.keypoints is None:
            away = np.linalg.norm(result.poses[item.name].position - item.truth.position, axis=1)
            errors.append(1e3 * float(np.median(away)))
    return {
        "seconds_per_frame": cpu / scene.frame_count,
        "wall_per_frame": wall / scene.frame_count,
        "memory_mib": peak_mib(),
        "before_mib": before,
        "error_mm": max(errors),
    }


def peak_mib() -> float:
    """The most memory that this process has had [MiB]."""
    import resource

    try:  # Linux counts in ru_maxrss what the process had that started this one
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return float(next(line.split()[1] for line in lines if line.startswith("VmHWM:"))) / MIB
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / MIB / (MIB if sys.platform == "darwin" else 1.0)


def limit_seconds() -> None:
    """End this process when it has had its time."""
    import resource

    resource.setrlimit(resource.RLIMIT_CPU, (LONGEST_S, LONGEST_S))


if __name__ == "__main__":
    limit_seconds()
    print(json.dumps(measure(Path(sys.argv[1]))))
