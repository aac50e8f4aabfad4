"""Depth, which a picture tells least: of small objects in the hand, and of hands before they touch anything."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from warpprior.bench.robustness.harness import Trial, errors, row
from warpprior.result import Result
from warpprior.scenes import simulate

THINGS = ("banana", "mug", "box", "bottle", "can")
LEVELS = ("M0", "M1", "M2")
FRAMES, SEED = 20, 710
MOVES_M = 0.002  # what has moved so far from its first place is held


def _trial(name: str, thing: str, level: str, seed: int) -> Trial:
    scene = simulate(name, object=thing, mask_noise=level, seed=seed, frame_count=FRAMES)

    def score(result: Result) -> dict[str, float]:
        hand, held = scene.body("hand").truth, scene.body(thing).truth
        assert hand is not None and held is not None, "simulated scenes have truth"
        deep = {
            body.name: 1e3 * np.abs((result.poses[body.name].position - body.truth.position)[:, 2])
            for body in scene.bodies
            if body.truth is not None
        }
        moved = np.linalg.norm(held.position - held.position[0], axis=1) > MOVES_M
        before = deep["hand"][: int(np.argmax(moved))] if name == "grasp_lift" else np.empty(0)
        add = errors(scene, result, thing)["add_mm"]
        return {
            "add_mm": float(np.median(add)),
            "add_worst_mm": float(add.max()),
            "object_depth_mm": float(np.median(deep[thing][moved])),
            "hand_depth_mm": float(np.median(deep["hand"][moved])),
            "hand_before_mm": float(np.median(before)) if len(before) > 1 else np.nan,
            "hand_before_worst_mm": float(before.max()) if len(before) > 1 else np.nan,
        }

    return Trial(scene, score)


def _trials(name: str, first: int) -> dict[str, Callable[[], Trial]]:
    found = {}
    for number, thing in enumerate(2 * THINGS):
        level, seed = LEVELS[number % len(LEVELS)], first + number
        found[f"{name} {thing} {level} {seed}"] = lambda t=thing, lv=level, s=seed: _trial(name, t, lv, s)
    return found


row("depth_in_hand", "objects turned in the hand")(lambda: _trials("in_hand_turn", SEED))
row("depth_before_contact", "hands that come to lift an object")(lambda: _trials("grasp_lift", SEED + 10))
