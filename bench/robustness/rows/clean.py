"""Nothing is wrong: what must not get worse."""

from __future__ import annotations

from itertools import product

import numpy as np

from warpprior.bench.robustness.harness import Sequences, Trial, errors, named, row
from warpprior.result import Result
from warpprior.scenes import simulate

SCENES = ("grasp_lift", "in_hand_turn", "pour", "slip")
OBJECTS = ("bottle", "box", "mug", "can", "banana")
LEVELS = ("M0", "M1", "M2")
FRAMES = 24
SEED = 700


def _trial(name: str, thing: str, level: str, seed: int) -> Trial:
    scene = simulate(name, object=thing, mask_noise=level, seed=seed, frame_count=FRAMES)

    def score(result: Result) -> dict[str, float]:
        held, hand = errors(scene, result, thing), errors(scene, result, "hand")
        return {
            "add_mm": float(np.nanmedian(held["add_mm"])),
            "add_p95_mm": float(np.nanpercentile(held["add_mm"], 95)),
            "chamfer_mm": float(np.nanmedian(held["chamfer_mm"])),
            "keypoint_mm": float(np.nanmedian(hand["keypoint_mm"])),
            "penetration_mm": float(np.nanmedian(held["penetration_mm"])),
        }

    return Trial(scene, score)


@row("clean", "simulated hands and objects, masks M0 to M2, each scene with each object")
def trials() -> Sequences:
    """Twenty sequences; noise goes round."""
    return named(
        _trial,
        [
            (name, thing, LEVELS[number % len(LEVELS)], SEED + number)
            for number, (name, thing) in enumerate(product(SCENES, OBJECTS))
        ],
    )
