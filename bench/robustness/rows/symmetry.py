"""Bodies of revolution, said to be so: held ones must not spin in the grasp, and none may stay upside down."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from warpprior.bench.robustness.harness import Sequences, Trial, each_twice, errors, named, refine_on_cpu, row
from warpprior.metrics import evaluate
from warpprior.result import Result
from warpprior.scene import Poses, Scene
from warpprior.scenes import simulate

SEQUENCES = each_twice(
    [
        ("grasp_lift", "can", 24),
        ("grasp_lift", "bowl", 24),
        ("in_hand_turn", "can", 24),
        ("pour", "bowl", 24),
        ("slip", "can", 24),
        ("grasp_lift", "can", 40),
        ("in_hand_turn", "bowl", 24),
        ("slip", "bowl", 24),
        ("handover", "bowl", 24),
    ],
    first_seed=760,
)


def _without_symmetry(scene: Scene) -> Scene:
    return replace(scene, bodies=tuple(replace(body, symmetry="none") for body in scene.bodies))


def _spin(poses: Poses, hand: Poses) -> np.ndarray:
    """Turn about z, in the hand, from each frame to the next (frame - 1,) [deg]."""
    held = Rotation.from_quat(hand.rotation).inv() * Rotation.from_quat(poses.rotation)
    return np.abs(np.degrees((held[:-1].inv() * held[1:]).as_rotvec()[:, 2]))


def _trial(name: str, thing: str, frames: int, seed: int) -> Trial:
    scene = simulate(name, object=thing, seed=seed, frame_count=frames)

    def score(result: Result) -> dict[str, float]:
        found = errors(scene, result, thing)
        pair = next(each for key, each in evaluate(scene, result.poses, device="cpu")["pairs"].items() if thing in key)[
            "summary"
        ]
        truth, hand = scene.body(thing).truth, scene.body("hand").truth
        assert truth is not None and hand is not None, "simulated scenes have truth"
        held = slice(frames // 2, None)
        unseen = refine_on_cpu(_without_symmetry(scene))
        without = errors(scene, unseen, thing)
        return {
            "add_mm": float(np.median(found["add_mm"])),
            "add_worst_mm": float(found["add_mm"].max()),
            "without_worst_mm": float(without["add_mm"].max()),
            "axis_worst_deg": float(found["rotation_deg"].max()),
            "spin_deg": float(np.median(_spin(result.poses[thing], result.poses["hand"])[held])),
            "true_spin_deg": float(np.median(_spin(truth, hand)[held])),
            "slip_mm": pair["slip_mm"]["median"],
            "true_slip_mm": pair["truth"]["slip_mm"]["median"],
        }

    return Trial(scene, score)


@row("symmetric", "cans and bowls with symmetry = z, in hands")
def trials() -> Sequences:
    """Eighteen sequences, four of them grasp_lift with the can."""
    return named(_trial, SEQUENCES)
