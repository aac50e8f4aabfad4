"""The parts: what machine it is, kernels compiled, results compared with a CPU's, and the table of times."""

from __future__ import annotations

import multiprocessing
import os
import pkgutil
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bench.cases.refinement import refined
from warpprior.bench.gpu.record import Record
from warpprior.bench.gpu.solving import copies, seconds_of, solve
from warpprior.bench.harness import load_cases, measure
from warpprior.refinement.run import refine
from warpprior.scene import Poses, Scene
from warpprior.scenes import simulate
from warpprior.support.device import prepare_kernel_cache
from warpprior.support.environment import info
from warpprior.support.history import History
from warpprior.tracking.run import track

# How far a device's result may be from a CPU's: sums are in another order there, and a step is accepted or not by a
# difference of sums.  What is estimated is some ten times less certain than this.
TOLERANCE_MM, TOLERANCE_DEG = 0.3, 0.3
FRAMES = {"long": 100, "compared": 12}
ROUNDS = 10
CASES = ("mask/", "distance/", "skinning/", "track/")


def machine(device: str, record: Record, brief: bool) -> None:
    """Versions, devices, cores."""
    record.keep("info", info())
    record.keep("cores", os.cpu_count())
    if tool := shutil.which("nvidia-smi"):
        asked = [tool, "--query-gpu=name,driver_version,memory.total,clocks.sm,clocks.max.sm", "--format=csv"]
        record.keep(
            "nvidia-smi", subprocess.run(asked, capture_output=True, text=True, check=False).stdout.splitlines()
        )


def compile_kernels(device: str, record: Record, brief: bool) -> None:
    """Every module of kernels, for the device and for the CPU, in as many processes as there are cores."""
    import warpprior.kernels

    modules = sorted(found.name for found in pkgutil.walk_packages(warpprior.kernels.__path__, "warpprior.kernels."))
    modules = modules[:2] if brief else modules
    began = time.perf_counter()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max(1, os.cpu_count() or 1), mp_context=context) as pool:
        waiting = {
            pool.submit(load_module, name, target): f"{name} {target}"
            for target in dict.fromkeys((device, "cpu"))
            for name in modules
        }
        for done in as_completed(waiting):
            failure = done.exception()
            seconds = None if failure else round(done.result(), 2)
            record.keep(waiting[done], seconds, None if failure is None else str(failure)[-300:])
    record.keep("all", time.perf_counter() - began)


def load_module(name: str, device: str) -> float:
    """Compile a module of kernels for a device, or take it from the cache; the seconds it took."""
    import importlib

    import warp as wp

    prepare_kernel_cache()
    began = time.perf_counter()
    module = importlib.import_module(name)
    if wp.get_module(name).kernels:
        wp.load_module(module, device=device)
    return time.perf_counter() - began


def compare(device: str, record: Record, brief: bool) -> None:
    """Small refinements and tracks on the device and on a CPU, and how far apart they are."""
    frames = 4 if brief else FRAMES["compared"]
    record.keep("tolerance", {"mm": TOLERANCE_MM, "deg": TOLERANCE_DEG})
    for name in ("robot_lift",) if brief else ("robot_lift", "grasp_lift"):
        scene = simulate(name, frame_count=frames, seed=3, images=False, device="cpu")
        estimators: dict[str, Callable[[str], dict[str, Poses]]] = {
            "refine": lambda where, scene=scene: dict(refine(scene, device=where).poses),
            "track": lambda where, scene=scene: dict(track(scene, device=where).poses),
        }
        for estimator, run in estimators.items():
            found, seconds = {}, {}
            for where in (device, "cpu"):
                began = time.perf_counter()
                found[where] = run(where)
                seconds[where] = round(time.perf_counter() - began, 3)
            apart = differences(scene, found[device], found["cpu"])
            far = apart["mm"] > TOLERANCE_MM or apart["deg"] > TOLERANCE_DEG
            wrong = f"more than {TOLERANCE_MM} mm or {TOLERANCE_DEG} deg apart" if far else None
            record.keep(f"{estimator} {name}", {**apart, "seconds": seconds}, wrong)


def differences(scene: Scene, ours: dict[str, Poses], theirs: dict[str, Poses]) -> dict[str, float]:
    """The largest differences of estimated bodies: ``mm``, ``deg``, and ``joint_deg``."""
    apart = {"mm": 0.0, "deg": 0.0, "joint_deg": 0.0}
    for item in scene.bodies:
        if item.known:
            continue
        one, other = ours[item.name], theirs[item.name]
        turn = (Rotation.from_quat(one.rotation) * Rotation.from_quat(other.rotation).inv()).magnitude()
        each = {
            "mm": 1e3 * np.linalg.norm(one.position - other.position, axis=1),
            "deg": np.degrees(turn),
            "joint_deg": np.degrees(np.abs(one.joints - other.joints)),
        }
        for key, values in each.items():
            apart[key] = max(apart[key], float(np.max(values, initial=0.0)))
    return apart


def table(device: str, record: Record, brief: bool) -> None:
    """Times: an iteration of many frames by its steps, a whole refinement per frame, and cases of the benchmark."""
    for name, case in load_cases().items():
        if not name.startswith(CASES if not brief else ("mask/256x256", "distance/")):
            continue
        found = measure(case, device, seconds=0.0 if brief else 0.5, least_samples=3)
        record.keep(name, {case.unit: found.median, "target": case.target}, found.problem)
    count = 4 if brief else FRAMES["long"]
    for name in ("robot_lift",) if brief else ("robot_lift", "grasp_lift"):
        scene = simulate(name, frame_count=count, images=False, device=device)
        record.keep(f"iteration of {count} frames, {name}", iteration(scene, device))
        times = []
        for _ in range(2):
            began = time.perf_counter()
            refine(scene, device=device)
            times.append(1e3 * (time.perf_counter() - began) / count)
        record.keep(f"refine {name}", {"first_ms_per_frame": times[0], "ms_per_frame": times[-1], "frames": count})


def iteration(scene: Scene, device: str) -> dict[str, float]:
    """Median times of the steps of one Gauss-Newton iteration on all terms, for all frames together [ms]."""
    solver, _ = refined(scene, device)
    history = History(solver.names, 1, device)
    steps = {"linearise": lambda: solver.linearise(history), "solve": solver.solve, "advance": solver.advance}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(ROUNDS):
        for name, step in steps.items():
            times[name].append(1e3 * seconds_of(step, device))
    found = {f"{name}_ms": statistics.median(values) for name, values in times.items()}
    return {**found, "ms": sum(found.values()), "frames": scene.frame_count}


PARTS = {
    "machine": machine,
    "compile": compile_kernels,
    "solve": solve,
    "copies": copies,
    "compare": compare,
    "table": table,
}
