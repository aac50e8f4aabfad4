"""Bodies of revolution, said to be symmetric, against the same sequences without that line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bench.robustness.harness import Trial, row
from warpprior.metrics import evaluate
from warpprior.result import Result
from warpprior.scene import Scene
from warpprior.scenes import simulate

SEQUENCES = (
    *(
        (name, thing, 24)
        for name in ("grasp_lift", "in_hand_turn", "pour", "slip", "handover")
        for thing in ("can", "bowl")
    ),
    *(("grasp_lift", thing, 40) for thing in ("can", "bowl")),
)
SEED = 740


def _spins(rotation: np.ndarray) -> np.ndarray:
    """Turn about the body's z from each frame to the next (frame - 1,) [deg]."""
    turns = Rotation.from_quat(rotation)
    quaternions = (turns[:-1].inv() * turns[1:]).as_quat()
    angles = 2.0 * np.arctan2(quaternions[:, 2], quaternions[:, 3])
    return np.degrees(np.abs((angles + np.pi) % (2.0 * np.pi) - np.pi))


def _scores(scene: Scene, thing: str, result: Result) -> dict[str, float]:
    """Figures of a run, by the symmetry that the object has, whatever the run was told."""
    truth = scene.body(thing).truth
    found = evaluate(scene, result.poses, device="cpu")["per_frame"][thing]
    true = evaluate(scene, {body.name: body.truth for body in scene.bodies}, device="cpu")["per_frame"][thing]
    rows, true_rows = ({k: np.array(v, dtype=float) for k, v in each.items()} for each in (found, true))
    held = np.isfinite(true_rows["slip_mm"])
    spins, true_spins = _spins(result.poses[thing].rotation), _spins(truth.rotation)
    return {
        "add_mm": float(np.nanmedian(rows["add_mm"])),
        "add_max_mm": float(np.nanmax(rows["add_mm"])),
        "axis_max_deg": float(np.nanmax(rows["rotation_deg"])),
        "spin_deg": float(np.median((spins - true_spins)[held[1:]])) if held.any() else np.nan,
        "slip_mm": float(np.nanmedian(rows["slip_mm"])),
        "true_slip_mm": float(np.nanmedian(true_rows["slip_mm"])),
    }


def _trial(name: str, thing: str, frames: int, seed: int, *, told: bool) -> Trial:
    scene = simulate(name, object=thing, seed=seed, frame_count=frames)
    bodies = tuple(replace(body, symmetry="none") if body.name == thing else body for body in scene.bodies)
    given = scene if told else replace(scene, bodies=bodies)
    return Trial(given, lambda result: _scores(scene, thing, result))


def _trials(told: bool) -> dict[str, Callable[[], Trial]]:
    found = {}
    for number, (name, thing, frames) in enumerate(SEQUENCES):
        seed = SEED + number
        key = f"{name} {thing} {frames} frames {seed}"
        found[key] = lambda n=name, t=thing, f=frames, s=seed: _trial(n, t, f, s, told=told)
    return found


@row("symmetry", "bodies of revolution, held, symmetry said")
def symmetry() -> dict[str, Callable[[], Trial]]:
    """Figures modulo the symmetry; spin and slip as they are."""
    return _trials(told=True)


@row("symmetry_unsaid", "the same bodies, symmetry not said")
def symmetry_unsaid() -> dict[str, Callable[[], Trial]]:
    """What saying the symmetry has to be better than."""
    return _trials(told=False)
